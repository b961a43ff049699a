//! A pool's authority key, which signs the certificates of its servers, in the text form of pool URLs (SV2 §4.7).

use std::fmt;
use std::str::FromStr;

use secp256k1::{Keypair, SecretKey, XOnlyPublicKey, rand, schnorr};
use thiserror::Error;

/// What the text form of a public key begins with, before base58check.
const KEY_VERSION: [u8; 2] = [1, 0];

/// Longest text that is looked at: 34 bytes and a checksum of 4 make at most 52 characters, and decoding takes
/// quadratic time.
const MAX_TEXT_LEN: usize = 64;

/// The public key of an authority: the x coordinate of a point of secp256k1.
///
/// As text it is base58check of `01 00` and the 32 bytes, as in
/// `stratum2+tcp://host:port/9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorityPublicKey(XOnlyPublicKey);

impl AuthorityPublicKey {
    /// Makes a key from its x coordinate, big-endian.
    ///
    /// # Errors
    /// No point of the curve has this x coordinate.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, AuthorityKeyError> {
        let key = XOnlyPublicKey::from_byte_array(bytes);
        Ok(Self(key.map_err(|_| AuthorityKeyError::NotOnTheCurve)?))
    }

    /// The x coordinate, big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_byte_array()
    }

    /// Whether `signature` over `hash` is this authority's.
    pub(crate) fn verifies(&self, hash: &[u8; 32], signature: &[u8; 64]) -> bool {
        let signature = schnorr::Signature::from_byte_array(*signature);
        self.0.verify(hash, &signature).is_ok()
    }
}

impl FromStr for AuthorityPublicKey {
    type Err = AuthorityKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; 34] = decode(text)?;
        let [low, high, key @ ..] = bytes;
        if [low, high] != KEY_VERSION {
            let version = u16::from_le_bytes([low, high]);
            return Err(AuthorityKeyError::UnknownVersion(version));
        }
        Self::from_bytes(key)
    }
}

impl fmt::Display for AuthorityPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = KEY_VERSION.into_iter().chain(self.to_bytes()).collect();
        f.write_str(&bs58::encode(bytes).with_check().into_string())
    }
}

impl fmt::Debug for AuthorityPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorityPublicKey({self})")
    }
}

/// The secret key of an authority. `Debug` does not print it, and there is no `Display`.
#[derive(Clone)]
pub struct AuthoritySecretKey(Keypair);

impl AuthoritySecretKey {
    /// Makes a new key from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(Keypair::new(&mut rand::rng()))
    }

    /// Makes a key from 32 bytes, big-endian.
    ///
    /// # Errors
    /// The number is zero or not below the order of the group.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, AuthorityKeyError> {
        let key = SecretKey::from_secret_bytes(bytes);
        let key = key.map_err(|_| AuthorityKeyError::SecretOutOfRange)?;
        Ok(Self(Keypair::from_secret_key(&key)))
    }

    /// The secret, as base58check of its 32 bytes: the form that the configuration of pools uses.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let bytes = self.0.to_secret_bytes();
        bs58::encode(bytes).with_check().into_string()
    }

    /// The key that everybody may know.
    #[must_use]
    pub fn public_key(&self) -> AuthorityPublicKey {
        AuthorityPublicKey(self.0.x_only_public_key().0)
    }

    /// A Schnorr signature (BIP-0340) over a hash.
    pub(crate) fn sign(&self, hash: &[u8; 32]) -> [u8; 64] {
        self.0.sign_schnorr(hash).to_byte_array()
    }
}

/// Reads what [`AuthoritySecretKey::to_secret_text`] writes.
impl FromStr for AuthoritySecretKey {
    type Err = AuthorityKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(decode(text)?)
    }
}

impl fmt::Debug for AuthoritySecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthoritySecretKey").finish_non_exhaustive()
    }
}

