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

use crate::config::{self, Config, Limits};
use crate::dealer::Dealer;
use crate::descriptors::{self, Places};
use crate::driver::{self, Driver, Input, Reconfiguration, Records, Report};
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

/// A running appliance.
#[derive(Debug)]
pub struct Appliance {
    /// What it follows.
    pub(crate) config: Config,
    pub(crate) groups: Vec<Group>,
    pub(crate) around: Around,
    pub(crate) http: Option<http::Server>,
    /// What drivers showed last whose miners were let go.
    pub(crate) departed: Vec<http::Departed>,
    /// Saves what is learnt of workers.
    pub(crate) saving: Option<Saving>,
    /// Writes solved blocks until the drivers have ended.
    keeping: Option<JoinHandle<()>>,
}

/// What all drivers share.
#[derive(Debug)]
pub(crate) struct Around {
    blocks: Blocks,
    pub(crate) places: Places,
    numbers: Numbers,
    /// What the service manager listens on for us.
    pub(crate) held: Vec<SocketAddr>,
}

/// Listeners that name the same upstreams in the same order, and the shards that share their miners out.
#[derive(Debug)]
pub(crate) struct Group {
    /// The first lets miners in.
    pub(crate) shards: Vec<Shard>,
    /// By [`ListenerId`].
    pub(crate) ports: Vec<Port>,
    /// What the miners mine at.
    pub(crate) upstreams: Vec<config::Upstream>,
}

/// A driver, with a channel of its own at each upstream.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) inputs: Sender<Input>,
    /// Closed once its thread has ended.
    ended: Receiver<Infallible>,
}

/// A port for miners. It keeps its place when the config has it no longer, because its miners stay.
#[derive(Debug)]
pub(crate) struct Port {
    /// As the config has it, or had it last.
    pub(crate) listener: config::Listener,
    /// Where it listens, with its real port.
    pub(crate) address: SocketAddr,
    pub(crate) is_open: bool,
}

/// A socket that listens, with its real address.
pub(crate) type Listening = (SocketAddr, TcpListener);

