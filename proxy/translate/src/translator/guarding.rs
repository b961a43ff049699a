//! Limits on miners: what a refused share leads to, and how a limit that was met is counted and told.

use std::net::IpAddr;
use std::time::Instant;

use super::Translator;
use crate::event::Event;
use crate::guard::{Address, Limit};
use crate::miners::MinerId;
use crate::output::CloseReason;
use crate::refusal::Refusal;

impl Translator {
    /// Takes the body's word that it reads a miner no faster than the operator allows.
    pub fn handle_miner_slowed(&mut self, now: Instant, id: MinerId) {
        if let Some(miner) = self.miners.get_mut(id) {
            let address = miner.peer.ip();
            self.meet(now, address, Limit::RequestsPerSecond);
        }
    }

    /// Counts a limit that was met, and tells of it where that was not done lately.
    pub(super) fn meet(&mut self, now: Instant, address: IpAddr, limit: Limit) {
        *self.statistics.limits_met.entry(limit.label()).or_default() += 1;
        if let Some(unsaid) = self.guard.tell(now, address, &limit) {
            self.event(Event::LimitMet {
                address,
                limit,
                unsaid,
            });
        }
    }

    /// Pauses a miner and bans an address where a refused share is one too many.
    pub(super) fn note_refusal(&mut self, now: Instant, id: MinerId, refusal: &Refusal) {
        if !self.guard.is_invalid(now, refusal) {
            return;
        }
        let policy = *self.guard.policy();
        let Some(miner) = self.miners.get_mut(id) else {
            return;
        };
        // Malformed submits are counted without being looked at, during a pause too.
        if miner.conduct.pause_left(now).is_some() {
            return;
        }
        let address = miner.peer.ip();
        if miner.conduct.note_invalid(now, &policy) {
            let seconds = policy.pause.as_secs().max(1);
            self.meet(now, address, Limit::MinerPaused(seconds));
        }
        if self.guard.note_invalid(now, address) {
            self.ban(now, address);
        }
    }

    /// Bans an address and closes its connections, unless more miners there are good than bad.
    fn ban(&mut self, now: Instant, address: IpAddr) {
        let key = Address::from(address);
        let there = |peer: IpAddr| Address::from(peer) == key;
        let neighbours = self.miners.iter().filter(|(_, it)| there(it.peer.ip()));
        let (mut good, mut all) = (0_usize, Vec::new());
        for (id, miner) in neighbours {
            good += usize::from(miner.meter.accepted() > 0 && !miner.conduct.is_suspect());
            all.push(id);
        }
        if good * 2 > all.len() {
            return self.guard.forgive(now, address);
        }
        let seconds = self.guard.policy().ban.as_secs().max(1);
        self.guard.ban(now, address);
        self.meet(now, address, Limit::AddressBanned(seconds));
        for miner in all {
            self.close_miner(now, miner, CloseReason::Banned(seconds));
        }
    }
}
