//! SV1 mining.subscribe: who connects, and which session it would resume.

use crate::json;
use crate::params::{Params, bounded};

/// Bound of the user agent, in bytes; what is longer is cut. It is for logs and the dashboard.
pub const MAX_USER_AGENT: usize = 128;

/// Bound of a session id, in bytes. A longer one is none of ours, so it is left out.
pub const MAX_SESSION_ID: usize = 64;

/// A subscription (SV1 mining.subscribe). Every parameter may be missing, null or of a wrong type;
/// those after the second (some clients name the host and port they dialled) are not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscribe {
    /// The miner's software, such as `cgminer/4.11.1`; not empty.
    pub user_agent: Option<Box<str>>,
    /// The session that the miner had before and would resume; not empty.
    pub session_id: Option<Box<str>>,
}

impl Subscribe {
    /// Reads `[user_agent, session_id, …]`.
    pub(crate) fn parse(params: &Params<'_>) -> Self {
        let user_agent = params.at(1, "user_agent").optional_text();
        let session_id = params.at(2, "session_id").optional_text();
        Self {
            user_agent: user_agent.map(|text| bounded(&text, MAX_USER_AGENT)),
            session_id: session_id
                .filter(|text| text.len() <= MAX_SESSION_ID)
                .map(Into::into),
        }
    }

    pub(crate) fn encode_params(&self, out: &mut Vec<u8>) {
        match (&self.user_agent, &self.session_id) {
            (None, None) => {}
            (Some(user_agent), None) => json::push_text(out, user_agent),
            (user_agent, Some(session_id)) => {
                match user_agent {
                    Some(user_agent) => json::push_text(out, user_agent),
                    None => out.extend_from_slice(b"null"),
                }
                out.push(b',');
                json::push_text(out, session_id);
            }
        }
    }
}