impl Drop for AuthoritySecretKey {
    /// Overwrites the secret, so that it does not stay in freed memory for long.
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

/// Undoes base58check and expects `LEN` bytes.
fn decode<const LEN: usize>(text: &str) -> Result<[u8; LEN], AuthorityKeyError> {
    if text.chars().count() > MAX_TEXT_LEN {
        return Err(AuthorityKeyError::TooLong);
    }
    let bytes = bs58::decode(text).with_check(None).into_vec()?;
    let found = bytes.len();
    let expected = LEN;
    bytes
        .try_into()
        .map_err(|_| AuthorityKeyError::WrongLength { found, expected })
}

/// Text or bytes that are no authority key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthorityKeyError {
    /// A character that base58 does not have.
    #[error(
        "character {position} of the key is not base58 (letters and digits without 0, O, I and l)"
    )]
    NotBase58 {
        /// Place of the character in the text, from 1.
        position: usize,
    },
    /// Far more characters than any key has.
    #[error("the key has more than {MAX_TEXT_LEN} characters")]
    TooLong,
    /// A character is wrong or missing.
    #[error("the key's checksum is wrong: a character is mistyped or missing")]
    WrongChecksum,
    /// Sound base58check of something else.
    #[error("the key has {found} bytes instead of {expected}")]
    WrongLength {
        /// Bytes found, without the checksum.
        found: usize,
        /// Bytes that such a key has.
        expected: usize,
    },
    /// A kind of key that is not known here.
    #[error("the key has version {0}, and only version 1 is known")]
    UnknownVersion(u16),
    /// A public key that cannot exist.
    #[error("the key is not the x coordinate of a point on secp256k1")]
    NotOnTheCurve,
    /// A secret key that cannot exist.
    #[error("the secret key is zero or not below the order of secp256k1")]
    SecretOutOfRange,
}

impl From<bs58::decode::Error> for AuthorityKeyError {
    fn from(error: bs58::decode::Error) -> Self {
        use bs58::decode::Error;
        match error {
            Error::InvalidCharacter { index, .. } | Error::NonAsciiCharacter { index } => {
                let position = index + 1;
                Self::NotBase58 { position }
            }
            _ => Self::WrongChecksum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of SV2 §4.7.1.
    const TEXT: &str = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh";
    const BYTES: [u8; 32] = [
        118, 99, 112, 0, 151, 156, 28, 17, 175, 12, 48, 11, 205, 140, 127, 228, 134, 16, 252, 233,
        185, 193, 30, 61, 174, 227, 90, 224, 176, 138, 116, 85,
    ];

    fn error_of(text: &str) -> AuthorityKeyError {
        text.parse::<AuthorityPublicKey>().unwrap_err()
    }

    #[test]
    fn the_specs_key_reads_and_writes() {
        let key: AuthorityPublicKey = TEXT.parse().unwrap();
        assert_eq!(key.to_bytes(), BYTES);
        assert_eq!(key.to_string(), TEXT);
    }

    #[test]
    fn a_mistyped_or_missing_character_is_an_error() {
        for (index, character) in TEXT.char_indices() {
            let other = if character == '2' { "3" } else { "2" };
            let mut mistyped = TEXT.to_owned();
            mistyped.replace_range(index..=index, other);
            assert_eq!(error_of(&mistyped), AuthorityKeyError::WrongChecksum);
            assert_eq!(error_of(&TEXT[..index]), AuthorityKeyError::WrongChecksum);
        }
    }

    #[test]
    fn text_that_is_no_base58_is_named_by_its_place() {
        let place = |text| match error_of(text) {
            AuthorityKeyError::NotBase58 { position } => position,
            other => panic!("{other}"),
        };
        assert_eq!(place("9b0"), 3);
        assert_eq!(place("9bé"), 3);
        assert_eq!(error_of(&"9".repeat(65)), AuthorityKeyError::TooLong);
    }

    #[test]
    fn other_lengths_and_versions_are_named() {
        let encode = |bytes: &[u8]| bs58::encode(bytes).with_check().into_string();
        let (found, expected) = (32, 34);
        let without_version = AuthorityKeyError::WrongLength { found, expected };
        assert_eq!(error_of(&encode(&BYTES)), without_version);
        let version_2 = encode(&[&[2, 0], BYTES.as_slice()].concat());
        assert_eq!(error_of(&version_2), AuthorityKeyError::UnknownVersion(2));
    }

    #[test]
    fn a_number_that_is_no_point_is_an_error() {
        assert_eq!(
            AuthorityPublicKey::from_bytes([0xff; 32]),
            Err(AuthorityKeyError::NotOnTheCurve)
        );
    }

    #[test]
    fn secret_keys_read_and_write_and_stay_secret() {
        let key = AuthoritySecretKey::generate();
        let again: AuthoritySecretKey = key.to_secret_text().parse().unwrap();
        assert_eq!(again.public_key(), key.public_key());
        assert_eq!(format!("{key:?}"), "AuthoritySecretKey(..)");
        let zero = AuthoritySecretKey::from_bytes([0; 32]).unwrap_err();
        assert_eq!(zero, AuthorityKeyError::SecretOutOfRange);
    }
}
