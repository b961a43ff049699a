//! Who may come in and who is asked to wait: limits on miners that are broken or mean harm.
//!
//! Each *address* has a record: its connections now, and its good and invalid shares in a window whose counts halve
//! every ten minutes. Three things follow: a connection is refused, a *miner* whose shares are mostly invalid is
//! paused (its submits are answered without hashing), and an *address* that goes on is banned for a while.
//!
//! While a miner is paused its submits count for nobody. So a flood of one miner weighs little beside the good shares
//! of the others behind the same NAT address, however fast it is. What is not the miner's fault never counts, see
//! [`is_invalid`].

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::refusal::Refusal;

/// Time in which the counts of a window halve: long enough to hear a slow miner some dozen times, short enough to
/// forgive a repaired one within the hour.
const HALF_LIFE: Duration = Duration::from_secs(600);
/// Shares of a miner below which nothing is concluded: an honest one does not send this many bad ones by accident.
const MINER_SHARES: u32 = 50;
/// Shares of an address below which nothing is concluded: those of ten pauses.
const ADDRESS_SHARES: u32 = 500;
/// Time after new work in which an unknown job id is forgiven: the network and the firmware's queues are not faster.
const FORGIVEN: Duration = Duration::from_secs(10);
/// Time within which a cause is told once for an address.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Pairs of cause and address that are kept apart in the log: 1 MB. What comes on top is counted and not told.
const MAX_TOLD: usize = 4_096;
/// Addresses without a connection that are remembered: 2 MB.
const MAX_IDLE: usize = 16_384;
/// How often forgotten addresses make room.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What the operator decides about limits on miners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardPolicy {
    /// Most miners at once from one address; of IPv6, from one network of 64 bits.
    pub max_miners_per_address: usize,
    /// Percentage of invalid shares at which a miner is paused; `None` pauses nobody.
    pub invalid_shares_pause: Option<u8>,
    /// How long a miner is paused.
    pub pause: Duration,
    /// Percentage of invalid shares at which an address is banned; `None` bans nobody.
    pub invalid_shares_ban: Option<u8>,
    /// How long an address is banned.
    pub ban: Duration,
}

/// A limit that was met; each is counted under its label, and told once for an address within a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// As many miners are connected as the operator allows in all.
    TooManyMiners(usize),
    /// As many miners are connected from the address as the operator allows.
    TooManyFromAddress(usize),
    /// The address is banned; seconds that are left.
    Banned(u64),
    /// A miner is paused for its invalid shares; for how many seconds.
    MinerPaused(u64),
    /// The address is banned from now on; for how many seconds.
    AddressBanned(u64),
    /// A connection sent more requests per second than are read.
    RequestsPerSecond,
    /// As many channels of single accounts or miners are open as the operator allows.
    TooManyChannels(usize),
    /// A connection was closed for what it did, or did not; its label and the words.
    Closed(&'static str, String),
}

impl Limit {
    /// Gives the label under which it is counted.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::TooManyMiners(_) => "too-many-miners",
            Self::TooManyFromAddress(_) => "too-many-from-address",
            Self::Banned(_) => "banned",
            Self::MinerPaused(_) => "invalid-shares-pause",
            Self::AddressBanned(_) => "invalid-shares-ban",
            Self::RequestsPerSecond => "requests-per-second",
            Self::TooManyChannels(_) => "too-many-channels",
            Self::Closed(label, _) => label,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyMiners(most) => write!(
                f,
                "connection refused: {most} miners are connected, and limits.max_miners allows no more"
            ),
            Self::TooManyFromAddress(most) => write!(
                f,
                "connection refused: {most} miners are connected from there, and \
                 limits.max_miners_per_address allows no more"
            ),
            Self::Banned(left) => write!(
                f,
                "connection refused: banned for another {left} s (limits.ban)"
            ),
            Self::MinerPaused(seconds) => write!(
                f,
                "a miner is paused for {seconds} s: nearly all of its shares are invalid (limits.invalid_shares_pause)"
            ),
            Self::AddressBanned(seconds) => write!(
                f,
                "banned for {seconds} s: nearly all shares from there are invalid (limits.invalid_shares_ban)"
            ),
            Self::RequestsPerSecond => f.write_str(
                "a miner sends more than limits.requests_per_second, and is read no faster",
            ),
            Self::TooManyChannels(most) => write!(
                f,
                "a miner shares the farm's channel: {most} others are open, and limits.max_channels allows no more"
            ),
            Self::Closed(_, words) => write!(f, "a miner was closed: {words}"),
        }
    }
}

