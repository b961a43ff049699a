//! The appliance: listeners and drivers made from a config, running in this process.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use async_channel::{Receiver, Sender};
use async_io::Async;
use sv2::bitcoin::{Difficulty, VersionMask};
use translate::{DifficultyPolicy, ListenerConfig, ListenerId, Translator, UpstreamConfig};

use crate::config::{self, Config};
use crate::dealer::Dealer;
use crate::descriptors::{self, Places};
use crate::driver::{self, Driver, Input, Records, Report};
use crate::http;
use crate::journal::{Journal, Numbers};
use crate::listener::Listener;
use crate::runtime::{self, JoinHandle};
use crate::sockets::{Sockets, SocketsError};
use crate::state::blocks::Blocks;
use crate::state::saving::{Files, Saving};
use crate::state::sessions::Sessions;
use crate::state::workers::Workers;
use crate::state::{StateDirectory, StateError};

/// Longest wait at the end for the disk to take solved blocks.
const LAST_BLOCKS: Duration = Duration::from_secs(5);

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
    /// The service manager's sockets are not those of the config.
    #[error(transparent)]
    Sockets(#[from] SocketsError),
    /// A driver's thread cannot be started.
    #[error("cannot start a driver: {0}")]
    Driver(io::Error),
    /// The HTTP server's thread cannot be started.
    #[error("cannot serve http: {0}")]
    Http(io::Error),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(getrandom::Error),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A running appliance. Listeners that name the same upstreams in the same order share their shards: each a driver with a
/// channel of its own.
#[derive(Debug)]
pub struct Appliance {
    addresses: Vec<SocketAddr>,
    shards: Vec<Shard>,
    http: Option<http::Server>,
    /// Saves what is learnt of workers.
    saving: Option<Saving>,
    /// Writes solved blocks until the drivers have ended.
    keeping: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shard {
    inputs: Sender<Input>,
    /// Closed once its thread has ended.
    ended: Receiver<Infallible>,
}

impl Appliance {
    /// Listens, dials, and works from now on in tasks of the runtime.
    ///
    /// # Errors
    /// Where an address cannot be listened on; nothing runs then.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_at_slot(config, 0)
    }

    /// As [`start`](Self::start), on sockets that are there for some addresses.
    ///
    /// # Errors
    /// As [`start`](Self::start), and where there is one that the config has no use for.
    pub fn start_on(config: &Config, sockets: Sockets) -> Result<Self, StartError> {
        Self::start_with(config, sockets, 0)
    }

    /// As [`start`](Self::start), with the first miner's slot (`extranonce1`) given: a test that replays a block
    /// of the Bitcoin network needs the one in its coinbase.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_at_slot(config: &Config, first_slot: u32) -> Result<Self, StartError> {
        Self::start_with(config, Sockets::default(), first_slot)
    }

    fn start_with(config: &Config, mut held: Sockets, first_slot: u32) -> Result<Self, StartError> {
        let mut sockets = Vec::new();
        for listener in &config.listeners {
            let address = listener.address;
            let error = |error| StartError::Listen { address, error };
            let socket = held.listen(address).map_err(error)?;
            let address = socket.local_addr().map_err(error)?;
            log::info!("listening for miners on {address}");
            sockets.push((address, socket, listener));
        }
        let for_http = config.http.address.map(|address| {
            let error = |error| StartError::Listen { address, error };
            held.listen(address).and_then(Async::new).map_err(error)
        });
        let for_http = for_http.transpose()?;
        held.all_taken()?;
        let directory = config.state.directory.as_deref();
        let directory = directory.map(StateDirectory::open_if_it_works);
        let directory = directory.transpose()?.flatten();
        let files = directory.clone().map(|directory| Files {
            workers: Workers::load(directory.clone()),
            sessions: Sessions::load(directory),
        });
        let (blocks, keeping) = directory.map(Blocks::in_files).unzip();
        let blocks = blocks.unwrap_or_default();
        let places = descriptors::places(config);
        let addresses = sockets.iter().map(|(address, ..)| *address).collect();
        let mut shards = Vec::new();
        let mut shown = Vec::new();
        let numbers = Numbers::new(SystemTime::now());
        while let Some((_, _, first)) = sockets.first() {
            let upstreams = &first.upstreams;
            let (ours, rest): (Vec<_>, Vec<_>) = sockets
                .into_iter()
                .partition(|(_, _, listener)| listener.upstreams == *upstreams);
            sockets = rest;
            let listens: Arc<[_]> = ours.iter().map(|(address, ..)| *address).collect();
            let listeners = ours
                .into_iter()
                .map(|(_, socket, listener)| (socket, listener));
            let (sockets, listeners): (Vec<_>, Vec<_>) = listeners.unzip();
            let ways = || driver::inputs();
            let ways: Vec<_> = std::iter::repeat_with(ways)
                .take(config.translation.shards)
                .collect();
            let most = config.limits.max_miners.div_ceil(ways.len());
            let dealt = ways.iter().map(|(inputs, _)| inputs.clone());
            let mut door = (sockets, Dealer::new(dealt, most));
            for (number, inputs) in ways.into_iter().enumerate() {
                let mut brain = brain_config(config, upstreams, &listeners)?;
                brain.first_slot = shard_slot(number, first_slot);
                brain.max_miners = most;
                if let Some(Files { workers, sessions }) = &files {
                    brain.worker_difficulties = workers.known().clone();
                    brain.sessions = sessions.of_driver(shards.len());
                }
                let journal = Journal::new(numbers.clone());
                let surroundings = (&blocks, &places, journal);
                // The first lets miners in.
                let door = std::mem::take(&mut door);
                let shard = Shard::start(config, upstreams, brain, door, inputs, surroundings)?;
                shown.push(http::Source {
                    listeners: Arc::clone(&listens),
                    inputs: shard.inputs.clone(),
                });
                shards.push(shard);
            }
        }
        let http = for_http.map(|socket| {
            let server = http::Server::start(socket, &config.http, &config.limits, shown);
            server.map_err(StartError::Http)
        });
        let http = http.transpose()?;
        if let Some(http) = &http {
            log::info!("serving http on {}", http.address());
        }
        let drivers = shards.iter().map(|shard| shard.inputs.clone());
        let saving = files.map(|files| Saving::start(files, drivers.collect()));
        Ok(Self {
            addresses,
            shards,
            http,
            saving,
            keeping,
        })
    }

    /// Gives the addresses that are listened on, in the order of the config; with their real ports.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Gives the address that HTTP is served on, with its real port; `None` where it is off.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(http::Server::address)
    }

    /// Gives a way to ask each driver.
    pub(crate) fn drivers(&self) -> Vec<Sender<Input>> {
        self.shards.iter().map(|it| it.inputs.clone()).collect()
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

    /// Waits until a driver has ended that nobody told to stop. Its miners are gone, so the process should end too and be
    /// started again.
    pub async fn failed(&self) {
        let ended = self.shards.iter().map(|shard| Box::pin(shard.ended.recv()));
        let mut ended: Vec<_> = ended.collect();
        let any = move |context: &mut Context<'_>| {
            let over = ended
                .iter_mut()
                .any(|ended| ended.as_mut().poll(context).is_ready());
            if over { Poll::Ready(()) } else { Poll::Pending }
        };
        poll_fn(any).await;
    }

    /// Stops: listeners close, what was accepted is answered, channels are closed. Gives the last reports.
    pub async fn stop(self) -> Vec<Report> {
        let reports = self.reports().await;
        if let Some(saving) = self.saving {
            saving.stop().await;
        }
        // All are told first, so that the slowest one's last words are all that is waited for.
        for shard in &self.shards {
            // Fails only where the driver has ended.
            let _ = shard.inputs.send(Input::Stop).await;
        }
        for shard in self.shards {
            let _ = shard.ended.recv().await;
        }
        if let Some(keeping) = self.keeping
            && runtime::within(LAST_BLOCKS, keeping).await.is_none()
        {
            log::error!("solved blocks could not be written within {LAST_BLOCKS:?}");
        }
        reports
    }
}

