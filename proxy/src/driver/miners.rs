//! The driver's miners: letting them in, reading their lines, writing to them, giving up on them.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use sv1::parse_call;
use translate::{CloseReason, MinerId};

use super::{BLOCKED_CHECK, Driver, GATHERING, showing};
use crate::downstream::{Flushed, MinerLink, Received};
use crate::listener::Connection;
use crate::poller::{Ready, Source};

/// Miners read in a round, and then written to.
const BATCH: usize = 64;
/// Bytes read from a miner at a time: more than any sends at once, and so few that nobody waits long for another.
const TURN: usize = 2_048;
/// Connections let in at each port in a round.
const ACCEPTED: usize = 64;

impl Driver {
    /// Lets in those who wait.
    pub(super) fn accept(&mut self) {
        let now = Instant::now();
        for place in 0..self.listeners.len() {
            for _ in 0..ACCEPTED {
                let Some(listener) = self.listeners.get_mut(place) else {
                    break;
                };
                let id = listener.id;
                let Some(connection) = listener.accept(now) else {
                    break;
                };
                if let Some(connection) = self.dealer.deal(id, connection) {
                    self.miner_connected(now, id, connection);
                }
            }
        }
    }

    pub(super) fn miner_connected(
        &mut self,
        now: Instant,
        listener: translate::ListenerId,
        connection: Connection,
    ) {
        let peer = connection.peer;
        let miner = self.translator.handle_miner_connected(now, peer, listener);
        self.collect_outputs();
        // Where there is none the translator has said why.
        let Some(miner) = miner else { return };
        let link = MinerLink::new(connection, &self.limits);
        let index = miner.index();
        self.clear_place(now, index);
        if let Err(error) = self.poller.add(link.socket(), Source::Miner(index)) {
            let words = format!("it cannot be waited for: {error}");
            self.translator.handle_miner_left(now, miner, Some(words));
            return;
        }
        if self.miners.len() <= index {
            self.miners.resize_with(index + 1, || None);
        }
        if let Some(place) = self.miners.get_mut(index) {
            *place = Some((miner, link));
        }
    }

    /// Notes that something happened at a miner's socket.
    pub(super) fn note_miner(&mut self, event: Ready, place: usize) {
        let Some(Some((miner, link))) = self.miners.get_mut(place) else {
            return;
        };
        link.has_ended |= event.ended;
        if event.readable && !link.is_in_line {
            link.is_in_line = true;
            self.in_line.push_back(*miner);
        }
        if event.writable && link.blocked_since().is_some() {
            let miner = *miner;
            self.write_rest(Instant::now(), miner);
        }
    }

    /// Has the last words written of one that was closed a moment ago, and whose number somebody else has now.
    fn clear_place(&mut self, now: Instant, index: usize) {
        if let Some(Some((before, _))) = self.miners.get(index) {
            let before = *before;
            self.flush(now, before);
            self.drop_link(before);
        }
    }

    /// Reads a batch of those that are in line; all of them where writing falls behind, lest reading does too.
    pub(super) fn read_miners(&mut self) {
        let batch = match self.falls_behind {
            true => self.miners.len(),
            false => BATCH,
        };
        self.read_miners_in_line(batch);
    }

    /// Reads so many; nobody while an upstream takes in too little of what they send, so that the push goes on to them.
    pub(super) fn read_miners_in_line(&mut self, most: usize) {
        for _ in 0..self.in_line.len().min(most) {
            if self.is_pushed_back() {
                return;
            }
            self.read_next_miner();
        }
    }

