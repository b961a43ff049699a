//! Upstreams that miss a block: one that stays on a block which another has left for a new one.
//!
//! `SetNewPrevHash` proves nothing by itself, so a new block counts only where its hash, read as a number, meets its own
//! nbits, and where these are the nbits of the upstream that is said to be late. Even so an old block of the same
//! difficulty period would pass. So the word of an upstream counts only while its block before was that of the other:
//! who was never confirmed has no vote. And when the late one moves on, to any other block than the one it was said to
//! have missed, the word was wrong as far as anyone can tell and the vote is gone for a day of blocks.

use std::time::{Duration, Instant};

use sv2::bitcoin::BlockHash;

use super::Upstreams;
use crate::event::Event;
use crate::output::Output;
use crate::upstream::{Outputs, Tidings, UpstreamId};

/// Blocks that an upstream must agree on before its word counts again: a day of them.
const PROBATION: u32 = 144;

/// Which upstreams have a vote on who is late.
#[derive(Debug)]
pub(super) struct Votes {
    /// How long another upstream may take to a block that one has announced.
    grace: Duration,
    /// For each upstream, blocks to agree on before it has a vote.
    probation: Vec<u32>,
}

impl Votes {
    pub(super) fn new(grace: Duration, upstreams: usize) -> Self {
        Self {
            grace,
            probation: vec![0; upstreams],
        }
    }

    fn has(&self, id: UpstreamId) -> bool {
        self.probation.get(id.0).is_some_and(|blocks| *blocks == 0)
    }

    /// Takes the vote away; tells whether there was one.
    fn revoke(&mut self, id: UpstreamId) -> bool {
        let had = self.has(id);
        if let Some(blocks) = self.probation.get_mut(id.0) {
            *blocks = PROBATION;
        }
        had
    }

    fn count_agreement(&mut self, id: UpstreamId) {
        if let Some(blocks) = self.probation.get_mut(id.0) {
            *blocks = blocks.saturating_sub(1);
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
                    .for_each(|id| self.votes.count_agreement(*id));
            }
            let wrong = accuser.filter(|(_, announced)| *announced != block);
            if let Some((id, announced)) = wrong
                && self.votes.revoke(id)
                && let Some(upstream) = self.get(id)
            {
                outputs.push_back(Output::Event(Event::UpstreamRemark {
                    upstream: upstream.name().to_owned(),
                    remark: format!(
                        "announced block {announced}, which nobody confirmed: \
                         its word on late blocks counts no more"
                    ),
                }));
            }
        }
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
