//! Jobs as the miners of a crowd know them: most of them get the same line, which is read once.

use std::collections::VecDeque;
use std::sync::Arc;

use sv1::{FromServer, JobId, Notification, Notify, parse_from_server};

/// Lines that are remembered. A new block and the fuller job after it may be under way at once, and either may come in
/// a few variants.
const REMEMBERED: usize = 8;

/// A job that came.
#[derive(Debug)]
pub(super) struct Job {
    /// The line that it came as, with its end.
    pub(super) line: Vec<u8>,
    /// What the line says.
    pub(super) notify: Arc<Notify>,
}

/// The newest jobs.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    newest: VecDeque<Arc<Job>>,
}

impl Jobs {
    /// Finds the job that these bytes are, where they are one whole line that came before.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<&Arc<Job>> {
        self.newest.iter().find(|job| job.line == bytes)
    }

    /// Gives the first one on the newest block: what a pool sends ahead, and all miners wait for.
    pub(super) fn first_of_block(&self) -> Option<&Arc<Job>> {
        let tip = self.newest.front()?.notify.prev_hash;
        let of_block = self.newest.iter().rev();
        let mut of_block = of_block.filter(|job| job.notify.prev_hash == tip);
        of_block.next()
    }

    /// Reads a line without its end; `None` where it is no job.
    pub(super) fn read(&mut self, line: &[u8]) -> Option<Arc<Job>> {
        let known = self.newest.iter().find(|job| {
            let end = job.line.len().saturating_sub(1);
            job.line.get(..end) == Some(line)
        });
        if let Some(job) = known {
            return Some(Arc::clone(job));
        }
        let job = Arc::new(Job::read(line)?);
        self.newest.truncate(REMEMBERED - 1);
        self.newest.push_front(Arc::clone(&job));
        Some(job)
    }
}

impl Job {
    /// Makes a job of the usual shape up, for shares that nobody judges.
    pub(super) fn any() -> Self {
        let notify = Notify {
            job_id: JobId::from_number(1),
            prev_hash: [0; 32],
            coinb1: vec![0; 120].into(),
            coinb2: vec![0; 120].into(),
            merkle_path: vec![[0; 32]; 12],
            version: 0x2000_0000,
            nbits: 0x1701_e2a0,
            ntime: 0x6a00_0000,
            clean_jobs: true,
        };
        Self {
            line: notify.encode(),
            notify: Arc::new(notify),
        }
    }

    /// Reads a line without its end; `None` where it is no job.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let Ok(FromServer::Notification(Notification::Notify(notify))) = parse_from_server(line)
        else {
            return None;
        };
        Some(Self {
            line: [line, b"\n"].concat(),
            notify: Arc::new(*notify),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with its end.
    fn line(number: u64, block: u8) -> Vec<u8> {
        let mut notify = (*Job::any().notify).clone();
        notify.job_id = JobId::from_number(number);
        notify.prev_hash = [block; 32];
        notify.encode()
    }

    #[test]
    fn a_line_is_read_once_however_many_miners_get_it() {
        let mut jobs = Jobs::default();
        let line = line(1, 1);
        let first = jobs.read(line.trim_ascii_end()).unwrap();
        let again = jobs.read(line.trim_ascii_end()).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(jobs.find(&line).is_some());
        assert!(jobs.find(line.trim_ascii_end()).is_none());
        assert!(jobs.read(b"{\"id\":1,\"result\":true}").is_none());
    }

    #[test]
    fn the_first_job_of_the_newest_block_is_found_behind_those_that_follow() {
        let mut jobs = Jobs::default();
        for (number, block) in [(1, 1), (2, 2), (3, 2)] {
            let line = line(number, block);
            assert!(jobs.read(line.trim_ascii_end()).is_some());
        }
        assert_eq!(jobs.first_of_block().unwrap().line, line(2, 2));
    }
}
