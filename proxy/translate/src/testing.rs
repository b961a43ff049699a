//! An origin for the virtual clock of unit tests.

use std::time::Instant;

/// Gives some instant; what matters is only what is added to it.
#[expect(
    clippy::disallowed_methods,
    reason = "an instant has no other beginning"
)]
pub(crate) fn origin() -> Instant {
    Instant::now()
}
