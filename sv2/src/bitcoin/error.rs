//! What cannot be a difficulty, a hashrate, a target or a hash.

/// Says which number or text is outside what its type can hold.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A difficulty that is zero, negative, infinite or not a number.
    #[error("difficulty {0} is not a finite number above zero")]
    DifficultyNotPositive(f64),
    /// A hashrate that is negative, infinite or not a number.
    #[error("hashrate {0} is not a finite number of hashes per second")]
    HashrateNotAnAmount(f64),
    /// A rate of shares per minute that is zero, negative, infinite or not a number.
    #[error("{0} shares per minute is not a finite number above zero")]
    ShareRateNotPositive(f64),
    /// An nbits whose sign bit is set.
    #[error("nbits {0:08x} stands for a negative target")]
    NegativeTarget(u32),
    /// An nbits that stands for a target of more than 256 bits.
    #[error("nbits {0:08x} stands for a target above 256 bits")]
    TargetOverflow(u32),
    /// A text that is not the 64 hexadecimal digits of a hash.
    #[error("a block hash is 64 hexadecimal digits")]
    NotABlockHash,
}
