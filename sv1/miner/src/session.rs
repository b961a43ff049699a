//! A miner's side of one connection: which lines it sends, and what it makes of those that come.
//!
//! No I/O and no clock. Lines to send are appended to a buffer; what matters to whoever hashes is
//! returned as an [`Event`]. The order of set-up is cgminer's: configure, subscribe, authorize, each
//! after the reply to the one before, then suggest_difficulty.

use std::collections::BTreeMap;
use std::sync::Arc;

use sv1::{
    CallError, Configure, ConfigureReply, ErrorReply, Extranonce1, FromServer, Id, Notification,
    Notify, Reconnect, RejectCode, Request, Response, Submit, Subscribe, SubscribeReply,
    VersionRolling, parse_from_server, reply,
};
use thiserror::Error;

use crate::target::Target;
use crate::work::{Share, Work};

/// How many shares may wait for their replies. A server that leaves more unanswered has stalled, and
/// what is found then is not handed in.
pub const MAX_UNANSWERED: usize = 1024;

/// The difficulty before the first SV1 mining.set_difficulty.
const FIRST_DIFFICULTY: f64 = 1.0;

/// How a miner behaves towards the server.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Name of the worker.
    pub user: Box<str>,
    /// Its password.
    pub password: Box<str>,
    /// Name of the software.
    pub user_agent: Box<str>,
    /// The version bits that it offers to roll; `None` sends no mining.configure at all.
    pub version_rolling: Option<u32>,
    /// The difficulty that it asks for.
    pub suggest_difficulty: Option<f64>,
    /// Whether it asks for mining.set_extranonce.
    pub extranonce_subscribe: bool,
    /// When a new difficulty counts.
    pub difficulty_counts: DifficultyCounts,
    /// The session to resume.
    pub session_id: Option<Box<str>>,
}

/// When a new difficulty counts: firmware differs, and so does what it does to shares in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DifficultyCounts {
    /// For the jobs that follow, as nearly all firmware has it.
    #[default]
    FromNextJob,
    /// For the current job too.
    AtOnce,
}

/// What a line from the server means to whoever hashes and counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The worker may hand in shares.
    Authorized,
    /// There is this to hash now. `clean` voids everything before it.
    Work {
        /// The work.
        work: Arc<Work>,
        /// Whether shares of earlier work are void.
        clean: bool,
        /// Whether it is a job that was not there before, rather than new terms for the same one.
        new_job: bool,
    },
    /// A share was accepted.
    Accepted,
    /// A share was refused.
    Rejected(ErrorReply),
    /// The server wants the connection dialled again.
    Reconnect(Option<Reconnect>),
    /// The server has something to say to a person.
    Message(Box<str>),
}

/// Why a session cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SessionError {
    /// A line that is no message.
    #[error("server sent what is no message: {0}")]
    NoMessage(#[from] CallError),
    /// The subscription was refused, or its reply cannot be read.
    #[error("server refused the subscription: {0}")]
    SubscribeRefused(Box<str>),
    /// The worker was refused.
    #[error("server refused the worker: {0}")]
    AuthorizeRefused(Box<str>),
    /// An extranonce2 that does not fit a coinbase.
    #[error("extranonce2 of {0} bytes is out of range")]
    ExtranonceSizeOutOfRange(u8),
}

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Configure,
    Subscribe,
    Authorize,
    Submit,
    /// Something whose answer changes nothing.
    Other,
}

/// What the subscription gave.
#[derive(Clone, Copy, Debug)]
struct Extranonce {
    extranonce1: Extranonce1,
    extranonce2_size: u8,
}

/// One connection's session.
#[derive(Debug)]
pub struct Session {
    options: SessionOptions,
    next_id: u64,
    asked: BTreeMap<u64, Asked>,
    unanswered: usize,
    /// `None` until subscribed.
    extranonce: Option<Extranonce>,
    /// Extranonce for the jobs that follow.
    next_extranonce: Option<Extranonce>,
    session_id: Option<Box<str>>,
    version_mask: Option<u32>,
    difficulty: f64,
    next_difficulty: f64,
    job: Option<Arc<Notify>>,
}

