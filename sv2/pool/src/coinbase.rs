//! Coinbase transactions of a real pool's shape, without their BIP-0141 fields (SV2 §3.7.1): height (BIP-0034),
//! the pool's tag and the extranonce in the script, two to four outputs with the witness commitment last.

use sv2::types::B0_64K;

use crate::random::Random;

/// The most bytes that consensus allows in the script of a coinbase's input.
pub(crate) const MAX_SCRIPT_SIG_LEN: usize = 100;
/// The longest push that is its length and its bytes.
pub(crate) const MAX_TAG_LEN: usize = 75;
/// Heights whose push has three bytes: from 32,768 on, and with room to grow below 8,388,608.
pub(crate) const HEIGHTS: std::ops::RangeInclusive<u32> = 32_768..=8_000_000;
/// Push of a height of three bytes, with its length.
const HEIGHT_PUSH_LEN: usize = 4;
/// 3.125 bitcoin, in satoshis: the subsidy since height 840,000.
const SUBSIDY: u64 = 312_500_000;
/// The most that a job's fees add in satoshis.
const MAX_FEES: u64 = 20_000_000;

/// What a coinbase is made of, but for its extranonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coinbase {
    height: u32,
    tag: Box<str>,
    outputs: Vec<Vec<u8>>,
}

/// Tells how long the script of the input gets.
pub(crate) fn script_sig_len(tag: &str, extranonce_len: usize) -> usize {
    HEIGHT_PUSH_LEN + 1 + tag.len() + 1 + extranonce_len
}

impl Coinbase {
    /// Makes one up for a block at `height`; an empty block has no fees.
    pub(crate) fn new(height: u32, tag: &str, empty: bool, random: &mut Random) -> Self {
        let fees = if empty { 0 } else { random.below(MAX_FEES) };
        Self {
            height,
            tag: tag.into(),
            outputs: outputs(SUBSIDY + fees, random),
        }
    }

    /// Gives the bytes before and behind an extranonce of `extranonce_len` bytes.
    pub(crate) fn split(&self, extranonce_len: usize) -> (B0_64K, B0_64K) {
        (field(self.prefix(extranonce_len)), field(self.suffix()))
    }

    fn prefix(&self, extranonce_len: usize) -> Vec<u8> {
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        bytes.push(1);
        bytes.extend_from_slice(&[0; 32]);
        bytes.extend_from_slice(&[0xff; 4]);
        bytes.push(one_byte(script_sig_len(&self.tag, extranonce_len)));
        bytes.push(3);
        bytes.extend(self.height.to_le_bytes().iter().take(3));
        bytes.push(one_byte(self.tag.len()));
        bytes.extend_from_slice(self.tag.as_bytes());
        bytes.push(one_byte(extranonce_len));
        bytes
    }

    fn suffix(&self) -> Vec<u8> {
        // The sequence number that lets the lock time count, and a lock time of the height before, as
        // Bitcoin Core makes them.
        let mut bytes = 0xffff_fffe_u32.to_le_bytes().to_vec();
        bytes.push(one_byte(self.outputs.len()));
        for output in &self.outputs {
            bytes.extend_from_slice(output);
        }
        bytes.extend_from_slice(&self.height.saturating_sub(1).to_le_bytes());
        bytes
    }
}

fn outputs(value: u64, random: &mut Random) -> Vec<Vec<u8>> {
    // One to three payouts: a P2WPKH, a P2TR, and another P2WPKH.
    let payouts = 1 + random.below(3);
    let share = value / (payouts + 1);
    let mut outputs = vec![output(
        value - share * (payouts - 1),
        &p2wpkh(random.bytes()),
    )];
    if payouts > 1 {
        outputs.push(output(share, &p2tr(random.bytes())));
    }
    if payouts > 2 {
        outputs.push(output(share, &p2wpkh(random.bytes())));
    }
    outputs.push(output(0, &witness_commitment(random.bytes())));
    outputs
}

fn output(satoshis: u64, script: &[u8]) -> Vec<u8> {
    let mut bytes = satoshis.to_le_bytes().to_vec();
    bytes.push(one_byte(script.len()));
    bytes.extend_from_slice(script);
    bytes
}

fn p2wpkh(key_hash: [u8; 20]) -> Vec<u8> {
    [&[0x00, 0x14], key_hash.as_slice()].concat()
}

fn p2tr(key: [u8; 32]) -> Vec<u8> {
    [&[0x51, 0x20], key.as_slice()].concat()
}

/// `OP_RETURN` with the commitment of BIP-0141.
fn witness_commitment(hash: [u8; 32]) -> Vec<u8> {
    [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed], hash.as_slice()].concat()
}

/// Lengths here stay below the 253 at which CompactSize grows: scripts are at most 100 bytes.
fn one_byte(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

fn field(bytes: Vec<u8>) -> B0_64K {
    B0_64K::try_from(bytes).expect("half a coinbase has some hundred bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks over a whole coinbase and gives its script and its number of outputs.
    fn walk(bytes: &[u8]) -> (Vec<u8>, usize) {
        let script_len = usize::from(bytes[41]);
        let script = bytes[42..42 + script_len].to_vec();
        let mut rest = &bytes[42 + script_len + 4..];
        let outputs = usize::from(rest[0]);
        rest = &rest[1..];
        for _ in 0..outputs {
            rest = &rest[9 + usize::from(rest[8])..];
        }
        assert_eq!(
            rest.len(),
            4,
            "nothing but the lock time behind the outputs"
        );
        (script, outputs)
    }

    #[test]
    fn the_scripts_length_counts_the_extranonce() {
        for length in [8, 16, 24, 32] {
            let coinbase = Coinbase::new(925_000, "/tag/", false, &mut Random::new(7));
            let (prefix, suffix) = coinbase.split(length);
            let whole = [&prefix[..], &vec![0xee; length], &suffix[..]].concat();
            let (script, outputs) = walk(&whole);
            assert_eq!(script.len(), script_sig_len("/tag/", length));
            assert!(script.ends_with(&vec![0xee; length]));
            assert!((2..=4).contains(&outputs));
        }
    }

    #[test]
    fn the_script_starts_with_the_height() {
        let coinbase = Coinbase::new(0x000e_1d48, "/tag/", true, &mut Random::new(7));
        let (prefix, _) = coinbase.split(16);
        assert_eq!(prefix[42..46], [3, 0x48, 0x1d, 0x0e]);
    }
}
