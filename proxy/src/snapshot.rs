//! What a driver shows of itself when somebody asks: counters at once, miners in slices between its other work, so that
//! no share or job waits behind ten thousand rows. Nothing is collected when nobody asks.

use std::sync::Arc;
use std::time::Instant;

use async_channel::Sender;
use translate::{
    History, JobStatistics, Latency, LeftCursor, LeftWorker, ListenerStatistics, MinerStatistics,
    Statistics, Translator,
};

use crate::journal::Recorded;

/// Rows collected before other work gets its turn: some 50 µs.
const SLICE: usize = 256;

/// Counters of one driver, and what is bounded.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) statistics: Statistics,
    pub(crate) timings: Timings,
    pub(crate) queues: [Queue; 2],
    pub(crate) jobs: Vec<Arc<JobStatistics>>,
    pub(crate) history: History,
    pub(crate) events: Vec<Arc<Recorded>>,
}

impl Snapshot {
    /// Gives what is still true of a driver whose miners are let go: what it counted, and what happened.
    pub(crate) fn last(&self) -> Self {
        let listeners = self.statistics.listeners.iter();
        let listeners = listeners.map(|listener| ListenerStatistics {
            miners: 0,
            ..*listener
        });
        let at_rest = |queue: Queue| Queue { length: 0, ..queue };
        Self {
            statistics: Statistics {
                miners: 0,
                miners_mining: 0,
                hashrate: 0.0,
                outage_since: None,
                listeners: listeners.collect(),
                difficulties: Vec::new(),
                upstreams: Vec::new(),
                ..self.statistics.clone()
            },
            timings: self.timings,
            queues: self.queues.map(at_rest),
            jobs: Vec::new(),
            history: self.history.clone(),
            events: self.events.clone(),
        }
    }

    /// Gives no more than the counters.
    pub(crate) fn counters(&self) -> Self {
        Self {
            history: History::new(Instant::now()),
            events: Vec::new(),
            ..self.last()
        }
    }
}

/// How long things take that the translator does not see.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timings {
    /// From a job that was received to the last miner that it was written to.
    pub(crate) fan_out: Latency,
    /// From a share that was received to its reply.
    pub(crate) replies: Latency,
}

/// How full a queue of inputs is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) name: &'static str,
    pub(crate) length: usize,
    pub(crate) capacity: usize,
}

/// Every miner of one driver, and the workers whose connections ended.
#[derive(Debug, Default)]
pub(crate) struct Census {
    pub(crate) miners: Vec<MinerStatistics>,
    pub(crate) left: Vec<LeftWorker>,
}

/// A census that is being taken.
#[derive(Debug)]
pub(crate) struct CensusTaking {
    next_place: usize,
    left: LeftCursor,
    census: Census,
    askers: Vec<Sender<Arc<Census>>>,
}

impl CensusTaking {
    pub(crate) fn new() -> Self {
        Self {
            next_place: 0,
            left: LeftCursor::default(),
            census: Census {
                miners: Vec::new(),
                left: Vec::new(),
            },
            askers: Vec::new(),
        }
    }

    /// Adds somebody who waits for it.
    pub(crate) fn answer(&mut self, asker: Sender<Arc<Census>>) {
        self.askers.push(asker);
    }

    /// Takes one slice; tells whether it was the last.
    pub(crate) fn go_on(&mut self, now: Instant, translator: &Translator) -> bool {
        let places = translator.miner_places();
        if self.next_place < places {
            let end = places.min(self.next_place + SLICE);
            let miners = translator.miner_statistics_of(now, self.next_place..end);
            self.census.miners.extend(miners);
            self.next_place = end;
            return false;
        }
        let before = self.census.left.len();
        for (place, worker) in translator.left_workers(self.left).take(SLICE) {
            self.left = place;
            self.census.left.push(worker.clone());
        }
        self.census.left.len() - before < SLICE
    }

    /// Gives it to all who wait.
    pub(crate) fn finish(self) {
        let census = Arc::new(self.census);
        for asker in self.askers {
            // Who asked may have gone.
            let _ = asker.try_send(Arc::clone(&census));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::brain_config;
    use crate::config::Config;
    use std::net::SocketAddr;
    use translate::ListenerId;

    #[test]
    fn a_census_of_many_is_taken_in_slices_and_misses_nobody() {
        let example = include_str!("../../config.example.toml");
        let config = Config::parse("example", example).unwrap();
        let listeners: Vec<_> = config.listeners.iter().collect();
        let brain = brain_config(&config, &[0], &listeners).unwrap();
        let now = Instant::now();
        let mut translator = Translator::new(now, brain);
        for port in 1..=600 {
            let peer = SocketAddr::from(([127, 0, 0, 1], port));
            let miner = translator.handle_miner_connected(now, peer, ListenerId(0));
            assert!(miner.is_some());
        }
        let mut taking = CensusTaking::new();
        let (asker, answer) = async_channel::bounded(1);
        taking.answer(asker);
        let mut slices = 1;
        while !taking.go_on(now, &translator) {
            slices += 1;
        }
        assert_eq!(slices, 4, "three of miners, one of workers that left");
        taking.finish();
        let census = answer.try_recv().unwrap();
        let mut ports: Vec<_> = census.miners.iter().map(|it| it.peer.port()).collect();
        ports.sort_unstable();
        assert!(ports.into_iter().eq(1..=600));
    }
}
