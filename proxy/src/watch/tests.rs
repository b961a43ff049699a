//! What the service manager hears of drivers that turn and of one that does not.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use translate::UpstreamStatistics;

use super::*;

/// A service manager.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    /// Waits for a sign of life for so long.
    fn new(watchdog: Duration) -> (Self, Arc<Notify>) {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("millrace-watch-{}-{serial}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let socket = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(path.as_os_str(), Some(watchdog)).unwrap();
        (Self { socket, path }, Arc::new(notify))
    }

    fn next(&self) -> String {
        let mut bytes = [0; 256];
        let length = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// Tells whether nothing has come that was not taken.
    fn has_nothing(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let next = self.socket.recv(&mut [0; 256]);
        self.socket.set_nonblocking(false).unwrap();
        next.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn farm(active: Option<&str>) -> Statistics {
    let upstream = active.map(|name| UpstreamStatistics {
        name: name.into(),
        active: true,
        ..UpstreamStatistics::default()
    });
    Statistics {
        upstreams: upstream.into_iter().collect(),
        ..Statistics::default()
    }
}

/// Answers one question as a driver whose miners work.
fn answer(inputs: &async_channel::Receiver<Input>) {
    let Ok(Input::Statistics(asker)) = inputs.recv_blocking() else {
        panic!("not a question")
    };
    // An answer may be too late.
    let _ = asker.try_send(farm(Some("primary")));
}

#[test]
fn every_change_of_state_is_told_and_figures_once_a_minute() {
    let (manager, notify) = Manager::new(LOOK);
    let mut told = Told::new(Some(notify));
    let begin = Instant::now();
    for (second, active, state) in [
        (0, None, Some("no pool gives work")),
        (5, None, None),
        (10, Some("primary"), Some("working for primary")),
        (65, Some("primary"), None),
        (70, Some("primary"), Some("working for primary")),
        (75, Some("backup"), Some("working for backup")),
    ] {
        told.tell(begin + Duration::from_secs(second), &[farm(active)]);
        assert_eq!(manager.next(), "WATCHDOG=1\n");
        if let Some(state) = state {
            let words = format!("STATUS=0 miners at 0.00 H/s, {state}\n");
            assert_eq!(manager.next(), words);
        }
        assert!(manager.has_nothing());
    }
}

#[test]
fn an_answer_of_every_driver_is_a_sign_of_life() {
    let (manager, notify) = Manager::new(2 * LOOK);
    let (first, first_inputs) = async_channel::bounded(4);
    let (second, second_inputs) = async_channel::bounded(4);
    let watch = Watch::start(vec![first, second], Some(notify), None).unwrap();
    answer(&first_inputs);
    assert!(manager.has_nothing(), "the other has not answered");
    answer(&second_inputs);
    assert_eq!(manager.next(), "WATCHDOG=1\n");
    runtime::block_on(watch.stop());
}

#[test]
fn a_driver_that_hangs_gives_no_sign_of_life() {
    let (manager, notify) = Manager::new(Duration::from_millis(20));
    let (turns, answered) = async_channel::bounded(4);
    let (hangs, _unanswered) = async_channel::bounded(1);
    let watch = Watch::start(vec![turns, hangs], Some(notify), None).unwrap();
    for _ in 0..5 {
        answer(&answered);
    }
    assert_eq!(manager.next(), "STATUS=a driver does not answer\n");
    runtime::block_on(watch.stop());
    assert!(manager.has_nothing());
}

#[test]
fn where_nobody_wants_to_know_nothing_is_asked() {
    assert!(Watch::start(Vec::new(), None, None).is_none());
}
