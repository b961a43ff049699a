//! The router between miners and upstreams; what is decided, is decided in the files beside it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sv1::{CallError, Id, Incoming, Request, Submit, notification, reply};
use sv2::bitcoin::{Difficulty, Hashrate, Target};
use sv2::message::Message;

use crate::config::Config;
use crate::event::Event;
use crate::job::Job;
use crate::miner::setup::NewSession;
use crate::miner::{HASHES_PER_DIFFICULTY, Miner, Outcome, Reply};
use crate::miners::{MinerId, Miners};
use crate::output::{CloseReason, Delivery, Output};
use crate::refusal::Refusal;
use crate::share::{self, GoodShare};
use crate::slot::Slots;
use crate::statistics::{MinerStatistics, Statistics};
use crate::upstream::{Demand, News, Outputs, Upstream, UpstreamId};
use crate::work::{Found, Work, Works};

/// How often miners are looked over: difficulty, time limits, hashrate.
const TICK: Duration = Duration::from_secs(1);

/// Work for single miners (a new difficulty) is shared with all that need some within this time.
const SHARED_WORK: Duration = Duration::from_secs(1);

/// Most shares per minute that an upstream's target may ask of the whole farm.
const MAX_UPSTREAM_SHARES_PER_MINUTE: f64 = 1_200.0;

/// Translates between Sv1 miners and Sv2 upstreams; see the crate's description.
#[derive(Debug)]
pub struct Translator {
    config: Config,
    miners: Miners,
    slots: Slots,
    upstreams: Vec<Upstream>,
    /// Whose jobs the miners work on.
    active: Option<UpstreamId>,
    works: Works,
    /// Counts jobs, so that slots rest until theirs is gone.
    job_serial: u64,
    sessions: u64,
    /// Lines of SV1 mining.set_difficulty, one per power of two in use.
    difficulty_lines: HashMap<u64, Arc<[u8]>>,
    next_tick: Instant,
    /// When every miner last got work.
    last_fan_out: Instant,
    hashrate: Hashrate,
    hardest: Option<Difficulty>,
    statistics: Statistics,
    outputs: Outputs,
    /// Order of a fan-out, kept for its memory.
    fan_out: Vec<(Difficulty, MinerId)>,
    stopping: bool,
}

impl Translator {
    /// Makes a translator that dials its upstreams at the first timeout.
    #[must_use]
    pub fn new(now: Instant, config: Config) -> Self {
        let [s0, s1, s2, s3, s4, s5, s6, s7, ..] = config.seed;
        let seed = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let upstreams = config
            .upstreams
            .iter()
            .enumerate()
            .map(|(index, upstream)| {
                let noise = seed.wrapping_mul(2 * index as u64 + 1);
                Upstream::new(now, UpstreamId(index), upstream, &config, noise)
            });
        Self {
            upstreams: upstreams.collect(),
            miners: Miners::default(),
            slots: Slots::new(config.first_slot),
            active: None,
            works: Works::default(),
            job_serial: 0,
            sessions: 0,
            difficulty_lines: HashMap::new(),
            next_tick: now + TICK,
            last_fan_out: now,
            hashrate: Hashrate::ZERO,
            hardest: None,
            statistics: Statistics::default(),
            outputs: Outputs::new(),
            fan_out: Vec::new(),
            stopping: false,
            config,
        }
    }

    /// Takes a new connection; `None` where there is no room for it.
    pub fn handle_miner_connected(&mut self, now: Instant, peer: SocketAddr) -> Option<MinerId> {
        if self.stopping || self.miners.len() >= self.config.max_miners {
            return None;
        }
        self.statistics.miners_connected += 1;
        self.miners
            .insert(Miner::new(now, peer, &self.config.difficulty))
    }

    /// Takes the end of a connection that the miner or the network ended.
    pub fn handle_miner_left(&mut self, now: Instant, miner: MinerId) {
        let Some(miner) = self.remove_miner(now, miner) else {
            return;
        };
        let worker = miner.worker_name().to_owned();
        self.event(Event::MinerLeft {
            peer: miner.peer,
            worker,
        });
    }

