//! Requests of miners other than shares: the session decides, the translator follows.

use std::time::Instant;

use sha2::{Digest, Sha256};
use sv1::Request;
use sv2::bitcoin::Difficulty;

use super::Translator;
use crate::event::Event;
use crate::miner::setup::NewSession;
use crate::miner::{Outcome, Reply};
use crate::miners::MinerId;

impl Translator {
    pub(super) fn handle_setup(
        &mut self,
        now: Instant,
        id: MinerId,
        request: Request,
        reply: Reply<'_>,
    ) {
        let (slots, sessions) = (&mut self.slots, &mut self.sessions);
        let (seed, job_serial) = (&self.config.seed, self.job_serial);
        let new_session = || {
            let slot = slots.take(now, job_serial)?;
            *sessions += 1;
            Some(NewSession {
                slot,
                session_id: session_id(seed, *sessions),
            })
        };
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        match miner.handle_setup(request, &self.config, new_session, reply) {
            Outcome::Done => {}
            Outcome::Ready => self.start_miner(now, id),
            Outcome::StartsOver => {
                miner.start_over();
                self.deliver_first(now, id);
            }
            Outcome::Wishes(wish) => self.grant(now, id, wish),
        }
    }

    fn start_miner(&mut self, now: Instant, id: MinerId) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let known = self.known.find(miner.worker_name());
        if let Some(difficulty) = miner.start(known) {
            miner.assigned.start_at(difficulty);
        }
        let ready = Event::MinerReady {
            peer: miner.peer,
            worker: miner.worker_name().to_owned(),
            user_agent: miner.user_agent().to_owned(),
            firmware: miner.firmware().map(|firmware| firmware.name),
            difficulty: miner.assigned.difficulty(),
        };
        self.mining += 1;
        self.event(ready);
        self.deliver_first(now, id);
        self.begin_demand(now, id);
    }

    /// Follows a miner's wish for a difficulty, as far as the operator allows.
    pub(super) fn grant(&mut self, now: Instant, id: MinerId, wish: Difficulty) {
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        let difficulty = miner.clamp(wish);
        self.change_difficulty(now, id, difficulty);
    }
}

/// Makes a session id that nobody can guess without the seed.
fn session_id(seed: &[u8; 32], number: u64) -> Box<str> {
    let hash = Sha256::new()
        .chain_update(seed)
        .chain_update(number.to_le_bytes())
        .finalize();
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash);
    format!("{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h])).into()
}
