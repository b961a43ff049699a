//! Both sides of the Noise NX handshake (SV2 §4.5): two messages, then a [`Transport`].

use std::fmt;
use std::sync::Arc;

use secp256k1::ellswift::Party;
use snow::HandshakeState;
use thiserror::Error;

use super::key_pair::{ELLSWIFT_LEN, KEY_PAIR_LEN, x_only};
use super::primitives::builder;
use super::{
    CERTIFICATE_LEN, Certificate, CertificateError, FrameDecryptor, FrameEncryptor, KeyPair,
    MAC_LEN, UnixSeconds,
};
use crate::authority_key::AuthorityPublicKey;

/// Length of act 1: the initiator's ephemeral key.
pub const ACT_1_LEN: usize = ELLSWIFT_LEN;

/// Length of act 2: ephemeral key, encrypted static key, encrypted certificate. (SV2 §4.5.2 says 170, which was right
/// for another encoding of keys; its own parts add up to 234.)
pub const ACT_2_LEN: usize = ELLSWIFT_LEN + ELLSWIFT_LEN + MAC_LEN + CERTIFICATE_LEN + MAC_LEN;

/// How far our clock may be off against the server's, in seconds.
///
/// Servers sign a certificate for each connection, valid from that very second, so without leeway a clock that is one
/// second slow could never connect. A minute is more than NTP needs and adds nothing to a stolen key's use.
pub const CLOCK_LEEWAY_SECONDS: u32 = 60;

/// The client's side of a handshake, waiting for act 2.
pub struct Initiator {
    state: HandshakeState,
    act_1: [u8; ACT_1_LEN],
    authority: Option<AuthorityPublicKey>,
}

impl Initiator {
    /// Begins a handshake with a server whose static key `authority` must have signed.
    ///
    /// Without an authority the server is not authenticated: whoever answers is taken, which is for local networks
    /// only.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn new(authority: Option<AuthorityPublicKey>) -> Result<Self, HandshakeError> {
        let state = builder(Party::Initiator).build_initiator()?;
        Self::begin(state, authority)
    }

    /// Begins a handshake with a given ephemeral key, to replay a recorded one. Anything sent under an ephemeral key
    /// that is used twice can be read by others.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_fixed_ephemeral(
        authority: Option<AuthorityPublicKey>,
        ephemeral: &KeyPair,
    ) -> Result<Self, HandshakeError> {
        let state = builder(Party::Initiator)
            .fixed_ephemeral_key_for_testing_only(&ephemeral.to_bytes())
            .build_initiator()?;
        Self::begin(state, authority)
    }

    /// The first message, to be sent to the server.
    #[must_use]
    pub const fn act1(&self) -> &[u8; ACT_1_LEN] {
        &self.act_1
    }

    /// Ends the handshake with the server's answer. The certificate is checked at the time `now`, give or take
    /// [`CLOCK_LEEWAY_SECONDS`], and returned.
    ///
    /// # Errors
    /// The answer is not authentic, or the certificate does not vouch for the server.
    pub fn finish(
        mut self,
        act_2: &[u8; ACT_2_LEN],
        now: UnixSeconds,
    ) -> Result<(Transport, Certificate), HandshakeError> {
        let mut payload = [0; CERTIFICATE_LEN];
        self.state.read_message(act_2, &mut payload)?;
        let certificate = Certificate::from_bytes(&payload);
        if let Some(authority) = &self.authority {
            let static_key = remote_static(&self.state)?;
            let leeway = CLOCK_LEEWAY_SECONDS;
            certificate.verify_with_leeway(authority, &static_key, now, leeway)?;
        }
        Ok((Transport::new(self.state)?, certificate))
    }

    fn begin(
        mut state: HandshakeState,
        authority: Option<AuthorityPublicKey>,
    ) -> Result<Self, HandshakeError> {
        // snow asks for room for a MAC although act 1 has none.
        let mut message = [0; ACT_1_LEN + MAC_LEN];
        state.write_message(&[], &mut message)?;
        let (act_1, _) = message
            .split_first_chunk()
            .ok_or(HandshakeError::Internal)?;
        Ok(Self {
            state,
            act_1: *act_1,
            authority,
        })
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Initiator");
        debug
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// The server's side of a handshake, waiting for act 1.
#[derive(Debug)]
pub struct Responder<'keys> {
    static_key: &'keys KeyPair,
    certificate: Certificate,
    ephemeral: Option<&'keys KeyPair>,
}

