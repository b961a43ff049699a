//! One miner's life on the network: dial, run the session, hand in what is found, dial again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_channel::{Receiver, bounded};
use sv1::{LineError, Reconnect, RejectCode};
use thiserror::Error;

use crate::net::{Connection, Heard, rest};
use crate::random::Random;
use crate::session::{Event, Session, SessionError, SessionOptions};
use crate::stats::{Counters, add};
use crate::work::{Share, Work};

/// Silence after which a connection is given up: cgminer's.
const SILENCE: Duration = Duration::from_secs(90);

/// A share refused as stale so soon after a clean job had crossed it on the way.
const EXCUSED: Duration = Duration::from_secs(2);

/// How long a miner that is stopped waits for the verdicts on its shares.
const SETTLE: Duration = Duration::from_secs(1);

/// Bounds of the time between two attempts to connect, which doubles from the one to the other.
const BACKOFF: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

/// Bound of the time that a server may tell a miner to wait, in s.
const MAX_WAIT: u32 = 60;

/// What a connection is to be found by in messages: shares of one that is gone are worth nothing.
pub(crate) type ConnectionNumber = u64;

/// Work, and the connection on which its shares are to go out.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) connection: ConnectionNumber,
    pub(crate) work: Arc<Work>,
}

/// A share, and the connection on which it is to go out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) connection: ConnectionNumber,
    pub(crate) share: Share,
}

/// A miner, less the hashing.
pub(crate) struct Client<P> {
    /// `host:port` of the server.
    pub(crate) address: String,
    pub(crate) options: SessionOptions,
    pub(crate) counters: Arc<Counters>,
    /// Shares from whoever hashes. That it is closed ends the client.
    pub(crate) inbox: Receiver<Found>,
    /// Tells whoever hashes what to hash; `None` when there is nothing.
    pub(crate) publish: P,
    /// For the jitter between attempts to connect.
    pub(crate) random: Random,
}

