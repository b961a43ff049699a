//! Answers: JSON, text, and errors that say what is wrong.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::access::{self, Denied};
use super::query::QueryError;
use super::shards::Unanswered;

/// What goes back to a client.
pub(super) type Answer = Response<Full<Bytes>>;

/// Why a request has no answer of the kind that it asks for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0}")]
    Denied(#[from] Denied),
    #[error("only GET and HEAD are served: nothing can be changed here")]
    Method,
    #[error("there is nothing at {0}; /api/v1/ lists what there is")]
    NotFound(String),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

/// The JSON of an error.
#[derive(Debug, Serialize)]
struct ErrorAnswer {
    error: String,
}

impl Refused {
    /// Makes the answer to a request with these headers.
    pub(super) fn answer(&self, request: &HeaderMap) -> Answer {
        let status = match self {
            Self::Denied(Denied::WithoutToken) => StatusCode::UNAUTHORIZED,
            Self::Denied(Denied::NamedServer) => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::Unanswered(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let error = self.to_string();
        let mut answer = json(status, &ErrorAnswer { error });
        let headers = answer.headers_mut();
        match self {
            Self::Denied(Denied::WithoutToken) => {
                headers.insert(WWW_AUTHENTICATE, access::challenge(request));
            }
            Self::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            _ => {}
        }
        answer
    }
}

/// Makes an answer of anything that has a form in JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    // Nothing here has keys that are no strings, which is all that could fail.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    answer(status, "application/json", bytes)
}

/// Makes an answer of a text.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", text)
}

/// Makes an answer of bytes of a type.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // All of it is old within a second.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let no_guessing = HeaderValue::from_static("nosniff");
    headers.insert(X_CONTENT_TYPE_OPTIONS, no_guessing);
    answer
}
