//! A pool's place: the real pool, what is wrong with it, and its connections with the proxy, past ones too.
//!
//! Shares are judged by [`sv2_pool::Pool`] itself. What it cannot be told to do wrong is done to its messages as they
//! leave: see [`Call::on_the_way`].

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use sv2::bitcoin::Difficulty;
use sv2::message::Message;
use sv2::messages::mining::Mining;
use sv2::tlv::WORKER_SPECIFIC_HASHRATE_TRACKING;
use sv2::types::{B0_32, ChannelId, ExtensionType, JobId};
use sv2_pool::{Addressing, ConnectionId, Faults, Pool, PoolConfig, ShareTarget};

use super::link::Link;
use super::random::Random;
use super::view::View;

/// Height of the first block of a world.
const HEIGHT: u32 = 900_000;

/// Networks of worlds: a hash in 65,536 solves a block, or one in 4,096.
pub(super) const NBITS: [u32; 3] = [0x1f00_ffff, 0x1f00_ffff, 0x1f0f_ffff];

/// What clocks show when a world begins, in s since epoch.
const UNIX_TIME: u32 = 1_800_000_000;

/// Shares without an answer that are remembered of one connection, and the blocks among them, the last ones each: more
/// blocks are a test network's.
const UNANSWERED: usize = 1 << 16;
const KEPT_BLOCKS: usize = 16;

/// A pool's place.
#[derive(Debug)]
pub(super) struct Site {
    /// `None` while it is down.
    pub(super) pool: Option<Pool>,
    nbits: u32,
    extranonce: Extranonce,
    pub(super) faults: Faults,
    pub(super) is_hung: bool,
    /// Whether its host can be connected to.
    pub(super) is_reachable: bool,
    /// What came while it hung: the call and the frame.
    pub(super) held: Vec<(u64, Vec<u8>)>,
    /// Blocks of the chain that it has announced.
    pub(super) heard: u32,
    /// How long it takes to hear of a block, in s.
    pub(super) block_delay: (f64, f64),
    pub(super) delay: (f64, f64),
    pub(super) forbids_rolling: bool,
    pub(super) speaks_other_version: bool,
    /// Numbers jobs anew in each block.
    pub(super) renumbers: bool,
    /// Refuses the channels of single accounts and miners.
    pub(super) refuses_own: bool,
    pub(super) habits: Habits,
    /// All connections so far, the farm's and own ones; the number of each is its place and one.
    pub(super) calls: Vec<Call>,
}

/// What a pool is like that has just started.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Habits {
    pub(super) no_extension: bool,
    pub(super) requires_extension: bool,
    pub(super) fixed_version: bool,
    pub(super) little_extranonce: bool,
    pub(super) short_slots: bool,
}

/// How much extranonce the pools of a world give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extranonce {
    Ample,
    Little,
    /// Enough for all slots of two bytes, and those of the first page run out.
    Paged,
}

/// How far a connection is, as the proxy knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Dialling,
    Connected,
    Over,
}

/// One connection between the proxy and a pool, dialled or open or over.
#[derive(Debug)]
pub(super) struct Call {
    /// The upstream that it is to the proxy, and whether that is a single account's or miner's.
    pub(super) upstream: usize,
    pub(super) is_own: bool,
    /// Who its channel was asked for.
    pub(super) user: Option<String>,
    /// Since when somebody works on its jobs, as far as somebody does.
    pub(super) mined_since: Option<Duration>,
    /// Since when it could be spared: its owner is gone, or the farm elsewhere.
    pub(super) spare_since: Option<Duration>,
    /// Whether it was spared for so long that it retires, whoever comes back.
    pub(super) is_deserted: bool,
    pub(super) end: End,
    pub(super) connection: Option<ConnectionId>,
    pub(super) to_pool: Link,
    pub(super) to_proxy: Link,
    pub(super) view: Option<View>,
    pub(super) fixed_version: bool,
    /// Whether a channel was asked for.
    pub(super) is_opening: bool,
    /// Shares that were sent here and have no answer, each with the block that it solves.
    unanswered: VecDeque<(u32, Option<[u8; 32]>)>,
    /// When the proxy last heard anything here, from the opening of the connection on.
    pub(super) heard_at: Duration,
    /// Blocks that the pool announced here, and those of them that arrived.
    pub(super) blocks_sent: u64,
    pub(super) blocks_told: u64,
    /// Whether the pool closed the channel.
    pub(super) is_closed: bool,
    /// Whether messages were put in that the pool knows nothing of, so that its judgement says nothing.
    pub(super) is_tainted: bool,
    /// Whether worker names were negotiated.
    pub(super) names: bool,
    names_of_jobs: JobNames,
    /// Our group, and the one that stands for it since SetGroupChannel.
    pub(super) regrouped: Option<(ChannelId, ChannelId)>,
}

