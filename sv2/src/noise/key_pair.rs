//! A Noise key pair: a secp256k1 secret key and the ElligatorSwift encoding of its public key (SV2 §4.3.1).
//!
//! One public key has many encodings and both sides hash the very bytes that were sent, so the encoding belongs to
//! the pair.

use std::fmt;

use secp256k1::ellswift::{ElligatorSwift, Party};
use secp256k1::{PublicKey, SecretKey, rand};
use thiserror::Error;

/// Length of a secret key.
const SECRET_LEN: usize = 32;

/// Length of an ElligatorSwift encoding.
pub(super) const ELLSWIFT_LEN: usize = 64;

/// Length of a pair as [`KeyPair::to_bytes`] writes it.
pub(super) const KEY_PAIR_LEN: usize = SECRET_LEN + ELLSWIFT_LEN;

/// A secret key and the ElligatorSwift encoding of its public key.
///
/// Used as the static key of a [`Responder`](super::Responder). `Debug` does not print the secret.
#[derive(Clone)]
pub struct KeyPair {
    secret: SecretKey,
    ellswift: [u8; ELLSWIFT_LEN],
}

impl KeyPair {
    /// Makes a new pair from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let secret = SecretKey::new(&mut rand::rng());
        Self::encode(secret, rand::random())
    }

    /// Makes a pair from a secret key (big-endian) and an ElligatorSwift encoding of its public key.
    ///
    /// # Errors
    /// The secret is zero or not below the group order, or the encoding is another key's.
    pub fn from_parts(
        secret: [u8; SECRET_LEN],
        ellswift: [u8; ELLSWIFT_LEN],
    ) -> Result<Self, KeyPairError> {
        let secret =
            SecretKey::from_secret_bytes(secret).map_err(|_| KeyPairError::SecretOutOfRange)?;
        let (ours, _) = secret.x_only_public_key();
        if ours.to_byte_array() != x_only(ellswift) {
            return Err(KeyPairError::EncodingOfAnotherKey);
        }
        Ok(Self { secret, ellswift })
    }

    /// Makes a pair from a secret key; `randomness` chooses among the encodings of the public key.
    pub(super) fn from_secret(
        secret: [u8; SECRET_LEN],
        randomness: [u8; 32],
    ) -> Result<Self, KeyPairError> {
        let secret =
            SecretKey::from_secret_bytes(secret).map_err(|_| KeyPairError::SecretOutOfRange)?;
        Ok(Self::encode(secret, randomness))
    }

    /// The x coordinate (32 bytes, big-endian) of the public key: what a certificate signs.
    #[must_use]
    pub fn x_only_public_key(&self) -> [u8; 32] {
        self.secret.x_only_public_key().0.to_byte_array()
    }

    /// The ElligatorSwift encoding of the public key, as sent in the handshake.
    #[must_use]
    pub const fn ellswift(&self) -> &[u8; ELLSWIFT_LEN] {
        &self.ellswift
    }

    /// The secret key, big-endian.
    pub(super) fn secret_bytes(&self) -> &[u8; SECRET_LEN] {
        self.secret.as_secret_bytes()
    }

    /// Secret key ‖ encoding: the form in which a pair goes through snow, which knows only one string of bytes.
    pub(super) fn to_bytes(&self) -> [u8; KEY_PAIR_LEN] {
        let mut bytes = [0; KEY_PAIR_LEN];
        let (secret, ellswift) = bytes.split_at_mut(SECRET_LEN);
        secret.copy_from_slice(self.secret_bytes());
        ellswift.copy_from_slice(&self.ellswift);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; the parts are not checked against each other again.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (secret, ellswift) = bytes.split_first_chunk()?;
        Some(Self {
            secret: SecretKey::from_secret_bytes(*secret).ok()?,
            ellswift: ellswift.try_into().ok()?,
        })
    }

    /// The shared secret of BIP-0324. It hashes the initiator's encoding before the responder's, so it depends on
    /// which `party` this pair belongs to.
    pub(super) fn shared_secret(&self, theirs: [u8; ELLSWIFT_LEN], party: Party) -> [u8; 32] {
        let ours = ElligatorSwift::from_byte_array(self.ellswift);
        let theirs = ElligatorSwift::from_byte_array(theirs);
        let (initiator, responder) = match party {
            Party::Initiator => (ours, theirs),
            Party::Responder => (theirs, ours),
        };
        ElligatorSwift::shared_secret(initiator, responder, self.secret, party).to_secret_bytes()
    }

    fn encode(secret: SecretKey, randomness: [u8; 32]) -> Self {
        let ellswift = ElligatorSwift::from_seckey(secret, Some(randomness)).to_byte_array();
        Self { secret, ellswift }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").finish_non_exhaustive()
    }
}

impl Drop for KeyPair {
    /// Overwrites the secret, so that it does not stay in freed memory for long.
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

/// The x coordinate (32 bytes, big-endian) that an ElligatorSwift encoding stands for. Every 64 bytes stand for one.
pub(super) fn x_only(ellswift: [u8; ELLSWIFT_LEN]) -> [u8; 32] {
    let key = PublicKey::from_ellswift(ElligatorSwift::from_byte_array(ellswift));
    key.x_only_public_key().0.to_byte_array()
}

/// Bytes that are no key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyPairError {
    /// The secret is not between 1 and the group order.
    #[error("the secret key is zero or not below the order of secp256k1")]
    SecretOutOfRange,
    /// The encoding stands for another public key.
    #[error("the ElligatorSwift encoding is not one of this secret's public key")]
    EncodingOfAnotherKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_of_another_key_is_refused() {
        let (one, other) = (KeyPair::generate(), KeyPair::generate());
        let mixed = KeyPair::from_parts(*one.secret_bytes(), *other.ellswift());
        assert_eq!(mixed.unwrap_err(), KeyPairError::EncodingOfAnotherKey);
    }

    #[test]
    fn secrets_out_of_range_are_refused() {
        for secret in [[0; 32], [0xff; 32]] {
            let pair = KeyPair::from_secret(secret, [0; 32]);
            assert_eq!(pair.unwrap_err(), KeyPairError::SecretOutOfRange);
        }
    }

    #[test]
    fn debug_does_not_print_the_secret() {
        let pair = KeyPair::from_secret([0x5a; 32], [0; 32]).unwrap();
        assert_eq!(format!("{pair:?}"), "KeyPair { .. }");
    }
}