    /// Takes what a miner sent. The reply is appended to `replies`, to be written before anything that
    /// [`poll_output`](Self::poll_output) gives afterwards.
    pub fn handle_incoming(
        &mut self,
        now: Instant,
        id: MinerId,
        incoming: Incoming,
        replies: &mut Vec<u8>,
    ) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        miner.last_line = now;
        match incoming {
            Incoming::Call {
                id: call,
                request: Request::Submit(submit),
            } => {
                self.handle_submit(now, id, &call, &submit, replies);
            }
            Incoming::Call { id: call, request } => {
                self.handle_setup(
                    now,
                    id,
                    request,
                    Reply {
                        id: &call,
                        out: replies,
                    },
                );
            }
            // We ask nothing that needs an answer; firmware answers all the same.
            Incoming::Response(_) => {}
        }
    }

    /// Takes a line that is no request. It is answered where it has an id, and ends the connection where not.
    pub fn handle_bad_line(
        &mut self,
        now: Instant,
        id: MinerId,
        error: &CallError,
        replies: &mut Vec<u8>,
    ) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        miner.last_line = now;
        let Some(call) = &error.id else {
            return self.close_miner(now, id, CloseReason::UnanswerableLine(error.to_string()));
        };
        reply::error(replies, call, error.reject_code(), &error.to_string());
        if error.method.as_deref() == Some("mining.submit") {
            self.statistics.shares_submitted += 1;
            self.count_refusal(id, Refusal::Malformed);
        }
    }

    /// Closes a miner for a reason that the body found.
    pub fn close_miner(&mut self, now: Instant, id: MinerId, reason: CloseReason) {
        let Some(miner) = self.remove_miner(now, id) else {
            return;
        };
        let worker = miner.worker_name().to_owned();
        self.outputs.push_back(Output::CloseMiner {
            miner: id,
            reason: reason.clone(),
        });
        self.event(Event::MinerClosed {
            peer: miner.peer,
            worker,
            reason,
        });
    }

    /// Takes the body's word that an upstream is connected and has proved its authority key.
    pub fn handle_upstream_connected(&mut self, now: Instant, upstream: UpstreamId) {
        if let Some(upstream) = self.upstreams.get_mut(upstream.0) {
            upstream.handle_connected(now, &mut self.outputs);
        }
    }

    /// Takes the body's word that an upstream's connection ended or could not be made; `words` say why.
    pub fn handle_upstream_lost(&mut self, now: Instant, upstream: UpstreamId, words: String) {
        if let Some(upstream) = self.upstreams.get_mut(upstream.0) {
            upstream.handle_lost(now, words, &mut self.outputs);
        }
        self.check_active();
    }

    /// Takes a message of an upstream.
    pub fn handle_message(&mut self, now: Instant, id: UpstreamId, message: Message) {
        let demand = self.demand();
        let Some(upstream) = self.upstreams.get_mut(id.0) else {
            return;
        };
        match upstream.handle_message(now, message, demand, &mut self.outputs) {
            News::Nothing => self.check_active(),
            News::Job { job, new_block } => self.take_job(now, id, job, new_block),
        }
    }

    /// Does what is due; to be called at [`poll_timeout`](Self::poll_timeout), earlier does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        let demand = self.demand();
        for upstream in &mut self.upstreams {
            upstream.handle_timeout(now, demand, &mut self.outputs);
        }
        self.keep_alive(now);
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.look_over_miners(now);
        }
        self.announce(now);
        self.check_active();
    }

    /// Gives the next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Tells when [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let upstreams = self.upstreams.iter().filter_map(Upstream::timeout);
        let tick = (self.miners.len() > 0).then_some(self.next_tick);
        let keepalive = self.keepalive_due();
        upstreams.chain(tick).chain(keepalive).min()
    }

    /// Ends all channels and connections: the proxy stops.
    pub fn stop(&mut self, now: Instant) {
        self.stopping = true;
        for upstream in &mut self.upstreams {
            upstream.close(now, &mut self.outputs);
        }
        let miners: Vec<_> = self.miners.iter().map(|(id, _)| id).collect();
        for miner in miners {
            self.close_miner(now, miner, CloseReason::Stopping);
        }
    }

    /// Gives the counters as they stand.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut statistics = self.statistics.clone();
        statistics.miners = self.miners.len() as u64;
        statistics.miners_mining = self
            .miners
            .iter()
            .filter(|(_, miner)| miner.is_mining())
            .count() as u64;
        statistics.hashrate = self.hashrate.to_f64();
        statistics.upstreams = self
            .upstreams
            .iter()
            .map(|upstream| upstream.statistics.clone())
            .collect();
        statistics
    }

    /// Gives what is known of each miner.
    pub fn miner_statistics(&self) -> impl Iterator<Item = MinerStatistics> {
        self.miners.iter().map(|(_, miner)| miner.statistics())
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn remove_miner(&mut self, now: Instant, id: MinerId) -> Option<Miner> {
        let miner = self.miners.remove(id)?;
        if let Some(slot) = miner.slot() {
            self.slots.give_back(now, slot, self.job_serial);
        }
        // A tick may be the last one: without miners nothing is looked over.
        if self.miners.len() == 0 {
            self.look_over_miners(now);
            self.announce(now);
        }
        Some(miner)
    }
}

