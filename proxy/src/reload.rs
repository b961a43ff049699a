//! Reload: the config file is read anew and what differs is applied, without parting with a miner; or all of it is
//! refused and the old one goes on.
//!
//! ```text
//! read and check ─► compare ─► plan (which listener, which group) ─► open sockets, start drivers ─► apply
//!       └──────────────┴──────────────────┴─────────────────────────────────┴─► refused: nothing is done
//! ```
//!
//! Whatever can fail comes before the first thing that is done. What a change means for miners is the translator's
//! affair; what can change at all is in `config/change.rs`.

mod plan;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::appliance::{
    Appliance, Group, Listening, Port, StartError, brain_configs, chosen, http_settings, listen,
    shard_limits, start_http,
};
use crate::config::{Change, Config, ConfigError, Differences, Listener, Refused, Source};
use crate::descriptors;
use crate::driver::{self, Doors, Input, Reconfiguration};
use crate::http;
use crate::listener;
use crate::logging;
use crate::runtime;
use crate::sockets::{Sockets, SocketsError};
use crate::state::saving;
use crate::state::workers::Difficulties;
use translate::{Event, ListenerId};

use self::plan::{Home, Plan, Served};

/// Drivers that there were whose plot and events are shown.
const DEPARTED: usize = 16;
/// Longest wait for the disk: whoever asks for a stop meanwhile waits too.
const READING: Duration = Duration::from_secs(5);

/// Why another config is not applied.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It is wrong, or cannot be applied while the process runs.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system does not give what it takes.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The file is of a kind that is waited for, or on a disk that does not answer.
    #[error("{}: has not been read within {READING:?}; is it a pipe, or is its disk away?", .0.display())]
    Unread(PathBuf),
}

/// All that is needed to apply another config, so that nothing can fail any more.
struct Prepared {
    config: Config,
    /// What becomes of each group; `None` lets its miners go.
    groups: Vec<Option<Move>>,
    new: Vec<Group>,
    http: Option<http::Server>,
}

/// What becomes of a group that goes on.
struct Move {
    /// Of each shard.
    brains: Vec<translate::Config>,
    upstreams: Vec<usize>,
    /// What becomes of each port.
    ports: Vec<(Listener, PortMove)>,
}

enum PortMove {
    Stays,
    Closes,
    Opens(Listening),
}

impl Appliance {
    /// Reads the config file anew, follows it or does not, and tells the log and the API how it went.
    pub async fn reload(&mut self, path: &Path) {
        log::info!("reloading {}", path.display());
        let event = match self.follow(path).await {
            Ok(changes) if changes.is_empty() => {
                log::info!("config reloaded: nothing has changed");
                return;
            }
            Ok(changes) => {
                let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
                let changes = changes.join("; ");
                log::info!("config reloaded: {changes}");
                Event::ConfigChanged { changes }
            }
            Err(error) => {
                let problems = error.to_string();
                for problem in problems.lines() {
                    log::error!("config not reloaded: {problem}");
                }
                log::warn!("the old config goes on");
                let problems = problems.lines().collect::<Vec<_>>().join("; ");
                Event::ConfigRefused { problems }
            }
        };
        if let Some(driver) = self.drivers().first() {
            // Fails only where the driver has ended.
            let _ = driver.send(Input::Note(event)).await;
        }
    }

    /// Reads a config file and follows it from now on; gives what differs.
    ///
    /// # Errors
    /// Everything that is wrong with the file, or that only a restart can change; nothing is done then.
    pub async fn follow(&mut self, path: &Path) -> Result<Vec<Change>, ReloadError> {
        let (config, source) = read(path.to_owned()).await?;
        if config == self.config {
            return Ok(Vec::new());
        }
        let Differences {
            mut changes,
            mut refused,
        } = Differences::between(&self.config, &config);
        let plan = Plan::of(&self.served(), &config);
        let plan = match plan {
            Ok(plan) if refused.is_empty() => plan,
            planned => {
                refused.extend(planned.err().into_iter().flatten());
                return Err(source.refuse(&refused).into());
            }
        };
        for address in self.deserted(&plan) {
            let closed = changes.iter_mut().filter(|change| change.closes(address));
            closed.for_each(|change| change.note = Some("its miners are let go"));
        }
        self.check_held(&config)?;
        let prepared = self.prepare(config, plan, &source).await?;
        self.apply(prepared).await;
        Ok(changes)
    }

