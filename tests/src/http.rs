//! A client of the HTTP server: one request a connection, as plain as can be.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use serde_json::Value;

use crate::PATIENCE;

/// Where a program serves HTTP.
#[derive(Debug, Clone, Copy)]
pub struct Http {
    address: SocketAddr,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status code.
    pub status: u16,
    /// Its headers, as they came.
    pub head: String,
    /// What follows them.
    pub body: String,
}

impl Http {
    /// Takes an address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Gives the address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a connection.
    ///
    /// # Panics
    /// Where nobody listens.
    #[must_use]
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("above zero");
        stream
    }

    /// Asks for a path.
    ///
    /// # Panics
    /// Where no answer comes.
    #[must_use]
    pub fn get(&self, path: &str) -> Reply {
        self.get_with(path, "")
    }

    /// Asks for a path with more headers, each ending in a line break.
    ///
    /// # Panics
    /// Where no answer comes.
    #[must_use]
    pub fn get_with(&self, path: &str, headers: &str) -> Reply {
        let host = format!("Host: {}\r\n", self.address);
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n"
        ))
    }

    /// Sends these words and reads the answer up to the end of the connection.
    ///
    /// # Panics
    /// Where what comes is no answer.
    #[must_use]
    pub fn ask(&self, request: &str) -> Reply {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it is answered");
        Reply::parse(&answer)
    }

    /// Asks for a path that must be there, and reads the JSON.
    ///
    /// # Panics
    /// Where it is not there.
    #[must_use]
    pub fn json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.json()
    }

    /// Asks for a path until `wanted` likes the JSON, and gives it. Answers may be a second old.
    ///
    /// # Panics
    /// Where it does not come.
    #[must_use]
    pub fn wait_for(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.json(path);
            if wanted(&value) {
                return value;
            }
            assert!(Instant::now() < deadline, "{path} stays at {value:#}");
        }
    }

    /// Gives the value of one series of the metrics, with its labels as they are written; `None` where there is none.
    ///
    /// # Panics
    /// Where there are no metrics.
    #[must_use]
    pub fn metric(&self, series: &str) -> Option<f64> {
        let page = self.get("/metrics");
        assert_eq!(page.status, 200, "{}", page.body);
        page.metric(series)
    }

    /// Asks for the metrics until `wanted` likes them, and gives the page.
    ///
    /// # Panics
    /// Where it does not come.
    #[must_use]
    pub fn wait_for_metrics(&self, wanted: impl Fn(&Reply) -> bool) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let page = self.get("/metrics");
            if wanted(&page) {
                return page;
            }
            assert!(
                Instant::now() < deadline,
                "the metrics stay at {}",
                page.body
            );
        }
    }
}

impl Reply {
    fn parse(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.expect("a status code"),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Gives a header's value; its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(given, _)| *given == name)
            .map(|(_, value)| value)
    }

    /// Reads the body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Gives the value of one series of a page of metrics.
    #[must_use]
    pub fn metric(&self, series: &str) -> Option<f64> {
        let mut lines = self.body.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value?.parse().ok()
    }
}