impl Appliance {
    /// Listens, dials, and works from now on in threads of its own.
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
        let addresses = held.addresses().collect();
        let mut ports = Vec::new();
        for listener in &config.listeners {
            let socket = listen(&mut held, listener.address)?;
            log::info!("listening for miners on {}", socket.0);
            ports.push((listener.clone(), socket));
        }
        let for_http = config.http.address;
        let for_http = for_http.map(|address| listen(&mut held, address));
        let for_http = for_http.transpose()?;
        held.all_taken()?;
        let directory = StateDirectory::open_if_it_works(&config.state)?;
        let files = directory.clone().map(|directory| Files {
            workers: Workers::load(directory.clone()),
            sessions: Sessions::load(directory),
        });
        let (blocks, keeping) = directory.map(Blocks::in_files).unzip();
        let around = Around {
            blocks: blocks.unwrap_or_default(),
            places: descriptors::places(config),
            numbers: Numbers::new(SystemTime::now()),
            held: addresses,
        };
        let mut groups: Vec<Group> = Vec::new();
        while let Some((first, _)) = ports.first() {
            let upstreams = first.upstreams.clone();
            let (ours, rest): (Vec<_>, Vec<_>) = ports
                .into_iter()
                .partition(|(listener, _)| listener.upstreams == upstreams);
            ports = rest;
            let listeners: Vec<_> = ours.iter().map(|(listener, _)| listener).collect();
            let mut brains = brain_configs(config, &upstreams, &listeners)?;
            let before: usize = groups.iter().map(|group| group.shards.len()).sum();
            for (number, brain) in brains.iter_mut().enumerate() {
                brain.first_slot = brain.first_slot.wrapping_add(first_slot);
                if let Some(Files { workers, sessions }) = &files {
                    brain.worker_difficulties = workers.known().clone();
                    brain.sessions = sessions.of_driver(before + number);
                }
            }
            groups.push(Group::start((config, &upstreams), brains, ours, &around)?);
        }
        let sources = groups.iter().flat_map(Group::sources).collect();
        let settings = http_settings(config, sources, Vec::new());
        let http = for_http.map(|(_, socket)| start_http(socket, settings));
        let http = http.transpose()?;
        if let Some(http) = &http {
            log::info!("serving http on {}", http.address());
        }
        let mut appliance = Self {
            config: config.clone(),
            groups,
            around,
            http,
            departed: Vec::new(),
            saving: None,
            keeping,
        };
        let drivers = appliance.drivers();
        appliance.saving = files.map(|files| Saving::start(files, drivers));
        Ok(appliance)
    }

    /// Gives the addresses that are listened on, with their real ports: in the order of the config, but that those with
    /// the same upstreams are together.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let ports = self.groups.iter().flat_map(|group| &group.ports);
        let open = ports.filter(|port| port.is_open);
        open.map(|port| port.address).collect()
    }

    /// Gives the address that HTTP is served on, with its real port; `None` where it is off.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(http::Server::address)
    }

    /// Gives the config that it follows.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.groups.iter().flat_map(|group| &group.shards)
    }

    /// Gives a way to ask each driver.
    pub(crate) fn drivers(&self) -> Vec<Sender<Input>> {
        self.shards().map(|it| it.inputs.clone()).collect()
    }

    /// Asks each driver how things are.
    pub async fn reports(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        for shard in self.shards() {
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
        let ended = self.shards().map(|shard| Box::pin(shard.ended.recv()));
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
        if let Some(saving) = self.saving {
            saving.stop().await;
        }
        // All are told first, so that the slowest one's last words are all that is waited for.
        let mut answers = Vec::new();
        for shard in self.groups.iter().flat_map(|group| &group.shards) {
            let (asker, answer) = async_channel::bounded(1);
            // Fails only where the driver has ended.
            let _ = shard.inputs.send(Input::Stop(asker)).await;
            answers.push(answer);
        }
        let mut reports = Vec::new();
        for answer in answers {
            // Fails likewise.
            reports.extend(answer.recv().await.ok());
        }
        // What keeps blocks ends with the last of those who may have some.
        drop(self.around);
        for shard in self.groups.into_iter().flat_map(|group| group.shards) {
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

impl Group {
    /// Starts the drivers for these ports, with upstreams by their positions and a brain for each.
    pub(crate) fn start(
        (config, upstreams): (&Config, &[usize]),
        brains: Vec<translate::Config>,
        ports: Vec<(config::Listener, Listening)>,
        around: &Around,
    ) -> Result<Self, StartError> {
        let ways = || driver::inputs();
        let ways: Vec<_> = std::iter::repeat_with(ways).take(brains.len()).collect();
        let dealt = ways.iter().map(|(inputs, _)| inputs.clone());
        let dealer = Dealer::new(dealt, most(config));
        let mut group = Self {
            shards: Vec::new(),
            ports: Vec::new(),
            upstreams: chosen(config, upstreams).cloned().collect(),
        };
        let mut listeners = Vec::new();
        for (place, (listener, (address, socket))) in ports.into_iter().enumerate() {
            let places = around.places.clone();
            listeners.push(Listener::new(ListenerId(place), socket, places));
            group.ports.push(Port {
                listener,
                address,
                is_open: true,
            });
        }
        // The first lets miners in.
        let mut door = (listeners, dealer);
        let mut drivers = Vec::new();
        for (brain, inputs) in brains.into_iter().zip(ways) {
            let own = inputs.0.clone();
            let driver = Driver::new(
                Translator::new(Instant::now(), brain),
                std::mem::take(&mut door),
                driver::places(chosen(config, upstreams), &config.limits),
                shard_limits(config),
                Records {
                    blocks: around.blocks.clone(),
                    journal: Journal::new(around.numbers.clone()),
                },
                inputs,
            );
            drivers.push((driver.map_err(StartError::Driver)?, own));
        }
        for (driver, own) in drivers {
            match Shard::start(driver, own) {
                Ok(shard) => group.shards.push(shard),
                Err(error) => {
                    group.give_up();
                    return Err(error);
                }
            }
        }
        Ok(group)
    }

    /// Ends drivers that were started a moment ago, and that nobody is to know of.
    fn give_up(&self) {
        for shard in &self.shards {
            let (closed, _) = async_channel::bounded(1);
            // Nothing else is in its queue yet.
            let _ = shard.inputs.try_send(Input::LetGo(closed));
        }
    }

    /// Gives what HTTP is to show of it.
    pub(crate) fn sources(&self) -> impl Iterator<Item = http::Source> {
        let listeners: Arc<[_]> = self.ports.iter().map(|port| port.address).collect();
        self.shards.iter().map(move |shard| http::Source {
            listeners: Arc::clone(&listeners),
            inputs: shard.inputs.clone(),
        })
    }

    /// Gives what it has to show last.
    pub(crate) async fn last_shown(&self) -> Vec<http::Departed> {
        let mut departed = Vec::new();
        for source in self.sources() {
            let (asker, answer) = async_channel::bounded(1);
            // Both fail only where the driver has ended.
            let _ = source.inputs.send(Input::Snapshot(asker)).await;
            if let Ok(snapshot) = answer.recv().await {
                departed.push(http::Departed {
                    listeners: source.listeners,
                    shown: Arc::new(snapshot.last()),
                });
            }
        }
        departed
    }

    /// Has its miners let go, and its drivers end; waits until its ports are free.
    pub(crate) async fn let_go(self) {
        let (closed, all_closed) = async_channel::bounded(self.shards.len().max(1));
        for shard in &self.shards {
            // Fails only where the driver has ended.
            let _ = shard.inputs.send(Input::LetGo(closed.clone())).await;
        }
        drop(closed);
        while all_closed.recv().await.is_ok() {}
    }
}

impl Shard {
    fn start(driver: Driver, inputs: Sender<Input>) -> Result<Self, StartError> {
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
        Ok(Self { inputs, ended })
    }

    /// Has it follow another config, and waits until it does.
    pub(crate) async fn follow(&self, other: Reconfiguration) {
        let (done, followed) = async_channel::bounded(1);
        let other = Input::Reconfigure(Box::new(other), done);
        // Both fail only where the driver has ended.
        let _ = self.inputs.send(other).await;
        let _ = followed.recv().await;
    }
}

/// Listens on an address, on a socket that is held for it where there is one.
pub(crate) fn listen(held: &mut Sockets, address: SocketAddr) -> Result<Listening, StartError> {
    let error = |error| StartError::Listen { address, error };
    let socket = held.listen(address).map_err(error)?;
    let address = socket.local_addr().map_err(error)?;
    Ok((address, socket))
}

/// Serves HTTP on a socket that listens.
pub(crate) fn start_http(
    socket: TcpListener,
    settings: http::Settings,
) -> Result<http::Server, StartError> {
    let socket = Async::new(socket).map_err(StartError::Http)?;
    http::Server::start(socket, settings).map_err(StartError::Http)
}

/// Gives what the HTTP server is to follow.
pub(crate) fn http_settings(
    config: &Config,
    sources: Vec<http::Source>,
    departed: Vec<http::Departed>,
) -> http::Settings {
    http::Settings {
        http: config.http.clone(),
        limits: config.limits.clone(),
        sources,
        departed,
    }
}

/// Gives how many miners a shard may have.
fn most(config: &Config) -> usize {
    config.limits.max_miners.div_ceil(config.translation.shards)
}

/// Gives the limits of each shard.
pub(crate) fn shard_limits(config: &Config) -> Limits {
    Limits {
        max_miners: most(config),
        ..config.limits.clone()
    }
}

/// Bits of a slot behind those that tell the shard.
const SHARD_BITS: u32 = 28;

/// Gives the first slot of a shard, so that miners of different shards differ in `extranonce1`. They would not have to: no
/// two shards share a channel.
fn shard_slot(number: usize) -> u32 {
    u32::try_from(number).unwrap_or_default() << SHARD_BITS
}

/// Finds upstreams by their positions.
pub(crate) fn chosen<'c>(
    config: &'c Config,
    positions: &[usize],
) -> impl Iterator<Item = &'c config::Upstream> {
    positions
        .iter()
        .filter_map(|position| config.upstreams.get(*position))
}

/// Gives the brain of each shard what it needs of the config: upstreams by their positions, and listeners, whose
/// [`ListenerId`] is their place among these.
pub(crate) fn brain_configs(
    config: &Config,
    upstreams: &[usize],
    listeners: &[&config::Listener],
) -> Result<Vec<translate::Config>, StartError> {
    let brain = |number| {
        let mut brain = brain_config(config, upstreams, listeners)?;
        brain.first_slot = shard_slot(number);
        brain.max_miners = most(config);
        Ok(brain)
    };
    (0..config.translation.shards).map(brain).collect()
}

/// As [`brain_configs`], where there is one.
///
/// # Errors
/// Where the system gives no randomness.
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
