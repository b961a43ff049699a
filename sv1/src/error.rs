//! What is wrong with a line, in words that can go back to whoever sent it.

use thiserror::Error;

use crate::id::{Id, IdError};
use crate::reply::RejectCode;

/// A line that cannot be acted upon, with what is needed to answer it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct CallError {
    /// The id to answer with; `None` where none could be read.
    pub id: Option<Id>,
    /// The method, as far as one could be read; bounded like that of an unknown request.
    pub method: Option<Box<str>>,
    /// What is wrong.
    pub reason: Reason,
}

impl CallError {
    /// Returns the code to answer with: slush's method-not-found only for a name that is none, and
    /// "other" for the rest, which every firmware knows.
    #[must_use]
    pub const fn reject_code(&self) -> RejectCode {
        match self.reason {
            Reason::NoMethod | Reason::MethodNotText => RejectCode::MethodNotFound,
            Reason::NotJson { .. }
            | Reason::NotAnObject
            | Reason::BadId(_)
            | Reason::BadParameter(_) => RejectCode::Other,
        }
    }
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// The bytes are not one JSON value.
    #[error("line is not JSON at byte {at}")]
    NotJson {
        /// Where reading stopped, counted from 1.
        at: usize,
    },
    /// The JSON is an array, a number, …
    #[error("line is not a JSON object")]
    NotAnObject,
    /// The id cannot be echoed.
    #[error("id {0}")]
    BadId(IdError),
    /// The object is neither a request nor a response.
    #[error("object has neither a method nor a result")]
    NoMethod,
    /// The method is a number, an array, …
    #[error("method is not text")]
    MethodNotText,
    /// The method's parameters do not fit it.
    #[error(transparent)]
    BadParameter(#[from] ParameterError),
}

/// What is wrong with the parameters of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// `params` is an object, text, …, where the method needs a list.
    #[error("params is not an array")]
    NotAnArray,
    /// The list ends before the method's last required parameter.
    #[error("{needed} parameters are needed, not {given}")]
    TooFew {
        /// How many the method requires.
        needed: usize,
        /// How many came.
        given: usize,
    },
    /// One parameter cannot be read.
    #[error("parameter {position} ({name}) {problem}")]
    Wrong {
        /// Place in the list, counted from 1.
        position: u8,
        /// Name that this crate's documentation gives it.
        name: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// Null, or not there.
    #[error("is missing")]
    Missing,
    /// A list, an object, or a string whose escapes mean nothing.
    #[error("is not text")]
    NotText,
    /// Not an even number of hex digits, or for a number not between 1 and 8 of them.
    #[error("is not hex")]
    NotHex,
    /// Not a finite number.
    #[error("is not a number")]
    NotANumber,
    /// Not a whole number within its type.
    #[error("is out of range")]
    OutOfRange,
    /// More than the bound of its type.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// Text that this crate does not take for a job id.
    #[error("is not a job id")]
    NotAJobId,
    /// Fewer or more bytes than its fixed length.
    #[error("is not {0} bytes long")]
    WrongLength(usize),
    /// Not a list where one is needed.
    #[error("is not an array")]
    NotAnArray,
}
