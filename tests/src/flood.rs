//! A flood beside good miners, who must lose nothing: silent connections, senders of garbage, and a miner all of whose
//! shares are worthless.
//!
//! First the good miners are alone, then as long again beside the flood. Each time one of them, the probe, measures how
//! long its shares take to be answered.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_std::task::block_on;
use sv1_miner::{Farm, FarmConfig, FarmHandle};
use sv2_pool::PoolConfig;

use crate::{Answer, PATIENCE, Pool, Program, ProxyConfig, Rig, Usage, Wire};

mod report;

pub use report::Report;

/// Where the good miners connect from.
const GOOD: IpAddr = loopback(1);
/// Shares of each good miner in a minute.
const SHARES_PER_MINUTE: f64 = 60.0;
/// New jobs come often; new blocks do not come, so that no share has an excuse.
const JOB_INTERVAL: Duration = Duration::from_secs(5);
/// Time between two shares of the probe.
const PROBE: Duration = Duration::from_millis(20);
/// Time between two connections of one sender of garbage: a hundred of them connect 500 times a second.
const RETURN: Duration = Duration::from_millis(200);
/// Worthless shares that are sent at once, and the time to the next: a thousand a second, below what is read.
const BATCH: usize = 20;
const NEXT_BATCH: Duration = Duration::from_millis(20);
/// How long a miner is paused, so that a short flood sees pauses and the ban behind them.
const PAUSE: &str = "pause = \"100ms\"";

/// What tells a notify from a reply to subscribe, which names it too.
const NOTIFY: &str = "\"method\":\"mining.notify\"";

/// Lines that no miner sends; each ends the connection.
const GARBAGE: [&[u8]; 4] = [
    b"\xff\x00{\n",
    b"GET / HTTP/1.1\r\nHost: farm\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
    &[b'a'; 20_000],
];

/// How much of each, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Flood {
    /// Good miners, without the probe.
    pub good: usize,
    /// Connections that say nothing.
    pub silent: usize,
    /// Senders of garbage, each of which comes back again and again.
    pub garbage: usize,
    /// Length of the calm, and of the flood.
    pub duration: Duration,
    /// Whether the flood comes from the good miners' own address, as behind one NAT; else each kind has its own.
    pub one_address: bool,
}

/// What the flood met with.
#[derive(Debug, Default)]
struct Met {
    over: AtomicBool,
    garbage_closed: AtomicU64,
    worthless_refused: AtomicU64,
    worthless_paused: AtomicU64,
    worthless_accepted: AtomicU64,
    worthless_closed: AtomicU64,
}

