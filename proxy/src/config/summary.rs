//! What `millrace check` says of a good config: what the appliance will do with it.

use std::fmt;

use translate::UserTemplate;

use super::duration::format_duration;
use super::{Config, Difficulty, Listener};

/// Displays what a config makes the appliance do, in a few lines.
#[derive(Debug)]
pub struct Summary<'c>(pub(super) &'c Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listeners = count(self.0.listeners.len(), "listener");
        let upstreams = count(self.0.upstreams.len(), "upstream");
        write!(f, "{listeners}, {upstreams}")?;
        for listener in &self.0.listeners {
            write!(f, "\n  {}", self.listener(listener))?;
            if listener.user != UserTemplate::default() {
                write!(f, "\n    the pool sees each as {}", listener.user)?;
            }
            if listener.difficulty != self.0.difficulty {
                write!(f, "\n    {}", difficulty(&listener.difficulty))?;
            }
        }
        write!(f, "\n  {}", difficulty(&self.0.difficulty))?;
        write!(f, "\n  {}", self.outage())?;
        write!(f, "\n  at most {} miners", self.0.limits.max_miners)?;
        if self.has_several_sets() {
            f.write_str(" for each set of listeners with the same upstreams")?;
        }
        write!(f, "\n  {}", self.state())?;
        let Some(address) = self.0.http.address else {
            return f.write_str("\n  no http");
        };
        let to = match self.0.http.token {
            Some(_) => "who knows the token",
            None => "everybody on this machine",
        };
        write!(f, "\n  http on {address} for {to}")
    }
}

impl Summary<'_> {
    fn has_several_sets(&self) -> bool {
        let mut lists = self.0.listeners.iter().map(|listener| &listener.upstreams);
        let first = lists.next();
        lists.any(|list| Some(list) != first)
    }

    fn listener(&self, listener: &Listener) -> String {
        let upstreams: Vec<String> = listener
            .upstreams
            .iter()
            .filter_map(|position| self.0.upstreams.get(*position))
            .map(|upstream| {
                format!(
                    "{} ({}:{}) as {}",
                    upstream.name, upstream.url.host, upstream.url.port, upstream.user
                )
            })
            .collect();
        format!(
            "miners on {} mine at {}",
            listener.address,
            upstreams.join(", else ")
        )
    }

    fn state(&self) -> String {
        let state = &self.0.state;
        match &state.directory {
            Some(directory) if state.is_automatic => {
                format!("state is kept in {} (STATE_DIRECTORY)", directory.display())
            }
            Some(directory) => format!("state is kept in {}", directory.display()),
            None if state.is_automatic => {
                "no state is kept unless systemd names a directory (STATE_DIRECTORY), as its unit does".to_owned()
            }
            None => "no state is kept: after a restart every miner is measured anew".to_owned(),
        }
    }

    fn outage(&self) -> String {
        match self.0.outage.release_after {
            None => "without an upstream miners are held for ever".to_owned(),
            Some(after) => {
                let after = format_duration(after);
                format!("without an upstream miners are held for {after}, then let go")
            }
        }
    }
}

fn difficulty(difficulty: &Difficulty) -> String {
    let start = difficulty.start.map_or_else(
        || "measured at first".to_owned(),
        |start| format!("{start} at first"),
    );
    let max = difficulty
        .max
        .map_or_else(|| "up".to_owned(), |max| format!("to {max}"));
    let from = format!("from {} {max}", difficulty.min);
    if difficulty.vardiff {
        format!(
            "difficulty {start}, then for {} shares per minute, {from}",
            difficulty.shares_per_minute
        )
    } else {
        format!("difficulty {start} and for good, unless the miner asks for another {from}")
    }
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
