//! Upstreams that miss a block: one that stays on a block which another has left for a new one.
//!
//! `SetNewPrevHash` proves nothing by itself, so a new block counts only where its hash, read as a number, meets its own
//! nbits, and where these are the nbits of the upstream that is said to be late. Even so an old block of the same
//! difficulty period would pass. So the word of an upstream counts only while its block before was that of the other:
//! who was never confirmed has no vote. And when the late one moves on, to any other block than the one it was said to
//! have missed, and no other upstream was there, the word was wrong as far as anyone can tell. That happens to an honest
//! one too, where the late one goes on by two blocks at once; so the vote is gone, for a day of blocks, with the second
//! such word.
//!
//! A channel of an account or a miner is measured against the farm's channel at the same upstream, whose word nobody
//! doubts: while it is late its miners work on that one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sv2::bitcoin::BlockHash;

use super::Upstreams;
use crate::event::Event;
use crate::lane::LaneId;
use crate::output::Output;
use crate::upstream::{Channel, Outputs, Tidings, UpstreamId};

/// Blocks that an upstream must agree on before its wrong words are forgotten: a day of them.
const PROBATION: u32 = 144;

/// Wrong words that cost an upstream its vote.
const MAX_WRONG_WORDS: u32 = 2;

/// How good the word of an upstream is.
#[derive(Debug, Clone, Default)]
struct Credit {
    wrong_words: u32,
    /// The last block that it announced wrongly.
    wrong: Option<BlockHash>,
    /// Blocks to agree on before they are forgotten.
    probation: u32,
    /// The last block that it agreed on.
    agreed: Option<BlockHash>,
}

/// Which upstreams have a vote on who is late.
#[derive(Debug)]
pub(super) struct Votes {
    /// How long another upstream may take to a block that one has announced.
    grace: Duration,
    /// That of each upstream; one that is not here has done no wrong.
    credits: BTreeMap<UpstreamId, Credit>,
    /// The last block that channels of accounts or miners were measured by.
    measured: Option<BlockHash>,
}

impl Votes {
    pub(super) fn new(grace: Duration) -> Self {
        Self {
            grace,
            credits: BTreeMap::new(),
            measured: None,
        }
    }

    pub(super) fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// Forgets an upstream that is gone.
    pub(super) fn forget(&mut self, id: UpstreamId) {
        self.credits.remove(&id);
    }

    fn has(&self, id: UpstreamId) -> bool {
        let credit = self.credits.get(&id);
        credit.is_none_or(|credit| credit.wrong_words < MAX_WRONG_WORDS)
    }

    /// Counts a wrong word, once for however many it called late; tells whether that is news.
    fn count_wrong(&mut self, id: UpstreamId, block: BlockHash) -> bool {
        let had = self.has(id);
        let credit = self.credits.entry(id).or_default();
        if credit.wrong == Some(block) {
            return false;
        }
        credit.wrong = Some(block);
        credit.wrong_words += 1;
        credit.probation = PROBATION;
        had
    }

    /// Counts a block that an upstream is on together with another, once.
    fn count_agreement(&mut self, id: UpstreamId, block: BlockHash) {
        let credit = self.credits.entry(id).or_default();
        if credit.agreed == Some(block) {
            return;
        }
        credit.agreed = Some(block);
        credit.probation = credit.probation.saturating_sub(1);
        if credit.probation == 0 {
            credit.wrong_words = 0;
        }
    }
}

/// The word of one upstream that another is late.
#[derive(Debug, Clone, Copy)]
struct Word {
    late: UpstreamId,
    by: UpstreamId,
    block: BlockHash,
    /// When the grace is over.
    due: Instant,
}

impl Upstreams {
    /// Tells when an upstream becomes late.
    pub(super) fn lateness_due(&self) -> Option<Instant> {
        self.words().map(|word| word.due).min()
    }

    /// Finds out who is late, and whose word turned out wrong.
    pub(super) fn judge_lateness(&mut self, now: Instant, outputs: &mut Outputs) {
        self.take_tidings(outputs);
        let due: Vec<Word> = self.words().filter(|word| word.due <= now).collect();
        for word in due {
            let name = |id| {
                self.get(id)
                    .map_or("", |upstream| upstream.name())
                    .to_owned()
            };
            let (upstream, other) = (name(word.late), name(word.by));
            let is_active = self.active == Some(word.late);
            let Some(late) = self.get_mut(word.late) else {
                continue;
            };
            if late.is_late() {
                // Another's word came first.
                continue;
            }
            late.statistics.blocks_late += 1;
            late.mark_late(word.by, word.block);
            outputs.push_back(Output::Event(Event::UpstreamLate {
                upstream,
                other,
                block: word.block,
                is_active,
            }));
        }
    }

