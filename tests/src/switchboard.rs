//! A port that a proxy dials, and whoever a test puts behind it: a pool, a pool through a faulty line, or a script.
//!
//! The port stays while what answers changes, so a good pool can appear where a bad one was.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes carried at a time.
const BUFFER: usize = 16_384;

/// What happens to connections.
#[derive(Clone)]
pub enum Line {
    /// They reach this address.
    To(SocketAddr),
    /// They reach this address, and one bit of what it sends is flipped, at this byte.
    FlipAt(SocketAddr, usize),
    /// They reach this address, and end after this many of the bytes that it sends.
    CutAt(SocketAddr, usize),
    /// A script serves them.
    Script(Arc<dyn Fn(TcpStream) + Send + Sync>),
}

impl Line {
    /// Makes a line of a script; its thread ends with the test at the latest.
    pub fn script(script: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::Script(Arc::new(script))
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::To(address) => write!(f, "To({address})"),
            Self::FlipAt(address, at) => write!(f, "FlipAt({address}, {at})"),
            Self::CutAt(address, at) => write!(f, "CutAt({address}, {at})"),
            Self::Script(_) => f.write_str("Script"),
        }
    }
}

/// A port that is listened on until the test ends.
#[derive(Debug)]
pub struct Switchboard {
    address: SocketAddr,
    board: Arc<Mutex<Board>>,
}

#[derive(Debug)]
struct Board {
    line: Line,
    /// Both ends of what is connected.
    open: Vec<TcpStream>,
}

impl Switchboard {
    /// Listens on a free port.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn new(line: Line) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let board = Arc::new(Mutex::new(Board {
            line,
            open: Vec::new(),
        }));
        let shared = Arc::clone(&board);
        // Listens until the process ends: the port must not fall to another test.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connect(stream, &shared);
            }
        });
        Self { address, board }
    }

    /// Gives the address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives the URL of a pool with this address in the place of its own.
    ///
    /// # Panics
    /// Where it is no URL.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let mut url: sv2::url::PoolUrl = url.parse().expect("a pool's URL");
        url.port = self.address.port();
        url.to_string()
    }

    /// Ends what is connected, and does this with later connections.
    pub fn switch(&self, line: Line) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.line = line;
        for stream in board.open.drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn connect(stream: TcpStream, board: &Mutex<Board>) {
    let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(kept) = stream.try_clone() else { return };
    board.open.push(kept);
    let (address, from_pool) = match board.line.clone() {
        Line::Script(script) => {
            std::thread::spawn(move || script(stream));
            return;
        }
        Line::To(address) => (address, Fault::None),
        Line::FlipAt(address, at) => (address, Fault::Flip(at)),
        Line::CutAt(address, at) => (address, Fault::Cut(at)),
    };
    let Ok(pool) = TcpStream::connect(address) else {
        let _ = stream.shutdown(Shutdown::Both);
        return;
    };
    let ends = [&pool, &stream, &pool].map(TcpStream::try_clone);
    let [Ok(kept), Ok(miner_end), Ok(pool_end)] = ends else {
        return;
    };
    board.open.push(kept);
    std::thread::spawn(move || carry(stream, pool, Fault::None));
    std::thread::spawn(move || carry(pool_end, miner_end, from_pool));
}

/// What a line does to the bytes that it carries; counted from the first.
#[derive(Clone, Copy)]
enum Fault {
    None,
    Flip(usize),
    Cut(usize),
}

/// Carries bytes until either end closes, then closes both.
fn carry(mut from: TcpStream, mut to: TcpStream, fault: Fault) {
    let mut carried = 0;
    let mut buffer = [0; BUFFER];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get_mut(..length).unwrap_or_default();
        let mut wanted = length;
        match fault {
            Fault::None => {}
            Fault::Flip(at) => {
                if let Some(byte) = at.checked_sub(carried).and_then(|at| bytes.get_mut(at)) {
                    *byte ^= 1;
                }
            }
            Fault::Cut(at) => wanted = length.min(at.saturating_sub(carried)),
        }
        carried += length;
        let written = to.write_all(bytes.get(..wanted).unwrap_or_default());
        if written.is_err() || wanted < length {
            break;
        }
    }
    for stream in [from, to] {
        // It may have ended by itself.
        let _ = stream.shutdown(Shutdown::Both);
    }
}