/// Job ids as a pool gives them out that begins anew with each block.
#[derive(Debug, Default)]
struct JobNames {
    next: u32,
    of: BTreeMap<u32, u32>,
}

impl JobNames {
    fn name(&mut self, job: &mut JobId, is_future: bool) {
        if is_future {
            self.next = 0;
        }
        self.next += 1;
        self.of.insert(self.next, job.0);
        job.0 = self.next;
    }
}

impl Call {
    pub(super) fn new((upstream, is_own): (usize, bool), delay: (f64, f64)) -> Self {
        Self {
            upstream,
            is_own,
            user: None,
            mined_since: None,
            spare_since: None,
            is_deserted: false,
            end: End::Dialling,
            connection: None,
            to_pool: Link::new(delay),
            to_proxy: Link::new(delay),
            view: None,
            fixed_version: false,
            is_opening: false,
            unanswered: VecDeque::new(),
            heard_at: Duration::ZERO,
            blocks_sent: 0,
            blocks_told: 0,
            is_closed: false,
            is_tainted: false,
            names: false,
            names_of_jobs: JobNames::default(),
            regrouped: None,
        }
    }

    /// Does to a message of the pool what the pool cannot be told to do.
    pub(super) fn on_the_way(&mut self, message: &mut Message, renumbers: bool, no_rolling: bool) {
        let Message::Mining(message) = message else {
            return;
        };
        let regrouped = self.regrouped;
        let regroup = |channel: &mut ChannelId| {
            if let Some((_, new)) = regrouped.filter(|(old, _)| old == channel) {
                *channel = new;
            }
        };
        match message {
            Mining::NewExtendedMiningJob(job) => {
                job.version_rolling_allowed &= !no_rolling;
                regroup(&mut job.channel_id);
                if renumbers {
                    let is_future = job.min_ntime.is_none();
                    self.names_of_jobs.name(&mut job.job_id, is_future);
                }
            }
            Mining::SetNewPrevHash(tip) => {
                self.blocks_sent += 1;
                regroup(&mut tip.channel_id);
                if renumbers {
                    tip.job_id = JobId(1);
                }
            }
            Mining::SetTarget(set) => regroup(&mut set.channel_id),
            Mining::CloseChannel(close) => {
                self.is_closed = true;
                regroup(&mut close.channel_id);
            }
            _ => {}
        }
    }

    /// Notes a share that is sent.
    pub(super) fn note_share(&mut self, number: u32) {
        if self.unanswered.len() >= UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back((number, None));
    }

    /// Notes that a share which was just sent solves a block.
    pub(super) fn note_block(&mut self, number: u32, hash: [u8; 32]) {
        let sent = self.unanswered.iter_mut().rev();
        for (_, block) in sent.filter(|(sent, _)| *sent == number) {
            *block = Some(hash);
        }
        let newest = self.unanswered.iter_mut().rev();
        let mut blocks = newest.filter(|(_, block)| block.is_some());
        if let Some((_, eldest)) = blocks.nth(KEPT_BLOCKS) {
            *eldest = None;
        }
    }

