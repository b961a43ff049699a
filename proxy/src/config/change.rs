//! What differs between two configs: what a reload applies, told key by key, and what only a restart can change.
//!
//! Every key of every section is named here, so that one which is new does not compile until somebody has decided about
//! it.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use translate::GuardPolicy;

use super::document::Document;
use super::duration::format_duration;
use super::report::Report;
use super::{
    Config, ConfigError, Difficulty, Http, Limits, Listener, Log, Outage, State, Timestamps,
    Translation, Upstream,
};

/// Why these keys are for a restart.
const CHANNELS: &str = "the miners' channels would have to be opened anew; restart to change it";
const EXTRANONCE: &str =
    "connected miners were told theirs and most firmware takes no other; restart to change it";
const SHARDS: &str = "the threads are started with the program; restart to change it";
const DIRECTORY: &str = "what is kept is read at the start; restart to change it";

/// Notes on when a change counts.
const NEW_CONNECTIONS: &str = "for connections from now on";
const NEW_MINERS: &str = "for miners that come from now on";

/// What becomes of a listener that is taken out.
const CLOSED: &str = "closed";

/// One difference that is applied. `Display` is the key, what it was and what it is now, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key as `section.key`, or what came or went.
    pub key: String,
    /// What became of it.
    pub what: String,
    /// For whom it counts, where not for all at once.
    pub note: Option<&'static str>,
}

impl Change {
    /// Tells whether it is a listener that is closed.
    pub(crate) fn closes(&self, address: SocketAddr) -> bool {
        self.what == CLOSED && self.key == listener_key(address)
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.what)?;
        match self.note {
            Some(note) => write!(f, " ({note})"),
            None => Ok(()),
        }
    }
}

/// A key of the new file that cannot be applied, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) section: &'static str,
    /// Which of the sections of that name, from 0.
    pub(crate) place: usize,
    pub(crate) key: &'static str,
    pub(crate) text: String,
}

impl Refused {
    /// Refuses a key of a section that there is only one of.
    pub(super) fn only(section: &'static str, key: &'static str, text: &str) -> Self {
        Self {
            section,
            place: 0,
            key,
            text: text.to_owned(),
        }
    }
}

/// The text of a config file, to say where in it something is.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(super) file: String,
    pub(super) text: String,
}

impl Source {
    /// Words refusals as `millrace check` words problems.
    pub(crate) fn refuse(&self, refused: &[Refused]) -> ConfigError {
        let mut report = Report::default();
        let mut document = Document::parse(&self.text, &mut report);
        for Refused {
            section,
            place,
            key,
            text,
        } in refused
        {
            let mut places = 0..;
            let mut tell = |mut found: super::section::Section<'_, '_>| {
                if places.next() == Some(*place) {
                    found.mismatch(key, text.clone());
                }
            };
            match *section {
                "listener" => drop(document.each(section, &mut report, tell)),
                section => tell(document.section(section, &mut report)),
            }
        }
        ConfigError::Wrong {
            file: self.file.clone(),
            problems: report.into_problems(&self.text),
        }
    }
}

/// All that differs between two configs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    pub(crate) changes: Vec<Change>,
    pub(crate) refused: Vec<Refused>,
}

impl Differences {
    pub(crate) fn between(before: &Config, after: &Config) -> Self {
        let Config {
            listeners,
            upstreams,
            difficulty,
            outage,
            translation,
            limits,
            state,
            http,
            log,
        } = after;
        let mut found = Self::default();
        found.listeners(before, listeners, after);
        found.upstreams(&before.upstreams, upstreams);
        found.difficulty("difficulty", &before.difficulty, difficulty, |_| true);
        found.outage(&before.outage, outage);
        found.translation(&before.translation, translation);
        found.sizes(&before.limits, limits);
        found.times(&before.limits, limits);
        found.guard(&before.limits.guard, &limits.guard);
        found.state(&before.state, state);
        found.http(&before.http, http);
        found.log(&before.log, log);
        found
    }

