//! What the machine can do at best, without any proxy: programs that do the least, each a process of its own, started by
//! the tool as itself with another argument.

use std::io::{self, BufRead, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ChildStdin;
use std::sync::{Arc, Mutex, PoisonError};

use async_std::io::{ReadExt, WriteExt};
use async_std::stream::StreamExt;
use socket2::{Domain, Socket, Type};

use crate::Program;

/// Argument of the tool that makes it a writer.
pub const WRITER: &str = "floor-writer";
/// Argument of the tool that makes it an echo.
pub const ECHO: &str = "floor-echo";
/// Connections that wait to be accepted, as at Millrace.
const BACKLOG: i32 = 4_096;
/// Bytes read at a time, as at Millrace.
const BUFFER: usize = 512;

/// A floor that runs.
#[derive(Debug)]
pub(super) struct Floor {
    pub(super) program: Program,
    pub(super) address: SocketAddr,
    input: ChildStdin,
}

impl Floor {
    /// Starts one as the program `tool` with this argument.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub(super) fn start(tool: &Path, argument: &str) -> Self {
        let (program, input) = Program::with_input(tool, &[argument]);
        let address = program.first_output();
        let address = address.parse().expect("it says where it listens");
        Self {
            program,
            address,
            input,
        }
    }

    /// Has a writer write a line to everybody.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.input.write_all(line)
    }
}

/// Writes each line of standard input to all who are connected, in a plain loop of writes that do not wait.
///
/// # Errors
/// Where it cannot listen, or somebody does not read.
pub fn write_to_all() -> io::Result<()> {
    let listener = listen()?;
    let streams = Arc::new(Mutex::new(Vec::new()));
    let accepted = Arc::clone(&streams);
    std::thread::spawn(move || accept(&listener, &accepted));
    for line in io::stdin().lock().split(b'\n') {
        let line = [&line?[..], b"\n"].concat();
        let streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
        for mut stream in streams.iter() {
            if stream.write(&line)? < line.len() {
                return Err(ErrorKind::WriteZero.into());
            }
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener, streams: &Mutex<Vec<TcpStream>>) {
    for stream in listener.incoming().map_while(Result::ok) {
        if stream.set_nonblocking(true).is_ok() && stream.set_nodelay(true).is_ok() {
            let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.push(stream);
        }
    }
}

/// Writes back whatever comes, on async-std with one thread: what a share costs where nothing is done with it.
///
/// # Errors
/// Where it cannot listen.
pub fn echo() -> io::Result<()> {
    // Whoever started it is gone then.
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    let listener = listen()?;
    listener.set_nonblocking(true)?;
    let listener = async_std::net::TcpListener::from(listener);
    async_std::task::block_on(async_std::task::spawn(async move {
        let mut incoming = listener.incoming();
        while let Some(Ok(stream)) = incoming.next().await {
            async_std::task::spawn(echo_to(stream));
        }
    }));
    Ok(())
}

async fn echo_to(mut stream: async_std::net::TcpStream) {
    let mut buffer = [0; BUFFER];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let bytes = buffer.get(..length).unwrap_or_default();
        if stream.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Listens on a free port of loopback, and says where.
fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    println!("{}", listener.local_addr()?);
    Ok(listener)
}
