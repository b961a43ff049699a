//! An upstream's side: dialling and the Noise handshake.

mod link;

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_channel::Sender;
use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use sv2::codec::DecodeError;
use sv2::noise::{
    ACT_2_LEN, CertificateError, DecryptError, HandshakeError, Initiator, Transport, UnixSeconds,
};
use sv2::url::PoolUrl;
use translate::UpstreamId;

pub(crate) use link::{Sent, UpstreamLink};

use crate::dial::{DialError, dial};
use crate::driver::Input;
use crate::runtime;

/// Tells one connection to an upstream from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Attempt(pub(crate) u64);

/// Where and how to dial.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) url: Arc<PoolUrl>,
    /// Another host and port, whose certificate the same authority must have signed.
    pub(crate) redirect: Option<(String, u16)>,
    pub(crate) connect_timeout: Duration,
    pub(crate) setup_timeout: Duration,
    pub(crate) write_timeout: Duration,
}

/// Why there is no connection, or no longer one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("connection closed by the upstream")]
    Closed,
    #[error(
        "connection closed by the upstream during the Noise handshake; is this the pool's Stratum V2 port?"
    )]
    ClosedInHandshake,
    #[error("no answer to the Noise handshake within {0:?}; is this the pool's Stratum V2 port?")]
    HandshakeTimeout(Duration),
    #[error("connection closed by the upstream in the middle of a frame")]
    ClosedInFrame,
    #[error("connection lost: {0}")]
    Lost(io::Error),
    #[error("Noise handshake: {0}{advice}", advice = advice(.0))]
    Handshake(#[from] HandshakeError),
    #[error("received what cannot be decrypted: {0}")]
    Decrypt(#[from] DecryptError),
    #[error("received a frame that is no message: {0}")]
    Decode(#[from] DecodeError),
    #[error("has taken in nothing of what we send for {0:?}")]
    Stalled(Duration),
}

/// Says what to look at when a handshake has failed, where that is known.
fn advice(error: &HandshakeError) -> &'static str {
    use CertificateError::{Expired, NotSignedByAuthority, NotYetValid, UnknownVersion};
    match error {
        HandshakeError::Act2NotAuthentic => "; is this the pool's Stratum V2 port?",
        HandshakeError::Certificate(NotSignedByAuthority(_)) => {
            "; compare the KEY in the url with what the pool publishes"
        }
        HandshakeError::Certificate(NotYetValid { .. } | Expired { .. }) => {
            "; is this machine's clock right?"
        }
        HandshakeError::Certificate(UnknownVersion(_))
        | HandshakeError::NoRandomness
        | HandshakeError::Internal => "",
    }
}

/// Dials an upstream, and gives the driver the connection through `inputs`, or the reason why there is none.
pub(crate) async fn run(
    upstream: UpstreamId,
    attempt: Attempt,
    place: Place,
    inputs: Sender<Input>,
) {
    let input = match dialled(&place).await {
        Ok(link) => Input::UpstreamConnected(upstream, attempt, Box::new(link)),
        Err(ended) => Input::UpstreamLost(upstream, attempt, ended.to_string()),
    };
    // Fails only where the driver has ended.
    let _ = inputs.send(input).await;
}

async fn dialled(place: &Place) -> Result<UpstreamLink, Ended> {
    let (stream, transport) = connect(place).await?;
    // From here on it is the driver's, which waits for all of its sockets itself.
    let stream = stream.into_inner().map_err(Ended::Lost)?;
    Ok(UpstreamLink::new(stream, transport))
}

/// Connects and shakes hands: a server that does not prove its authority key is none.
pub(crate) async fn connect(place: &Place) -> Result<(Async<TcpStream>, Transport), Ended> {
    let to = match &place.redirect {
        Some((host, port)) => (host.as_str(), *port),
        None => (place.url.host.as_str(), place.url.port),
    };
    let stream = dial(to, place.connect_timeout).await?;
    let handshake = shake_hands(&stream, place);
    let transport = runtime::within(place.setup_timeout, handshake)
        .await
        .ok_or(Ended::HandshakeTimeout(place.setup_timeout))??;
    Ok((stream, transport))
}

async fn shake_hands(mut stream: &Async<TcpStream>, place: &Place) -> Result<Transport, Ended> {
    stream.get_ref().set_nodelay(true).map_err(Ended::Lost)?;
    let initiator = Initiator::new(place.url.authority_key)?;
    stream
        .write_all(initiator.act1())
        .await
        .map_err(Ended::Lost)?;
    let mut act2 = [0; ACT_2_LEN];
    stream
        .read_exact(&mut act2)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Ended::ClosedInHandshake,
            _ => Ended::Lost(error),
        })?;
    let (transport, _) = initiator.finish(&act2, UnixSeconds::from(SystemTime::now()))?;
    Ok(transport)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_that_fails_is_told_with_what_to_look_at() {
        let (now, then) = (UnixSeconds(2_000), UnixSeconds(1_000));
        let expired = CertificateError::Expired {
            not_valid_after: then,
            now,
        };
        for (error, advice) in [
            (HandshakeError::Act2NotAuthentic, "Stratum V2 port?"),
            (expired.into(), "is this machine's clock right?"),
            (HandshakeError::Internal, "the noise library failed"),
        ] {
            let told = Ended::from(error).to_string();
            assert!(told.starts_with("Noise handshake: "), "{told}");
            assert!(told.ends_with(advice), "{told}");
        }
    }
}