/// Requests of miners.
impl Translator {
    fn handle_setup(&mut self, now: Instant, id: MinerId, request: Request, reply: Reply<'_>) {
        let (slots, sessions) = (&mut self.slots, &mut self.sessions);
        let (seed, job_serial) = (&self.config.seed, self.job_serial);
        let new_session = || {
            let slot = slots.take(now, job_serial)?;
            *sessions += 1;
            Some(NewSession {
                slot,
                session_id: session_id(seed, *sessions),
            })
        };
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        match miner.handle_setup(request, &self.config, new_session, reply) {
            Outcome::Done => {}
            Outcome::Ready => self.start_miner(now, id),
            Outcome::NeedsWork => self.deliver_first(id),
            Outcome::Wishes(wish) => self.grant(now, id, wish),
        }
    }

    fn start_miner(&mut self, now: Instant, id: MinerId) {
        let shares_per_minute = self.config.difficulty.shares_per_minute;
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        miner.vardiff.restart(now);
        miner.hashrate = miner.implied_hashrate(shares_per_minute);
        let ready = Event::MinerReady {
            peer: miner.peer,
            worker: miner.worker_name().to_owned(),
            user_agent: miner.user_agent().to_owned(),
            difficulty: miner.assigned.difficulty(),
        };
        let (added, hardest) = (miner.hashrate, miner.assigned.difficulty());
        self.hardest = Some(self.hardest.map_or(hardest, |known| known.max(hardest)));
        self.hashrate = Hashrate::new(self.hashrate.to_f64() + added).unwrap_or(self.hashrate);
        self.event(ready);
        self.deliver_first(id);
        self.announce(now);
    }

    /// Follows a miner's wish for a difficulty, as far as the operator allows.
    fn grant(&mut self, now: Instant, id: MinerId, wish: Difficulty) {
        let policy = self.config.difficulty;
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let difficulty = miner.clamp(&policy, wish);
        self.change_difficulty(now, id, difficulty);
    }

    fn handle_submit(
        &mut self,
        now: Instant,
        id: MinerId,
        call: &Id,
        submit: &Submit,
        replies: &mut Vec<u8>,
    ) {
        self.statistics.shares_submitted += 1;
        match self.judge(id, submit) {
            Ok((share, job)) => {
                reply::result_true(replies, call);
                self.count_share(now, id, &share);
                if share.for_upstream {
                    self.forward(id, submit, &share, &job);
                }
            }
            Err(refusal) => {
                reply::error(replies, call, refusal.code(), &refusal.to_string());
                self.count_refusal(id, refusal);
            }
        }
    }

