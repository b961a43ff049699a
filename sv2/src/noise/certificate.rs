//! The certificate with which a pool's authority vouches for a server's static key (SV2 §4.5.3).
//!
//! On the wire it is SIGNATURE_NOISE_MESSAGE, the payload of act 2: version U16, valid_from U32, not_valid_after U32,
//! signature 64 bytes; integers little-endian. The key itself is sent before it, and is only part of what is signed.

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::UnixSeconds;
use crate::authority_key::{AuthorityPublicKey, AuthoritySecretKey};

/// Length of a certificate on the wire.
pub const CERTIFICATE_LEN: usize = 74;

/// The only certificate version there is.
pub const CERTIFICATE_VERSION: u16 = 0;

/// A server's certificate, without the static key that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Version of the format, [`CERTIFICATE_VERSION`].
    pub version: u16,
    /// First second of the validity.
    pub valid_from: UnixSeconds,
    /// Last second of the validity.
    pub not_valid_after: UnixSeconds,
    /// Schnorr signature (BIP-0340) by the authority.
    pub signature: [u8; 64],
}

impl Certificate {
    /// Signs a server's static key (x coordinate, 32 bytes) for a time, both ends included.
    #[must_use]
    pub fn sign(
        authority: &AuthoritySecretKey,
        static_key: &[u8; 32],
        valid_from: UnixSeconds,
        not_valid_after: UnixSeconds,
    ) -> Self {
        let mut certificate = Self {
            version: CERTIFICATE_VERSION,
            valid_from,
            not_valid_after,
            signature: [0; 64],
        };
        certificate.signature = authority.sign(&certificate.signed_hash(static_key));
        certificate
    }

    /// Reads a certificate. Any 74 bytes are one; only [`Self::verify`] says whether it is worth something.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; CERTIFICATE_LEN]) -> Self {
        let [v0, v1, f0, f1, f2, f3, a0, a1, a2, a3, signature @ ..] = *bytes;
        Self {
            version: u16::from_le_bytes([v0, v1]),
            valid_from: UnixSeconds(u32::from_le_bytes([f0, f1, f2, f3])),
            not_valid_after: UnixSeconds(u32::from_le_bytes([a0, a1, a2, a3])),
            signature,
        }
    }

    /// Writes the certificate as it goes over the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CERTIFICATE_LEN] {
        let [v0, v1] = self.version.to_le_bytes();
        let [f0, f1, f2, f3] = self.valid_from.0.to_le_bytes();
        let [a0, a1, a2, a3] = self.not_valid_after.0.to_le_bytes();
        let mut bytes = [0; CERTIFICATE_LEN];
        let (fields, signature) = bytes.split_at_mut(10);
        fields.copy_from_slice(&[v0, v1, f0, f1, f2, f3, a0, a1, a2, a3]);
        signature.copy_from_slice(&self.signature);
        bytes
    }

    /// Checks that `authority` vouches at the time `now` for the server's static key (x coordinate, 32 bytes). Both
    /// ends of the validity are included.
    ///
    /// # Errors
    /// See [`CertificateError`]. The signature is judged before the times, so that only the authority's own times
    /// are ever reported.
    pub fn verify(
        &self,
        authority: &AuthorityPublicKey,
        static_key: &[u8; 32],
        now: UnixSeconds,
    ) -> Result<(), CertificateError> {
        self.verify_with_leeway(authority, static_key, now, 0)
    }

    /// Like [`Self::verify`], with the validity extended by `leeway` seconds at both ends.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_with_leeway(
        &self,
        authority: &AuthorityPublicKey,
        static_key: &[u8; 32],
        now: UnixSeconds,
        leeway: u32,
    ) -> Result<(), CertificateError> {
        if self.version != CERTIFICATE_VERSION {
            return Err(CertificateError::UnknownVersion(self.version));
        }
        if !authority.verifies(&self.signed_hash(static_key), &self.signature) {
            return Err(CertificateError::NotSignedByAuthority(*authority));
        }
        self.check_time(now, leeway)
    }

    fn check_time(&self, now: UnixSeconds, leeway: u32) -> Result<(), CertificateError> {
        if now < self.valid_from.saturating_sub(leeway) {
            let valid_from = self.valid_from;
            return Err(CertificateError::NotYetValid { valid_from, now });
        }
        if now > self.not_valid_after.saturating_add(leeway) {
            let not_valid_after = self.not_valid_after;
            return Err(CertificateError::Expired {
                not_valid_after,
                now,
            });
        }
        Ok(())
    }

    /// SHA-256(version ‖ valid_from ‖ not_valid_after ‖ static key).
    fn signed_hash(&self, static_key: &[u8; 32]) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.version.to_le_bytes())
            .chain_update(self.valid_from.0.to_le_bytes())
            .chain_update(self.not_valid_after.0.to_le_bytes())
            .chain_update(static_key)
            .finalize()
            .into()
    }
}

