//! Many miners on one thread: an epoll loop that connects, reads, and sends shares when they are due.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use socket2::{Domain, Socket, Type};

use super::miner::{Beginning, Miner, Shared};
use super::tally::Tally;

/// Events taken at a time.
const EVENTS: usize = 1_024;
/// Bytes read at a time: any job, and the answers to all shares in flight.
const BUFFER: usize = 64 * 1024;
/// Token of the alarm among those of the miners.
const ALARM: u64 = u64::MAX;
/// Connections begun between two looks at what has come.
const CONNECTS_PER_ROUND: usize = 64;
/// Shares handed in between two looks at what has come, where the crowd has fallen behind.
const SHARES_PER_ROUND: usize = 256;
/// Connections from one address: the system has some 28,000 ports for each, and those of the last minute rest.
const CONNECTIONS_PER_ADDRESS: u32 = 5_000;

/// Counts all connections of this process, so that they spread over the addresses of loopback.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Miners that one thread serves.
#[derive(Debug)]
pub(super) struct Crowd {
    epoll: OwnedFd,
    alarm: OwnedFd,
    address: SocketAddr,
    beginning: Beginning,
    seats: Vec<Seat>,
    shared: Shared,
    pace: Option<Pace>,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

/// A miner and its connection.
#[derive(Debug)]
struct Seat {
    miner: Miner,
    stream: Option<TcpStream>,
    is_open: bool,
    /// What the socket did not take.
    unsent: Vec<u8>,
}

/// Shares at equal distances, the miners by turns.
#[derive(Debug)]
struct Pace {
    start: Instant,
    interval: Duration,
    /// Shares that have been due.
    due: u32,
}

impl Pace {
    fn next_due(&self) -> Instant {
        self.start + self.interval * self.due
    }
}

impl Crowd {
    /// Makes a crowd without miners.
    pub(super) fn new(address: SocketAddr, beginning: Beginning) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let alarm = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        epoll::add(&epoll, &alarm, EventData::new_u64(ALARM), EventFlags::IN)?;
        Ok(Self {
            epoll,
            alarm,
            address,
            beginning,
            seats: Vec::new(),
            shared: Shared::default(),
            pace: None,
            buffer: vec![0; BUFFER],
            out: Vec::new(),
        })
    }

    /// Gives what the miners have seen.
    pub(super) fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// Gives the line of the first job on the newest block.
    pub(super) fn block_line(&self) -> Option<Vec<u8>> {
        let job = self.shared.jobs.first_of_block();
        job.map(|job| job.line.clone())
    }

    /// Connects more miners, with at most `window` of them not yet at work at a time, and waits until all are.
    pub(super) fn connect(
        &mut self,
        count: usize,
        window: usize,
        deadline: Instant,
    ) -> io::Result<bool> {
        let wanted = self.seats.len() + count;
        let mut events = Vec::with_capacity(EVENTS);
        while self.seats.len() < wanted {
            let left = wanted - self.seats.len();
            for _ in 0..left.min(CONNECTS_PER_ROUND).min(window) {
                let number = self.seats.len();
                self.seats.push(Seat::new(number));
                self.open(number)?;
            }
            self.round(Instant::now(), &mut events)?;
            let least = self.seats.len().saturating_sub(window);
            if !self.run_until(deadline, |tally| tally.mining >= least)? {
                return Ok(false);
            }
        }
        self.run_until(deadline, |tally| tally.mining >= wanted)
    }

    /// Closes a miner's connection and lets another take its place.
    pub(super) fn replace(&mut self, number: usize) -> io::Result<()> {
        if let Some(seat) = self.seats.get_mut(number) {
            let tally = &mut self.shared.tally;
            tally.abandoned += seat.miner.unanswered() as u64;
            tally.mining -= usize::from(seat.miner.is_mining());
            *seat = Seat::new(number);
            self.open(number)?;
        }
        Ok(())
    }

    /// Hands in this many shares a second from now on, the miners by turns; one that is not at work loses its turn.
    pub(super) fn set_pace(&mut self, shares_per_second: f64) {
        self.pace = Some(Pace {
            start: Instant::now(),
            interval: Duration::from_secs_f64(1.0 / shares_per_second),
            due: 0,
        });
    }

    /// Gives how many shares have been due since the pace was set.
    pub(super) fn has_paced(&self) -> f64 {
        self.pace.as_ref().map_or(0.0, |pace| f64::from(pace.due))
    }

    /// Has every miner keep this many shares in flight from now on.
    pub(super) fn keep_in_flight(&mut self, shares: usize) -> io::Result<()> {
        self.shared.in_flight = shares;
        for number in 0..self.seats.len() {
            self.with_seat(number, |seat, shared, out| {
                seat.miner.fill(Instant::now(), shared, out);
            })?;
        }
        Ok(())
    }

    /// Hands in no more shares.
    pub(super) fn rest(&mut self) {
        self.pace = None;
        self.shared.in_flight = 0;
    }

