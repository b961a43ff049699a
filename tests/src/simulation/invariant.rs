//! What must hold at every step of every world, each by its name.

use std::fmt;

macro_rules! invariants {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal)*) => {
        /// Something that must hold at every step.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Invariant {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Invariant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Gives its name, as the command line has it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Says it in a sentence.
            #[must_use]
            pub fn sentence(self) -> String {
                match self { $(Self::$variant => [$($doc),+].concat().trim().to_owned()),* }
            }
        }
    };
}

invariants! {
    /// A share that was accepted and meets its job's target, or the network's, is sent to the job's upstream at once.
    ShareSent "share-sent"
    /// A share that solves a block for an upstream that is gone, or that goes before it answers, is kept whole.
    BlockKept "block-kept"
    /// No share is sent twice, and none is sent that no miner submitted just now.
    ShareSentOnce "share-sent-once"
    /// What is sent for a share makes the header that the miner found.
    ShareUnaltered "share-unaltered"
    /// A share carries its own worker's name where the upstream knows names.
    WorkerNamed "worker-named"
    /// An accepted share is good when it is reckoned anew from the notify that was given out.
    AcceptedIsGood "accepted-is-good"
    /// A refused share has its true reason, in the reply's code too.
    RefusedForTrueReason "refused-for-true-reason"
    /// A pool refuses no share but for news that were on their way to us as it was sent.
    PoolRefusesNothing "pool-refuses-nothing"
    /// A pool never has a reason to hang up on us.
    PoolHasNoComplaint "pool-has-no-complaint"
    /// No two live miners hash the same space, nor does one that of a miner who has just gone.
    SpaceUnshared "space-unshared"
    /// Only miners whose extranonce is too long for the channel are moved, each in the gentlest way that it knows, and
    /// only where no upstream with room has work.
    MovedForCause "moved-for-cause"
    /// Who had to connect anew is soon gone, and gets an extranonce with which there is work when it comes back.
    MovedComesBack "moved-comes-back"
    /// No miner is closed because a pool failed, unless the operator lets them go after so long.
    NoMinerPaysForPools "no-miner-pays-for-pools"
    /// Every mining miner has a job of a live upstream's newest block while any upstream lives and has dealt one.
    WorkForAll "work-for-all"
    /// No upstream that says nothing is held for long, least of all the one that miners work for.
    SilentIsLeft "silent-is-left"
    /// Every job that miners get is one that a live upstream dealt, to the byte.
    WorkIsDealt "work-is-dealt"
    /// Nothing but replies goes out before the subscribe reply.
    SubscribeFirst "subscribe-first"
    /// Every request gets one reply, in the order of the requests and with the id echoed.
    RepliesInOrder "replies-in-order"
    /// Mask and difficulty come once and right before a notify.
    NewsBeforeNotify "news-before-notify"
    /// A job id names one job for ever.
    JobIdsFresh "job-ids-fresh"
    /// The header times in the notifies of one job rise.
    NtimeRises "ntime-rises"
    /// The statistics add up, and agree with what was seen.
    StatisticsAddUp "statistics-add-up"
    /// A preferred upstream that has given work for 60 s and has the newest block has the miners a few seconds later.
    FailsBack "fails-back"
    /// A channel is asked for in its owner's name: the farm's, an account's, or a miner's.
    ChannelInOwnersName "channel-in-owners-name"
    /// No miner works on the channel of another account or miner.
    NobodyElsesWork "nobody-elses-work"
    /// Whose account has a channel with work, works on it.
    OwnChannelServes "own-channel-serves"
    /// Where nothing fails, every account or miner has its channel a while after the farm came to an upstream.
    OwnChannelOpens "own-channel-opens"
    /// A channel of an account or miner ends a while after its miners left, or the farm; all end with the proxy.
    OwnChannelEnds "own-channel-ends"
    /// What can be seen of the memory in use is bounded.
    Bounded "bounded"
    /// Once what is due has been done, the next thing is due later.
    ClockMovesOn "clock-moves-on"
    /// Every upstream that should be connected is dialled for ever, at most the longest pause apart.
    DialledForEver "dialled-for-ever"
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub invariant: Invariant,
    /// What was found.
    pub words: String,
}

/// What a check gives.
pub(super) type Checked<T = ()> = Result<T, Broken>;

/// Breaks off unless something holds.
pub(super) fn ensure(holds: bool, invariant: Invariant, words: impl FnOnce() -> String) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(Broken {
            invariant,
            words: words(),
        }),
    }
}
