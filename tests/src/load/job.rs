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
