//! [`VersionMask`]: which bits of the header's version a miner may roll (BIP-0310, BIP-0320).

use std::fmt;

/// A mask of version bits that may be rolled. `Display` is the 8 hex digits of SV1 `mining.configure`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionMask(u32);

impl VersionMask {
    /// The 16 bits that BIP-0320 sets aside for general use.
    pub const BIP_0320: Self = Self(0x1fff_e000);
    /// No bit may be rolled.
    pub const NONE: Self = Self(0);

    /// Takes the bits that may be rolled.
    #[must_use]
    pub const fn new(bits: u32) -> Self {
        Self(bits)
    }

    /// Gives the bits that may be rolled.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Gives the version of a share: the job's, with `bits` (the sixth parameter of SV1 `mining.submit`) within the
    /// mask. Bits outside the mask are left as the job has them; whether there are any says [`VersionMask::allows`].
    #[must_use]
    pub const fn apply(self, job_version: u32, bits: u32) -> u32 {
        (job_version & !self.0) | (bits & self.0)
    }

    /// Tells whether all of `bits` (the sixth parameter of SV1 `mining.submit`) are within the mask.
    #[must_use]
    pub const fn allows(self, bits: u32) -> bool {
        bits & !self.0 == 0
    }

    /// Tells whether a share's `version` (SV2 §5.3.11, §5.3.12) differs from its job's outside the mask.
    #[must_use]
    pub const fn rolled_outside(self, job_version: u32, version: u32) -> bool {
        !self.allows(job_version ^ version)
    }

    /// Gives the bits that both masks have.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Counts the bits that may be rolled (BIP-0310 `version-rolling.min-bit-count`).
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }
}

impl Default for VersionMask {
    fn default() -> Self {
        Self::BIP_0320
    }
}

impl fmt::Display for VersionMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for VersionMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionMask({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: VersionMask = VersionMask::BIP_0320;

    #[test]
    fn the_default_mask_is_shown_as_8_digits() {
        assert_eq!(VersionMask::default().to_string(), "1fffe000");
        assert_eq!(VersionMask::NONE.to_string(), "00000000");
        assert_eq!(MASK.count(), 16);
    }

    #[test]
    fn rolled_bits_replace_the_jobs_instead_of_toggling_them() {
        assert_eq!(MASK.apply(0x3fff_e004, 0x0000_2000), 0x2000_2004);
        assert_eq!(MASK.apply(0x2000_0000, 0xffff_ffff), 0x3fff_e000);
        assert_eq!(
            VersionMask::NONE.apply(0x2000_0000, 0xffff_ffff),
            0x2000_0000
        );
    }

    #[test]
    fn one_bit_outside_the_mask_is_noticed() {
        for bit in 0..32 {
            let inside = (13..=28).contains(&bit);
            assert_eq!(MASK.allows(1 << bit), inside, "bit {bit}");
            assert_eq!(
                MASK.rolled_outside(0x2000_0000, 0x2000_0000 ^ (1 << bit)),
                !inside,
                "bit {bit}"
            );
        }
    }

    #[test]
    fn an_intersection_is_no_wider_than_either_mask() {
        let asked = VersionMask::new(0xffff_0000);
        assert_eq!(MASK.intersection(asked).bits(), 0x1fff_0000);
        assert_eq!(MASK.intersection(VersionMask::NONE), VersionMask::NONE);
    }
}
