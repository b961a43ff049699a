//! A good miner under a test's control: it finds a share when it is told to.

use std::net::SocketAddr;
use std::sync::Arc;

use sv1::ErrorReply;
use sv1_miner::hash::Search;
use sv1_miner::{
    BIP_0320_MASK, DifficultyCounts, Event, Roll, Session, SessionOptions, Share, Work,
};

use crate::Wire;

/// Most hashes for a share; tests' shares take some thousand.
const MOST_HASHES: u64 = 1 << 28;

/// A miner that hashes only on command. It connects once and never again.
#[derive(Debug)]
pub struct Rig {
    wire: Wire,
    session: Session,
    work: Option<Arc<Work>>,
    rolls: u64,
    clean_jobs: usize,
    jobs: usize,
}

/// What became of a share.
#[derive(Debug)]
pub enum Answer {
    /// It was accepted.
    Accepted,
    /// It was refused.
    Rejected(ErrorReply),
}

impl Rig {
    /// Connects, sets up and waits for the reply to authorize; work may come at once or later.
    ///
    /// # Panics
    /// Where the proxy does not answer.
    #[must_use]
    pub fn start(address: SocketAddr, worker: &str) -> Self {
        Self::start_rolling(address, worker, Some(BIP_0320_MASK))
    }

    /// As [`start`](Self::start), with version rolling or without.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_rolling(address: SocketAddr, worker: &str, version_rolling: Option<u32>) -> Self {
        let options = SessionOptions {
            user: worker.into(),
            password: "x".into(),
            user_agent: sv1_miner::USER_AGENT.into(),
            version_rolling,
            suggest_difficulty: None,
            extranonce_subscribe: false,
            difficulty_counts: DifficultyCounts::FromNextJob,
            session_id: None,
        };
        let mut lines = Vec::new();
        let session = Session::new(options, &mut lines);
        let mut wire = Wire::connect(address);
        wire.send(&lines);
        let mut rig = Self {
            wire,
            session,
            work: None,
            rolls: 0,
            clean_jobs: 0,
            jobs: 0,
        };
        while !matches!(rig.next_event(), Event::Authorized) {}
        rig
    }

    /// Waits for the next thing that the session makes of a line.
    fn next_event(&mut self) -> Event {
        loop {
            let line = self.wire.line().expect("the proxy closed a good miner");
            let mut lines = Vec::new();
            let event = self.session.handle_line(line.as_bytes(), &mut lines);
            if !lines.is_empty() {
                self.wire.send(&lines);
            }
            match event.expect("the proxy breaks Stratum V1") {
                Some(Event::Work {
                    work,
                    clean,
                    new_job,
                }) => {
                    self.jobs += usize::from(new_job);
                    self.clean_jobs += usize::from(new_job && clean);
                    self.work = Some(Arc::clone(&work));
                    return Event::Work {
                        work,
                        clean,
                        new_job,
                    };
                }
                Some(event) => return event,
                None => {}
            }
        }
    }

    /// Gives the newest work, and waits for the first.
    ///
    /// # Panics
    /// Where none comes.
    pub fn work(&mut self) -> Arc<Work> {
        loop {
            if let Some(work) = &self.work {
                return Arc::clone(work);
            }
            self.next_event();
        }
    }

    /// Waits for a job that voids all earlier ones.
    ///
    /// # Panics
    /// Where none comes.
    pub fn wait_for_clean_job(&mut self) -> Arc<Work> {
        let seen = self.clean_jobs;
        while self.clean_jobs == seen {
            self.next_event();
        }
        self.work()
    }

    /// Waits for a job of any kind.
    ///
    /// # Panics
    /// Where none comes.
    pub fn wait_for_job(&mut self) -> Arc<Work> {
        let seen = self.jobs;
        while self.jobs == seen {
            self.next_event();
        }
        self.work()
    }

    /// Tells how many jobs came that void all earlier ones.
    #[must_use]
    pub fn clean_jobs(&self) -> usize {
        self.clean_jobs
    }

    /// Finds a share of the newest work that it has not found before.
    ///
    /// # Panics
    /// Where there is none within reason.
    pub fn find(&mut self) -> Share {
        let work = self.work();
        self.find_on(&work)
    }

    /// Finds a share of some work.
    ///
    /// # Panics
    /// Where there is none within reason.
    pub fn find_on(&mut self, work: &Work) -> Share {
        self.rolls += 1;
        // Odd multiples scatter over all version bits; the lowest ones fall outside the mask.
        let version_bits = u32::try_from(self.rolls).unwrap_or_default();
        let roll = Roll {
            extranonce2: self.rolls,
            version_bits: version_bits.wrapping_mul(0x9e37_79b1),
            ntime: work.notify.ntime,
        };
        let search = Search::new(&work.header(&roll), work.target);
        let nonce = search.first_share(0..MOST_HASHES);
        work.share(&roll, nonce.expect("a share exists"))
    }

    /// Hands in a share and waits for the answer.
    ///
    /// # Panics
    /// Where none comes.
    pub fn submit(&mut self, share: &Share) -> Answer {
        self.send(share);
        loop {
            match self.next_event() {
                Event::Accepted => return Answer::Accepted,
                Event::Rejected(error) => return Answer::Rejected(error),
                _ => {}
            }
        }
    }

    /// Hands in a share.
    ///
    /// # Panics
    /// Where the proxy does not take it.
    pub fn send(&mut self, share: &Share) {
        let mut lines = Vec::new();
        assert!(
            self.session.submit(share, &mut lines),
            "too many unanswered"
        );
        self.wire.send(&lines);
    }

    /// Finds a share and hands it in; it must be accepted.
    ///
    /// # Panics
    /// Where it is not.
    pub fn mine(&mut self) {
        let share = self.find();
        let answer = self.submit(&share);
        assert!(matches!(answer, Answer::Accepted), "{answer:?}");
    }

    /// Finds and hands in this many shares; each must be accepted.
    ///
    /// # Panics
    /// Where one is not.
    pub fn mine_many(&mut self, shares: usize) {
        (0..shares).for_each(|_| self.mine());
    }

    /// Gives the connection, for what a good miner would not do.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }
}
