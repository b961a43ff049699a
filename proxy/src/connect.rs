//! `millrace check --connect`: dials each upstream as `run` would, with the same translator, and tells how it went.

use std::process::ExitCode;
use std::time::Instant;

use async_channel::{Receiver, Sender};
use translate::{Event, Fault, Output, Translator, UpstreamId};

use crate::appliance::brain_config;
use crate::config::{Config, Upstream};
use crate::driver::{Input, places};
use crate::runtime;
use crate::upstream::{self, Attempt, Place, UpstreamLink};

/// Messages of the set-up that may wait.
const QUEUE: usize = 64;
/// How often a pool may send us elsewhere (SV2 §3.6.5): to a region, and there to a server.
const MOST_REDIRECTS: u64 = 4;

/// Dials each upstream once and prints a line for each.
///
/// # Errors
/// Exit code 1 where any of them would not give work.
pub fn connect(config: &Config) -> Result<(), ExitCode> {
    runtime::use_one_thread();
    let mut failed = false;
    for (position, upstream) in config.upstreams.iter().enumerate() {
        match runtime::block_on(Probe::run(config, position, upstream)) {
            Ok(granted) => {
                println!("{}: ok, {}", upstream.name, granted.words);
                for warning in granted.warnings {
                    println!("{}: WARNING, {warning}", upstream.name);
                }
            }
            Err(words) => {
                println!("{}: FAILED, {words}", upstream.name);
                failed = true;
            }
        }
    }
    if failed {
        Err(ExitCode::FAILURE)
    } else {
        Ok(())
    }
}

/// What an upstream gave.
struct Granted {
    words: String,
    /// What it said beside that, or what follows from giving little.
    warnings: Vec<String>,
}

/// One upstream being tried.
struct Probe {
    translator: Translator,
    place: Place,
    inputs: (Sender<Input>, Receiver<Input>),
    link: Option<UpstreamLink>,
    /// Counts connections, so that the last one's words are not taken for the present one's.
    attempts: u64,
    warnings: Vec<String>,
}

impl Probe {
    async fn run(config: &Config, position: usize, upstream: &Upstream) -> Result<Granted, String> {
        let brain = brain_config(config, &[position], &[]).map_err(|error| error.to_string())?;
        let place = places(std::iter::once(upstream), &config.limits).pop();
        let mut probe = Self {
            translator: Translator::new(Instant::now(), brain),
            place: place.ok_or("no upstream")?,
            inputs: async_channel::bounded(QUEUE),
            link: None,
            attempts: 0,
            warnings: Vec::new(),
        };
        loop {
            if let Some(outcome) = probe.act() {
                return outcome;
            }
            probe.take_next().await;
        }
    }

    /// Does what the translator says until it says how it went.
    fn act(&mut self) -> Option<Result<Granted, String>> {
        self.translator.handle_timeout(Instant::now());
        while let Some(output) = self.translator.poll_output() {
            match output {
                Output::Dial { redirect, .. } => {
                    let place = Place {
                        redirect,
                        ..self.place.clone()
                    };
                    self.attempts += 1;
                    self.link = None;
                    let (inputs, attempt) = (self.inputs.0.clone(), Attempt(self.attempts));
                    runtime::spawn(upstream::run(UpstreamId(0), attempt, place, inputs));
                }
                Output::Send {
                    message, worker, ..
                } => {
                    if let Some(link) = &self.link {
                        link.send((message, worker));
                    }
                }
                Output::Event(Event::UpstreamReady {
                    difficulty,
                    extranonce_size,
                    worker_names,
                    ..
                }) => {
                    let names = if worker_names { "sees" } else { "does not see" };
                    let words = format!(
                        "handshake and setup done, channel opened at difficulty {difficulty} \
                         with {extranonce_size} bytes of extranonce, the pool {names} worker names"
                    );
                    let warnings = std::mem::take(&mut self.warnings);
                    return Some(Ok(Granted { words, warnings }));
                }
                Output::Event(Event::UpstreamRemark { remark, .. }) => self.warnings.push(remark),
                Output::Event(Event::UpstreamFailed {
                    fault: Fault::Reconnect,
                    ..
                }) if self.attempts <= MOST_REDIRECTS => {}
                Output::Event(Event::UpstreamFailed { fault, .. }) => {
                    return Some(Err(fault.to_string()));
                }
                _ => {}
            }
        }
        None
    }

    async fn take_next(&mut self) {
        let now = Instant::now();
        let next = self.inputs.1.recv();
        let input = match self.translator.poll_timeout() {
            Some(due) => runtime::within(due.saturating_duration_since(now), next).await,
            None => Some(next.await),
        };
        let (now, present) = (Instant::now(), Attempt(self.attempts));
        match input {
            Some(Ok(Input::UpstreamConnected(id, attempt, link))) if attempt == present => {
                self.link = Some(link);
                self.translator.handle_upstream_connected(now, id);
            }
            Some(Ok(Input::UpstreamMessage(id, attempt, message, _))) if attempt == present => {
                self.translator.handle_message(now, id, *message)
            }
            Some(Ok(Input::UpstreamLost(id, attempt, words))) if attempt == present => {
                self.translator.handle_upstream_lost(now, id, words)
            }
            _ => {}
        }
    }
}
