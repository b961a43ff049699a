//! What systemd sees: that miners can be served, that the program goes on, how things are, and a log that its journal
//! understands.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use tests::{PATIENCE, Pool, Program, ProxyConfig, Rig, Wire};

use super::{millrace, pool_and_proxy};

/// A service manager that listens.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(name: &str) -> Self {
        let name = format!("millrace-manager-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path }
    }

    /// Starts the program as a service that is to give a sign of life every two seconds.
    fn start(&self, config: &ProxyConfig) -> Program {
        let socket = self.path.display();
        let words =
            format!("export NOTIFY_SOCKET={socket} WATCHDOG_USEC=2000000 WATCHDOG_PID=$$; ");
        Program::run_after(&words, millrace(), config)
    }

    fn next(&self) -> String {
        let mut bytes = [0; 1024];
        let length = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// Takes what comes until something does that begins so; gives that and all before it.
    fn next_until(&self, begin: &str) -> Vec<String> {
        let mut all = vec![self.next()];
        while !all.last().unwrap().starts_with(begin) {
            all.push(self.next());
        }
        all
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn readiness_signs_of_life_and_the_end_come_in_this_order() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]);
    let (_, settings) = pool.stop();
    let manager = Manager::new("order");
    let proxy = manager.start(&config);
    assert_eq!(manager.next(), "READY=1\n", "without any pool");
    // It can be connected to.
    let mut rig = Rig::start(proxy.address(), "farm.rig");
    assert_eq!(manager.next(), "WATCHDOG=1\n");
    let status = manager.next();
    assert!(status.starts_with("STATUS=") && status.ends_with("no pool gives work\n"));
    let pool = Pool::start(settings);
    rig.mine();
    let before = manager.next_until("STATUS=");
    let (status, signs) = before.split_last().unwrap();
    assert!(status.starts_with("STATUS=1 miner at ") && status.ends_with("working for pool0\n"));
    assert!(!signs.is_empty() && signs.iter().all(|sign| sign == "WATCHDOG=1\n"));
    proxy.signal("TERM");
    let mut last = manager.next_until("STOPPING=1\n");
    assert_eq!(
        last.pop().unwrap(),
        "STOPPING=1\nSTATUS=stopping on SIGTERM\n"
    );
    assert!(last.iter().all(|sign| sign == "WATCHDOG=1\n"), "{last:?}");
    assert_eq!(proxy.ended().code, Some(0));
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 1]).is_err(), "the last word");
    drop(pool);
}

#[test]
fn a_reload_begins_and_ends_and_signs_of_life_go_on() {
    let pool = Pool::start(Pool::config());
    let manager = Manager::new("reload");
    let proxy = manager.start(&ProxyConfig::new(&[pool.url()]));
    assert_eq!(manager.next(), "READY=1\n");
    let _ = manager.next_until("WATCHDOG=1\n");
    for _ in 0..2 {
        proxy.signal("HUP");
        let begun = manager.next_until("RELOADING=1\n").pop().unwrap();
        let time = begun.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.trim_end().parse::<u64>().unwrap() > 0);
        assert_eq!(manager.next(), "READY=1\n");
        let _ = manager.next_until("WATCHDOG=1\n");
    }
    proxy.signal("TERM");
    let _ = manager.next_until("STOPPING=1\n");
    assert_eq!(proxy.ended().code, Some(0));
    drop(pool);
}

#[test]
fn a_config_that_cannot_be_run_is_never_ready() {
    let pool = Pool::start(Pool::config());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = ProxyConfig::new(&[pool.url()]).listener(taken.local_addr().unwrap());
    let manager = Manager::new("never");
    assert_eq!(manager.start(&config).ended().code, Some(1));
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 1]).is_err());
}

/// Starts the program as systemd does for a socket unit: with a socket that listens already.
fn start_on(socket: &TcpListener, config: &ProxyConfig) -> Program {
    // The socket is handed over as standard input, which the shell puts where systemd puts the first one.
    let words =
        "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=millrace.socket; ";
    let socket = OwnedFd::from(socket.try_clone().unwrap());
    Program::run_after_with_input(words, millrace(), config, socket.into())
}

/// The backlog of a socket that stays open is what systemd has while the program is started anew.
#[test]
fn nobody_is_refused_while_the_program_starts_anew() {
    let pool = Pool::start(Pool::config());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let config = ProxyConfig::new(&[pool.url()]).listener(address);
    // Nobody serves yet.
    let early = Wire::connect(address);
    let first = start_on(&socket, &config);
    let _ = first.wait_for_log("systemd holds the port of");
    assert_eq!(first.address(), address);
    set_up(early);
    Rig::start(address, "farm.rig").mine();
    first.stop();
    let between = Wire::connect(address);
    let second = start_on(&socket, &config);
    set_up(between);
    Rig::start(address, "farm.rig").mine();
    second.stop();
}

/// Sets a miner up, which shows that its connection is served.
fn set_up(mut wire: Wire) {
    wire.set_up("farm.early");
    wire.notification("mining.notify");
}