/// Why a connection is of no more use.
#[derive(Debug, Error)]
enum Lost {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("server sent what is no line: {0}")]
    Line(#[from] LineError),
    #[error("{0}")]
    Session(#[from] SessionError),
    #[error("server closed the connection")]
    Closed,
    #[error("server was silent for {} s", SILENCE.as_secs())]
    Silent,
}

/// How a connection ended.
enum End {
    Stopped,
    Reconnect(Option<Reconnect>),
    Lost(Lost),
}

/// The state of a connection that mines.
struct Mining {
    connection: Connection,
    number: ConnectionNumber,
    session: Session,
    out: Vec<u8>,
    authorized: bool,
    has_job: bool,
    last_clean: Option<Instant>,
    reconnect: Option<Option<Reconnect>>,
}

impl<P: Fn(Option<Assignment>)> Client<P> {
    /// Mines until the inbox is closed.
    pub(crate) async fn run(mut self) {
        let mut attempts = 0;
        let mut number = 0;
        let mut address = self.address.clone();
        while !self.inbox.is_closed() {
            number += 1;
            let (end, was_authorized) = self.connect(&address, number).await;
            (self.publish)(None);
            if was_authorized {
                attempts = 0;
            }
            match end {
                End::Stopped => return,
                End::Reconnect(place) => {
                    log::info!("{}: server asks to reconnect: {place:?}", self.options.user);
                    let wait = place.as_ref().map_or(0, |place| place.wait.min(MAX_WAIT));
                    if let Some(Reconnect { host, port, .. }) = place {
                        address = format!("{host}:{port}");
                    }
                    // Never at once: a server that asks every time would keep us spinning.
                    let pause = Duration::from_secs(wait.into()).max(self.backoff(0));
                    if rest(&self.inbox, pause).await {
                        return;
                    }
                }
                End::Lost(lost) => {
                    add(&self.counters.connections_lost, 1);
                    let pause = self.backoff(attempts);
                    attempts += 1;
                    log::info!("{}: {lost}; next attempt in {pause:.1?}", self.options.user);
                    if rest(&self.inbox, pause).await {
                        return;
                    }
                    // A place that the server named is tried once; the configured one for ever.
                    address.clone_from(&self.address);
                }
            }
        }
    }

    /// Doubles from one attempt to the next, with up to half of it taken off at random, so that a
    /// farm does not come back all at once.
    fn backoff(&mut self, attempts: u32) -> Duration {
        let [least, most] = BACKOFF;
        let full = least.saturating_mul(1 << attempts.min(16)).min(most);
        full.mul_f64(1.0 - self.random.fraction() / 2.0)
    }

    /// Connects, and mines until that ends; also returns whether the worker was authorized.
    async fn connect(&mut self, address: &str, number: ConnectionNumber) -> (End, bool) {
        let connection = match Connection::dial(address).await {
            Ok(connection) => connection,
            Err(error) => return (End::Lost(error.into()), false),
        };
        add(&self.counters.connections, 1);
        let mut out = Vec::new();
        let session = Session::new(self.options.clone(), &mut out);
        let mut mining = Mining {
            connection,
            number,
            session,
            out,
            authorized: false,
            has_job: false,
            last_clean: None,
            reconnect: None,
        };
        let end = match self.mine(&mut mining).await {
            Ok(end) => end,
            Err(lost) => End::Lost(lost),
        };
        self.options.session_id = mining.session.session_id().map(Into::into);
        if mining.authorized {
            self.counters.connected.fetch_sub(1, Ordering::Relaxed);
        }
        (end, mining.authorized)
    }

    async fn mine(&mut self, mining: &mut Mining) -> Result<End, Lost> {
        loop {
            if !mining.out.is_empty() {
                mining.connection.write(&mining.out).await?;
                mining.out.clear();
            }
            match mining.connection.hear(&self.inbox, SILENCE).await? {
                Heard::Server => self.take_lines(mining)?,
                Heard::Message(found) => self.hand_in(mining, found),
                Heard::Stop => {
                    self.settle(mining).await?;
                    return Ok(End::Stopped);
                }
                Heard::Closed => return Err(Lost::Closed),
                Heard::Silent => return Err(Lost::Silent),
            }
            if let Some(place) = mining.reconnect.take() {
                return Ok(End::Reconnect(place));
            }
        }
    }

    /// Waits for what the server has yet to say about the shares handed in.
    async fn settle(&self, mining: &mut Mining) -> Result<(), Lost> {
        let end = Instant::now() + SETTLE;
        let (_open, silent) = bounded::<Found>(1);
        while mining.session.unanswered() > 0 {
            let left = end.saturating_duration_since(Instant::now());
            let silence = mining.connection.read_at().elapsed() + left;
            match mining.connection.hear(&silent, silence).await? {
                Heard::Server => self.take_lines(mining)?,
                _ => break,
            }
        }
        Ok(())
    }

    fn take_lines(&self, mining: &mut Mining) -> Result<(), Lost> {
        let Mining {
            connection,
            session,
            out,
            ..
        } = mining;
        let mut events = Vec::new();
        let lines = connection.for_each_line(|line| {
            events.extend(session.handle_line(line, out)?);
            Ok(())
        });
        for event in events {
            self.take_event(mining, event);
        }
        lines
    }

    fn take_event(&self, mining: &mut Mining, event: Event) {
        match event {
            Event::Authorized => {
                mining.authorized = true;
                add(&self.counters.connected, 1);
            }
            Event::Work {
                work,
                clean,
                new_job,
            } => {
                self.count_job(mining, &work, clean, new_job);
                (self.publish)(Some(Assignment {
                    connection: mining.number,
                    work,
                }));
            }
            Event::Accepted => add(&self.counters.accepted, 1),
            Event::Rejected(error) => {
                let crossed = mining
                    .last_clean
                    .is_some_and(|clean| clean.elapsed() < EXCUSED);
                let stale = error.code == RejectCode::JobNotFound.code();
                log::debug!(
                    "{}: rejected: {} {}",
                    self.options.user,
                    error.code,
                    error.message
                );
                self.counters.reject(&error, stale && crossed);
            }
            Event::Reconnect(place) => mining.reconnect = Some(place),
            Event::Message(message) => log::info!("{}: server says: {message}", self.options.user),
        }
    }

    fn count_job(&self, mining: &mut Mining, work: &Work, clean: bool, new_job: bool) {
        self.counters.set_difficulty(work.difficulty);
        if new_job {
            add(&self.counters.jobs, 1);
        }
        if clean {
            let now = mining.connection.read_at();
            // The first job of a connection comes when the miner is ready, not when it is new.
            if mining.has_job {
                self.counters.clean_job_arrived(work.notify.job_id, now);
            }
            mining.last_clean = Some(now);
            add(&self.counters.clean_jobs, 1);
        }
        mining.has_job = true;
    }

    /// Hands in a share, and with it whatever else was found in the meantime.
    fn hand_in(&self, mining: &mut Mining, found: Found) {
        let mut next = Some(found);
        while let Some(found) = next {
            let current = found.connection == mining.number && mining.authorized;
            if current && mining.session.submit(&found.share, &mut mining.out) {
                add(&self.counters.submitted, 1);
            }
            next = self.inbox.try_recv().ok();
        }
    }
}
