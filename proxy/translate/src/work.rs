//! Work: an upstream job made ready for miners, once for all of them.
//!
//! A job's notify is built once per id as immutable bytes; a fan-out hands the same buffer to every miner, or one for
//! each of the few layouts in use, because what stands before a miner's slot is in the notify. One job gets several ids over its life, because keepalives and new difficulties need a fresh one each.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use sv1::{JobId, NotifyParts};

use crate::job::Job;
use crate::layout::{Layout, Page};

/// Jobs that shares may still refer to. A pool deals one every half minute, so this is a working day without a
/// block, and 16 MiB of the largest jobs.
const MAX_JOBS: usize = 1_024;

/// Ranges of ids of former jobs that are told from those of other channels. Without other channels they are one.
const MAX_PAST: usize = 64;

/// The two forms of a job's SV1 mining.notify line.
#[derive(Debug)]
pub struct Notify {
    clean: Box<[u8]>,
    continuing: Box<[u8]>,
}

impl Notify {
    /// Gives the line; with `clean_jobs` all earlier jobs are void.
    #[must_use]
    pub fn line(&self, clean_jobs: bool) -> &[u8] {
        if clean_jobs {
            &self.clean
        } else {
            &self.continuing
        }
    }
}

/// Numbers the notifies of this translator; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct WorkId(u64);

impl WorkId {
    /// Gives the id of the notify with a number.
    #[cfg(test)]
    pub(crate) const fn nth(number: u64) -> Self {
        Self(number)
    }

    /// Gives the id of the notify after this one.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What every miner should be working on.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) id: WorkId,
    pub(crate) job: Arc<Job>,
    notifies: Arc<Notifies>,
    pub(crate) made: Instant,
    ntime: u32,
}

/// The notify for each layout, made when the first miner with it gets the work.
#[derive(Debug, Default)]
struct Notifies {
    usual: OnceLock<Arc<Notify>>,
    short: OnceLock<Arc<Notify>>,
    narrow: [OnceLock<Arc<Notify>>; Page::COUNT],
}

impl Work {
    /// Gives the notify for miners with a layout; `None` where the job has no room for it.
    pub(crate) fn notify(&self, layout: Layout) -> Option<Arc<Notify>> {
        let padding = self.job.padding(layout)?;
        let place = match layout {
            Layout::Usual { .. } => &self.notifies.usual,
            Layout::Short => &self.notifies.short,
            Layout::Narrow { page } => {
                let narrow = &self.notifies.narrow;
                narrow.get(usize::from(page.number()))?
            }
        };
        let notify = place.get_or_init(|| Arc::new(build(self, padding)));
        Some(Arc::clone(notify))
    }
}

/// Counts notifies over all channels, so that no id is used twice and a later notify has the greater id.
#[derive(Debug, Default)]
pub(crate) struct WorkIds(u64);

impl WorkIds {
    fn next(&mut self) -> WorkId {
        let id = WorkId(self.0);
        self.0 += 1;
        id
    }

    /// Gives the id of the notify that is made next.
    pub(crate) fn upcoming(&self) -> WorkId {
        WorkId(self.0)
    }

    /// Tells which notify a share's job id refers to; `None` where it is none of ours.
    pub(crate) fn find(&self, id: &JobId) -> Option<WorkId> {
        let number = id.as_number().filter(|number| *number < self.0);
        number.map(WorkId)
    }
}

/// Consecutive ids of one job.
#[derive(Debug)]
struct Span {
    first: u64,
    /// The id after the last.
    end: u64,
    job: Arc<Job>,
}

/// Ids of jobs that are gone, to tell them from those of other channels.
#[derive(Debug, Default)]
struct Past {
    /// The first id and the one after the last.
    ranges: VecDeque<(u64, u64)>,
    /// Ids below this one were forgotten.
    forgotten: u64,
}

impl Past {
    fn note(&mut self, span: &Span) {
        let before = self.ranges.back_mut().filter(|(_, end)| *end == span.first);
        match before {
            Some((_, end)) => *end = span.end,
            None => self.ranges.push_back((span.first, span.end)),
        }
        if self.ranges.len() > MAX_PAST
            && let Some((_, end)) = self.ranges.pop_front()
        {
            self.forgotten = self.forgotten.max(end);
        }
    }