impl Session {
    /// Creates a session, and appends the first request.
    #[must_use]
    pub fn new(options: SessionOptions, out: &mut Vec<u8>) -> Self {
        let mut session = Self {
            session_id: options.session_id.clone(),
            options,
            next_id: 1,
            asked: BTreeMap::new(),
            unanswered: 0,
            extranonce: None,
            next_extranonce: None,
            version_mask: None,
            difficulty: FIRST_DIFFICULTY,
            next_difficulty: FIRST_DIFFICULTY,
            job: None,
        };
        match session.options.version_rolling {
            Some(mask) => session.configure(mask, out),
            None => session.subscribe(out),
        }
        session
    }

    /// Takes a line, appends what is to be answered, and returns what it means.
    ///
    /// # Errors
    /// The line makes no sense, or the server refused the set-up; the connection is of no more use.
    pub fn handle_line(
        &mut self,
        line: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<Event>, SessionError> {
        match parse_from_server(line)? {
            FromServer::Notification(notification) => self.handle_notification(notification),
            FromServer::Response(response) => self.handle_response(response, out),
            FromServer::Call { id, request } => {
                self.answer(&id, &request, out);
                Ok(None)
            }
        }
    }

    /// Appends a share; returns whether it was, which it is not while too many are unanswered.
    pub fn submit(&mut self, share: &Share, out: &mut Vec<u8>) -> bool {
        if self.unanswered >= MAX_UNANSWERED {
            return false;
        }
        self.unanswered += 1;
        let submit = Submit {
            worker: self.options.user.clone(),
            job_id: share.job_id,
            extranonce2: share.extranonce2,
            ntime: share.ntime,
            nonce: share.nonce,
            version_bits: share.version_bits,
        };
        self.ask(Asked::Submit, &Request::Submit(submit), out);
        true
    }

    /// Returns the id by which the session can be resumed, if the server gave one.
    #[must_use]
    pub const fn session_id(&self) -> Option<&str> {
        match &self.session_id {
            Some(session_id) => Some(session_id),
            None => None,
        }
    }

    /// Returns how many shares wait for their replies.
    #[must_use]
    pub const fn unanswered(&self) -> usize {
        self.unanswered
    }

    fn handle_notification(
        &mut self,
        notification: Notification,
    ) -> Result<Option<Event>, SessionError> {
        Ok(match notification {
            Notification::Notify(notify) => self.handle_notify(*notify),
            Notification::SetDifficulty(difficulty) => {
                self.next_difficulty = difficulty;
                match self.options.difficulty_counts {
                    DifficultyCounts::FromNextJob => None,
                    DifficultyCounts::AtOnce => {
                        self.difficulty = difficulty;
                        self.new_terms()
                    }
                }
            }
            Notification::SetExtranonce {
                extranonce1,
                extranonce2_size,
            } => {
                self.next_extranonce = Some(checked(extranonce1, extranonce2_size)?);
                None
            }
            Notification::SetVersionMask(mask) => {
                let offered = self.options.version_rolling.unwrap_or_default();
                self.version_mask = self.version_mask.map(|_| mask & offered);
                self.new_terms()
            }
            Notification::Reconnect(place) => Some(Event::Reconnect(place)),
            Notification::ShowMessage(message) => Some(Event::Message(message)),
            Notification::Unknown { .. } => None,
        })
    }

    fn handle_notify(&mut self, notify: Notify) -> Option<Event> {
        self.difficulty = self.next_difficulty;
        if let Some(extranonce) = self.next_extranonce.take() {
            self.extranonce = Some(extranonce);
        }
        let clean = notify.clean_jobs;
        self.job = Some(Arc::new(notify));
        let work = self.work()?;
        Some(Event::Work {
            work,
            clean,
            new_job: true,
        })
    }

    /// The same job under what is in force now, if there is one.
    fn new_terms(&self) -> Option<Event> {
        let work = self.work()?;
        Some(Event::Work {
            work,
            clean: false,
            new_job: false,
        })
    }

    fn work(&self) -> Option<Arc<Work>> {
        let Extranonce {
            extranonce1,
            extranonce2_size,
        } = self.extranonce?;
        Some(Arc::new(Work {
            notify: self.job.clone()?,
            extranonce1,
            extranonce2_size,
            version_mask: self.version_mask,
            difficulty: self.difficulty,
            target: Target::from_difficulty(self.difficulty),
        }))
    }

    fn handle_response(
        &mut self,
        response: Response,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event>, SessionError> {
        let asked = response
            .id
            .as_number()
            .and_then(|id| self.asked.remove(&id));
        match asked {
            Some(Asked::Configure) => {
                let reply = ConfigureReply::parse(&response.result);
                let mask = reply.and_then(|reply| reply.version_rolling);
                // A refused extension leaves the sixth parameter out of every share.
                self.version_mask = mask.filter(|mask| *mask != 0);
                self.subscribe(out);
                Ok(None)
            }
            Some(Asked::Subscribe) => {
                self.subscribed(&response)?;
                self.authorize(out);
                Ok(None)
            }
            Some(Asked::Authorize) => {
                if !response.is_accepted() {
                    return Err(SessionError::AuthorizeRefused(words(response)));
                }
                self.authorized(out);
                Ok(Some(Event::Authorized))
            }
            Some(Asked::Submit) => {
                self.unanswered -= 1;
                Ok(Some(verdict(response)))
            }
            Some(Asked::Other) | None => Ok(None),
        }
    }

    fn subscribed(&mut self, response: &Response) -> Result<(), SessionError> {
        let reply = SubscribeReply::parse(&response.result).filter(|_| response.error.is_none());
        let reply = reply.ok_or_else(|| SessionError::SubscribeRefused(words(response.clone())))?;
        self.extranonce = Some(checked(reply.extranonce1, reply.extranonce2_size)?);
        self.session_id = Some(reply.session_id).filter(|session_id| !session_id.is_empty());
        Ok(())
    }

    fn authorized(&mut self, out: &mut Vec<u8>) {
        if let Some(difficulty) = self.options.suggest_difficulty {
            self.ask(Asked::Other, &Request::SuggestDifficulty(difficulty), out);
        }
        if self.options.extranonce_subscribe {
            self.ask(Asked::Other, &Request::ExtranonceSubscribe, out);
        }
    }

    fn configure(&mut self, mask: u32, out: &mut Vec<u8>) {
        let configure = Configure {
            version_rolling: Some(VersionRolling {
                mask,
                min_bit_count: 2,
            }),
            ..Configure::default()
        };
        self.ask(
            Asked::Configure,
            &Request::Configure(Box::new(configure)),
            out,
        );
    }

    fn subscribe(&mut self, out: &mut Vec<u8>) {
        let subscribe = Subscribe {
            user_agent: Some(self.options.user_agent.clone()),
            session_id: self.options.session_id.clone(),
        };
        self.ask(Asked::Subscribe, &Request::Subscribe(subscribe), out);
    }

    fn authorize(&mut self, out: &mut Vec<u8>) {
        let authorize = Request::Authorize {
            user: self.options.user.clone(),
            password: Some(self.options.password.clone()),
        };
        self.ask(Asked::Authorize, &authorize, out);
    }

    fn ask(&mut self, asked: Asked, request: &Request, out: &mut Vec<u8>) {
        request.encode_into(&Id::number(self.next_id), out);
        self.asked.insert(self.next_id, asked);
        self.next_id += 1;
    }

    /// Answers what the server asks; what a miner does not know gets an error, as anywhere.
    fn answer(&self, id: &Id, request: &Request, out: &mut Vec<u8>) {
        match request {
            Request::Ping => reply::result_pong(out, id),
            Request::GetVersion => reply::result_text(out, id, &self.options.user_agent),
            _ => reply::error(out, id, RejectCode::MethodNotFound, "method not found"),
        }
    }
}

fn checked(extranonce1: Extranonce1, extranonce2_size: u8) -> Result<Extranonce, SessionError> {
    match usize::from(extranonce2_size) {
        1..=sv1::MAX_EXTRANONCE => Ok(Extranonce {
            extranonce1,
            extranonce2_size,
        }),
        _ => Err(SessionError::ExtranonceSizeOutOfRange(extranonce2_size)),
    }
}

/// What became of a share.
fn verdict(response: Response) -> Event {
    if response.is_accepted() {
        return Event::Accepted;
    }
    let without_words = || ErrorReply {
        code: RejectCode::Other.code(),
        message: "refused without an error".into(),
    };
    Event::Rejected(response.error.unwrap_or_else(without_words))
}

/// The words of a refusal.
fn words(response: Response) -> Box<str> {
    match response.error {
        Some(error) => error.message,
        None => response.result.to_string().into(),
    }
}
