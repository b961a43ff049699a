//! A made-up farm behind the real page: for pictures of it, and for tests of what a real farm takes a day to show.
//!
//! Everything but the API is passed on to a real `millrace`, so that the page comes as it is served.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Http;

mod scene;

pub use scene::Scene;

/// A server with a made-up farm. It ends with the process.
#[derive(Debug)]
pub struct Stage {
    address: SocketAddr,
}

impl Stage {
    /// Serves a scene, with the page of this program.
    ///
    /// # Panics
    /// Where no port is free.
    #[must_use]
    pub fn start(real: Http, scene: Scene) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let scene = Arc::new(scene);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let scene = Arc::clone(&scene);
                // A client that goes away is no matter.
                std::thread::spawn(move || drop(serve(&stream, real, &scene)));
            }
        });
        Self { address }
    }

    /// Gives the address of the page.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Gives a client of it.
    #[must_use]
    pub fn http(&self) -> Http {
        Http::new(self.address)
    }
}

/// Answers one request.
fn serve(mut stream: &TcpStream, real: Http, scene: &Scene) -> std::io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new(stream);
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    let target = request.split(' ').nth(1).unwrap_or_default();
    let answer = match scene.answer(target) {
        Some(answer) => with_head("application/json", "", &answer.to_string()),
        None => {
            let page = real.get(target);
            let kind = page.header("content-type").unwrap_or_default();
            let policy = page.header("content-security-policy").unwrap_or_default();
            let policy = format!("Content-Security-Policy: {policy}\r\n");
            with_head(kind, &policy, &page.body)
        }
    };
    stream.write_all(answer.as_bytes())
}

fn with_head(kind: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\
         {headers}\r\n{body}"
    )
}

/// Gives s since epoch.
fn now() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

/// Writes a time of so many seconds ago as the API does.
fn ago(seconds: f64) -> Value {
    let at = now().saturating_sub(Duration::from_secs_f64(seconds));
    let at = i64::try_from(at.as_millis()).unwrap_or_default();
    let time = Timestamp::from_millisecond(at).unwrap_or_default();
    json!(format!("{time:.3}"))
}
