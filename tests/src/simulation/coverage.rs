//! How often each kind of event occurred: what a clean run is worth.

use std::collections::BTreeMap;
use std::fmt;

/// Every kind of event that a thousand worlds must have seen.
pub const KINDS: &[&str] = &[
    "miner: connected",
    "miner: left",
    "miner: vanished without a word",
    "miner: mines",
    "miner: subscribed again",
    "miner: stopped reading for a while",
    "miner: sent garbage",
    "miner: handed in shares of an earlier connection",
    "miner: resumed its session",
    "miner: asked for mining.set_extranonce",
    "miner: came in on another listener",
    "miner: has a slot of a further page",
    "miner moved: told another extranonce",
    "miner moved: asked to connect anew",
    "miner moved: stays in spite of it",
    "miner closed: its session goes on elsewhere",
    "miner closed: set-up timeout",
    "miner closed: unanswerable line",
    "miner closed: its extranonce is too long",
    "miner closed: no upstream for long",
    "work: new block",
    "work: new job of the same block",
    "work: without version rolling",
    "work: of another upstream",
    "work: the same job again",
    "difficulty changed",
    "share accepted, sent on",
    "share accepted, kept here",
    "share solved a block",
    "block kept",
    "share refused: unauthorized worker",
    "share refused: malformed",
    "share refused: unknown job",
    "share refused: other channel's job",
    "share refused: stale",
    "share refused: upstream gone",
    "share refused: extranonce2 size",
    "share refused: ntime too old",
    "share refused: ntime too new",
    "share refused: version rolling not negotiated",
    "share refused: version rolling not allowed",
    "share refused: version bits outside mask",
    "share refused: duplicate",
    "share refused: paused",
    "share refused: low difficulty",
    "pool: channel opened",
    "pool: accepted a share",
    "pool: refused a share that was under way",
    "pool: acknowledged several shares at once",
    "own channel: opened",
    "own channel: its miners work on it",
    "own channel: refused",
    "own channel: closed by the pool",
    "own channel: silent",
    "own channel: lost",
    "own channel: retired",
    "own channel: no room for one more",
    "pool trouble: died",
    "pool trouble: hung",
    "pool trouble: connection cut",
    "pool trouble: link stalled",
    "pool trouble: unreachable",
    "pool trouble: refuses set-up",
    "pool trouble: refuses channels",
    "pool trouble: closed the channel",
    "pool trouble: refuses own channels",
    "pool trouble: closed one own channel",
    "pool trouble: SetExtranoncePrefix",
    "pool trouble: SetTarget",
    "pool trouble: SetGroupChannel",
    "pool trouble: Reconnect",
    "pool trouble: jobs without version rolling",
    "pool trouble: late with blocks",
    "pool trouble: prevhash of an unknown job",
    "pool trouble: harmless nonsense",
    "pool trouble: harmful nonsense",
    "pool habit: job ids used again in each block",
    "pool habit: silent on extensions",
    "pool habit: knows no extension",
    "pool habit: requires an unknown extension",
    "pool habit: never acknowledges",
    "pool habit: takes no version rolling",
    "pool habit: too little extranonce",
    "pool habit: extranonce for short slots",
    "pool habit: speaks another version",
    "upstream left: connection lost",
    "upstream left: no answer",
    "upstream left: set-up refused",
    "upstream left: other version",
    "upstream left: extensions required",
    "upstream left: channel refused",
    "upstream left: too little extranonce",
    "upstream left: silent",
    "upstream left: channel closed",
    "upstream left: asked to reconnect",
    "upstream left: violation",
    "upstream asked for a sign of life",
    "upstream missed a block",
    "upstream dialled elsewhere",
    "outage: no upstream has work",
    "operator: another order of upstreams",
    "operator: an upstream taken out",
    "operator: an upstream put in",
    "operator: other difficulties",
    "operator: other limits",
];

/// Counts of events, over one world or many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    counts: BTreeMap<&'static str, u64>,
}

impl Coverage {
    /// Counts an event of a kind.
    pub fn count(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }

    /// Adds what another world saw.
    pub fn add(&mut self, other: &Self) {
        for (kind, count) in &other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
    }

    /// Tells how often a kind occurred.
    #[must_use]
    pub fn of(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or(0)
    }

    /// Gives the kinds of [`KINDS`] that never occurred.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let never = |kind: &&&'static str| self.of(kind) == 0;
        KINDS.iter().filter(never).copied().collect()
    }

    /// Gives every kind with its count, those of [`KINDS`] in their order and then what else occurred.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let others = self.counts.keys().filter(|kind| !KINDS.contains(kind));
        let kinds = KINDS.iter().chain(others);
        kinds.map(|kind| (*kind, self.of(kind)))
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter()
            .try_for_each(|(kind, count)| writeln!(f, "{count:>12}  {kind}"))
    }
}
