//! A miner's end of a TCP connection, byte by byte: for scripts that no honest miner would follow.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};

use crate::PATIENCE;

/// Bytes read at a time.
const BUFFER: usize = 4096;

/// A connection to the proxy.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Wire {
    /// Connects.
    ///
    /// # Panics
    /// Where nobody listens.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("the proxy listens"))
    }

    /// Connects from another address of this machine: all of 127.0.0.0/8 are.
    ///
    /// # Panics
    /// Where nobody listens.
    #[must_use]
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let socket = socket.expect("a socket can be made");
        let bound = socket.bind(&SocketAddr::from((source, 0)).into());
        bound.expect("the address is this machine's");
        socket.connect(&address.into()).expect("the proxy listens");
        Self::of(socket.into())
    }

    fn of(stream: TcpStream) -> Self {
        let bounded = stream.set_read_timeout(Some(PATIENCE));
        bounded.expect("a timeout can be set");
        // Costs only time where it fails.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// Where the connection has ended.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the proxy takes it");
    }

    /// Sends bytes where the connection lives.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a line.
    ///
    /// # Panics
    /// Where the connection has ended.
    pub fn send_line(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    /// Waits for a line; `None` where the connection has ended.
    ///
    /// # Panics
    /// Where neither comes.
    pub fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line = self.received.drain(..=end).take(end).collect();
                return Some(String::from_utf8(line).expect("the proxy sends text"));
            }
            let mut buffer = [0; BUFFER];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self
                    .received
                    .extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the proxy says nothing: {error}"),
            }
        }
    }

    /// Waits for a line and reads it as JSON.
    ///
    /// # Panics
    /// Where the connection has ended.
    pub fn value(&mut self) -> Value {
        let line = self.line().expect("the proxy has closed the connection");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"))
    }

    /// Waits for a notification of this method, and gives its parameters; passes over other lines.
    ///
    /// # Panics
    /// Where the connection has ended.
    pub fn notification(&mut self, method: &str) -> Value {
        loop {
            let mut value = self.value();
            if value["method"] == method {
                return value["params"].take();
            }
        }
    }

    /// Sends a line and waits for its reply, which is the next line that is no notification.
    ///
    /// # Panics
    /// Where the connection has ended.
    pub fn call(&mut self, line: &str) -> Value {
        self.send_line(line);
        loop {
            let value = self.value();
            if value.get("method").is_none() {
                return value;
            }
        }
    }

    /// Subscribes and authorizes without configure, and gives the reply to subscribe.
    ///
    /// # Panics
    /// Where the proxy does not agree.
    pub fn set_up(&mut self, worker: &str) -> Value {
        let subscribed = self.call(r#"{"id":1,"method":"mining.subscribe","params":["script"]}"#);
        let authorize =
            format!(r#"{{"id":2,"method":"mining.authorize","params":["{worker}","x"]}}"#);
        assert_eq!(self.call(&authorize)["result"], true);
        subscribed
    }

    /// Waits until the proxy closes the connection; passes over what it says before.
    ///
    /// # Panics
    /// Where it does not.
    pub fn wait_for_close(&mut self) {
        while self.line().is_some() {}
    }

    /// Ends the sending direction only.
    ///
    /// # Panics
    /// Where the connection has ended.
    pub fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("it is open");
    }

    /// Resets the connection, as a machine that lost its power and came back does.
    ///
    /// # Panics
    /// Where it has ended already.
    pub fn reset(self) {
        let socket = SockRef::from(&self.stream);
        let linger = socket.set_linger(Some(Duration::ZERO));
        linger.expect("it has not ended");
    }

    /// Ends the connection.
    pub fn close(self) {
        drop(self);
    }
}
