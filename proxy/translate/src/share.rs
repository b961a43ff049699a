//! Share judgement: is it what the job, the miner's difficulty and the upstream ask for?
//!
//! Every check of SV2 §5.3.12 that the upstream would make is made here first, so that a share which the pool
//! would refuse is answered with its true reason and never sent.

use sv1::Submit;
use sv2::bitcoin::{BlockHash, Difficulty, Target, VersionMask};

use crate::assigned::Assigned;
use crate::duplicates::Duplicates;
use crate::job::{Job, MAX_NTIME_AHEAD, RolledFields};
use crate::refusal::Refusal;
use crate::slot::Slot;
use crate::work::WorkId;

/// What a miner's shares are judged by, apart from the job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) slot: Slot,
    /// The mask granted by `mining.configure`; `None` without it.
    pub(crate) version_mask: Option<VersionMask>,
    pub(crate) assigned: &'a Assigned,
}

/// A share that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GoodShare {
    /// The slot that it was found with.
    pub(crate) slot: Slot,
    pub(crate) hash: BlockHash,
    pub(crate) fields: RolledFields,
    /// The difficulty that the miner is credited with.
    pub(crate) credit: Difficulty,
    /// Whether the upstream pays for it: it meets the channel's target or the network's.
    pub(crate) for_upstream: bool,
    /// Whether it solves a block.
    pub(crate) is_block: bool,
}

/// Judges a share of a known job that may still count.
pub(crate) fn judge(
    submit: &Submit,
    (work, job): (WorkId, &Job),
    terms: Terms<'_>,
    duplicates: &mut Duplicates,
) -> Result<GoodShare, Refusal> {
    let share = examine(submit, (work, job), terms)?;
    // Last, so that only hashes that cost their difficulty take up room.
    match duplicates.insert(&share.hash) {
        true => Ok(share),
        false => Err(Refusal::Duplicate),
    }
}

/// Looks at a share without regard to those that came before.
pub(crate) fn examine(
    submit: &Submit,
    (work, job): (WorkId, &Job),
    terms: Terms<'_>,
) -> Result<GoodShare, Refusal> {
    let extranonce2 = submit.extranonce2.as_bytes();
    let (given, expected) = (
        extranonce2.len(),
        usize::from(terms.slot.layout().extranonce2_size()),
    );
    if given != expected {
        return Err(Refusal::Extranonce2Size { given, expected });
    }
    check_ntime(submit.ntime, job.min_ntime)?;
    let version = version(submit.version_bits, job, terms.version_mask)?;
    let fields = RolledFields {
        version,
        ntime: submit.ntime,
        nonce: submit.nonce,
    };
    let header = job.header(terms.slot, extranonce2, fields);
    // A miner is given no job that its layout does not fit.
    let hash = header.ok_or(Refusal::UnknownJob)?.hash();
    let is_block = job.tip.network_target.is_met_by(&hash);
    let for_upstream = is_block || job.target.is_met_by(&hash);
    let Some(credit) = credit(&hash, work, job, terms.assigned) else {
        let (reached, wanted) = (hash.to_target().difficulty(), terms.assigned.difficulty());
        return Err(Refusal::LowDifficulty { reached, wanted });
    };
    Ok(GoodShare {
        slot: terms.slot,
        hash,
        fields,
        credit,
        for_upstream,
        is_block,
    })
}

/// What the upstream pays for counts, even where the miner's own difficulty is higher; at what the upstream asks for.
fn credit(hash: &BlockHash, work: WorkId, job: &Job, assigned: &Assigned) -> Option<Difficulty> {
    let met = |target: Target| target.is_met_by(hash).then(|| target.difficulty());
    let credit = assigned.credit(hash, work);
    credit
        .or_else(|| met(job.target))
        .or_else(|| met(job.tip.network_target))
}

fn check_ntime(ntime: u32, min_ntime: u32) -> Result<(), Refusal> {
    if ntime < min_ntime {
        return Err(Refusal::NtimeTooOld { ntime, min_ntime });
    }
    if ntime - min_ntime > MAX_NTIME_AHEAD {
        return Err(Refusal::NtimeTooNew { ntime, min_ntime });
    }
    Ok(())
}

/// Gives the header version: the job's, with the bits that the miner rolled within the mask (BIP-0310).
fn version(bits: Option<u32>, job: &Job, mask: Option<VersionMask>) -> Result<u32, Refusal> {
    let Some(bits) = bits else {
        return Ok(job.dealt.version);
    };
    if bits == 0 && (mask.is_none() || !job.dealt.version_rolling_allowed) {
        // Some firmware always sends the parameter.
        return Ok(job.dealt.version);
    }
    let mask = mask.ok_or(Refusal::VersionRollingNotNegotiated)?;
    if !job.dealt.version_rolling_allowed {
        return Err(Refusal::VersionRollingNotAllowed);
    }
    if !mask.allows(bits) {
        return Err(Refusal::VersionBitsOutsideMask { bits, mask });
    }
    Ok(mask.apply(job.dealt.version, bits))
}