    fn judge(&mut self, id: MinerId, submit: &Submit) -> Result<(GoodShare, Arc<Job>), Refusal> {
        let miner = self.miners.get_mut(id).ok_or(Refusal::NotSubscribed)?;
        let terms = miner.terms(&self.config)?;
        miner.identity(&submit.worker)?;
        let (work, job) = match self.works.find(&submit.job_id) {
            Found::Job(work, job) => (work, job),
            Found::Stale => return Err(Refusal::Stale),
            Found::Unknown => return Err(Refusal::UnknownJob),
        };
        let upstream = self
            .upstreams
            .get_mut(job.connection.upstream.0)
            .ok_or(Refusal::UpstreamGone)?;
        let (channel, _) = upstream
            .channel_of(job.connection)
            .ok_or(Refusal::UpstreamGone)?;
        let share = share::judge(submit, (work, job), terms, &mut channel.duplicates)?;
        Ok((share, Arc::clone(job)))
    }

    /// Sends a share to the upstream whose job it is.
    fn forward(&mut self, id: MinerId, submit: &Submit, share: &GoodShare, job: &Job) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let Some(slot) = miner.slot() else { return };
        let Some(extranonce) = job.extranonce(slot, submit.extranonce2.as_bytes()) else {
            return;
        };
        let id = job.connection.upstream;
        let Some(upstream) = self.upstreams.get_mut(id.0) else {
            return;
        };
        let name = share.is_block.then(|| upstream.name().to_owned());
        let Some((channel, statistics)) = upstream.channel_of(job.connection) else {
            return;
        };
        let message = channel.submit(job, share.fields, extranonce).into();
        let worker = channel
            .worker_names()
            .then(|| miner.identity(&submit.worker).ok())
            .flatten();
        statistics.shares_sent += 1;
        statistics.shares_pending = channel.unanswered();
        self.outputs.push_back(Output::Send {
            upstream: id,
            message,
            worker,
        });
        if let Some(upstream) = name {
            self.statistics.blocks_found += 1;
            let worker = submit.worker.to_string();
            self.event(Event::BlockFound {
                hash: share.hash,
                worker,
                upstream,
            });
        }
    }

    fn count_share(&mut self, now: Instant, id: MinerId, share: &GoodShare) {
        self.statistics.shares_accepted += 1;
        self.statistics.work_accepted += share.credit.to_f64();
        let policy = self.config.difficulty;
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        miner.shares_accepted += 1;
        miner.vardiff.note(share.credit);
        if let Some(difficulty) = wished_difficulty(miner, now, &self.config) {
            // Only a miner that floods is not left to the next tick.
            if policy.vardiff && difficulty > miner.assigned.difficulty() {
                self.change_difficulty(now, id, difficulty);
            }
        }
    }

    fn count_refusal(&mut self, id: MinerId, refusal: Refusal) {
        *self
            .statistics
            .shares_rejected
            .entry(refusal.label())
            .or_default() += 1;
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        miner.shares_rejected += 1;
        let worker = match miner.worker_name() {
            "" => miner.peer.to_string(),
            worker => worker.to_owned(),
        };
        self.event(Event::ShareRefused { worker, refusal });
    }
}

/// Work for miners.
impl Translator {
    fn take_job(&mut self, now: Instant, id: UpstreamId, job: Arc<Job>, new_block: bool) {
        // The first upstream with work is the active one until it fails.
        let active = *self.active.get_or_insert(id);
        if active != id {
            return;
        }
        let switched = self
            .works
            .newest()
            .is_none_or(|work| work.job.connection != job.connection);
        let clean_jobs = new_block || switched;
        let known_tip = self
            .works
            .newest()
            .is_some_and(|work| work.job.tip.prev_hash == job.tip.prev_hash);
        self.job_serial += 1;
        self.statistics.jobs += 1;
        let tip = job.tip;
        self.works.make(now, job, clean_jobs);
        let miners = self.fan_out(now, clean_jobs);
        let upstream = self
            .upstreams
            .get(id.0)
            .map_or("", Upstream::name)
            .to_owned();
        if known_tip {
            return self.event(Event::NewJob { upstream, miners });
        }
        self.statistics.new_blocks += 1;
        let network_difficulty = tip.network_target.difficulty();
        self.event(Event::NewBlock {
            upstream,
            prev_hash: tip.prev_hash,
            network_difficulty,
            miners,
        });
    }