/// Tells whether a refused share speaks against the miner; `since_work` is the time since all earlier jobs became void.
///
/// New blocks, lost upstreams, a move to another channel and jobs that forbid what earlier ones allowed are nobody's fault here; an unknown job id
/// may be an older one that a reconnecting miner still works on.
fn is_invalid(refusal: &Refusal, since_work: Option<Duration>) -> bool {
    match refusal {
        Refusal::Stale
        | Refusal::OtherChannelsJob
        | Refusal::UpstreamGone
        | Refusal::VersionRollingNotAllowed
        | Refusal::Paused(_) => false,
        Refusal::UnknownJob => since_work.is_some_and(|since| since > FORGIVEN),
        _ => true,
    }
}

/// Good and invalid shares of late; both halve every [`HALF_LIFE`].
#[derive(Debug, Clone, Copy)]
struct Window {
    good: u32,
    invalid: u32,
    halved: Instant,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            good: 0,
            invalid: 0,
            halved: now,
        }
    }

    fn count(&mut self, now: Instant, good: bool) {
        self.fade(now);
        let count = if good {
            &mut self.good
        } else {
            &mut self.invalid
        };
        *count = count.saturating_add(1);
    }

    fn fade(&mut self, now: Instant) {
        while now.saturating_duration_since(self.halved) >= HALF_LIFE {
            if self.is_empty() {
                self.halved = now;
                return;
            }
            self.halved += HALF_LIFE;
            self.good /= 2;
            self.invalid /= 2;
        }
    }

    fn is_empty(&self) -> bool {
        self.good == 0 && self.invalid == 0
    }

    /// Tells whether at least this percentage of at least so many shares is invalid.
    fn is_over(&self, percent: u8, least: u32) -> bool {
        let invalid = u64::from(self.invalid);
        let all = u64::from(self.good) + invalid;
        all >= u64::from(least) && invalid * 100 >= all * u64::from(percent)
    }
}

/// How one miner behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conduct {
    shares: Window,
    paused_until: Option<Instant>,
    /// Whether it was paused and has found nothing good since.
    suspect: bool,
}

impl Conduct {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            shares: Window::new(now),
            paused_until: None,
            suspect: false,
        }
    }

    /// Gives how long the miner is still paused, if it is.
    pub(crate) fn pause_left(&self, now: Instant) -> Option<Duration> {
        let left = self.paused_until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Tells whether it was paused and has found nothing good since.
    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect
    }

    pub(crate) fn note_good(&mut self, now: Instant) {
        self.shares.count(now, true);
        self.suspect = false;
    }

    /// Counts an invalid share; tells whether the miner is paused from now on. After the pause it begins anew.
    pub(crate) fn note_invalid(&mut self, now: Instant, policy: &GuardPolicy) -> bool {
        self.shares.count(now, false);
        let percent = policy.invalid_shares_pause;
        let over = percent.is_some_and(|percent| self.shares.is_over(percent, MINER_SHARES));
        if over {
            self.shares = Window::new(now);
            self.paused_until = Some(now + policy.pause);
            self.suspect = true;
        }
        over
    }
}

/// An address as records know it: of IPv6 the network of 64 bits, since one customer has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[derive(Debug)]
struct Record {
    connections: usize,
    shares: Window,
    banned_until: Option<Instant>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// How often it happened again.
    since: u64,
}

/// What is known of addresses.
#[derive(Debug)]
pub(crate) struct Guard {
    policy: GuardPolicy,
    max_miners: usize,
    records: HashMap<Address, Record>,
    told: HashMap<(Address, &'static str), Told>,
    next_sweep: Instant,
    /// When all earlier jobs last became void.
    clean_work: Option<Instant>,
}

impl Guard {
    pub(crate) fn new(now: Instant, policy: GuardPolicy, max_miners: usize) -> Self {
        Self {
            policy,
            max_miners,
            records: HashMap::new(),
            told: HashMap::new(),
            next_sweep: now + SWEEP_EVERY,
            clean_work: None,
        }
    }

    /// Takes over other limits, for those who come from now on.
    pub(crate) fn reconfigure(&mut self, policy: GuardPolicy, max_miners: usize) {
        (self.policy, self.max_miners) = (policy, max_miners);
    }

    /// Notes that all earlier jobs are void from now on.
    pub(crate) fn note_clean_work(&mut self, now: Instant) {
        self.clean_work = Some(now);
    }

