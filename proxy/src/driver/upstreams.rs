//! The driver's upstreams: dialling them, reading their messages, writing to them, losing them.

use std::sync::Arc;
use std::time::Instant;

use sv2::message::Message;
use sv2::tlv::UserIdentity;
use translate::UpstreamId;

use super::Driver;
use crate::config::Limits;
use crate::poller::{Ready, Source};
use crate::runtime;
use crate::upstream::{self, Attempt, Ended, Place, Sent, UpstreamLink};

/// A configured upstream, or behind those a connection of a single account or miner.
#[derive(Debug)]
pub(super) struct Upstream {
    place: Place,
    /// Counts connections, so that the last one's words are not taken for the present one's.
    attempts: u64,
    link: Option<UpstreamLink>,
}

impl Upstream {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            attempts: 0,
            link: None,
        }
    }

    /// Has it dialled elsewhere from the next time on.
    pub(super) fn move_to(&mut self, place: Place) {
        self.place = place;
    }
}

impl Driver {
    /// Tells whether `attempt` is an upstream's present connection.
    pub(super) fn is_present(&self, id: UpstreamId, attempt: Attempt) -> bool {
        let upstream = self.upstreams.get(id.0);
        upstream.is_some_and(|it| Attempt(it.attempts) == attempt)
    }

    pub(super) fn dial(
        &mut self,
        id: UpstreamId,
        configured: UpstreamId,
        redirect: Option<(String, u16)>,
    ) {
        let place = self.upstreams.get(configured.0).map(|it| it.place.clone());
        let Some(place) = place else { return };
        while self.upstreams.len() <= id.0 {
            self.upstreams.push(Upstream::new(place.clone()));
        }
        let Some(upstream) = self.upstreams.get_mut(id.0) else {
            return;
        };
        upstream.place = place;
        upstream.attempts += 1;
        upstream.link = None;
        let place = Place {
            redirect,
            ..upstream.place.clone()
        };
        let inputs = self.inputs.clone();
        runtime::spawn(upstream::run(id, Attempt(upstream.attempts), place, inputs));
    }

    pub(super) fn upstream_connected(
        &mut self,
        now: Instant,
        id: UpstreamId,
        attempt: Attempt,
        link: UpstreamLink,
    ) {
        if !self.is_present(id, attempt) {
            return;
        }
        if let Err(error) = self.poller.add(link.socket(), Source::Upstream(id.0)) {
            return self.upstream_lost(now, id, Ended::Lost(error).to_string());
        }
        if let Some(upstream) = self.upstreams.get_mut(id.0) {
            upstream.link = Some(link);
        }
        self.translator.handle_upstream_connected(now, id);
    }

    /// Notes that something happened at an upstream's socket.
    pub(super) fn note_upstream(&mut self, event: Ready, place: usize) {
        let link = self
            .upstreams
            .get_mut(place)
            .and_then(|it| it.link.as_mut());
        let Some(link) = link else { return };
        if event.writable {
            link.note_room();
        }
        link.has_ended |= event.ended;
        if event.readable && !link.is_in_line {
            link.is_in_line = true;
            self.upstreams_in_line.push(UpstreamId(place));
        }
    }

    pub(super) fn upstream_lost(&mut self, now: Instant, id: UpstreamId, words: String) {
        if let Some(upstream) = self.upstreams.get_mut(id.0) {
            upstream.link = None;
        }
        self.translator.handle_upstream_lost(now, id, words);
        self.collect_outputs();
    }

    /// Ends a connection once what is in line has gone out.
    pub(super) fn hang_up(&mut self, id: UpstreamId) {
        let Some(upstream) = self.upstreams.get_mut(id.0) else {
            return;
        };
        upstream.attempts += 1;
        if let Some(link) = upstream.link.take() {
            self.part_with(link);
        }
    }

    /// Reads those that have sent something, each once.
    pub(super) fn read_upstreams(&mut self) {
        for id in std::mem::take(&mut self.upstreams_in_line) {
            self.read_upstream(id);
        }
    }