impl Shard {
    fn start(
        config: &Config,
        upstreams: &[usize],
        brain: translate::Config,
        (sockets, dealer): (Vec<TcpListener>, Dealer),
        inputs: (Sender<Input>, Receiver<Input>),
        (blocks, places, journal): (&Blocks, &Places, Journal),
    ) -> Result<Self, StartError> {
        let own = inputs.0.clone();
        let listeners = sockets.into_iter().enumerate();
        let listeners = listeners
            .map(|(place, socket)| Listener::new(ListenerId(place), socket, places.clone()));
        let records = Records {
            blocks: blocks.clone(),
            journal,
        };
        let driver = Driver::new(
            Translator::new(Instant::now(), brain),
            (listeners.collect(), dealer),
            driver::places(chosen(config, upstreams), &config.limits),
            config.limits.clone(),
            records,
            inputs,
        );
        let driver = driver.map_err(StartError::Driver)?;
        let (running, ended) = async_channel::bounded(1);
        let run = move || {
            if let Err(error) = driver.run() {
                log::error!("a driver cannot wait for its sockets: {error}");
            }
            // Also where it panics.
            drop(running);
        };
        let thread = thread::Builder::new().name("driver".into());
        thread.spawn(run).map_err(StartError::Driver)?;
        Ok(Self { inputs: own, ended })
    }
}

