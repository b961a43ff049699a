//! The appliance: listeners and drivers made from a config, running in this process.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use async_channel::Sender;
use async_std::net::TcpListener;
use sv2::bitcoin::{Difficulty, VersionMask};
use translate::{DifficultyPolicy, Translator, UpstreamConfig};

use crate::config::{self, Config};
use crate::downstream;
use crate::driver::{Driver, Input, Inputs, Report, places};
use crate::runtime::{self, JoinHandle};

/// Why the appliance cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be listened on.
    #[error("cannot listen on {address}: {error}; is another program using the port?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        error: io::Error,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// A running appliance. Listeners that name the same upstreams in the same order share one driver and its channel.
#[derive(Debug)]
pub struct Appliance {
    addresses: Vec<SocketAddr>,
    shards: Vec<Shard>,
}

#[derive(Debug)]
struct Shard {
    inputs: Sender<Input>,
    driver: JoinHandle<()>,
    acceptors: Vec<JoinHandle<()>>,
}

impl Appliance {
    /// Listens, dials, and works from now on in tasks of the runtime.
    ///
    /// # Errors
    /// Where an address cannot be listened on; nothing runs then.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_at_slot(config, 0)
    }

    /// As [`start`](Self::start), with the first miner's slot (`extranonce1`) given: a test that replays a block
    /// of the Bitcoin network needs the one in its coinbase.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_at_slot(config: &Config, first_slot: u32) -> Result<Self, StartError> {
        let mut sockets = Vec::new();
        for listener in &config.listeners {
            let address = listener.address;
            let error = |error| StartError::Listen { address, error };
            let socket = downstream::listen(address).map_err(error)?;
            let address = socket.local_addr().map_err(error)?;
            log::info!("listening for miners on {address}");
            sockets.push((address, socket, listener.upstreams.clone()));
        }
        let addresses = sockets.iter().map(|(address, ..)| *address).collect();
        let mut shards = Vec::new();
        while let Some((_, _, upstreams)) = sockets.first() {
            let upstreams = upstreams.clone();
            let (ours, rest): (Vec<_>, Vec<_>) = sockets
                .into_iter()
                .partition(|(_, _, own)| *own == upstreams);
            sockets = rest;
            let listeners = ours.into_iter().map(|(_, socket, _)| socket);
            shards.push(Shard::start(config, &upstreams, listeners, first_slot)?);
        }
        Ok(Self { addresses, shards })
    }

    /// Gives the addresses that are listened on, in the order of the config; with their real ports.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Asks each driver how things are.
    pub async fn reports(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        for shard in &self.shards {
            let (asker, answer) = async_channel::bounded(1);
            let asked = shard.inputs.send(Input::Report(asker)).await;
            if asked.is_ok()
                && let Ok(report) = answer.recv().await
            {
                reports.push(report);
            }
        }
        reports
    }

    /// Stops: listeners close, what was accepted is answered, channels are closed. Gives the last reports.
    pub async fn stop(self) -> Vec<Report> {
        let reports = self.reports().await;
        for shard in self.shards {
            shard.stop().await;
        }
        reports
    }
}

impl Shard {
    fn start(
        config: &Config,
        upstreams: &[usize],
        listeners: impl Iterator<Item = TcpListener>,
        first_slot: u32,
    ) -> Result<Self, StartError> {
        let chosen: Vec<_> = upstreams
            .iter()
            .filter_map(|index| config.upstreams.get(*index))
            .collect();
        let mut brain = brain_config(config, &chosen)?;
        brain.first_slot = first_slot;
        let inputs = Inputs::new(config.limits.queue);
        let translator = Translator::new(Instant::now(), brain);
        let places = places(chosen.into_iter(), &config.limits);
        let (own, miners) = (inputs.upstream.0.clone(), inputs.miners.0.clone());
        let accept = |listener| runtime::spawn(downstream::accept(listener, miners.clone()));
        let acceptors = listeners.map(accept).collect();
        let driver = Driver::new(translator, places, config.limits.clone(), inputs);
        Ok(Self {
            inputs: own,
            driver: runtime::spawn(driver.run()),
            acceptors,
        })
    }

    async fn stop(self) {
        for acceptor in self.acceptors {
            acceptor.cancel().await;
        }
        // Fails only where the driver has ended.
        let _ = self.inputs.send(Input::Stop).await;
        self.driver.await;
    }
}

/// Gives the brain what it needs of the config.
pub(crate) fn brain_config(
    config: &Config,
    upstreams: &[&config::Upstream],
) -> Result<translate::Config, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Randomness)?;
    let upstream = |upstream: &&config::Upstream| UpstreamConfig {
        name: upstream.name.clone(),
        user: upstream.user.clone(),
        host: upstream.url.host.clone(),
        port: upstream.url.port,
    };
    let difficulty = |value: f64| Difficulty::new(value).unwrap_or(Difficulty::ONE);
    Ok(translate::Config {
        upstreams: upstreams.iter().map(upstream).collect(),
        difficulty: DifficultyPolicy {
            shares_per_minute: config.difficulty.shares_per_minute,
            start: config.difficulty.start.map(difficulty),
            min: difficulty(config.difficulty.min),
            asked_min: difficulty(config.difficulty.asked_min),
            max: config.difficulty.max.map(difficulty),
            vardiff: config.difficulty.vardiff,
        },
        listeners: Vec::new(),
        worker_difficulties: Vec::new(),
        version_mask: VersionMask::new(config.translation.version_mask),
        extranonce2_size: config.translation.extranonce2_size,
        keepalive: config.translation.keepalive,
        worker_names: config.translation.worker_names,
        setup_timeout: config.limits.setup_timeout,
        idle_timeout: config.limits.idle_timeout,
        upstream_setup_timeout: config.limits.upstream_setup_timeout,
        upstream_probe_after: config.limits.upstream_probe_after,
        upstream_probe_timeout: config.limits.upstream_probe_timeout,
        upstream_block_grace: config.limits.upstream_block_grace,
        retry_min: config.limits.retry_min,
        retry_max: config.limits.retry_max,
        release_after: config.outage.release_after,
        max_miners: config.limits.max_miners,
        guard: config.limits.guard,
        first_slot: 0,
        seed,
    })
}