impl<'keys> Responder<'keys> {
    /// Makes a responder with a static key and the certificate that vouches for it.
    #[must_use]
    pub const fn new(static_key: &'keys KeyPair, certificate: Certificate) -> Self {
        Self {
            static_key,
            certificate,
            ephemeral: None,
        }
    }

    /// Makes a responder with a given ephemeral key, to replay a recorded handshake. Anything sent under an ephemeral
    /// key that is used twice can be read by others.
    #[must_use]
    pub const fn with_fixed_ephemeral(
        static_key: &'keys KeyPair,
        certificate: Certificate,
        ephemeral: &'keys KeyPair,
    ) -> Self {
        Self {
            static_key,
            certificate,
            ephemeral: Some(ephemeral),
        }
    }

    /// Answers act 1 with act 2, which ends the handshake on this side.
    ///
    /// Any 64 bytes are a valid act 1; whether the client is of good faith shows in its first frame.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn respond(
        self,
        act_1: &[u8; ACT_1_LEN],
    ) -> Result<([u8; ACT_2_LEN], Transport), HandshakeError> {
        let static_key = self.static_key.to_bytes();
        let ephemeral = self.ephemeral.map(KeyPair::to_bytes);
        let mut state = responder_state(&static_key, ephemeral.as_ref())?;
        state.read_message(act_1, &mut [])?;
        let mut act_2 = [0; ACT_2_LEN];
        state.write_message(&self.certificate.to_bytes(), &mut act_2)?;
        Ok((act_2, Transport::new(state)?))
    }
}

fn responder_state(
    static_key: &[u8; KEY_PAIR_LEN],
    ephemeral: Option<&[u8; KEY_PAIR_LEN]>,
) -> Result<HandshakeState, snow::Error> {
    let mut builder = builder(Party::Responder).local_private_key(static_key)?;
    if let Some(ephemeral) = ephemeral {
        builder = builder.fixed_ephemeral_key_for_testing_only(ephemeral);
    }
    builder.build_responder()
}

/// The x coordinate of the server's static key.
fn remote_static(state: &HandshakeState) -> Result<[u8; 32], HandshakeError> {
    let key = state.get_remote_static().ok_or(HandshakeError::Internal)?;
    let key = key.try_into().map_err(|_| HandshakeError::Internal)?;
    Ok(x_only(key))
}

/// An established connection: two halves that share nothing that changes, so each may go to its own task.
#[derive(Debug)]
pub struct Transport {
    /// The sending half.
    pub encryptor: FrameEncryptor,
    /// The receiving half.
    pub decryptor: FrameDecryptor,
    /// Hash of the whole handshake, the same on both sides of this connection and on no other.
    pub handshake_hash: [u8; 32],
}

impl Transport {
    fn new(state: HandshakeState) -> Result<Self, HandshakeError> {
        let hash = state.get_handshake_hash().try_into();
        let handshake_hash = hash.map_err(|_| HandshakeError::Internal)?;
        let state = Arc::new(state.into_stateless_transport_mode()?);
        Ok(Self {
            encryptor: FrameEncryptor::new(Arc::clone(&state)),
            decryptor: FrameDecryptor::new(state),
            handshake_hash,
        })
    }
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// A MAC in act 2 is wrong: the peer speaks no Noise, another variant of it, or the bytes were changed.
    #[error("the answer to the handshake is not authentic (bad MAC)")]
    Act2NotAuthentic,
    /// The peer holds its keys, but the authority does not vouch for them.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The operating system has no randomness.
    #[error("no randomness for an ephemeral key")]
    NoRandomness,
    /// snow refused something that it accepts in every handshake, or returned less.
    #[error("the noise library failed")]
    Internal,
}

impl From<snow::Error> for HandshakeError {
    fn from(error: snow::Error) -> Self {
        match error {
            snow::Error::Decrypt => Self::Act2NotAuthentic,
            snow::Error::Rng => Self::NoRandomness,
            _ => Self::Internal,
        }
    }
}