    fn read_upstream(&mut self, id: UpstreamId) {
        let Some(link) = self.link_of(id) else { return };
        link.is_in_line = false;
        let mut buffer = std::mem::take(&mut self.buffer);
        // Borrowed anew: the buffer was the driver's.
        let received = self.link_of(id).map(|link| link.receive(&mut buffer));
        let taken = match received {
            Some(Ok(length)) => {
                let taken = self.take_messages(id, buffer.get(..length).unwrap_or_default());
                // What left room has emptied the socket; the poller tells when more comes.
                let is_full = length == buffer.len();
                if let Some(link) = self.link_of(id).filter(|link| is_full || link.has_ended)
                    && !link.is_in_line
                {
                    link.is_in_line = true;
                    self.upstreams_in_line.push(id);
                }
                taken
            }
            Some(Err(ended)) => Err(ended),
            None => Ok(()),
        };
        self.buffer = buffer;
        if let Err(ended) = taken {
            self.upstream_lost(Instant::now(), id, ended.to_string());
        }
    }

    fn link_of(&mut self, id: UpstreamId) -> Option<&mut UpstreamLink> {
        self.upstreams.get_mut(id.0)?.link.as_mut()
    }

    /// Takes the messages of what was read, until the connection is given up.
    fn take_messages(&mut self, id: UpstreamId, mut bytes: &[u8]) -> Result<(), Ended> {
        let received = Instant::now();
        let attempts = self.upstreams.get(id.0).map(|it| it.attempts);
        loop {
            let Some(upstream) = self.upstreams.get_mut(id.0) else {
                return Ok(());
            };
            let Some(link) = upstream
                .link
                .as_mut()
                .filter(|_| Some(upstream.attempts) == attempts)
            else {
                return Ok(());
            };
            let Some(message) = link.next_message(&mut bytes)? else {
                return Ok(());
            };
            let jobs = self.translator.jobs_dealt();
            self.translator.handle_message(received, id, message);
            if self.translator.jobs_dealt() > jobs {
                self.job_received.get_or_insert(received);
            }
            self.collect_outputs();
        }
    }

    pub(super) fn send(
        &mut self,
        id: UpstreamId,
        message: &Message,
        worker: Option<&UserIdentity>,
    ) {
        let Some(link) = self.link_of(id) else { return };
        let is_first = !link.has_outgoing();
        let words = match link.send(message, worker) {
            Sent::InLine => {
                if is_first {
                    self.unwritten.push(id);
                }
                return;
            }
            Sent::NoRoom => "does not take in what we send, too much waits",
            Sent::Broken => "what we send cannot be encrypted any more",
        };
        if let Some(upstream) = self.upstreams.get_mut(id.0) {
            upstream.attempts += 1;
            upstream.link = None;
        }
        let now = Instant::now();
        self.translator
            .handle_upstream_lost(now, id, words.to_owned());
    }

    /// Writes what is in line.
    pub(super) fn flush_upstreams(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.unwritten) {
            let Some(link) = self.link_of(id).filter(|link| link.has_outgoing()) else {
                continue;
            };
            if let Err(ended) = link.flush(now) {
                self.upstream_lost(now, id, ended.to_string());
            } else if link.has_outgoing() {
                // It is tried again in each round, which costs nothing before there is room.
                self.unwritten.push(id);
            }
        }
    }

    /// Tells whether so much waits for an upstream that no more shares are to come.
    pub(super) fn is_pushed_back(&self) -> bool {
        let link = |id: &UpstreamId| self.upstreams.get(id.0)?.link.as_ref();
        let mut links = self.unwritten.iter().filter_map(link);
        links.any(UpstreamLink::pushes_back)
    }

    /// Gives up upstreams that have not taken in what was written for too long.
    pub(super) fn check_blocked_upstreams(&mut self, now: Instant) {
        for id in self.unwritten.clone() {
            let Some(upstream) = self.upstreams.get(id.0) else {
                continue;
            };
            let Some(link) = &upstream.link else { continue };
            if let Err(ended) = link.check(now, upstream.place.write_timeout) {
                self.upstream_lost(now, id, ended.to_string());
            }
        }
    }
}

/// Makes shared places of the configured upstreams.
pub(crate) fn places<'a>(
    upstreams: impl Iterator<Item = &'a crate::config::Upstream>,
    limits: &Limits,
) -> Vec<Place> {
    let place = |upstream: &crate::config::Upstream| Place {
        url: Arc::new(upstream.url.clone()),
        redirect: None,
        connect_timeout: limits.upstream_connect_timeout,
        setup_timeout: limits.upstream_setup_timeout,
        write_timeout: limits.write_timeout,
    };
    upstreams.map(place).collect()
}