    /// Takes a pool's word for so many shares, the oldest ones.
    pub(super) fn note_success(&mut self, count: u32) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.unanswered.drain(..count.min(self.unanswered.len()));
    }

    /// Takes a pool's word against a share; where it is none of those without an answer, the oldest is meant.
    pub(super) fn note_error(&mut self, number: u32) {
        let place = self.unanswered.iter().position(|(sent, _)| *sent == number);
        self.unanswered.remove(place.unwrap_or(0));
    }

    /// Ends the connection; gives the blocks that were never answered.
    pub(super) fn end(&mut self) -> Vec<[u8; 32]> {
        self.end = End::Over;
        let left = self.unanswered.drain(..);
        left.filter_map(|(_, block)| block).collect()
    }

    /// The channel while the connection is up.
    pub(super) fn live_view(&self) -> Option<&View> {
        self.view.as_ref().filter(|_| self.end == End::Connected)
    }

    /// Gives a share the job id that the pool knows.
    pub(super) fn back(&self, message: &mut Message) {
        if let Message::Mining(Mining::SubmitSharesExtended(share)) = message
            && let Some(id) = self.names_of_jobs.of.get(&share.job_id.0)
        {
            share.job_id.0 = *id;
        }
    }
}

impl Site {
    /// A pool that is up, and as yet nobody has dialled.
    pub(super) fn new(
        start: Instant,
        (nbits, extranonce): (u32, Extranonce),
        random: &mut Random,
    ) -> Self {
        let mut site = Self {
            pool: None,
            nbits,
            extranonce,
            faults: Faults::default(),
            is_hung: false,
            is_reachable: true,
            held: Vec::new(),
            heard: 0,
            block_delay: *random.pick(&[(0.05, 0.5), (0.05, 2.0), (0.5, 5.0)]),
            delay: *random.pick(&[(0.001, 0.005), (0.02, 0.08), (0.1, 0.9)]),
            forbids_rolling: false,
            speaks_other_version: false,
            renumbers: false,
            refuses_own: false,
            habits: Habits::default(),
            calls: Vec::new(),
        };
        site.start(start, Duration::ZERO, random);
        site
    }

    /// Starts the pool, every time as another one: other extranonce prefix, other habits.
    pub(super) fn start(&mut self, start: Instant, now: Duration, random: &mut Random) {
        let config = self.config(random);
        self.speaks_other_version = random.chance(0.01);
        self.renumbers = random.chance(0.2);
        self.habits = Habits {
            no_extension: config.supported_extensions.is_empty(),
            requires_extension: !config.required_extensions.is_empty(),
            fixed_version: !config.version_rolling_allowed,
            little_extranonce: config.extranonce_size < 6,
            short_slots: (6..8).contains(&config.extranonce_size),
        };
        self.faults = config.faults.clone();
        let elapsed = u32::try_from(now.as_secs()).unwrap_or(0);
        let mut pool = Pool::new(config, start + now, UNIX_TIME + elapsed)
            .unwrap_or_else(|error| unreachable!("the pool's settings are sound: {error}"));
        pool.set_events_wanted(true);
        self.pool = Some(pool);
        self.is_hung = false;
        self.held.clear();
    }

