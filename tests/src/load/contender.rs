//! A proxy under load: Millrace, or any other that a command starts and a template configures.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::crowd::Crowd;
use super::miner::Beginning;
use super::upstream::LoadPool;
use crate::usage::proportional_bytes;
use crate::{Http, Program, Usage};

/// How often a proxy that starts is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// After the miner that saw it work has left.
const SETTLE: Duration = Duration::from_millis(300);

/// How hard shares are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    /// Nearly any hash is a share, for good.
    AnyHash,
    /// The same, with vardiff on: it finds the miners at the rate that it wants of them.
    AnyHashMeasured,
    /// As a farm has it, with vardiff on: no miner here will ever find one.
    Farm,
}

/// A proxy that can be started.
#[derive(Debug, Clone)]
pub struct Contender {
    /// What it is called in reports.
    pub name: String,
    words: Vec<String>,
    template: Option<String>,
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    pub(super) resident: u64,
    pub(super) proportional: u64,
}

/// A proxy that runs and works.
#[derive(Debug)]
pub(super) struct Running {
    program: Program,
    pub(super) address: SocketAddr,
}

impl Contender {
    /// Takes the program `millrace`.
    #[must_use]
    pub fn millrace(program: &Path) -> Self {
        let words = [&program.to_string_lossy(), "run", "--config", "{config}"];
        Self {
            name: "millrace".into(),
            words: words.map(str::to_owned).to_vec(),
            template: None,
        }
    }

    /// Takes another proxy: the words of a command with `{config}` in the place of the config's path, and the template of
    /// the config, in which `{listen_port}`, `{pool_host}`, `{pool_port}`, `{pool_key}`, `{vardiff}` (`true` or `false`) and
    /// `{miner_hashrate}` (in h/s) are filled in.
    #[must_use]
    pub fn command(command: &str, template: &str) -> Self {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let program = words.first().map_or("", String::as_str);
        let name = program.rsplit('/').next().unwrap_or_default();
        Self {
            name: name.to_owned(),
            template: Some(template.to_owned()),
            words,
        }
    }

    /// Starts it before a pool, and waits until a miner is served.
    ///
    /// # Panics
    /// Where it does not start, or serves no miner.
    pub(super) fn start(&self, pool: &LoadPool, terms: Terms) -> Running {
        let template = self.template.clone();
        let template = template.unwrap_or_else(|| millrace_config(terms, ""));
        self.start_with(&template, pool, terms)
    }

    /// Starts Millrace, and has it serve HTTP.
    ///
    /// # Panics
    /// Where it does not start, or serves no miner.
    pub(super) fn start_with_http(&self, pool: &LoadPool, terms: Terms) -> (Running, Http) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let template = millrace_config(terms, &address.to_string());
        let running = self.start_with(&template, pool, terms);
        (running, Http::new(address))
    }

    fn start_with(&self, template: &str, pool: &LoadPool, terms: Terms) -> Running {
        let port = free_port();
        let text = filled(template, port, pool, terms);
        let program = Program::of_command(&self.words, &text);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let running = Running { program, address };
        running.wait_until_it_serves(&self.name);
        running
    }
}

impl Running {
    fn wait_until_it_serves(&self, name: &str) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            assert!(
                Instant::now() < deadline,
                "{name} does not listen; its log:\n{}",
                self.program.log()
            );
            sleep(LOOK);
        }
        let crowd = Crowd::new(self.address, Beginning::SetUp);
        let mut crowd = crowd.expect("an event queue can be made");
        let served = crowd.connect(1, 1, deadline);
        assert!(
            matches!(served, Ok(true)),
            "{name} serves no miner: {:?}; its log:\n{}",
            crowd.tally(),
            self.program.log()
        );
        drop(crowd);
        sleep(SETTLE);
    }

    /// Looks at what it takes.
    pub(super) fn usage(&self) -> Usage {
        Usage::of(self.program.id()).unwrap_or_default()
    }

    /// Looks at its memory.
    pub(super) fn memory(&self) -> Memory {
        Memory {
            resident: self.usage().resident_bytes,
            proportional: proportional_bytes(self.program.id()).unwrap_or_default(),
        }
    }

    /// Tells whether it panicked, whatever it did afterwards.
    pub(super) fn problems(&self) -> Option<String> {
        let panics = self.program.count_log("panicked at");
        (panics > 0).then(|| format!("the proxy panicked; its log:\n{}", self.program.log()))
    }

    /// Counts its open files.
    pub(super) fn descriptors(&self) -> usize {
        let place = format!("/proc/{}/fd", self.program.id());
        std::fs::read_dir(place).map_or(0, Iterator::count)
    }
}

/// Gives a port that was free just now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    address.port()
}

fn filled(template: &str, port: u16, pool: &LoadPool, terms: Terms) -> String {
    let vardiff = terms != Terms::AnyHash;
    // Where any hash is a share, a miner that finds twelve a minute makes a hash every five seconds.
    let hashrate = match terms {
        Terms::Farm => "100_000_000_000_000.0",
        Terms::AnyHash | Terms::AnyHashMeasured => "0.2",
    };
    template
        .replace("{listen_port}", &port.to_string())
        .replace("{pool_host}", &pool.host)
        .replace("{pool_port}", &pool.port.to_string())
        .replace("{pool_key}", &pool.key)
        .replace("{vardiff}", &vardiff.to_string())
        .replace("{miner_hashrate}", hashrate)
}

/// The defaults, but for the limits on a farm's size and, where shares are counted, the lowest difficulty that there is.
fn millrace_config(terms: Terms, http: &str) -> String {
    let difficulty = match terms {
        Terms::Farm => String::new(),
        Terms::AnyHash | Terms::AnyHashMeasured => {
            let lowest = 2_f64.powi(-32);
            format!("start = {lowest:?}\nmin = {lowest:?}\n")
        }
    };
    format!(
        "[[listener]]\naddress = \"127.0.0.1:{{listen_port}}\"\n\
         [[upstream]]\nname = \"pool\"\nuser = \"farm\"\n\
         url = \"stratum2+tcp://{{pool_host}}:{{pool_port}}/{{pool_key}}\"\n\
         [difficulty]\nvardiff = {{vardiff}}\n{difficulty}\
         [limits]\nmax_miners = 1000000\nmax_miners_per_address = 1000000\n\
         [http]\naddress = \"{http}\"\n[log]\nlevel = \"warn\"\ntimestamps = false\n"
    )
}
