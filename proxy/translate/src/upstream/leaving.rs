//! An upstream when the configuration changes: it stays as it is, or leaves once its miners have another.

use std::time::{Duration, Instant};

use super::{Outputs, Patience, State, Upstream};
use crate::config::{Config, UpstreamConfig};

/// How long a channel that the miners left stays open: what was on its way is in by then.
pub(crate) const RETIREMENT: Duration = Duration::from_secs(30);

impl Upstream {
    /// Tells whether this is what is configured: the same account at the same server, set up in the same way. The name
    /// is the operator's affair.
    pub(crate) fn is(&self, wanted: &UpstreamConfig, worker_names: bool) -> bool {
        let named_alike = UpstreamConfig {
            name: self.config.name.clone(),
            ..wanted.clone()
        };
        self.config == named_alike && self.asks_worker_names == worker_names
    }

    /// Goes on under another configuration.
    pub(crate) fn stay(&mut self, wanted: &UpstreamConfig, all: &Config) {
        self.config.name.clone_from(&wanted.name);
        self.statistics.name.clone_from(&wanted.name);
        (self.leaves, self.retires) = (false, None);
        self.reconfigure(all);
    }

    /// Takes over the limits of another configuration.
    pub(crate) fn reconfigure(&mut self, all: &Config) {
        self.setup_timeout = all.upstream_setup_timeout;
        self.patience = Patience {
            probe_after: all.upstream_probe_after,
            probe_timeout: all.upstream_probe_timeout,
        };
        self.backoff.set_bounds(all.retry_min, all.retry_max);
    }

    /// Begins to leave, because it is not configured any more.
    pub(crate) fn leave(&mut self, outputs: &mut Outputs) {
        self.leaves = true;
        if self.channel().is_none() {
            return;
        }
        let remark = "is no longer in the config as it was: its channel is closed once the miners have left it";
        self.remark(remark.into(), outputs);
    }

    /// Tells whether it is no longer configured.
    pub(crate) fn leaves(&self) -> bool {
        self.leaves
    }

    /// Notes that nobody works for it any more: shares that are on their way are waited for.
    pub(crate) fn retire(&mut self, now: Instant) {
        self.retires.get_or_insert(now + RETIREMENT);
    }

    /// Tells, of one that leaves, whether there is nothing more to wait for.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.channel().is_none() || self.retires.is_some_and(|at| at <= now)
    }

    /// Tells when one that leaves is to be closed.
    pub(crate) fn retires(&self) -> Option<Instant> {
        self.retires
    }

    /// Tells whether work of it may come soon.
    pub(crate) fn is_on_its_way(&self) -> bool {
        !self.is_waiting()
            && !matches!(&self.state, State::Open(channel) if channel.current().is_some())
    }
}