    /// Learns from the blocks that upstreams went on to.
    fn take_tidings(&mut self, outputs: &mut Outputs) {
        let tidings: Vec<Tidings> = self
            .all
            .iter_mut()
            .filter_map(|upstream| upstream.take_tidings())
            .collect();
        for Tidings { block, accuser } in tidings {
            let agreeing = self.all.iter().filter(|upstream| {
                let tip = upstream.channel().and_then(|channel| channel.tip());
                tip.is_some_and(|tip| tip.prev_hash == block)
            });
            let agreeing: Vec<UpstreamId> = agreeing.map(|upstream| upstream.id()).collect();
            if agreeing.len() > 1 {
                agreeing
                    .iter()
                    .for_each(|id| self.votes.count_agreement(*id, block));
            }
            let wrong = accuser.filter(|(_, announced)| *announced != block);
            let wrong = wrong.filter(|(id, announced)| !self.is_confirmed(*id, *announced));
            if let Some((id, announced)) = wrong {
                self.tell_of_wrong_word(id, announced, outputs);
            }
        }
    }

    /// Tells whether another upstream is or was on a block that one announced.
    fn is_confirmed(&self, by: UpstreamId, block: BlockHash) -> bool {
        let mut others = self.all.iter().filter(|other| other.id() != by);
        others.any(|other| {
            let channel = other.channel();
            let is_on = |channel: &Channel| channel.tip().is_some_and(|tip| tip.prev_hash == block);
            channel.is_some_and(|channel| is_on(channel) || channel.has_left(block))
        })
    }

    fn tell_of_wrong_word(&mut self, id: UpstreamId, announced: BlockHash, outputs: &mut Outputs) {
        if !self.votes.count_wrong(id, announced) {
            return;
        }
        let consequence = match self.votes.has(id) {
            true => "its word on late blocks counts once more",
            false => "its word on late blocks counts no more",
        };
        if let Some(upstream) = self.get(id) {
            outputs.push_back(Output::Event(Event::UpstreamRemark {
                upstream: upstream.name().to_owned(),
                remark: format!(
                    "announced block {announced}, which nobody confirmed: {consequence}"
                ),
            }));
        }
    }

    /// Tells when the channels of accounts or miners at the active upstream are to be measured by its block.
    pub(super) fn own_lateness_due(&self) -> Option<Instant> {
        let channel = self.get(self.active?)?.channel()?;
        let block = channel.tip()?.prev_hash;
        let waits = self.votes.measured != Some(block) && !self.own.is_empty();
        waits.then(|| channel.tip_since() + self.votes.grace)
    }

    /// Finds out which channels of accounts or miners miss a block that the farm's has; gives their lanes.
    pub(super) fn judge_own_lateness(
        &mut self,
        now: Instant,
        outputs: &mut Outputs,
    ) -> Vec<LaneId> {
        let is_due = self.own_lateness_due().is_some_and(|due| due <= now);
        let Some(active) = self.active.filter(|_| is_due) else {
            return Vec::new();
        };
        let farms = self.all.iter().find(|upstream| upstream.id() == active);
        let Some((farms, channel)) = farms.and_then(|farms| Some((farms, farms.channel()?))) else {
            return Vec::new();
        };
        let Some(tip) = channel.tip() else {
            return Vec::new();
        };
        self.votes.measured = Some(tip.prev_hash);
        let mut lanes = Vec::new();
        for (own, lane) in self.own.at(active) {
            let before = own.channel().and_then(|own| own.tip());
            let misses = before.is_some_and(|before| channel.has_left(before.prev_hash));
            // Miners with slots that the farm's channel has no room for have no better work.
            if !misses || own.is_further() || own.is_late() {
                continue;
            }
            own.mark_late(active, tip.prev_hash);
            lanes.push(lane);
            outputs.push_back(Output::Event(Event::UpstreamLate {
                upstream: own.name().to_owned(),
                other: farms.name().to_owned(),
                block: tip.prev_hash,
                is_active: true,
            }));
        }
        lanes
    }

    /// Gives every word that counts against an upstream that is not known to be late yet.
    fn words(&self) -> impl Iterator<Item = Word> {
        let pairs = self
            .all
            .iter()
            .flat_map(|late| self.all.iter().map(move |by| (late, by)));
        pairs.filter_map(|(late, by)| {
            let (behind, ahead) = (late.channel()?, by.channel()?);
            let (old, new) = (behind.tip()?, ahead.tip()?);
            let counts = self.votes.has(by.id())
                && !late.is_late()
                && ahead.has_left(old.prev_hash)
                && new.nbits == old.nbits
                && new.network_target.is_met_by(&new.prev_hash);
            counts.then(|| Word {
                late: late.id(),
                by: by.id(),
                block: new.prev_hash,
                due: ahead.tip_since() + self.votes.grace,
            })
        })
    }
}