    /// Hands the newest work to every miner, those with the most hashrate first.
    fn fan_out(&mut self, now: Instant, clean_jobs: bool) -> usize {
        self.last_fan_out = now;
        let Some(work) = self.works.newest().cloned() else {
            return 0;
        };
        let mut order = std::mem::take(&mut self.fan_out);
        order.clear();
        let mining = self.miners.iter().filter(|(_, miner)| miner.is_mining());
        order.extend(mining.map(|(id, miner)| (miner.assigned.difficulty(), id)));
        order.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        for (_, id) in &order {
            self.deliver(*id, &work, clean_jobs);
        }
        let count = order.len();
        self.fan_out = order;
        count
    }

    /// Hands a miner its first work: whatever it knew before is void.
    fn deliver_first(&mut self, id: MinerId) {
        if let Some(work) = self.works.newest().cloned() {
            self.deliver(id, &work, true);
        }
    }

    fn deliver(&mut self, id: MinerId, work: &Work, clean_jobs: bool) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let mask = miner.mask_to_announce(work.job.dealt.version_rolling_allowed);
        let version_mask = mask.map(|mask| {
            let mut line = Vec::new();
            notification::set_version_mask(&mut line, mask.bits());
            line.into()
        });
        let difficulty = (!miner.assigned.is_announced()).then(|| {
            miner.assigned.announce();
            let difficulty = miner.assigned.difficulty().to_f64();
            let line = self
                .difficulty_lines
                .entry(difficulty.to_bits())
                .or_insert_with(|| {
                    let mut line = Vec::new();
                    notification::set_difficulty(&mut line, difficulty);
                    line.into()
                });
            Arc::clone(line)
        });
        miner.last_work = Some(work.id);
        let delivery = Delivery {
            version_mask,
            difficulty,
            notify: Arc::clone(&work.notify),
            clean_jobs,
        };
        self.outputs.push_back(Output::Deliver {
            miner: id,
            delivery,
        });
    }

    /// Changes a miner's difficulty together with fresh work, because that is when firmware applies it.
    fn change_difficulty(&mut self, now: Instant, id: MinerId, difficulty: Difficulty) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let from = miner.assigned.difficulty();
        if from == difficulty {
            return;
        }
        miner.vardiff.restart(now);
        let (mining, last_work) = (miner.is_mining(), miner.last_work);
        let work = match mining {
            true => self.fresh_work(now, last_work),
            false => None,
        };
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let worker = miner.worker_name().to_owned();
        let Some(work) = work else {
            return miner.assigned.start_at(difficulty);
        };
        miner.assigned.change(difficulty, work.id);
        self.deliver(id, &work, false);
        self.event(Event::DifficultyChanged {
            worker,
            from,
            to: difficulty,
        });
    }

    /// Gives work that the miner has not seen; made anew where the newest is too old to share or known to it.
    fn fresh_work(&mut self, now: Instant, seen: Option<crate::work::WorkId>) -> Option<Work> {
        let newest = self.works.newest()?;
        let unseen = seen.is_none_or(|seen| seen < newest.id);
        if unseen && now.saturating_duration_since(newest.made) < SHARED_WORK {
            return Some(newest.clone());
        }
        let job = Arc::clone(&newest.job);
        Some(self.works.make(now, job, false).clone())
    }

    fn keepalive_due(&self) -> Option<Instant> {
        self.works.newest().filter(|_| self.miners.len() > 0)?;
        Some(self.last_fan_out + self.config.keepalive)
    }

    /// Ends a silence towards the miners: the newest job again under a new id and time.
    fn keep_alive(&mut self, now: Instant) {
        if self.keepalive_due().is_none_or(|due| now < due) {
            return;
        }
        let Some(newest) = self.works.newest() else {
            return;
        };
        let job = Arc::clone(&newest.job);
        self.works.make(now, job, false);
        self.statistics.keepalives += 1;
        self.fan_out(now, false);
    }

    /// Notes that the active upstream is gone; the next job of any upstream makes that one active.
    fn check_active(&mut self) {
        let open = |id: UpstreamId| {
            self.upstreams
                .get(id.0)
                .is_some_and(|upstream| upstream.channel().is_some())
        };
        if self.active.is_some_and(|active| !open(active)) {
            self.active = None;
        }
    }
}

