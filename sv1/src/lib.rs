//! Stratum V1 on the wire, for both of its ends: lines, requests, replies, notifications.
//!
//! Nothing here does I/O, keeps time or decides anything. Bytes from a socket go through a
//! [`LineDecoder`]; a server reads each line with [`parse_call`] and answers with the functions of
//! [`reply`] and [`notification`]; a client reads each line with [`parse_from_server`] and sends
//! [`Request`]s. Stratum V1 has no specification that its firmware follows, so every method is
//! read by hand, and each departure that real miners are known for is accepted where it is met.

mod envelope;
mod error;
mod extranonce;
#[doc(hidden)]
pub mod fuzz;
pub mod hex;
mod id;
mod job_id;
mod json;
mod line;
mod message;
pub mod notification;
mod params;
pub mod reply;
pub mod request;
mod response;

pub use error::{CallError, ParameterError, Problem, Reason};
pub use extranonce::{Extranonce1, Extranonce2, MAX_EXTRANONCE};
pub use id::{Id, IdError, MAX_ID};
pub use job_id::{JobId, MAX_JOB_ID};
pub use line::{LineDecoder, LineError, MAX_CALL_LINE, MAX_SERVER_LINE};
pub use message::{FromServer, Incoming, parse_call, parse_from_server};
pub use notification::{Notification, Notify, NotifyParts, Reconnect};
pub use reply::{ConfigureReply, RejectCode, SubscribeReply};
pub use request::{Configure, Info, Request, Submit, Subscribe, VersionRolling};
pub use response::{ErrorReply, Response};