    /// Reads the first in line. Who has sent more than is read at a time goes to the end of it.
    fn read_next_miner(&mut self) {
        let Some(miner) = self.in_line.pop_front() else {
            return;
        };
        let Some(link) = link(&mut self.miners, miner) else {
            return;
        };
        link.is_in_line = false;
        let has_ended = link.has_ended;
        if link.is_closing() {
            return;
        }
        if !link.unread.is_empty() {
            let unread = std::mem::take(&mut link.unread);
            self.take_lines(miner, &unread);
            // More may have come since.
            self.put_in_line(miner);
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let turn = buffer.get_mut(..TURN).unwrap_or_default();
        match link.receive(turn) {
            Received::Bytes(length) => {
                self.take_lines(miner, buffer.get(..length).unwrap_or_default());
                // What left room has emptied the socket; the poller tells when more comes.
                if length == TURN || has_ended {
                    self.put_in_line(miner);
                }
            }
            Received::Nothing => {}
            Received::End => {
                let now = Instant::now();
                self.translator.handle_miner_left(now, miner, None);
                self.collect_outputs();
                // It may have ended only its own direction, and wait for the last replies.
                self.close_when_written(miner);
            }
            Received::Broken(error) => self.miner_gone(Instant::now(), miner, Some(&error)),
        }
        self.buffer = buffer;
    }

    /// Takes the lines of what was read, until the miner is closed or has to pause.
    fn take_lines(&mut self, miner: MinerId, mut bytes: &[u8]) {
        let received = Instant::now();
        self.gathers_until.get_or_insert(received + GATHERING);
        loop {
            let Some(link) = link(&mut self.miners, miner) else {
                return;
            };
            if link.is_closing() {
                return;
            }
            let call = match link.decoder.next_line(&mut bytes) {
                None => return,
                Some(Ok(line)) => parse_call(line),
                Some(Err(error)) => {
                    let reason = CloseReason::UnanswerableLine(error.to_string());
                    self.translator.close_miner(received, miner, reason);
                    return self.collect_outputs();
                }
            };
            let rest = link.pace.note(received);
            let replies = link.replies(&mut self.spare);
            match call {
                Ok(incoming) => {
                    if showing::is_submit(&incoming) {
                        self.submits.push(received);
                    }
                    self.translator
                        .handle_incoming(received, miner, incoming, replies);
                }
                Err(error) => {
                    self.translator
                        .handle_bad_line(received, miner, &error, replies);
                }
            }
            put_in_line_to_write(&mut self.dirty, miner, link);
            if let Some(rest) = rest.filter(|_| self.stopping.is_none()) {
                self.translator.handle_miner_slowed(received, miner);
                self.pause(received + rest, miner, bytes);
                return self.collect_outputs();
            }
            self.collect_outputs();
        }
    }

    /// Reads nothing from a miner for a while. Nothing is lost: TCP pushes back.
    fn pause(&mut self, until: Instant, miner: MinerId, unread: &[u8]) {
        let Some(link) = link(&mut self.miners, miner) else {
            return;
        };
        link.unread = unread.to_vec();
        link.is_in_line = true;
        let place = self.paused.partition_point(|(other, _)| *other <= until);
        self.paused.insert(place, (until, miner));
    }

    /// Puts those whose pause has ended in line.
    pub(super) fn put_paused_in_line(&mut self, now: Instant) {
        let over = self.paused.partition_point(|(until, _)| *until <= now);
        let over = self.paused.drain(..over).map(|(_, miner)| miner);
        self.in_line.extend(over);
    }

    fn put_in_line(&mut self, miner: MinerId) {
        if let Some(link) = link(&mut self.miners, miner)
            && !link.is_in_line
        {
            link.is_in_line = true;
            self.in_line.push_back(miner);
        }
    }

    pub(super) fn close_when_written(&mut self, miner: MinerId) {
        if let Some(link) = link(&mut self.miners, miner) {
            link.close_when_written();
            put_in_line_to_write(&mut self.dirty, miner, link);
        }
    }

    /// Goes on writing what a socket had no room for.
    pub(super) fn write_rest(&mut self, now: Instant, miner: MinerId) {
        let Some(link) = link(&mut self.miners, miner) else {
            return;
        };
        match link.write_rest(now) {
            Flushed::Broken(error) => self.miner_gone(now, miner, Some(&error)),
            Flushed::Done => self.miner_gone(now, miner, None),
            Flushed::Fine if link.blocked_since().is_none() => {
                self.blocked.remove(&miner);
                // More may be in line behind what is written now.
                put_in_line_to_write(&mut self.dirty, miner, link);
            }
            Flushed::Fine => {}
        }
    }

    pub(super) fn flush(&mut self, now: Instant, miner: MinerId) {
        let Some(link) = link(&mut self.miners, miner) else {
            return;
        };
        link.is_to_write = false;
        let flushed = link.flush(now, &mut self.spare);
        let (blocked, waiting) = (link.blocked_since().is_some(), link.waiting());
        if let Flushed::Broken(error) = &flushed {
            self.miner_gone(now, miner, Some(error));
        } else if matches!(flushed, Flushed::Done) {
            self.miner_gone(now, miner, None);
        } else if waiting > self.limits.pending_bytes {
            self.give_up(now, miner, format!("does not read: {waiting} bytes wait"));
        } else if blocked {
            self.blocked.insert(miner);
        }
    }

    /// Closes miners that have not taken in what was written for too long, and upstreams likewise.
    pub(super) fn check_blocked(&mut self, now: Instant) {
        if now < self.next_blocked_check {
            return;
        }
        self.next_blocked_check = now + BLOCKED_CHECK;
        self.check_blocked_upstreams(now);
        let timeout = self.limits.write_timeout;
        let since = |miner: &MinerId| match self.miners.get(miner.index()) {
            Some(Some((id, link))) if id == miner => link.blocked_since(),
            _ => None,
        };
        let overdue = |miner: &&MinerId| {
            since(miner).is_some_and(|since| now.saturating_duration_since(since) >= timeout)
        };
        let overdue: Vec<_> = self.blocked.iter().filter(overdue).copied().collect();
        for miner in overdue {
            self.give_up(
                now,
                miner,
                format!("has read nothing for {} s", timeout.as_secs()),
            );
        }
    }

    fn give_up(&mut self, now: Instant, miner: MinerId, words: String) {
        self.translator
            .close_miner(now, miner, CloseReason::NotReading(words));
        self.collect_outputs();
        self.drop_link(miner);
    }

    fn miner_gone(&mut self, now: Instant, miner: MinerId, lost: Option<&io::Error>) {
        // Where the translator closed it, it knows already.
        let lost = lost.map(ToString::to_string);
        self.translator.handle_miner_left(now, miner, lost);
        self.collect_outputs();
        self.drop_link(miner);
    }

    fn drop_link(&mut self, miner: MinerId) {
        self.blocked.remove(&miner);
        if let Some(place) = self.miners.get_mut(miner.index()) {
            place.take_if(|(id, _)| *id == miner);
        }
    }
}

/// Puts a miner in line to be written to, unless it is there.
pub(super) fn put_in_line_to_write(
    dirty: &mut VecDeque<MinerId>,
    miner: MinerId,
    link: &mut MinerLink,
) {
    if !std::mem::replace(&mut link.is_to_write, true) {
        dirty.push_back(miner);
    }
}

/// Finds a miner's link; not that of another who took its place.
pub(super) fn link(
    miners: &mut [Option<(MinerId, MinerLink)>],
    miner: MinerId,
) -> Option<&mut MinerLink> {
    let (id, link) = miners.get_mut(miner.index())?.as_mut()?;
    (*id == miner).then_some(link)
}
