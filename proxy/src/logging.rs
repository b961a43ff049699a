//! Logging: one event a line, levels from the config unless `RUST_LOG` says otherwise.
//!
//! To systemd's journal each line begins with its severity as `sd-daemon(3)` has it, and without the time. Nobody waits
//! until a line is read.

mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use env_logger::{Builder, Env, Target};
use log::{Level, LevelFilter};
use translate::{Event, Severity};

use self::queue::Queue;
use crate::config::{Log, Timestamps};

/// What lines of the whole program are said to come from.
const TARGET: &str = "millrace";

/// Whether lines begin with the time; the logger is the process's, so this is too.
static TIMESTAMPS: AtomicBool = AtomicBool::new(true);

/// What all lines go through; the process has one.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Starts logging to standard error.
pub(crate) fn start(config: &Log) {
    let to_journal = goes_to_journal();
    // Everything passes the logger; what is too little is kept from it by the level that `change` sets.
    let everything = LevelFilter::Trace.as_str();
    let mut builder = Builder::from_env(Env::default().default_filter_or(everything));
    builder.format(move |out, record| {
        if to_journal {
            write!(out, "<{}>", priority(record.level()))?;
        }
        if TIMESTAMPS.load(Ordering::Relaxed) {
            write!(out, "{} ", out.timestamp_millis())?;
        }
        let words = on_one_line(record.args().to_string());
        writeln!(out, "{:5} {words}", record.level())
    });
    // Without a thread lines are written by those who have something to say.
    if let Ok(queue) = Queue::start(io::stderr(), tell_left_out) {
        let queue = QUEUE.get_or_init(|| queue).clone();
        builder.target(Target::Pipe(Box::new(queue)));
    }
    // A second start in one process (tests) keeps the first logger.
    let _ = builder.try_init();
    change(config);
}

/// Waits a moment for what is in line to be written; to be called before the process ends.
pub(crate) fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.finish();
    }
}

fn tell_left_out(count: u64) {
    log::warn!(target: TARGET, "{count} lines are missing here: nobody read the log in time");
}

/// Logs as this config says from now on. Where `RUST_LOG` says how much is logged, that stays.
pub(crate) fn change(config: &Log) {
    let timestamps = match config.timestamps {
        Timestamps::Auto => !goes_to_journal(),
        Timestamps::On => true,
        Timestamps::Off => false,
    };
    TIMESTAMPS.store(timestamps, Ordering::Relaxed);
    if std::env::var_os("RUST_LOG").is_none() {
        log::set_max_level(config.level);
    }
}

fn goes_to_journal() -> bool {
    is_journal(std::env::var("JOURNAL_STREAM").ok().as_deref())
}

/// Tells whether standard error is the journal's: its device and inode are those that systemd names.
fn is_journal(stream: Option<&str>) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let own = io::stderr().as_fd().try_clone_to_owned();
    let own = own.and_then(|own| File::from(own).metadata());
    own.is_ok_and(|own| device.parse() == Ok(own.dev()) && inode.parse() == Ok(own.ino()))
}

/// Gives the severity as syslog counts it.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Pools and miners have a say in what is logged, and must not make lines of their own.
fn on_one_line(words: String) -> String {
    if !words.contains(char::is_control) {
        return words;
    }
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    words.chars().map(escaped).collect()
}

/// Tells line by line why the program cannot do its work, also where `RUST_LOG` wants to hear of nothing.
pub(crate) fn insist(words: &str) {
    if let Some(queue) = QUEUE.get() {
        queue.make_room();
    }
    for line in words.lines() {
        if log::log_enabled!(target: TARGET, Level::Error) {
            log::error!(target: TARGET, "{line}");
            continue;
        }
        let priority = match goes_to_journal() {
            true => format!("<{}>", priority(Level::Error)),
            false => String::new(),
        };
        eprintln!(
            "{priority}{:5} {}",
            Level::Error,
            on_one_line(line.to_owned())
        );
    }
}

/// Has a panic told as an error of one line, instead of as some lines without a severity.
pub(crate) fn tell_panics() {
    panic::set_hook(Box::new(|panic| {
        insist(&on_one_line(words_of(panic)));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            insist(&backtrace.to_string());
        }
        // The process may end by it.
        finish();
    }));
}

fn words_of(panic: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or("without a name");
    let words = panic.payload_as_str().unwrap_or("no words");
    match panic.location() {
        Some(location) => format!("thread {name} panicked at {location}: {words}"),
        None => format!("thread {name} panicked: {words}"),
    }
}

/// Writes an event of the translator.
pub(crate) fn event(event: &Event) {
    let level = match event.severity() {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warn,
        Severity::Info => Level::Info,
        Severity::Debug => Level::Debug,
    };
    log::log!(target: TARGET, level, "{event}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_stay_on_one_line() {
        let words = "pool: \"no\"\nERROR all is lost\u{1b}[2J".to_owned();
        let shown = "pool: \"no\"\\nERROR all is lost\\u{1b}[2J";
        assert_eq!(on_one_line(words), shown);
        assert_eq!(on_one_line("\"größer\"".into()), "\"größer\"");
    }

    #[test]
    fn a_panic_is_told_with_its_thread_place_and_words() {
        let (sender, told) = std::sync::mpsc::channel();
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| match thread::current().name() {
            Some("breaks") => sender.send(words_of(panic)).unwrap(),
            // Other tests run in this process.
            _ => before(panic),
        }));
        let breaks = thread::Builder::new().name("breaks".into());
        let breaks = breaks.spawn(|| panic!("a share of {} bytes", 7)).unwrap();
        assert!(breaks.join().is_err());
        let told = told.recv().unwrap();
        assert!(
            told.starts_with("thread breaks panicked at proxy/src/logging.rs:"),
            "{told}"
        );
        assert!(told.ends_with(": a share of 7 bytes"), "{told}");
    }

    #[test]
    fn another_stream_is_not_the_journal() {
        for stream in [None, Some(""), Some("1"), Some("0:0"), Some("x:y")] {
            assert!(!is_journal(stream), "{stream:?}");
        }
        let own = io::stderr().as_fd().try_clone_to_owned().unwrap();
        let own = File::from(own).metadata().unwrap();
        assert!(is_journal(Some(&format!("{}:{}", own.dev(), own.ino()))));
    }
}