/// Bits of a slot behind those that tell the shard.
const SHARD_BITS: u32 = 28;

/// Gives the first slot of a shard, so that miners of different shards differ in `extranonce1`. They would not have to: no
/// two shards share a channel.
fn shard_slot(number: usize, first_slot: u32) -> u32 {
    let number = u32::try_from(number).unwrap_or_default();
    first_slot.wrapping_add(number << SHARD_BITS)
}

/// Finds upstreams by their positions.
fn chosen<'c>(
    config: &'c Config,
    positions: &[usize],
) -> impl Iterator<Item = &'c config::Upstream> {
    positions
        .iter()
        .filter_map(|position| config.upstreams.get(*position))
}

/// Gives the brain what it needs of the config: upstreams by their positions, and listeners, whose
/// [`ListenerId`] is their place among these.
pub(crate) fn brain_config(
    config: &Config,
    upstreams: &[usize],
    listeners: &[&config::Listener],
) -> Result<translate::Config, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Randomness)?;
    let upstream = |upstream: &config::Upstream| UpstreamConfig {
        name: upstream.name.clone(),
        user: upstream.user.clone(),
        host: upstream.url.host.clone(),
        port: upstream.url.port,
        authority_key: upstream.url.authority_key.map(|key| key.to_bytes()),
    };
    let listener = |listener: &&config::Listener| ListenerConfig {
        difficulty: policy(&listener.difficulty),
        user: listener.user.clone(),
    };
    Ok(translate::Config {
        upstreams: chosen(config, upstreams).map(upstream).collect(),
        difficulty: policy(&config.difficulty),
        listeners: listeners.iter().map(listener).collect(),
        worker_difficulties: Vec::new(),
        sessions: Vec::new(),
        version_mask: VersionMask::new(config.translation.version_mask),
        extranonce2_size: config.translation.extranonce2_size,
        channel: config.translation.channel,
        max_channels: config.limits.max_channels,
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
        first_narrow_slot: 0,
        seed,
    })
}

fn policy(of: &config::Difficulty) -> DifficultyPolicy {
    let difficulty = |value: f64| Difficulty::new(value).unwrap_or(Difficulty::ONE);
    DifficultyPolicy {
        shares_per_minute: of.shares_per_minute,
        start: of.start.map(difficulty),
        min: difficulty(of.min),
        asked_min: difficulty(of.asked_min),
        max: of.max.map(difficulty),
        vardiff: of.vardiff,
    }
}
