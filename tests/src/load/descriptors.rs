//! Descriptors: every miner takes one, here and in the proxy, which inherits the limit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are no miner's: standard streams, the pool's, the event queue, files that are read.
const OTHERS: u64 = 100;

/// Raises the soft limit on open files to the hard one, and gives how many miners that is enough for.
pub(super) fn raise_limit() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // What was granted is looked at anew.
    let _ = setrlimit(Resource::Nofile, raised);
    let granted = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(granted.saturating_sub(OTHERS)).unwrap_or(usize::MAX)
}