#[test]
fn a_listener_that_systemd_does_not_hold_is_opened_beside_it() {
    let pool = Pool::start(Pool::config());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let config = ProxyConfig::new(&[pool.url()])
        .listener(address)
        .sections("[[listener]]\naddress = \"127.0.0.1:0\"\n");
    let proxy = start_on(&socket, &config);
    let own = proxy.wait_for_logs("listening for miners on ", 2);
    let own = own.rsplit(' ').next().unwrap().parse().unwrap();
    for address in [address, own] {
        Rig::start(address, "farm.rig").mine();
    }
    assert_eq!(proxy.count_log("systemd holds the port of"), 1);
    proxy.stop();
}

#[test]
fn a_socket_that_the_config_does_not_have_is_refused_with_words() {
    let pool = Pool::start(Pool::config());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = start_on(&socket, &ProxyConfig::new(&[pool.url()])).ended();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let address = socket.local_addr().unwrap();
    let words = format!("systemd listens on {address} for us, and the config does not");
    assert!(ended.stderr.contains(&words), "{}", ended.stderr);
}

#[test]
fn a_reload_that_takes_a_port_out_which_systemd_holds_is_refused() {
    let pool = Pool::start(Pool::config());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let config = ProxyConfig::new(&[pool.url()]);
    let held = config.clone().listener(address);
    let proxy = start_on(&socket, &held);
    let mut rig = Rig::start(address, "rig");
    let told = proxy.reload(&config.text());
    let words = format!("config not reloaded: systemd listens on {address} for us");
    assert!(told[0].contains(&words), "{told:?}");
    rig.mine();
    let told = proxy.reload(&held.difficulty(2_f64.powi(-19)).text());
    assert!(told[0].contains("config reloaded: difficulty"), "{told:?}");
    set_up(Wire::connect(address));
    proxy.stop();
}

#[test]
fn sockets_that_are_meant_for_another_process_are_left_alone() {
    let pool = Pool::start(Pool::config());
    let words = "export LISTEN_FDS=1 LISTEN_PID=1; ";
    let proxy = Program::run_after(words, millrace(), &ProxyConfig::new(&[pool.url()]));
    Rig::start(proxy.address(), "farm.rig").mine();
    proxy.stop();
}

#[test]
fn the_journal_is_told_severities_and_no_times() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).automatic_timestamps();
    pool.stop();
    let journal = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); ";
    let proxy = Program::run_after(journal, millrace(), &config);
    let _ = proxy.address();
    let warning = proxy.wait_for_log("cannot connect to");
    assert!(warning.starts_with("<4>WARN  pool0: "), "{warning}");
    let log = proxy.stop().stderr;
    assert!(log.contains("<6>INFO  listening for miners on "), "{log}");
    let told = |line: &str| line.starts_with('<') && line.get(2..3) == Some(">");
    assert!(log.lines().all(told), "{log}");
    let elsewhere = "export JOURNAL_STREAM=1:1; ";
    let proxy = Program::run_after(elsewhere, millrace(), &config);
    let line = proxy.wait_for_log("listening for miners on ");
    assert!(
        line.starts_with("20") && line.contains("Z INFO  "),
        "{line}"
    );
    proxy.stop();
}

#[test]
fn the_journal_is_told_the_severity_of_a_wrong_config() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).limit("queu = 5\nidle_timeout = \"soon\"");
    for wanted in ["", "export RUST_LOG=off; "] {
        let journal =
            format!("export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); {wanted}");
        let ended = Program::run_after(&journal, millrace(), &config).ended();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let log: Vec<&str> = ended.stderr.lines().collect();
        assert!(log.len() > 1, "{ended:?}");
        let told = |line: &&str| line.starts_with("<3>ERROR /") && line.contains(": limits.");
        assert!(log.iter().all(told), "{ended:?}");
    }
}

#[test]
fn the_log_sums_up() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).log_line("summary = \"1s\"");
    let proxy = Program::run(millrace(), &config);
    let mut rig = Rig::start(proxy.address(), "farm.rig");
    rig.mine_many(3);
    let share = rig.find();
    rig.submit(&share);
    rig.submit(&share);
    // The three may be in the summary before.
    let line = proxy.wait_for_log("refused (1 duplicate); pool0 was sent");
    assert!(line.starts_with("INFO  1 miner at "), "{line}");
    assert!(
        line.contains("H/s, working for pool0; in the last "),
        "{line}"
    );
    let none = proxy.wait_for_log("0 shares accepted, none refused");
    assert!(!none.contains("was sent"), "{none}");
    proxy.stop();
}

#[test]
fn without_a_service_manager_nothing_is_missed() {
    let (_pool, proxy) = pool_and_proxy(Pool::config());
    assert_eq!(proxy.count_log("service manager"), 0);
    proxy.stop();
    let pool = Pool::start(Pool::config());
    let words = "export NOTIFY_SOCKET=/nowhere/at/all; ";
    let proxy = Program::run_after(words, millrace(), &ProxyConfig::new(&[pool.url()]));
    let _ = proxy.wait_for_log("the service manager could not be told anything");
    Rig::start(proxy.address(), "farm.rig").mine();
    proxy.stop();
}