    fn served(&self) -> Vec<Served<'_>> {
        let served = self.groups.iter().map(|group| {
            let open = |port: &Port| port.is_open.then_some(port.listener.address);
            Served {
                ports: group.ports.iter().map(open).collect(),
                upstreams: &group.upstreams,
            }
        });
        served.collect()
    }

    /// Gives the configured addresses of groups that end.
    fn deserted(&self, plan: &Plan) -> Vec<SocketAddr> {
        let all = self.groups.iter().zip(&plan.groups);
        let ended = all.filter(|(_, group)| group.is_none());
        let ports = ended.flat_map(|(group, _)| &group.ports);
        ports.map(|port| port.listener.address).collect()
    }

    /// Tells whether every port that the service manager holds is still wanted: who connects to another would wait for
    /// ever.
    fn check_held(&self, config: &Config) -> Result<(), StartError> {
        let for_miners = config.listeners.iter().map(|listener| listener.address);
        let wanted: Vec<_> = for_miners.chain(config.http.address).collect();
        let mut held = self.around.held.iter();
        match held.find(|held| !wanted.contains(held)) {
            Some(unwanted) => Err(SocketsError::NotInConfig(*unwanted).into()),
            None => Ok(()),
        }
    }

    /// Opens sockets, gathers what each group is to follow, and starts those that are new.
    async fn prepare(
        &self,
        config: Config,
        plan: Plan,
        source: &Source,
    ) -> Result<Prepared, ReloadError> {
        let mut sockets = self.open_sockets(&config, &plan, source)?;
        let http = self.open_http(&config, source)?;
        let mut groups = Vec::new();
        for (place, (group, upstreams)) in self.groups.iter().zip(&plan.groups).enumerate() {
            groups.push(match upstreams {
                Some(upstreams) => {
                    let ports = next_ports(place, group, (&config, &plan.homes), &mut sockets);
                    let listeners: Vec<_> = ports.iter().map(|(listener, _)| listener).collect();
                    Some(Move {
                        brains: brain_configs(&config, upstreams, &listeners)?,
                        upstreams: upstreams.clone(),
                        ports,
                    })
                }
                None => None,
            });
        }
        // Last, because they begin to dial.
        let new = self.start_new(&config, &plan, &mut sockets).await?;
        Ok(Prepared {
            config,
            groups,
            new,
            http,
        })
    }

    async fn start_new(
        &self,
        config: &Config,
        plan: &Plan,
        sockets: &mut HashMap<usize, Listening>,
    ) -> Result<Vec<Group>, StartError> {
        let known = match plan.new.is_empty() {
            true => Difficulties::new(),
            false => self.known_difficulties().await,
        };
        let mut new = Vec::new();
        for (place, upstreams) in plan.new.iter().enumerate() {
            let ports = joining(Home::New(place), (config, &plan.homes), sockets);
            match self.start_group((config, upstreams), ports.collect(), &known) {
                Ok(group) => new.push(group),
                Err(error) => {
                    for group in new {
                        group.let_go().await;
                    }
                    return Err(error);
                }
            }
        }
        Ok(new)
    }

    fn start_group(
        &self,
        of: (&Config, &[usize]),
        ports: Vec<(Listener, Listening)>,
        known: &Difficulties,
    ) -> Result<Group, StartError> {
        let listeners: Vec<_> = ports.iter().map(|(listener, _)| listener).collect();
        let mut brains = brain_configs(of.0, of.1, &listeners)?;
        for brain in &mut brains {
            brain.worker_difficulties.clone_from(known);
        }
        Group::start(of, brains, ports, &self.around)
    }

    /// Listens for each listener that is new; gives the sockets by the listeners' places.
    fn open_sockets(
        &self,
        config: &Config,
        plan: &Plan,
        source: &Source,
    ) -> Result<HashMap<usize, Listening>, ReloadError> {
        let (mut sockets, mut refused) = (HashMap::new(), Vec::new());
        let all = config.listeners.iter().zip(&plan.homes).enumerate();
        for (place, (listener, _)) in all.filter(|(_, (_, home))| !matches!(home, Home::Stays(..)))
        {
            match listen(&mut Sockets::default(), listener.address) {
                Ok(socket) => drop(sockets.insert(place, socket)),
                Err(error) => refused.push(Refused {
                    section: "listener",
                    place,
                    key: "address",
                    text: self.why_not(&error),
                }),
            }
        }
        match refused.is_empty() {
            true => Ok(sockets),
            false => Err(source.refuse(&refused).into()),
        }
    }

    /// Starts the HTTP server of another address, with nothing to show yet.
    fn open_http(
        &self,
        config: &Config,
        source: &Source,
    ) -> Result<Option<http::Server>, ReloadError> {
        let address = config.http.address;
        let Some(address) = address.filter(|_| address != self.config.http.address) else {
            return Ok(None);
        };
        let (_, socket) = listen(&mut Sockets::default(), address).map_err(|error| {
            let text = self.why_not(&error);
            source.refuse(&[Refused {
                section: "http",
                place: 0,
                key: "address",
                text,
            }])
        })?;
        let settings = http_settings(config, Vec::new(), Vec::new());
        Ok(Some(start_http(socket, settings)?))
    }

    /// Says why a socket cannot be had; it may be this process that has the port.
    fn why_not(&self, error: &StartError) -> String {
        let StartError::Listen { address, error: io } = error else {
            return error.to_string();
        };
        let ours = self.addresses().into_iter().chain(self.http_address());
        let mut ours = ours.filter(|ours| ours.port() == address.port());
        match ours.next() {
            Some(ours) if io.kind() == io::ErrorKind::AddrInUse => format!(
                "cannot listen on {address} while this process still listens on {ours}: take that one out and reload, \
                 then put this one in and reload again"
            ),
            _ => error.to_string(),
        }
    }

    /// Does it all.
    async fn apply(&mut self, prepared: Prepared) {
        let config = prepared.config;
        let before = std::mem::take(&mut self.groups);
        let mut ended = Vec::new();
        for (mut group, next) in before.into_iter().zip(prepared.groups) {
            match next {
                Some(next) => {
                    self.move_on(&mut group, next, &config).await;
                    self.groups.push(group);
                }
                None => {
                    let departed = group.last_shown().await;
                    self.note_departed(departed);
                    ended.push(group);
                }
            }
        }
        for group in prepared.new {
            for port in &group.ports {
                log::info!("listening for miners on {}", port.address);
            }
            self.groups.push(group);
        }
        if let Some(saving) = &self.saving {
            saving.change(self.drivers());
        }
        self.change_http(&config, prepared.http).await;
        // Once HTTP asks them no more.
        for group in ended {
            log::info!("letting miners go whose listener is not in the config any more");
            // Its last words need no waiting for.
            group.let_go().await;
        }
        logging::change(&config.log);
        if config.limits != self.config.limits {
            // Warns where the system lets in fewer miners than the config.
            descriptors::count(&config);
        }
        self.config = config;
    }

    /// Keeps what drivers have counted whose miners are let go.
    fn note_departed(&mut self, departed: Vec<http::Departed>) {
        self.departed.extend(departed);
        let old = self.departed.len().saturating_sub(DEPARTED);
        for departed in self.departed.iter_mut().take(old) {
            departed.shown = Arc::new(departed.shown.counters());
        }
    }

    /// Gives what all drivers know of workers.
    async fn known_difficulties(&self) -> Difficulties {
        let known = saving::ask(&self.drivers(), Input::WorkerDifficulties).await;
        known.into_iter().flatten().collect()
    }

    /// Has a group's drivers follow another config, and its ports close and open.
    async fn move_on(&self, group: &mut Group, next: Move, config: &Config) {
        let upstreams: Vec<_> = chosen(config, &next.upstreams).collect();
        group.upstreams = upstreams.iter().copied().cloned().collect();
        let doors = self.move_ports(&mut group.ports, next.ports);
        let other = |brain, doors| {
            let places = driver::places(upstreams.iter().copied(), &config.limits);
            let limits = shard_limits(config);
            Reconfiguration {
                brain,
                places,
                limits,
                doors,
            }
        };
        let mut drivers = group.shards.iter().zip(next.brains);
        let first = drivers.next();
        for (shard, brain) in drivers {
            shard.follow(other(brain, Doors::default())).await;
        }
        // After the others, so that it lets nobody in at a port that they do not know.
        if let Some((shard, brain)) = first {
            shard.follow(other(brain, doors)).await;
        }
    }

    /// Notes what becomes of ports; gives what the driver that lets miners in has to do.
    fn move_ports(&self, ports: &mut Vec<Port>, next: Vec<(Listener, PortMove)>) -> Doors {
        let mut doors = Doors::default();
        for (place, (listener, next)) in next.into_iter().enumerate() {
            let id = ListenerId(place);
            match (next, ports.get_mut(place)) {
                (PortMove::Opens((address, socket)), port) => {
                    log::info!("listening for miners on {address}");
                    let places = self.around.places.clone();
                    doors
                        .opens
                        .push(listener::Listener::new(id, socket, places));
                    let opened = Port {
                        listener,
                        address,
                        is_open: true,
                    };
                    match port {
                        Some(closed) => *closed = opened,
                        None => ports.push(opened),
                    }
                }
                (PortMove::Stays, Some(port)) => port.listener = listener,
                (PortMove::Closes, Some(port)) if port.is_open => {
                    log::info!("closing the port {} to newcomers", port.address);
                    port.is_open = false;
                    doors.closes.push(id);
                }
                _ => {}
            }
        }
        doors
    }

    /// Has HTTP served as the config says: by another server where the address is another one.
    async fn change_http(&mut self, config: &Config, other: Option<http::Server>) {
        if config.http.address != self.config.http.address {
            let before = std::mem::replace(&mut self.http, other);
            // It ends with its thread, which may be writing a long answer.
            runtime::unblock(move || drop(before)).await;
            match self.http_address() {
                Some(address) => log::info!("serving http on {address}"),
                None => log::info!("serving no http any more"),
            }
        }
        if let Some(http) = &self.http {
            let sources = self.groups.iter().flat_map(Group::sources).collect();
            let departed = self.departed.clone();
            http.change(http_settings(config, sources, departed)).await;
        }
    }
}