/// What is looked at every second.
impl Translator {
    fn look_over_miners(&mut self, now: Instant) {
        let (mut hashrate, mut hardest) = (0.0, None);
        let mut changes = Vec::new();
        let mut closing = Vec::new();
        for (id, miner) in self.miners.iter_mut() {
            if let Some(reason) = overdue(miner, now, &self.config) {
                closing.push((id, reason));
                continue;
            }
            if !miner.is_mining() {
                continue;
            }
            if let Some(rate) = miner.vardiff.work_rate(now) {
                miner.hashrate = rate * HASHES_PER_DIFFICULTY;
            }
            hashrate += miner.hashrate;
            hardest = hardest.max(Some(miner.assigned.difficulty()));
            if let Some(difficulty) = wished_difficulty(miner, now, &self.config) {
                changes.push((id, difficulty));
            }
        }
        self.hashrate = Hashrate::new(hashrate).unwrap_or(Hashrate::ZERO);
        self.hardest = hardest;
        for (id, difficulty) in changes {
            self.change_difficulty(now, id, difficulty);
        }
        for (id, reason) in closing {
            self.close_miner(now, id, reason);
        }
    }

    /// What an upstream should know. Its target may be as easy as the hardest miner's, so that no miner finds
    /// shares too rarely to be paid for each, and no easier than a bounded rate of shares allows.
    fn demand(&self) -> Demand {
        let policy = &self.config.difficulty;
        let hardest = Target::from_difficulty(self.hardest.unwrap_or_else(|| policy.start()));
        let bound = Target::from_hashrate(self.hashrate, MAX_UPSTREAM_SHARES_PER_MINUTE);
        let max_target = hardest.min(bound.unwrap_or(Target::MAX));
        Demand {
            hashrate: self.hashrate,
            max_target,
        }
    }

    fn announce(&mut self, now: Instant) {
        let demand = self.demand();
        for upstream in &mut self.upstreams {
            upstream.announce(now, demand, &mut self.outputs);
        }
    }
}

/// Gives the difficulty that the measured rate asks for, where it is another.
fn wished_difficulty(miner: &mut Miner, now: Instant, config: &Config) -> Option<Difficulty> {
    let policy = &config.difficulty;
    if !policy.vardiff {
        return None;
    }
    let current = miner.assigned.difficulty();
    let wish = miner.vardiff.wish(now, current, policy.shares_per_minute)?;
    let difficulty = miner.clamp(policy, Difficulty::new(wish).ok()?);
    (difficulty != current).then_some(difficulty)
}

fn overdue(miner: &Miner, now: Instant, config: &Config) -> Option<CloseReason> {
    let setup = config.setup_timeout;
    if !miner.is_mining() && now.saturating_duration_since(miner.connected) >= setup {
        return Some(CloseReason::SetupTimeout(setup.as_secs()));
    }
    let idle = config.idle_timeout;
    (now.saturating_duration_since(miner.last_line) >= idle)
        .then_some(CloseReason::Idle(idle.as_secs()))
}

/// Makes a session id that nobody can guess without the seed.
fn session_id(seed: &[u8; 32], number: u64) -> Box<str> {
    let hash = Sha256::new()
        .chain_update(seed)
        .chain_update(number.to_le_bytes())
        .finalize();
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into()
}