    /// Notes a key whose value is another one.
    fn note<T: PartialEq>(
        &mut self,
        key: &str,
        (before, after): (&T, &T),
        show: impl Fn(&T) -> String,
        note: Option<&'static str>,
    ) {
        if before != after {
            let what = format!("{} → {}", show(before), show(after));
            self.tell(key, &what, note);
        }
    }

    fn tell(&mut self, key: &str, what: &str, note: Option<&'static str>) {
        self.changes.push(Change {
            key: key.to_owned(),
            what: what.to_owned(),
            note,
        });
    }

    fn listeners(&mut self, before: &Config, listeners: &[Listener], after: &Config) {
        let mut old: Vec<&Listener> = before.listeners.iter().collect();
        for listener in listeners {
            let key = listener_key(listener.address);
            let same = old.iter().position(|old| old.address == listener.address);
            match same.map(|same| old.remove(same)) {
                Some(was) => self.listener(&key, (before, was), (after, listener)),
                None => self.tell(&key, "opened", None),
            }
        }
        for gone in old {
            let key = listener_key(gone.address);
            self.tell(&key, CLOSED, Some("its miners stay"));
        }
    }

    fn listener(
        &mut self,
        name: &str,
        (before, was): (&Config, &Listener),
        (after, is): (&Config, &Listener),
    ) {
        let Listener {
            address: _,
            upstreams: _,
            user,
            difficulty,
        } = is;
        let (old, new) = (names(before, was), names(after, is));
        let all = |config: &Config| {
            let all = config.upstreams.iter();
            all.map(|it| it.name.clone()).collect::<Vec<_>>()
        };
        // What follows from the list of upstreams is told there.
        if (old != all(before) || new != all(after)) && old != new {
            let what = format!("{} → {}", old.join(", "), new.join(", "));
            self.tell(&format!("{name} upstreams"), &what, None);
        }
        let key = format!("{name} user");
        self.note(&key, (&was.user, user), ToString::to_string, None);
        // What follows from [difficulty] is told there.
        let own = |key: &str| {
            let differs = |config: &Config, listener: &Listener| {
                let (all, own) = (&config.difficulty, &listener.difficulty);
                value_of(key, all) != value_of(key, own)
            };
            differs(before, was) || differs(after, is)
        };
        let name = format!("{name} difficulty");
        self.difficulty(&name, &was.difficulty, difficulty, own);
    }

    fn upstreams(&mut self, before: &[Upstream], after: &[Upstream]) {
        for upstream in after {
            let Upstream { name, url, user } = upstream;
            let key = format!("upstream {name}");
            match before.iter().find(|before| before.name == *name) {
                None => self.tell(&key, "added", None),
                Some(was) => {
                    let (url_key, user_key) = (format!("{key} url"), format!("{key} user"));
                    self.note(&url_key, (&was.url, url), ToString::to_string, None);
                    self.note(&user_key, (&was.user, user), Clone::clone, None);
                }
            }
        }
        let is_in = |list: &[Upstream], name: &str| list.iter().any(|it| it.name == name);
        for gone in before.iter().filter(|it| !is_in(after, &it.name)) {
            let note = "its miners leave as soon as another has work";
            self.tell(&format!("upstream {}", gone.name), "removed", Some(note));
        }
        let order = |list: &[Upstream], other: &[Upstream]| {
            let both = list.iter().filter(|it| is_in(other, &it.name));
            both.map(|it| it.name.clone()).collect::<Vec<_>>()
        };
        let (old, new) = (order(before, after), order(after, before));
        self.note(
            "order of upstreams",
            (&old, &new),
            |names| names.join(", "),
            None,
        );
    }

    /// Compares difficulties; `tells` says of which keys.
    fn difficulty(
        &mut self,
        section: &str,
        before: &Difficulty,
        after: &Difficulty,
        tells: impl Fn(&str) -> bool,
    ) {
        let Difficulty {
            shares_per_minute: _,
            start: _,
            min: _,
            asked_min: _,
            max: _,
            vardiff: _,
        } = after;
        for key in ["shares_per_minute", "start", "min", "max", "vardiff"] {
            if !tells(key) {
                continue;
            }
            // Whom nobody measures has the start for good.
            let note = (key == "start" && after.vardiff).then_some(NEW_MINERS);
            let values = (&value_of(key, before), &value_of(key, after));
            self.note(&format!("{section}.{key}"), values, Clone::clone, note);
        }
    }