    fn contains(&self, id: u64) -> bool {
        let mut ranges = self.ranges.iter();
        id < self.forgotten || ranges.any(|(first, end)| (*first..*end).contains(&id))
    }
}

/// The newest work, and the jobs that shares may still refer to.
#[derive(Debug, Default)]
pub(crate) struct Works {
    newest: Option<Work>,
    past: Past,
    /// In the order of their ids. A job that got many ids still takes one place, so that no number of keepalives and
    /// new difficulties drives out what others work on.
    spans: VecDeque<Span>,
}

impl Works {
    pub(crate) fn newest(&self) -> Option<&Work> {
        self.newest.as_ref()
    }

    /// Makes work of a job under a fresh id.
    pub(crate) fn make(&mut self, now: Instant, job: Arc<Job>, ids: &mut WorkIds) -> &Work {
        let id = ids.next();
        match self.spans.back_mut() {
            // Ids in between are another channel's.
            Some(span) if Arc::ptr_eq(&span.job, &job) && span.end == id.0 => span.end += 1,
            _ => self.begin_span(id.0, &job),
        }
        let ntime = self.next_ntime(&job, now);
        self.newest.insert(Work {
            id,
            job,
            notifies: Arc::default(),
            made: now,
            ntime,
        })
    }

    /// Begins a job; those that its upstream connection dealt for earlier blocks are stale, and so is one whose id this
    /// job takes over: a share for it would be taken for one of this job.
    fn begin_span(&mut self, id: u64, job: &Arc<Job>) {
        let of_other_upstream = |other: &Job| other.connection != job.connection;
        // Miners who come back to an upstream may come back to the job that they left.
        let stays = |other: &Arc<Job>| Arc::ptr_eq(other, job) || other.stays_beside(job);
        let past = &mut self.past;
        self.spans.retain(|span| {
            let stays = of_other_upstream(&span.job) || stays(&span.job);
            if !stays {
                past.note(span);
            }
            stays
        });
        while self.spans.len() >= MAX_JOBS {
            self.spans
                .pop_front()
                .iter()
                .for_each(|span| past.note(span));
        }
        self.spans.push_back(Span {
            first: id,
            end: id + 1,
            job: Arc::clone(job),
        });
    }

    /// Header times of one job rise with every id, as long as they may.
    fn next_ntime(&self, job: &Arc<Job>, now: Instant) -> u32 {
        let by_clock = job.ntime_at(now);
        match &self.newest {
            Some(before) if Arc::ptr_eq(&before.job, job) => by_clock
                .max(before.ntime.saturating_add(1))
                .min(job.latest_ntime()),
            _ => by_clock,
        }
    }

    /// Tells whether a notify was one of these and its job is gone.
    pub(crate) fn had(&self, id: WorkId) -> bool {
        self.past.contains(id.0)
    }

    /// Gives the job of a notify; `None` where it is of an earlier block, or another channel's.
    pub(crate) fn find(&self, id: WorkId) -> Option<&Arc<Job>> {
        let place = self.spans.partition_point(|span| span.end <= id.0);
        let span = self.spans.get(place).filter(|span| span.first <= id.0);
        span.map(|span| &span.job)
    }
}

fn build(work: &Work, padding: &[u8]) -> Notify {
    let job = &work.job;
    let line = |clean_jobs| {
        let parts = NotifyParts {
            job_id: JobId::from_number(work.id.0),
            prev_hash: &job.tip.prev_hash.0,
            coinb1: &[&job.dealt.coinbase_start, padding],
            coinb2: &[&job.dealt.coinbase_end],
            merkle_path: &job.dealt.merkle_path,
            version: job.dealt.version,
            nbits: job.tip.nbits,
            ntime: work.ntime,
            clean_jobs,
        };
        parts.encode().into_boxed_slice()
    };
    Notify {
        clean: line(true),
        continuing: line(false),
    }
}
