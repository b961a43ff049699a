//! What the service manager is told: that miners can be served, how things are in words, that the drivers go on, that
//! the config is read anew, that the end has come. The protocol is systemd's (`sd_notify(3)`): lines `KEY=value` in a
//! datagram to the socket that the environment names. Without one nothing is told.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Names the socket: a path, or `@` and the rest of an abstract name.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// Longest time between two signs of life that the service manager accepts, in µs.
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// The process that is to give them.
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// Why the service manager cannot be told anything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotifyError {
    /// The socket is of another kind, or its name is none.
    #[error("NOTIFY_SOCKET={} names no socket that can be written to", .0.display())]
    UnusableSocket(OsString),
    /// There is no socket to be had for ourselves.
    #[error("the service manager cannot be told anything: {0}")]
    NoSocket(#[from] io::Error),
}

/// The way to the service manager. One that does not listen is a warning in the log, and no miner waits for it.
#[derive(Debug)]
pub(crate) struct Notify {
    socket: UnixDatagram,
    to: SocketAddr,
    /// How often it expects a sign of life at least.
    watchdog: Option<Duration>,
    /// Whether the last words did not reach it, and the log says so.
    failing: AtomicBool,
}

impl Notify {
    /// Finds the way in the environment; `None` where there is none.
    ///
    /// # Errors
    /// Where the environment names one that is of no use.
    pub(crate) fn of_environment() -> Result<Option<Self>, NotifyError> {
        let Some(name) = env::var_os(NOTIFY_SOCKET).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let variable = |name| env::var(name).ok();
        let microseconds = variable(WATCHDOG_USEC).and_then(|it| it.parse().ok());
        let of = variable(WATCHDOG_PID).and_then(|it| it.parse().ok());
        let watchdog = watchdog(microseconds, of, std::process::id());
        Self::to(&name, watchdog).map(Some)
    }

    /// Takes the name of the socket as the environment gives it.
    pub(crate) fn to(name: &OsStr, watchdog: Option<Duration>) -> Result<Self, NotifyError> {
        let to = match name.as_bytes() {
            [b'@', name @ ..] => of_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(name),
            _ => return Err(NotifyError::UnusableSocket(name.to_owned())),
        };
        let to = to.map_err(|_| NotifyError::UnusableSocket(name.to_owned()))?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            to,
            watchdog,
            failing: AtomicBool::new(false),
        })
    }

    /// Gives how often the service manager expects a sign of life at least.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells that miners can be served; also after [`reloading`](Self::reloading).
    pub(crate) fn ready(&self) {
        self.send("READY=1\n");
    }

    /// Tells how things are, on one line.
    pub(crate) fn status(&self, words: &str) {
        self.send(&format!("STATUS={}\n", on_one_line(words)));
    }

    /// Gives a sign of life.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    /// Tells that the config is read anew; [`ready`](Self::ready) has to follow.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let now = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec / 1_000);
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}\n"));
    }

    /// Tells that the process is to end.
    pub(crate) fn stopping(&self, words: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}\n", on_one_line(words)));
    }

    fn send(&self, lines: &str) {
        let sent = self.socket.send_to_addr(lines.as_bytes(), &self.to);
        let failed_before = self.failing.swap(sent.is_err(), Ordering::Relaxed);
        if let Err(error) = sent
            && !failed_before
        {
            log::warn!("the service manager could not be told anything: {error}; trying on");
        }
    }
}

#[cfg(target_os = "linux")]
fn of_abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

/// Only Linux knows such names.
#[cfg(not(target_os = "linux"))]
fn of_abstract_name(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A line more would be a word to the service manager.
fn on_one_line(words: &str) -> String {
    words.replace(char::is_control, " ")
}

/// Reads the watchdog's time; one that is meant for another process is none.
fn watchdog(microseconds: Option<u64>, of: Option<u32>, own: u32) -> Option<Duration> {
    let microseconds = microseconds.filter(|time| *time > 0 && of.is_none_or(|of| of == own));
    microseconds.map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn it_is_told_at_a_path_and_at_an_abstract_name() {
        let name = format!("millrace-notify-{}", std::process::id());
        let path = env::temp_dir().join(&name);
        let at_path = UnixDatagram::bind(&path).unwrap();
        let address = of_abstract_name(name.as_bytes()).unwrap();
        let at_name = UnixDatagram::bind_addr(&address).unwrap();
        for (socket, name) in [
            (at_path, path.clone().into_os_string()),
            (at_name, format!("@{name}").into()),
        ] {
            let notify = Notify::to(&name, None).unwrap();
            notify.ready();
            notify.status("all is well");
            assert_eq!(received(&socket), "READY=1\n");
            assert_eq!(received(&socket), "STATUS=all is well\n");
            notify.reloading();
            let reloading = received(&socket);
            let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
            let time: u64 = time.unwrap().trim_end().parse().unwrap();
            assert!(time > 0);
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_socket_of_another_kind_is_an_error() {
        let error = Notify::to(OsStr::new("vsock:2:1234"), None).unwrap_err();
        assert!(error.to_string().contains("vsock:2:1234"), "{error}");
    }

    #[test]
    fn nobody_who_listens_is_noted_and_nothing_else() {
        let name = format!("@millrace-nobody-{}", std::process::id());
        let notify = Notify::to(OsStr::new(&name), None).unwrap();
        notify.ready();
        assert!(notify.failing.load(Ordering::Relaxed));
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some(1_000_000), None, 7), second);
        assert_eq!(watchdog(Some(1_000_000), Some(7), 7), second);
        assert_eq!(watchdog(Some(1_000_000), Some(8), 7), None);
        assert_eq!(watchdog(Some(0), None, 7), None);
        assert_eq!(watchdog(None, Some(7), 7), None);
    }
}