    /// Tells whether a refused share speaks against the miner.
    pub(crate) fn is_invalid(&self, now: Instant, refusal: &Refusal) -> bool {
        let since = self.clean_work;
        is_invalid(
            refusal,
            since.map(|since| now.saturating_duration_since(since)),
        )
    }

    pub(crate) fn policy(&self) -> &GuardPolicy {
        &self.policy
    }

    /// Tells whether a connection may come in beside this many others.
    ///
    /// # Errors
    /// Gives the limit that is in the way.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        address: IpAddr,
        miners: usize,
    ) -> Result<(), Limit> {
        self.sweep(now);
        let record = self.records.get(&address.into());
        let banned = record.and_then(|record| record.banned_until);
        let left = banned.map(|until| until.saturating_duration_since(now));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            return Err(Limit::Banned(left.as_secs().max(1)));
        }
        if miners >= self.max_miners {
            return Err(Limit::TooManyMiners(self.max_miners));
        }
        let most = self.policy.max_miners_per_address;
        if record.is_some_and(|record| record.connections >= most) {
            return Err(Limit::TooManyFromAddress(most));
        }
        Ok(())
    }

    /// Counts a connection that was let in.
    pub(crate) fn opened(&mut self, now: Instant, address: IpAddr) {
        let record = self.records.entry(address.into());
        let record = record.or_insert_with(|| Record {
            connections: 0,
            shares: Window::new(now),
            banned_until: None,
        });
        record.connections += 1;
    }

    /// Counts the end of a connection that was let in.
    pub(crate) fn closed(&mut self, now: Instant, address: IpAddr) {
        let address = address.into();
        let idle = self.records.len() > self.max_miners.saturating_add(MAX_IDLE);
        let Some(record) = self.records.get_mut(&address) else {
            return;
        };
        record.connections = record.connections.saturating_sub(1);
        if record.connections == 0 && (idle || record.is_forgettable(now)) {
            self.records.remove(&address);
        }
    }

    pub(crate) fn note_good(&mut self, now: Instant, address: IpAddr) {
        if let Some(record) = self.records.get_mut(&address.into()) {
            record.shares.count(now, true);
        }
    }

    /// Counts an invalid share; tells whether it is time for a ban.
    pub(crate) fn note_invalid(&mut self, now: Instant, address: IpAddr) -> bool {
        let Some(record) = self.records.get_mut(&address.into()) else {
            return false;
        };
        record.shares.count(now, false);
        let percent = self.policy.invalid_shares_ban;
        percent.is_some_and(|percent| record.shares.is_over(percent, ADDRESS_SHARES))
    }

    /// Begins to count an address anew.
    pub(crate) fn forgive(&mut self, now: Instant, address: IpAddr) {
        if let Some(record) = self.records.get_mut(&address.into()) {
            record.shares = Window::new(now);
        }
    }

    /// Bans an address, which is then counted anew.
    pub(crate) fn ban(&mut self, now: Instant, address: IpAddr) {
        self.forgive(now, address);
        if let Some(record) = self.records.get_mut(&address.into()) {
            record.banned_until = Some(now + self.policy.ban);
        }
    }

    /// Tells whether a limit is worth a line in the log now; if so, how often it was met unsaid since the last.
    pub(crate) fn tell(&mut self, now: Instant, address: IpAddr, limit: &Limit) -> Option<u64> {
        let key = (address.into(), limit.label());
        if let Some(told) = self.told.get_mut(&key) {
            if now.saturating_duration_since(told.at) < TELL_EVERY {
                told.since += 1;
                return None;
            }
            told.at = now;
            return Some(std::mem::take(&mut told.since));
        }
        if self.told.len() >= MAX_TOLD {
            return None;
        }
        self.told.insert(key, Told { at: now, since: 0 });
        Some(0)
    }

    /// Forgets what has no weight any more, from time to time.
    fn sweep(&mut self, now: Instant) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_EVERY;
        self.records.retain(|_, record| {
            record.shares.fade(now);
            record.connections > 0 || !record.is_forgettable(now)
        });
        self.told.retain(|_, told| {
            let age = now.saturating_duration_since(told.at);
            // A count that was not told waits for the next occasion, but not for ever.
            age < TELL_EVERY || (told.since > 0 && age < 10 * TELL_EVERY)
        });
    }
}

impl Record {
    fn is_forgettable(&self, now: Instant) -> bool {
        self.shares.is_empty() && self.banned_until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
#[path = "guard/tests.rs"]
mod tests;