    /// Serves the miners until `done` says so; `false` where the deadline came first.
    pub(super) fn run_until(
        &mut self,
        deadline: Instant,
        mut done: impl FnMut(&Tally) -> bool,
    ) -> io::Result<bool> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            if done(&self.shared.tally) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.round(deadline, &mut events)?;
        }
    }

    /// Serves the miners for a while.
    pub(super) fn run_for(&mut self, time: Duration) -> io::Result<()> {
        self.run_until(Instant::now() + time, |_| false).map(|_| ())
    }

    /// Takes what has come, and waits for it until `until`, or until a share is due.
    fn round(&mut self, until: Instant, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        self.send_due_shares()?;
        let due = self.pace.as_ref().map_or(until, Pace::next_due).min(until);
        let wait = due.saturating_duration_since(Instant::now());
        let at_once = Timespec::default();
        let timeout = match wait.is_zero() {
            true => Some(&at_once),
            false => {
                self.set_alarm(wait)?;
                None
            }
        };
        match epoll::wait(&self.epoll, spare_capacity(events), timeout) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let token = event.data.u64();
            if let Some(number) = usize::try_from(token).ok().filter(|_| token != ALARM) {
                self.serve(number, event.flags)?;
            }
        }
        Ok(())
    }

    fn set_alarm(&self, wait: Duration) -> io::Result<()> {
        let value = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: wait.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &value)?;
        Ok(())
    }

    fn send_due_shares(&mut self) -> io::Result<()> {
        for _ in 0..SHARES_PER_ROUND {
            let now = Instant::now();
            let Some(pace) = self.pace.as_mut().filter(|pace| pace.next_due() <= now) else {
                break;
            };
            let turn = pace.due as usize % self.seats.len().max(1);
            pace.due += 1;
            let is_mining = |seat: &Seat| seat.miner.is_mining();
            if self.seats.get(turn).is_some_and(is_mining) {
                self.with_seat(turn, |seat, shared, out| {
                    seat.miner.submit(now, shared, out);
                })?;
            }
        }
        Ok(())
    }

    fn open(&mut self, number: usize) -> io::Result<()> {
        let stream = connect(self.address)?;
        let token = EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &stream, token, EventFlags::OUT)?;
        self.shared.tally.connects += 1;
        if let Some(seat) = self.seats.get_mut(number) {
            seat.stream = Some(stream);
        }
        Ok(())
    }

    fn serve(&mut self, number: usize, flags: EventFlags) -> io::Result<()> {
        if flags.contains(EventFlags::OUT) {
            self.with_seat(number, |seat, _, out| out.append(&mut seat.unsent))?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(number)?;
        }
        Ok(())
    }

    fn read(&mut self, number: usize) -> io::Result<()> {
        let Some(seat) = self.seats.get_mut(number) else {
            return Ok(());
        };
        let Some(mut stream) = seat.stream.as_ref() else {
            return Ok(());
        };
        let length = match stream.read(&mut self.buffer) {
            Ok(0) => return self.lose(number, "closed by the proxy"),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return self.lose(number, &error.to_string()),
        };
        let now = Instant::now();
        let buffer = std::mem::take(&mut self.buffer);
        let bytes = buffer.get(..length).unwrap_or_default();
        let heard = self.with_seat(number, |seat, shared, out| {
            seat.miner.hear(now, bytes, shared, out);
        });
        self.buffer = buffer;
        heard
    }

    /// Lets a miner act, and sends what it says.
    fn with_seat(
        &mut self,
        number: usize,
        act: impl FnOnce(&mut Seat, &mut Shared, &mut Vec<u8>),
    ) -> io::Result<()> {
        let Some(seat) = self.seats.get_mut(number) else {
            return Ok(());
        };
        self.out.clear();
        let opens = !std::mem::replace(&mut seat.is_open, true);
        if opens {
            seat.miner
                .begin(&self.beginning, &mut self.shared, &mut self.out);
        }
        let waits = !seat.unsent.is_empty();
        act(seat, &mut self.shared, &mut self.out);
        let Some(stream) = &seat.stream else {
            return Ok(());
        };
        let sent = match seat.unsent.is_empty() {
            true => send(stream, &self.out, &mut seat.unsent),
            false => {
                seat.unsent.extend_from_slice(&self.out);
                Ok(())
            }
        };
        if let Err(error) = sent {
            return self.lose(number, &error.to_string());
        }
        if opens || waits == seat.unsent.is_empty() {
            let mut flags = EventFlags::IN;
            flags.set(EventFlags::OUT, !seat.unsent.is_empty());
            let token = EventData::new_u64(number as u64);
            epoll::modify(&self.epoll, stream, token, flags)?;
        }
        Ok(())
    }

    fn lose(&mut self, number: usize, how: &str) -> io::Result<()> {
        let Some(seat) = self.seats.get_mut(number) else {
            return Ok(());
        };
        if let Some(stream) = seat.stream.take() {
            self.shared.tally.lose(how);
            epoll::delete(&self.epoll, &stream)?;
        }
        Ok(())
    }
}

impl Drop for Crowd {
    /// Resets the connections, so that none of their ports rests for a minute.
    fn drop(&mut self) {
        for stream in self.seats.iter().filter_map(|seat| seat.stream.as_ref()) {
            // Where it fails the port rests.
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Seat {
    fn new(number: usize) -> Self {
        Self {
            miner: Miner::new(number),
            stream: None,
            is_open: false,
            unsent: Vec::new(),
        }
    }
}

/// Begins a connection to a loopback address, from another one.
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed) / CONNECTIONS_PER_ADDRESS;
    let [.., high, low] = (serial % 0xffff + 1).to_be_bytes();
    let source = Ipv4Addr::new(127, 1, high, low);
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// Writes what the socket takes, and keeps the rest.
fn send(mut stream: &TcpStream, bytes: &[u8], unsent: &mut Vec<u8>) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let written = match stream.write(bytes) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    unsent.extend_from_slice(bytes.get(written..).unwrap_or_default());
    Ok(())
}
