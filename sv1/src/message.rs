//! One line as a message: what a server may receive, and what a client may.

use crate::envelope::Envelope;
use crate::error::{CallError, Reason};
use crate::id::Id;
use crate::notification::Notification;
use crate::params::{bounded, text};
use crate::request::{MAX_METHOD, Request};
use crate::response::Response;

/// What a miner sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// A request, to be answered with its id.
    Call {
        /// The id to echo.
        id: Id,
        /// What is asked.
        request: Request,
    },
    /// An answer to something; servers of Stratum V1 ask nothing that needs one.
    Response(Response),
}

/// What a server sent.
#[derive(Clone, Debug, PartialEq)]
pub enum FromServer {
    /// News that need no answer.
    Notification(Notification),
    /// The answer to a request.
    Response(Response),
    /// A question, such as `client.get_version` or `mining.ping`.
    Call {
        /// The id to echo.
        id: Id,
        /// What is asked.
        request: Request,
    },
}

/// Reads a line that a miner sent.
///
/// # Errors
/// The line is not a JSON object, or is neither request nor response, or its parameters do not fit
/// its method. A method that is not known is no error.
pub fn parse_call(line: &[u8]) -> Result<Incoming, CallError> {
    let envelope = Envelope::parse(line)?;
    let id = envelope.id()?;
    if envelope.method.is_none() && (envelope.result.is_some() || envelope.error.is_some()) {
        return Ok(Incoming::Response(Response::parse(id, &envelope)));
    }
    let method = method_of(&envelope, &id)?;
    match Request::parse(&method, envelope.params) {
        Ok(request) => Ok(Incoming::Call { id, request }),
        Err(error) => Err(bad_parameter(id, &method, error)),
    }
}

/// Reads a line that a server sent.
///
/// # Errors
/// As [`parse_call`]; a notification that is not known is no error either.
pub fn parse_from_server(line: &[u8]) -> Result<FromServer, CallError> {
    let envelope = Envelope::parse(line)?;
    let id = envelope.id()?;
    if envelope.method.is_none() && (envelope.result.is_some() || envelope.error.is_some()) {
        return Ok(FromServer::Response(Response::parse(id, &envelope)));
    }
    let method = method_of(&envelope, &id)?;
    let notification = match Notification::parse(&method, envelope.params) {
        Ok(notification) => notification,
        Err(error) => return Err(bad_parameter(id, &method, error)),
    };
    match notification {
        // Some pools count their notifications; only an id beside a name that is none asks.
        Notification::Unknown { .. } if !id.is_null() => {
            match Request::parse(&method, envelope.params) {
                Ok(request) => Ok(FromServer::Call { id, request }),
                Err(error) => Err(bad_parameter(id, &method, error)),
            }
        }
        notification => Ok(FromServer::Notification(notification)),
    }
}

fn method_of<'a>(envelope: &Envelope<'a>, id: &Id) -> Result<std::borrow::Cow<'a, str>, CallError> {
    let wrong = |reason| CallError {
        id: Some(id.clone()),
        method: None,
        reason,
    };
    let json = envelope.method.ok_or_else(|| wrong(Reason::NoMethod))?;
    text(json)
        .filter(|_| json.starts_with('"'))
        .ok_or_else(|| wrong(Reason::MethodNotText))
}

fn bad_parameter(id: Id, method: &str, error: crate::ParameterError) -> CallError {
    CallError {
        id: Some(id),
        method: Some(bounded(method, MAX_METHOD)),
        reason: error.into(),
    }
}