    fn outage(&mut self, before: &Outage, Outage { release_after }: &Outage) {
        let show =
            |after: &Option<Duration>| after.map_or_else(|| "never".to_owned(), format_duration);
        let values = (&before.release_after, release_after);
        self.note("outage.release_after", values, show, None);
    }

    fn translation(&mut self, before: &Translation, after: &Translation) {
        let Translation {
            version_mask,
            extranonce2_size,
            keepalive,
            channel,
            shards,
            worker_names,
        } = after;
        let section = "translation";
        if before.extranonce2_size != *extranonce2_size {
            self.refuse(Refused::only(section, "extranonce2_size", EXTRANONCE));
        }
        if before.channel != *channel {
            self.refuse(Refused::only(section, "channel", CHANNELS));
        }
        if before.shards != *shards {
            self.refuse(Refused::only(section, "shards", SHARDS));
        }
        let show = |mask: &u32| format!("{mask:08x}");
        let values = (&before.version_mask, version_mask);
        self.note("translation.version_mask", values, show, None);
        let values = (&before.keepalive, keepalive);
        self.note("translation.keepalive", values, duration, None);
        let note = "each upstream is connected to anew before the old connection is closed";
        let values = (&before.worker_names, worker_names);
        self.note(
            "translation.worker_names",
            values,
            bool::to_string,
            Some(note),
        );
    }

    fn sizes(&mut self, before: &Limits, after: &Limits) {
        let Limits {
            max_miners,
            max_channels,
            guard: _,
            requests_per_second,
            line_bytes,
            pending_bytes,
            setup_timeout: _,
            idle_timeout: _,
            write_timeout: _,
            upstream_connect_timeout: _,
            upstream_setup_timeout: _,
            upstream_probe_after: _,
            upstream_probe_timeout: _,
            upstream_block_grace: _,
            http_connections,
            http_timeout: _,
            retry_min: _,
            retry_max: _,
        } = after;
        let values = (&before.requests_per_second, requests_per_second);
        let key = "limits.requests_per_second";
        self.note(key, values, u32::to_string, Some(NEW_CONNECTIONS));
        for (key, old, new, note) in [
            (
                "max_miners",
                before.max_miners,
                *max_miners,
                Some(NEW_MINERS),
            ),
            ("max_channels", before.max_channels, *max_channels, None),
            (
                "line_bytes",
                before.line_bytes,
                *line_bytes,
                Some(NEW_CONNECTIONS),
            ),
            ("pending_bytes", before.pending_bytes, *pending_bytes, None),
            (
                "http_connections",
                before.http_connections,
                *http_connections,
                Some(NEW_CONNECTIONS),
            ),
        ] {
            let key = format!("limits.{key}");
            self.note(&key, (&old, &new), usize::to_string, note);
        }
    }

