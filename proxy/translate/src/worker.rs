//! Who mines: the worker part of a user name, fitted to what SV2 ext 0x0002 carries.

use sha2::{Digest, Sha256};
use sv2::tlv::UserIdentity;

/// Characters of the hash that tells shortened names apart: 32 bits, so that among 10,000 workers with the same
/// first 23 bytes a collision has a chance of one in a hundred.
const HASH_DIGITS: usize = 8;

/// Gives the worker's name for the pool: what follows the first dot of `user`, all of it without a dot.
///
/// A name over 32 bytes is cut at a character and marked with a hash of the whole name, so that two long names
/// with the same beginning stay two.
pub(crate) fn identity(user: &str) -> UserIdentity {
    let worker = match user.split_once('.') {
        Some((_, worker)) if !worker.is_empty() => worker,
        _ => user,
    };
    UserIdentity::new(worker).unwrap_or_else(|| shortened(worker))
}

fn shortened(worker: &str) -> UserIdentity {
    let room = UserIdentity::MAX_LEN - HASH_DIGITS - 1;
    let (start, _) = worker.split_at(worker.floor_char_boundary(room));
    let hash = Sha256::digest(worker.as_bytes());
    let mut name = format!("{start}~");
    for byte in hash.iter().take(HASH_DIGITS / 2) {
        name.push_str(&format!("{byte:02x}"));
    }
    UserIdentity::new(&name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(user: &str) -> String {
        identity(user).to_string()
    }

    #[test]
    fn the_worker_is_what_follows_the_first_dot() {
        assert_eq!(named("farm.rig1"), "rig1");
        assert_eq!(named("farm.row2.rig1"), "row2.rig1");
        assert_eq!(named("bc1qexample"), "bc1qexample");
        assert_eq!(named("farm."), "farm.");
        assert_eq!(named(""), "");
    }

    #[test]
    fn long_names_are_cut_to_32_bytes_and_stay_distinct() {
        let one = format!("farm.{}1", "é".repeat(40));
        let two = format!("farm.{}2", "é".repeat(40));
        assert!(identity(&one).as_bytes().len() <= 32);
        assert_ne!(identity(&one), identity(&two));
        assert_eq!(identity(&one), identity(&one));
    }
}
