//! The judgement of a share, reckoned anew from what was given out, and compared with what the translator did.

use sv1::{Response, Submit};
use sv1_miner::hash::double_sha256;
use sv2::messages::mining::SubmitSharesExtended;
use translate::{KeptBlock, Refusal};

use super::{Given, Step, World};
use crate::simulation::invariant::{Checked, Invariant, ensure};
use crate::simulation::slot::Slot;
use crate::simulation::view::Dealt;

/// How far a header's time may be ahead: Bitcoin's MAX_FUTURE_BLOCK_TIME, in s.
const MAX_FUTURE: u32 = 7_200;

/// Refusals before which nobody is paused: 90 % of 50 shares.
const BEFORE_A_PAUSE: u64 = 45;

/// What is wrong with a share that nobody pays for any more.
const UPSTREAM_GONE: &str = "its upstream is gone";

/// A submit with its reply; `submit` is `None` where its parameters cannot be read.
#[derive(Debug)]
pub(super) struct Submitted {
    pub(super) conn: usize,
    pub(super) submit: Option<Submit>,
    pub(super) reply: Response,
}

/// What is true of a share.
#[derive(Debug)]
struct Facts {
    given: Option<Given>,
    /// Whether the job's connection is the upstream's present one, and the job of its newest block.
    is_alive: bool,
    is_fresh: bool,
    /// Whether the miner got the job: there are jobs of channels that are not its own.
    is_its_own: bool,
    is_subscribed: bool,
    is_authorized: bool,
    has_size: bool,
    ntime_is_too_old: bool,
    ntime_is_too_new: bool,
    rolls: Rolls,
    hash: [u8; 32],
    meets_terms: bool,
    meets_easiest: bool,
    /// The job's target or the network's.
    is_paid: bool,
    is_duplicate: bool,
    solves_block: bool,
}

/// What a share does to the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rolls {
    WithinMask,
    WithoutMask,
    ForFixedJob,
    OutsideMask,
}

impl World {
    /// Judges what the translator did with a share.
    pub(super) fn judge(&mut self, submitted: &Submitted, step: &Step) -> Checked {
        self.counted.submitted += 1;
        let is_accepted = submitted.reply.is_accepted();
        if !is_accepted {
            self.counted.refused += 1;
            self.conns[submitted.conn].said.refusals += 1;
        }
        let Some(submit) = &submitted.submit else {
            let true_reason = matches!(step.refusals[..], [Refusal::Malformed]) && !is_accepted;
            return ensure(true_reason, Invariant::RefusedForTrueReason, || {
                format!("a malformed share got {:?}", submitted.reply)
            });
        };
        let facts = self.facts(submitted.conn, submit);
        if is_accepted {
            self.counted.accepted += 1;
            return self.judge_accepted(submitted, submit, &facts, step);
        }
        ensure(step.sends.is_empty(), Invariant::ShareSentOnce, || {
            format!("a refused share was sent: {submit:?}")
        })?;
        let [refusal] = step.refusals[..] else {
            return ensure(false, Invariant::RefusedForTrueReason, || {
                format!(
                    "{submit:?} was refused with {:?} and told as {:?}",
                    submitted.reply, step.refusals
                )
            });
        };
        let is_lost_block = refusal == Refusal::UpstreamGone
            && facts.solves_block
            && facts.faults().eq([UPSTREAM_GONE]);
        ensure(
            !is_lost_block || self.kept.contains(&facts.hash),
            Invariant::BlockKept,
            || format!("{submit:?} solves a block for a dead upstream and is not kept"),
        )?;
        let code = submitted.reply.error.as_ref().map(|error| error.code);
        let refusals = self.conns[submitted.conn].said.refusals;
        let is_true = facts.justify(&refusal, refusals) && code == Some(refusal.code().code());
        ensure(is_true, Invariant::RefusedForTrueReason, || {
            format!("{submit:?} was refused for {refusal:?} with {code:?}; true is {facts:?}")
        })
    }

