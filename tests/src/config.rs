//! The config file of a proxy under test: quick to retry, open at easy shares, and with whatever a test adds.

use std::fmt::Write;
use std::net::SocketAddr;

/// Text of a config file in the making.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    listener: SocketAddr,
    /// Names and URLs.
    upstreams: Vec<(String, String)>,
    difficulty: f64,
    limits: Vec<String>,
    listener_lines: Vec<String>,
    more: Vec<String>,
    http: String,
    level: &'static str,
    log_lines: Vec<String>,
}

impl ProxyConfig {
    /// Takes the pools' URLs in order of preference; the first is named `pool0`, and so on.
    #[must_use]
    pub fn new(urls: &[&str]) -> Self {
        Self {
            listener: SocketAddr::from(([127, 0, 0, 1], 0)),
            upstreams: (0..)
                .zip(urls)
                .map(|(index, url)| (format!("pool{index}"), (*url).to_owned()))
                .collect(),
            difficulty: 2_f64.powi(-20),
            limits: vec![
                "retry_min = \"100ms\"".into(),
                "retry_max = \"200ms\"".into(),
            ],
            listener_lines: Vec::new(),
            more: Vec::new(),
            http: "address = \"\"".into(),
            level: "debug",
            log_lines: vec!["timestamps = false".into()],
        }
    }

    /// Puts another pool before all others.
    #[must_use]
    pub fn preferring(mut self, name: &str, url: &str) -> Self {
        self.upstreams.insert(0, (name.to_owned(), url.to_owned()));
        self
    }

    /// Takes the pool of this name out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.upstreams.retain(|(other, _)| other != name);
        self
    }

    /// Listens on this address instead of a free port.
    #[must_use]
    pub fn listener(mut self, listener: SocketAddr) -> Self {
        self.listener = listener;
        self
    }

    /// Gives every miner this difficulty, for good; by default 2^-20, which is some thousand hashes.
    #[must_use]
    pub fn difficulty(mut self, difficulty: f64) -> Self {
        self.difficulty = difficulty;
        self
    }

    /// Adds a line to `[limits]`.
    #[must_use]
    pub fn limit(mut self, line: &str) -> Self {
        self.limits.push(line.to_owned());
        self
    }

    /// Adds a line to `[[listener]]`.
    #[must_use]
    pub fn listener_line(mut self, line: &str) -> Self {
        self.listener_lines.push(line.to_owned());
        self
    }

    /// Serves HTTP on a free port, with more lines in `[http]`; by default it is off.
    #[must_use]
    pub fn http(mut self, lines: &str) -> Self {
        self.http = format!("address = \"127.0.0.1:0\"\n{lines}");
        self
    }

    /// Adds sections.
    #[must_use]
    pub fn sections(mut self, text: &str) -> Self {
        self.more.push(text.to_owned());
        self
    }

    /// Logs from this level on; by default everything that tests look for.
    #[must_use]
    pub fn level(mut self, level: &'static str) -> Self {
        self.level = level;
        self
    }

    /// Adds a line to `[log]`.
    #[must_use]
    pub fn log_line(mut self, line: &str) -> Self {
        self.log_lines.push(line.to_owned());
        self
    }

    /// Leaves it to the program whether lines of the log begin with the time; by default they do not.
    #[must_use]
    pub fn automatic_timestamps(mut self) -> Self {
        self.log_lines
            .retain(|line| !line.starts_with("timestamps"));
        self
    }

    /// Gives the text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let listener = self.listener_lines.join("\n");
        let mut text = format!(
            "[[listener]]\naddress = \"{}\"\n{listener}\n",
            self.listener
        );
        for (name, url) in &self.upstreams {
            let upstream = format!("name = \"{name}\"\nurl = \"{url}\"\nuser = \"farm\"\n");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "[[upstream]]\n{upstream}");
        }
        let difficulty = self.difficulty;
        let _ = writeln!(
            text,
            "[difficulty]\nstart = {difficulty:?}\nmin = {difficulty:?}\nvardiff = false\n\
             [limits]\n{}\n[http]\n{}\n[log]\nlevel = \"{}\"\n{}\n{}",
            self.limits.join("\n"),
            self.http,
            self.level,
            self.log_lines.join("\n"),
            self.more.join("\n")
        );
        text
    }
}