const fn loopback(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Met {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn count(&self, reply: &str) {
        let counter = match reply {
            reply if reply.contains("paused for another") => &self.worthless_paused,
            reply if reply.contains(r#""result":true"#) => &self.worthless_accepted,
            _ => &self.worthless_refused,
        };
        add(counter, 1);
    }
}

impl Flood {
    /// Runs the calm and the flood with this program.
    ///
    /// # Panics
    /// Where something cannot be started, or the probe is closed.
    #[must_use]
    pub fn run(&self, program: &Path) -> Report {
        let pool = Pool::start(PoolConfig {
            job_interval: Some(JOB_INTERVAL),
            ..Pool::config()
        });
        let config = ProxyConfig::new(&[pool.url()]).limit(PAUSE).level("info");
        let proxy = Program::run(program, &config);
        let address = proxy.address();
        let _ = proxy.wait_for_log("channel open");
        let farm = Farm::spawn(&FarmConfig {
            shares_per_minute: SHARES_PER_MINUTE,
            ..FarmConfig::new(address.to_string(), self.good)
        });
        self.wait_for_work(&farm);

        let usage = || Usage::of(proxy.id()).unwrap_or_default();
        let mut probe = Rig::start(address, "farm.probe");
        let connected = usage();
        let calm = measure(&mut probe, self.duration, || true);
        let before = usage();
        let met = Arc::new(Met::default());
        let silent = self.connect_silent(address);
        let senders = self.start_senders(address, &met);
        let flood = measure(&mut probe, self.duration, || self.has_met_limits(&met));
        let during = usage();
        met.over.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().expect("the flood is well");
        }
        drop(silent);
        let (farm, _) = block_on(farm.stop());
        probe.wire().finish_sending();
        let log = proxy.stop().stderr;
        Report {
            flood: *self,
            farm,
            pool: pool.stats_at_rest(),
            round_trips: [calm, flood],
            usage: [connected, before, during],
            met: report::Counts::of(&met),
            sent: report::sent(&log),
            limits: report::limits(&log),
            banned: log.contains(": banned for"),
        }
    }

    /// Waits until every miner has been given work, or for as long as the slowest machine needs.
    fn wait_for_work(&self, farm: &FarmHandle) {
        let deadline = Instant::now() + PATIENCE;
        while farm.stats().jobs < self.good as u64 && Instant::now() < deadline {
            thread::sleep(PROBE);
        }
    }

    /// Gives the address of one kind of attacker.
    fn source(&self, kind: u8) -> IpAddr {
        match self.one_address {
            true => GOOD,
            false => loopback(1 + kind),
        }
    }

    /// Tells whether the flood has met what it is to meet: a pause, and where nobody good is hit by it a ban.
    fn has_met_limits(&self, met: &Met) -> bool {
        let closed = met.worthless_closed.load(Ordering::Relaxed) > 0;
        let paused = met.worthless_paused.load(Ordering::Relaxed) > 0;
        paused && (closed || self.one_address)
    }

    fn connect_silent(&self, address: SocketAddr) -> Vec<Wire> {
        let source = self.source(1);
        let silent = (0..self.silent).map(|_| Wire::connect_from(source, address));
        silent.collect()
    }

    fn start_senders(&self, address: SocketAddr, met: &Arc<Met>) -> Vec<JoinHandle<()>> {
        let garbage = (0..self.garbage).map(|number| {
            let (source, met) = (self.source(2), Arc::clone(met));
            thread::spawn(move || send_garbage(source, address, number, &met))
        });
        let (source, met) = (self.source(3), Arc::clone(met));
        let worthless = thread::spawn(move || send_worthless_shares(source, address, &met));
        garbage.chain([worthless]).collect()
    }
}

/// Lets the probe mine for a while, longer where a slow machine is not `done`, and gives how long each of its shares
/// took to be answered.
fn measure(probe: &mut Rig, duration: Duration, done: impl Fn() -> bool) -> Vec<Duration> {
    let start = Instant::now();
    let mut taken = Vec::new();
    while start.elapsed() < duration || (!done() && start.elapsed() < PATIENCE) {
        let share = probe.find();
        let sent = Instant::now();
        let answer = probe.submit(&share);
        taken.push(sent.elapsed());
        assert!(matches!(answer, Answer::Accepted), "{answer:?}");
        // The probe's pace, not a wait for anything.
        thread::sleep(PROBE);
    }
    taken
}

/// Comes back again and again with what is no Stratum; each time the connection is closed.
fn send_garbage(source: IpAddr, address: SocketAddr, number: usize, met: &Met) {
    for garbage in GARBAGE.iter().cycle().skip(number % GARBAGE.len()) {
        if met.is_over() {
            return;
        }
        let mut wire = Wire::connect_from(source, address);
        // It may be closed before all is sent.
        let _ = wire.try_send(garbage);
        wire.wait_for_close();
        add(&met.garbage_closed, 1);
        thread::sleep(RETURN);
    }
}

/// Sends shares that meet no target but by chance, one in four thousand, a thousand a second; comes back when it is closed.
fn send_worthless_shares(source: IpAddr, address: SocketAddr, met: &Met) {
    while !met.is_over() {
        let mut wire = Wire::connect_from(source, address);
        // Banned, it is closed before it has work.
        if submit_worthless_shares(&mut wire, met).is_none() {
            add(&met.worthless_closed, 1);
            thread::sleep(PROBE);
        }
    }
}

/// Submits until the flood is over; `None` where the connection was closed before.
fn submit_worthless_shares(wire: &mut Wire, met: &Met) -> Option<()> {
    let set_up = concat!(
        r#"{"id":1,"method":"mining.subscribe","params":["worthless"]}"#,
        "\n",
        r#"{"id":2,"method":"mining.authorize","params":["worthless","x"]}"#,
        "\n"
    );
    wire.try_send(set_up.as_bytes()).ok()?;
    let mut job = first_job(wire)?;
    let mut nonce = 0_u32;
    while !met.is_over() {
        let mut lines = String::new();
        for _ in 0..BATCH {
            nonce = nonce.wrapping_add(1);
            let submit = r#"{"id":4,"method":"mining.submit","params":["worthless","#;
            lines += &format!("{submit}{job},\"{nonce:08x}\"]}}\n");
        }
        wire.try_send(lines.as_bytes()).ok()?;
        let mut answered = 0;
        while answered < BATCH {
            let line = wire.line()?;
            if line.contains(NOTIFY) {
                job = job_of(&line)?;
            } else if !line.contains("\"method\"") {
                met.count(&line);
                answered += 1;
            }
        }
        thread::sleep(NEXT_BATCH);
    }
    Some(())
}

/// Waits for work; gives the job's id and time as parameters of a submit have them, with a place between.
fn first_job(wire: &mut Wire) -> Option<String> {
    loop {
        let line = wire.line()?;
        if line.contains(NOTIFY) {
            return job_of(&line);
        }
    }
}

fn job_of(notify: &str) -> Option<String> {
    let notify: serde_json::Value = serde_json::from_str(notify).ok()?;
    let params = notify.get("params")?;
    Some(format!(
        "{},\"00000000\",{}",
        params.get(0)?,
        params.get(7)?
    ))
}