/// Reads a config file. The disk may take its time; the executor's thread has none.
async fn read(path: PathBuf) -> Result<(Config, Source), ReloadError> {
    let load = {
        let path = path.clone();
        runtime::unblock(move || Config::load_with_source(&path))
    };
    let loaded = runtime::within(READING, load).await;
    Ok(loaded.ok_or(ReloadError::Unread(path))??)
}

/// Gives what becomes of a group's ports; those that are new come behind, but for one that there was before.
fn next_ports(
    group: usize,
    served: &Group,
    of: (&Config, &[Home]),
    sockets: &mut HashMap<usize, Listening>,
) -> Vec<(Listener, PortMove)> {
    let (config, homes) = of;
    let mut joining: Vec<_> = joining(Home::Joins(group), of, sockets).collect();
    let mut ports = Vec::new();
    for (place, port) in served.ports.iter().enumerate() {
        let stays = homes
            .iter()
            .position(|home| *home == Home::Stays(group, place));
        let stays = stays.and_then(|listener| config.listeners.get(listener));
        let again = joining
            .iter()
            .position(|(listener, _)| !port.is_open && listener.address == port.listener.address);
        ports.push(match (stays, again) {
            (Some(listener), _) => (listener.clone(), PortMove::Stays),
            (None, Some(again)) => {
                let (listener, socket) = joining.remove(again);
                (listener, PortMove::Opens(socket))
            }
            (None, None) => (port.listener.clone(), PortMove::Closes),
        });
    }
    let opens = joining.into_iter();
    ports.extend(opens.map(|(listener, socket)| (listener, PortMove::Opens(socket))));
    ports
}

/// Gives the listeners that come to a home, with their sockets.
fn joining(
    home: Home,
    (config, homes): (&Config, &[Home]),
    sockets: &mut HashMap<usize, Listening>,
) -> impl Iterator<Item = (Listener, Listening)> {
    let all = config.listeners.iter().zip(homes).enumerate();
    let ours = all.filter(move |(_, (_, of))| **of == home);
    ours.filter_map(|(place, (listener, _))| Some((listener.clone(), sockets.remove(&place)?)))
}