    fn judge_accepted(
        &mut self,
        submitted: &Submitted,
        submit: &Submit,
        facts: &Facts,
        step: &Step,
    ) -> Checked {
        let fault = facts.faults().next();
        ensure(
            fault.is_none() && step.refusals.is_empty(),
            Invariant::AcceptedIsGood,
            || format!("{submit:?} was accepted: {fault:?}; true is {facts:?}"),
        )?;
        self.accepted.insert(facts.hash);
        let Some(given) = &facts.given else {
            return Ok(());
        };
        if !facts.is_paid {
            self.coverage.count("share accepted, kept here");
            return ensure(step.sends.is_empty(), Invariant::ShareSentOnce, || {
                format!(
                    "a share that its upstream does not pay for was sent: {:?}",
                    step.sends
                )
            });
        }
        self.coverage.count("share accepted, sent on");
        let [(sent_on, share, worker)] = &step.sends[..] else {
            let invariant = match step.sends.is_empty() {
                true => Invariant::ShareSent,
                false => Invariant::ShareSentOnce,
            };
            return ensure(false, invariant, || {
                format!(
                    "{submit:?} is worth paying and was sent {} times",
                    step.sends.len()
                )
            });
        };
        let (site, attempt) = *sent_on;
        let dealt_on = (given.dealt.upstream, given.dealt.attempt);
        ensure(*sent_on == dealt_on, Invariant::ShareSent, || {
            format!("a share for connection {dealt_on:?} went to {sent_on:?}")
        })?;
        self.check_share(share, &given.dealt, facts)?;
        if facts.solves_block
            && let Some(call) = self.sites[site].call(attempt)
        {
            call.note_block(share.sequence_number.0, facts.hash);
        }
        let named = self.sites[site]
            .call(attempt)
            .is_some_and(|call| call.names);
        let name = self.name_of(&self.conns[submitted.conn], &submit.worker);
        let told = worker.map(|worker| worker.to_string());
        ensure(
            told.as_deref() == name.filter(|_| named),
            Invariant::WorkerNamed,
            || {
                format!(
                    "a share of {:?} carries {told:?}, names in use: {named}",
                    submit.worker
                )
            },
        )?;
        ensure(
            self.sent_headers.insert(facts.hash),
            Invariant::ShareSentOnce,
            || {
                format!(
                    "a share of miner {} was sent before",
                    self.conns[submitted.conn].miner
                )
            },
        )
    }

    fn check_share(&self, share: &SubmitSharesExtended, dealt: &Dealt, facts: &Facts) -> Checked {
        let view = self.sites[dealt.upstream].view_of(dealt.attempt);
        let channel = view.map(|view| view.channel());
        let is_whole = dealt.hash_of(share) == facts.hash
            && share.job_id.0 == dealt.job_id
            && Some(share.channel_id) == channel
            && share.extranonce.len() == dealt.extranonce_size;
        ensure(is_whole, Invariant::ShareUnaltered, || {
            format!(
                "{share:?} is not what miners found for job {}",
                dealt.job_id
            )
        })
    }

    /// A solved block is to be kept: whole, so that it can be rebuilt.
    pub(super) fn keep(&mut self, block: &KeptBlock) -> Checked {
        self.coverage.count("block kept");
        let root = block.merkle_path.iter();
        let root = root.fold(double_sha256(&block.coinbase), |root, branch| {
            double_sha256([root, *branch].as_flattened())
        });
        let is_whole = double_sha256(&block.header) == block.hash.0 && block.header[36..68] == root;
        self.kept.insert(block.hash.0);
        ensure(is_whole, Invariant::BlockKept, || {
            format!("{block:?} does not make its header")
        })
    }

    fn facts(&self, index: usize, submit: &Submit) -> Facts {
        let conn = &self.conns[index];
        let number = submit.job_id.as_number();
        let given = number.and_then(|number| self.given.get(&number)).cloned();
        let dealt = given.as_ref().map(|given| &given.dealt);
        let rolls = dealt.map_or(Rolls::WithinMask, |dealt| {
            rolls(submit, dealt, conn.said.mask_in_force())
        });
        let job = number.unwrap_or_default();
        let (slot, mask) = (conn.said.slot_for(job), conn.said.mask_in_force());
        let hash = given.as_ref();
        let hash = hash.and_then(|given| hash_of(given, slot, submit, mask));
        let hash = hash.unwrap_or([0xff; 32]);
        let met = |dealt: &std::rc::Rc<Dealt>| {
            dealt.target.is_met_by(&hash) || dealt.network_target.is_met_by(&hash)
        };
        Facts {
            is_alive: dealt.is_some_and(|dealt| self.is_alive(dealt)),
            is_fresh: dealt.is_some_and(|dealt| self.is_fresh(dealt)),
            is_its_own: conn.said.jobs.contains(&job),
            is_subscribed: conn.said.is_subscribed,
            is_authorized: conn.said.knows(&submit.worker),
            has_size: submit.extranonce2.as_bytes().len() == slot.extranonce2_size,
            ntime_is_too_old: dealt.is_some_and(|dealt| submit.ntime < dealt.min_ntime),
            ntime_is_too_new: dealt
                .is_some_and(|dealt| submit.ntime > dealt.min_ntime.saturating_add(MAX_FUTURE)),
            meets_terms: conn.meets_terms(job, &hash),
            meets_easiest: conn.meets_easiest(&hash),
            is_paid: dealt.is_some_and(met),
            is_duplicate: self.accepted.contains(&hash),
            solves_block: dealt.is_some_and(|dealt| dealt.network_target.is_met_by(&hash)),
            rolls,
            hash,
            given,
        }
    }
}