/// A certificate that does not prove the server's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// A format that is not known here.
    #[error("the certificate has version {0}, and only version {CERTIFICATE_VERSION} is known")]
    UnknownVersion(u16),
    /// The signature is not the authority's, or is for another static key.
    #[error("the certificate is not signed by the authority key {0}")]
    NotSignedByAuthority(AuthorityPublicKey),
    /// The validity has yet to begin.
    #[error("the certificate is valid only from {valid_from}, and it is now {now}")]
    NotYetValid {
        /// First second of the validity.
        valid_from: UnixSeconds,
        /// The time of the check.
        now: UnixSeconds,
    },
    /// The validity is over.
    #[error("the certificate expired at {not_valid_after}, and it is now {now}")]
    Expired {
        /// Last second of the validity.
        not_valid_after: UnixSeconds,
        /// The time of the check.
        now: UnixSeconds,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn signed() -> (AuthorityPublicKey, Certificate) {
        let authority = AuthoritySecretKey::generate();
        let certificate =
            Certificate::sign(&authority, &KEY, UnixSeconds(1_000), UnixSeconds(2_000));
        (authority.public_key(), certificate)
    }

    #[test]
    fn both_ends_of_the_validity_are_included() {
        let (authority, certificate) = signed();
        let verify = |now| certificate.verify(&authority, &KEY, UnixSeconds(now));
        assert_eq!(verify(1_000), Ok(()));
        assert_eq!(verify(2_000), Ok(()));
        let early = verify(999).unwrap_err().to_string();
        assert_eq!(
            early,
            "the certificate is valid only from 1970-01-01 00:16:40 UTC, and it is now 1970-01-01 00:16:39 UTC"
        );
        let late = verify(2_001).unwrap_err().to_string();
        assert_eq!(
            late,
            "the certificate expired at 1970-01-01 00:33:20 UTC, and it is now 1970-01-01 00:33:21 UTC"
        );
    }

    #[test]
    fn leeway_extends_both_ends() {
        let (authority, certificate) = signed();
        let verify = |now| certificate.verify_with_leeway(&authority, &KEY, UnixSeconds(now), 10);
        assert_eq!(verify(990), Ok(()));
        assert_eq!(verify(2_010), Ok(()));
        assert!(verify(989).is_err());
        assert!(verify(2_011).is_err());
    }

    #[test]
    fn another_authority_or_key_is_refused() {
        let (authority, certificate) = signed();
        let (other, _) = signed();
        let now = UnixSeconds(1_500);
        assert_eq!(
            certificate.verify(&other, &KEY, now),
            Err(CertificateError::NotSignedByAuthority(other))
        );
        assert_eq!(
            certificate.verify(&authority, &[8; 32], now),
            Err(CertificateError::NotSignedByAuthority(authority))
        );
    }

    #[test]
    fn every_changed_byte_voids_the_certificate() {
        let (authority, certificate) = signed();
        let now = UnixSeconds(1_500);
        for index in 0..CERTIFICATE_LEN {
            let mut bytes = certificate.to_bytes();
            bytes[index] ^= 1;
            let changed = Certificate::from_bytes(&bytes);
            assert!(
                changed.verify(&authority, &KEY, now).is_err(),
                "byte {index}"
            );
        }
        assert_eq!(
            Certificate::from_bytes(&certificate.to_bytes()),
            certificate
        );
    }

    #[test]
    fn an_unknown_version_is_named() {
        let (authority, mut certificate) = signed();
        certificate.version = 1;
        assert_eq!(
            certificate.verify(&authority, &KEY, UnixSeconds(1_500)),
            Err(CertificateError::UnknownVersion(1))
        );
    }
}