    fn config(&self, random: &mut Random) -> PoolConfig {
        let prefix_length = random.place(13);
        let mut faults = Faults::default();
        faults.silent_on_extensions = random.chance(0.1);
        faults.never_acknowledge = random.chance(0.05);
        let sizes: &[u16] = match (self.extranonce, random.chance(0.05)) {
            (_, true) => &[3, 5],
            (Extranonce::Ample, _) => &[8, 12, 16],
            (Extranonce::Little, _) => &[3, 4, 5, 6, 6, 6, 7, 7, 8, 8, 11, 12, 16],
            (Extranonce::Paged, _) => &[4, 7, 7, 7, 7, 8, 12],
        };
        let extensions = match random.chance(0.2) {
            true => Vec::new(),
            false => vec![WORKER_SPECIFIC_HASHRATE_TRACKING],
        };
        let difficulty = 2_f64.powf(random.between(-28.0, -23.0));
        PoolConfig {
            share_target: match random.chance(0.5) {
                true => {
                    ShareTarget::Difficulty(Difficulty::new(difficulty).unwrap_or(Difficulty::ONE))
                }
                false => ShareTarget::SharesPerMinute(random.between(6.0, 120.0)),
            },
            extranonce_prefix: B0_32::new(&random.bytes(prefix_length)).unwrap_or_default(),
            extranonce_size: *random.pick(sizes),
            addressing: *random.pick(&[Addressing::Group, Addressing::Channel]),
            block_interval: None,
            job_interval: Some(random.seconds(15.0, 60.0)),
            height: HEIGHT + self.heard,
            nbits: self.nbits,
            merkle_branches: *random.pick(&[0, 1, 3, 12]),
            version_rolling_allowed: !random.chance(0.08),
            ack_batch: *random.pick(&[1, 3, 10]),
            ack_interval: random.chance(0.5).then(|| random.seconds(0.5, 10.0)),
            supported_extensions: extensions,
            required_extensions: match random.chance(0.02) {
                true => vec![ExtensionType(0x4000)],
                false => Vec::new(),
            },
            pool_tag: "/sim/".into(),
            seed: random.next(),
            advance_on_block: false,
            faults,
            ..PoolConfig::default()
        }
    }

    /// Gives a connection by its number.
    pub(super) fn call(&mut self, attempt: u64) -> Option<&mut Call> {
        let place = usize::try_from(attempt).ok()?.checked_sub(1)?;
        self.calls.get_mut(place)
    }

    /// The number of the last connection.
    pub(super) fn attempt(&self) -> u64 {
        self.calls.len() as u64
    }

    /// The farm's connection that the proxy takes for its present one.
    pub(super) fn present(&self) -> Option<&Call> {
        let mut newest = self.calls.iter().rev();
        let farms = newest.find(|call| !call.is_own);
        farms.filter(|call| call.end != End::Over)
    }

    /// The numbers of all connections that the proxy takes for present ones.
    pub(super) fn presents(&self) -> Vec<u64> {
        let numbered = (1..).zip(&self.calls);
        let present = numbered.filter(|(_, call)| call.end != End::Over);
        present.map(|(attempt, _)| attempt).collect()
    }

    /// The channel of a connection that is up.
    pub(super) fn view_of(&self, attempt: u64) -> Option<&View> {
        let place = usize::try_from(attempt).ok()?.checked_sub(1)?;
        self.calls.get(place)?.live_view()
    }

    /// The farm's channel.
    pub(super) fn view(&self) -> Option<&View> {
        self.present()?.live_view()
    }

    /// The farm's connection where nothing is wrong with it, apart from the blocks that it may lack.
    pub(super) fn sound(&self, now: Duration) -> Option<ConnectionId> {
        let sound = |call: &Call| {
            let works = call
                .live_view()
                .is_some_and(|view| view.current().is_some());
            let flows = !call.to_proxy.is_stalled(now) && !call.to_pool.is_stalled(now);
            works && flows && call.connection.is_some() && !call.is_closed && !call.is_tainted
        };
        let present = self.present().filter(|call| sound(call))?;
        let up = self.pool.is_some() && !self.is_hung;
        present.connection.filter(|_| up)
    }

    /// Whether the proxy has the newest block from here.
    pub(super) fn has_told(&self, height: u32) -> bool {
        let all = |call: &Call| call.blocks_told == call.blocks_sent;
        self.heard == height && self.present().is_some_and(all)
    }

    /// The number of the connection that the pool knows as this one.
    pub(super) fn attempt_of(&self, connection: ConnectionId) -> Option<u64> {
        let known = |call: &Call| call.connection == Some(connection);
        self.calls
            .iter()
            .rposition(known)
            .map(|place| place as u64 + 1)
    }

    /// When the pool has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pool.as_ref().filter(|_| !self.is_hung)?.poll_timeout()
    }
}