impl Facts {
    /// Whether a reason is true; of several true ones any may be told.
    fn justify(&self, refusal: &Refusal, refusals: u64) -> bool {
        let known = self.given.is_some();
        match refusal {
            Refusal::NotSubscribed => !self.is_subscribed,
            Refusal::UnauthorizedWorker => !self.is_authorized,
            Refusal::UnknownJob => !known || !self.is_its_own,
            Refusal::OtherChannelsJob => known && !self.is_its_own,
            Refusal::Stale => known && !(self.is_fresh && self.is_its_own),
            Refusal::UpstreamGone => known && !self.is_alive,
            Refusal::Extranonce2Size { .. } => !self.has_size,
            Refusal::NtimeTooOld { .. } => self.ntime_is_too_old,
            Refusal::NtimeTooNew { .. } => self.ntime_is_too_new,
            Refusal::VersionRollingNotNegotiated => self.rolls == Rolls::WithoutMask,
            Refusal::VersionRollingNotAllowed => self.rolls == Rolls::ForFixedJob,
            Refusal::VersionBitsOutsideMask { .. } => self.rolls == Rolls::OutsideMask,
            Refusal::Duplicate => self.is_duplicate,
            Refusal::Paused(_) => refusals >= BEFORE_A_PAUSE,
            Refusal::LowDifficulty { .. } => !self.meets_terms && !self.is_paid,
            _ => false,
        }
    }

    /// Why the share should not be accepted.
    fn faults(&self) -> impl Iterator<Item = &'static str> {
        let rolls_wrongly = self.rolls != Rolls::WithinMask;
        let ntime_is_wrong = self.ntime_is_too_old || self.ntime_is_too_new;
        let faults = [
            (self.given.is_none(), "its job is none"),
            (!self.is_alive, UPSTREAM_GONE),
            (!self.is_fresh, "it is stale"),
            (!self.is_subscribed, "the miner has not subscribed"),
            (!self.is_authorized, "its worker is not authorized"),
            (!self.has_size, "its extranonce2 has another size"),
            (ntime_is_wrong, "its time is out of range"),
            (rolls_wrongly, "it rolls what it must not"),
            (!self.meets_easiest && !self.is_paid, "it is too easy"),
            (self.is_duplicate, "it was accepted before"),
        ];
        let true_ones = faults.into_iter().filter(|(is_true, _)| *is_true);
        true_ones.map(|(_, words)| words)
    }
}

/// What a share does to the version (BIP-0310); a zero means nothing where nothing may be rolled.
fn rolls(submit: &Submit, dealt: &Dealt, mask: Option<u32>) -> Rolls {
    match (submit.version_bits, mask) {
        (None, _) => Rolls::WithinMask,
        (Some(0), None) => Rolls::WithinMask,
        (Some(_), None) => Rolls::WithoutMask,
        (Some(0), _) if !dealt.rolling_allowed => Rolls::WithinMask,
        (Some(_), _) if !dealt.rolling_allowed => Rolls::ForFixedJob,
        (Some(bits), Some(mask)) if bits & !mask != 0 => Rolls::OutsideMask,
        _ => Rolls::WithinMask,
    }
}

/// The hash of the header that a miner with this slot found, by the rules of Stratum V1; `None` where there is no room
/// for the slot.
fn hash_of(given: &Given, slot: &Slot, submit: &Submit, mask: Option<u32>) -> Option<[u8; 32]> {
    let (notify, dealt) = (&given.notify, &given.dealt);
    let mask = mask.filter(|_| dealt.rolling_allowed).unwrap_or(0);
    let version = match submit.version_bits {
        Some(bits) => notify.version & !mask | bits & mask,
        None => notify.version,
    };
    let before = dealt.extranonce_size.checked_sub(slot.size())?;
    let coinbase = [
        &dealt.coinbase_start[..],
        &slot.padding(before),
        &slot.extranonce1,
        submit.extranonce2.as_bytes(),
        &notify.coinb2,
    ];
    let root = notify.merkle_path.iter();
    let root = root.fold(double_sha256(&coinbase.concat()), |root, branch| {
        double_sha256([root, *branch].as_flattened())
    });
    let header = [
        &version.to_le_bytes()[..],
        &notify.prev_hash,
        &root,
        &submit.ntime.to_le_bytes(),
        &notify.nbits.to_le_bytes(),
        &submit.nonce.to_le_bytes(),
    ];
    Some(double_sha256(&header.concat()))
}

/// The kind of event that a refusal is.
pub(super) fn kind(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotSubscribed => "share refused: not subscribed",
        Refusal::UnauthorizedWorker => "share refused: unauthorized worker",
        Refusal::Malformed => "share refused: malformed",
        Refusal::UnknownJob => "share refused: unknown job",
        Refusal::OtherChannelsJob => "share refused: other channel's job",
        Refusal::Stale => "share refused: stale",
        Refusal::UpstreamGone => "share refused: upstream gone",
        Refusal::Extranonce2Size { .. } => "share refused: extranonce2 size",
        Refusal::NtimeTooOld { .. } => "share refused: ntime too old",
        Refusal::NtimeTooNew { .. } => "share refused: ntime too new",
        Refusal::VersionRollingNotNegotiated => "share refused: version rolling not negotiated",
        Refusal::VersionRollingNotAllowed => "share refused: version rolling not allowed",
        Refusal::VersionBitsOutsideMask { .. } => "share refused: version bits outside mask",
        Refusal::Duplicate => "share refused: duplicate",
        Refusal::Paused(_) => "share refused: paused",
        _ => "share refused: low difficulty",
    }
}
