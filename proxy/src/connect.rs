//! `millrace check --connect`: dials each upstream as `run` would, with the same translator, and tells how it went.

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use async_channel::Sender;
use translate::{Event, Fault, Output, Translator, UpstreamId};

use crate::appliance::brain_config;
use crate::config::{Config, Upstream};
use crate::driver::{Input, places};
use crate::poller::{Poller, Source, Told};
use crate::runtime;
use crate::upstream::{self, Attempt, Ended, Place, UpstreamLink};

/// Messages of the set-up that may wait.
const QUEUE: usize = 64;
/// Bytes read at a time.
const READ_BUFFER: usize = 16_384;
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
        match Probe::run(config, position, upstream) {
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
    poller: Poller,
    told: Told<Input>,
    /// For dials.
    inputs: Sender<Input>,
    link: Option<UpstreamLink>,
    /// Counts connections, so that the last one's words are not taken for the present one's.
    attempts: u64,
    warnings: Vec<String>,
}

impl Probe {
    fn run(config: &Config, position: usize, upstream: &Upstream) -> Result<Granted, String> {
        let brain = brain_config(config, &[position], &[]).map_err(|error| error.to_string())?;
        let place = places(std::iter::once(upstream), &config.limits).pop();
        let (inputs, told) = async_channel::bounded(QUEUE);
        let poller = Poller::new().map_err(|error| error.to_string())?;
        let mut probe = Self {
            translator: Translator::new(Instant::now(), brain),
            place: place.ok_or("no upstream")?,
            told: Told::new(told, &poller),
            poller,
            inputs,
            link: None,
            attempts: 0,
            warnings: Vec::new(),
        };
        loop {
            if let Some(outcome) = probe.act() {
                return outcome;
            }
            probe.take_next().map_err(|error| error.to_string())?;
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
                    let (inputs, attempt) = (self.inputs.clone(), Attempt(self.attempts));
                    runtime::spawn(upstream::run(UpstreamId(0), attempt, place, inputs));
                }
                Output::Send {
                    message, worker, ..
                } => {
                    if let Some(link) = &mut self.link {
                        link.send(&message, worker.as_ref());
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

    /// Takes what has come; else writes what is in line, waits until something comes, and reads.
    fn take_next(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if let Some(Err(ended)) = self.link.as_mut().map(|link| link.flush(now)) {
            self.lose(&ended);
            return Ok(());
        }
        // Only once nothing is found there does the bell ring for what comes.
        if let Some(input) = self.told.next() {
            self.take(input);
            return Ok(());
        }
        let due = self.translator.poll_timeout();
        let wait = due.map(|due| due.saturating_duration_since(now));
        let mut events = Vec::new();
        self.poller.wait(wait, &mut events)?;
        for event in events {
            if let Some(link) = self.link.as_mut().filter(|_| event.writable) {
                link.note_room();
            }
        }
        if let Err(ended) = self.read() {
            self.lose(&ended);
        }
        Ok(())
    }

    fn take(&mut self, input: Input) {
        let (now, present) = (Instant::now(), Attempt(self.attempts));
        match input {
            Input::UpstreamConnected(id, attempt, link) if attempt == present => {
                match self.poller.add(link.socket(), Source::Upstream(0)) {
                    Ok(()) => self.translator.handle_upstream_connected(now, id),
                    Err(error) => self.lose(&Ended::Lost(error)),
                }
                self.link = Some(*link);
            }
            Input::UpstreamLost(id, attempt, words) if attempt == present => {
                self.translator.handle_upstream_lost(now, id, words);
            }
            _ => {}
        }
    }

    /// Reads what the upstream has sent.
    fn read(&mut self) -> Result<(), Ended> {
        let mut buffer = vec![0; READ_BUFFER];
        while let Some(link) = &mut self.link {
            let length = link.receive(&mut buffer)?;
            let mut bytes = buffer.get(..length).unwrap_or_default();
            while let Some(message) = link.next_message(&mut bytes)? {
                self.translator
                    .handle_message(Instant::now(), UpstreamId(0), message);
            }
            if length == 0 {
                break;
            }
        }
        Ok(())
    }

    fn lose(&mut self, ended: &Ended) {
        self.link = None;
        let words = ended.to_string();
        self.translator
            .handle_upstream_lost(Instant::now(), UpstreamId(0), words);
    }
}