    fn times(&mut self, before: &Limits, after: &Limits) {
        type Read = fn(&Limits) -> Duration;
        let dialled = Some("for connections to pools from now on");
        let times: [(&str, Read, Option<&'static str>); 11] = [
            ("setup_timeout", |it| it.setup_timeout, None),
            ("idle_timeout", |it| it.idle_timeout, None),
            ("write_timeout", |it| it.write_timeout, None),
            (
                "upstream_connect_timeout",
                |it| it.upstream_connect_timeout,
                dialled,
            ),
            (
                "upstream_setup_timeout",
                |it| it.upstream_setup_timeout,
                dialled,
            ),
            ("upstream_probe_after", |it| it.upstream_probe_after, None),
            (
                "upstream_probe_timeout",
                |it| it.upstream_probe_timeout,
                None,
            ),
            ("upstream_block_grace", |it| it.upstream_block_grace, None),
            ("http_timeout", |it| it.http_timeout, None),
            ("retry_min", |it| it.retry_min, None),
            ("retry_max", |it| it.retry_max, None),
        ];
        for (key, read, note) in times {
            let key = format!("limits.{key}");
            self.note(&key, (&read(before), &read(after)), duration, note);
        }
    }

    fn guard(&mut self, before: &GuardPolicy, after: &GuardPolicy) {
        let GuardPolicy {
            max_miners_per_address,
            invalid_shares_pause,
            pause,
            invalid_shares_ban,
            ban,
        } = after;
        let values = (&before.max_miners_per_address, max_miners_per_address);
        let key = "limits.max_miners_per_address";
        self.note(key, values, usize::to_string, Some(NEW_MINERS));
        let percent = |of: &Option<u8>| of.map_or_else(|| "off".to_owned(), |of| of.to_string());
        let values = (&before.invalid_shares_pause, invalid_shares_pause);
        self.note("limits.invalid_shares_pause", values, percent, None);
        self.note("limits.pause", (&before.pause, pause), duration, None);
        let values = (&before.invalid_shares_ban, invalid_shares_ban);
        self.note("limits.invalid_shares_ban", values, percent, None);
        self.note("limits.ban", (&before.ban, ban), duration, None);
    }

    fn state(&mut self, before: &State, after: &State) {
        let State {
            directory,
            // Who names it makes no difference.
            is_automatic: _,
        } = after;
        if before.directory != *directory {
            self.refuse(Refused::only("state", "directory", DIRECTORY));
        }
    }

    fn http(&mut self, before: &Http, after: &Http) {
        let Http {
            address,
            token,
            miner_series,
        } = after;
        let show = |address: &Option<SocketAddr>| {
            address.map_or_else(|| "off".to_owned(), |address| address.to_string())
        };
        self.note("http.address", (&before.address, address), show, None);
        if before.token != *token {
            let what = match (&before.token, token) {
                (None, Some(_)) => "set",
                (Some(_), None) => "taken away",
                _ => "changed",
            };
            self.tell("http.token", what, None);
        }
        let values = (&before.miner_series, miner_series);
        self.note("http.miner_series", values, usize::to_string, None);
    }

    fn log(&mut self, before: &Log, after: &Log) {
        let Log {
            level,
            timestamps,
            summary,
        } = after;
        let show = |level: &log::LevelFilter| level.as_str().to_ascii_lowercase();
        self.note("log.level", (&before.level, level), show, None);
        let values = (&before.timestamps, timestamps);
        let show = |timestamps: &Timestamps| match timestamps {
            Timestamps::Auto => "auto".to_owned(),
            Timestamps::On => "true".to_owned(),
            Timestamps::Off => "false".to_owned(),
        };
        self.note("log.timestamps", values, show, None);
        let show =
            |every: &Option<Duration>| every.map_or_else(|| "off".to_owned(), format_duration);
        self.note("log.summary", (&before.summary, summary), show, None);
    }

    fn refuse(&mut self, refused: Refused) {
        self.refused.push(refused);
    }
}

/// What a listener is called.
fn listener_key(address: SocketAddr) -> String {
    format!("listener {address}")
}

/// Names of a listener's upstreams.
fn names(config: &Config, listener: &Listener) -> Vec<String> {
    let upstreams = listener.upstreams.iter();
    let upstreams = upstreams.filter_map(|position| config.upstreams.get(*position));
    upstreams.map(|it| it.name.clone()).collect()
}

/// Writes a value of a difficulty as the file has it.
fn value_of(key: &str, of: &Difficulty) -> String {
    let or =
        |value: Option<f64>, word: &str| value.map_or_else(|| word.to_owned(), |it| it.to_string());
    match key {
        "shares_per_minute" => of.shares_per_minute.to_string(),
        "start" => or(of.start, "measured"),
        "min" if of.asked_min < of.min => "usual".to_owned(),
        "min" => of.min.to_string(),
        "max" => or(of.max, "none"),
        _ => of.vardiff.to_string(),
    }
}

fn duration(duration: &Duration) -> String {
    format_duration(*duration)
}

#[cfg(test)]
mod tests;
