//! What is kept in the state directory from one run to the next.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use sv2::bitcoin::{BlockHash, Difficulty, coinbase_txid, double_sha256, merkle_root};
use sv2_pool::{PoolConfig, ShareTarget};
use tests::{Pool, Program, ProxyConfig, Rig, Wire};

use super::millrace;

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A state directory of a test's own, which is not there at first.
struct State(PathBuf);

impl State {
    fn new() -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("millrace-state-{}-{serial}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// A config whose miners start at 2^-20, and at more once they are measured.
    fn config(&self, pool: &Pool) -> ProxyConfig {
        ProxyConfig::new(&[pool.url()])
            .listener_line("difficulty = { vardiff = true, max = 6.103515625e-05 }")
            .sections(&format!("[state]\ndirectory = \"{}\"", self.0.display()))
    }

    fn workers(&self) -> PathBuf {
        self.0.join("workers")
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A pool whose shares are harder than any that these miners are asked for, so that it bounds none of them.
fn hard_pool() -> Pool {
    let difficulty = Difficulty::new(2_f64.powi(-10)).unwrap();
    Pool::start(PoolConfig {
        share_target: ShareTarget::Difficulty(difficulty),
        ..Pool::config()
    })
}

/// Gives the difficulty that the file holds for a worker.
fn kept(file: &Path, worker: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap();
    let end = format!(" \"{worker}\"");
    let mut found = text.lines().filter_map(|line| line.strip_suffix(&end));
    let difficulty = found.next().unwrap_or_else(|| panic!("{text}"));
    difficulty.parse().unwrap()
}

/// Gives the difficulty that a worker is told first.
fn first_difficulty(proxy: &Program, worker: &str) -> f64 {
    let mut wire = Wire::connect(proxy.address());
    wire.set_up(worker);
    let told = wire.notification("mining.set_difficulty");
    told[0].as_f64().unwrap()
}

#[test]
fn a_measured_difficulty_is_what_a_worker_starts_with_after_a_restart() {
    let (pool, state) = (hard_pool(), State::new());
    let first = Program::run(millrace(), &state.config(&pool));
    let mut rig = Rig::start(first.address(), "farm.rig");
    while first.count_log("\"farm.rig\": difficulty") == 0 {
        rig.mine();
    }
    first.stop();
    let measured = kept(&state.workers(), "farm.rig");
    assert!(measured > 2_f64.powi(-20), "{measured}");
    let second = Program::run(millrace(), &state.config(&pool));
    let _ = second.wait_for_log("channel open");
    assert_eq!(first_difficulty(&second, "farm.rig"), measured);
    assert_eq!(first_difficulty(&second, "farm.other"), 2_f64.powi(-20));
    second.stop();
    assert_eq!(kept(&state.workers(), "farm.rig"), measured);
}

/// Subscribes, with a session id or none, and authorizes; gives the session id and extranonce1.
fn subscribe(proxy: &Program, session: Option<&str>) -> (String, String) {
    let mut wire = Wire::connect(proxy.address());
    let params = session.map_or_else(|| json!(["test"]), |session| json!(["test", session]));
    let request = json!({ "id": 1, "method": "mining.subscribe", "params": params });
    let reply = wire.call(&request.to_string());
    wire.call(r#"{"id":2,"method":"mining.authorize","params":["farm.rig","x"]}"#);
    wire.notification("mining.notify");
    let [session, extranonce1] = [&reply["result"][0][0][1], &reply["result"][1]];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(session), text(extranonce1))
}

#[test]
fn a_miner_that_comes_back_after_a_restart_has_the_extranonce1_that_it_had() {
    let (pool, state) = (hard_pool(), State::new());
    let config = state.config(&pool).http("");
    let first = Program::run(millrace(), &config);
    let _ = first.wait_for_log("new block on");
    let before = [(); 3].map(|()| subscribe(&first, None));
    first.stop();
    let mode = fs::metadata(state.0.join("sessions"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600, "ids are nobody else's business");
    // The next run dials another pool, whose prefix is another.
    let (_, other) = (pool.stop(), hard_pool());
    let config = state.config(&other).http("");
    let second = Program::run(millrace(), &config);
    let _ = second.wait_for_log("new block on");
    let (_, new) = subscribe(&second, None);
    assert!(before.iter().all(|(_, extranonce1)| *extranonce1 != new));
    for (session, extranonce1) in &before {
        let again = subscribe(&second, Some(session));
        assert_eq!((&again.0, &again.1), (session, extranonce1));
    }
    let http = second.http();
    let resumed = |page: &tests::Reply| page.metric("millrace_sessions_resumed_total");
    let _ = http.wait_for_metrics(|page| resumed(page) == Some(3.0));
    second.stop();
}

#[test]
fn a_corrupt_file_of_sessions_keeps_nobody_from_mining() {
    let (pool, state) = (hard_pool(), State::new());
    fs::create_dir(&state.0).unwrap();
    fs::write(state.0.join("sessions"), b"\xff\xfe").unwrap();
    let proxy = Program::run(millrace(), &state.config(&pool));
    let warning = proxy.wait_for_log("is no file of sessions");
    assert!(warning.starts_with("WARN "), "{warning}");
    Rig::start(proxy.address(), "farm.rig").mine();
    proxy.stop();
}

#[test]
fn a_corrupt_file_is_a_warning_and_its_good_lines_count() {
    let (pool, state) = (hard_pool(), State::new());
    fs::create_dir(&state.0).unwrap();
    let text = b"millrace workers 1\n\xff\xfe\x00\n3.0517578125e-05 \"farm.rig\"\n1e-9";
    fs::write(state.workers(), text).unwrap();
    let proxy = Program::run(millrace(), &state.config(&pool));
    let _ = proxy.wait_for_log("channel open");
    let place = format!("{}:2: ", state.workers().display());
    let warning = proxy.wait_for_log(&place);
    assert!(
        warning.starts_with("WARN ") && warning.contains("2 such lines"),
        "{warning}"
    );
    assert_eq!(first_difficulty(&proxy, "farm.rig"), 2_f64.powi(-15));
    proxy.stop();
}

#[test]
fn a_directory_that_cannot_be_made_or_written_is_a_wrong_config() {
    let (pool, state) = (Pool::start(Pool::config()), State::new());
    let missing = State(state.0.join("in a missing one"));
    let file = State::new();
    fs::write(&file.0, "a file").unwrap();
    for (place, words) in [
        (&missing, "cannot make the directory"),
        (&file, "cannot write in"),
    ] {
        for command in ["run", "check"] {
            let text = place.config(&pool).text();
            let line = 1 + text
                .lines()
                .position(|line| line.starts_with("directory"))
                .unwrap();
            let ended = Program::with_config(millrace(), &text, &[command, "--config"]).ended();
            assert_eq!(ended.code, Some(2), "{ended:?}");
            let told = format!("millrace.toml:{line}: state.directory: {words}");
            assert!(ended.stderr.contains(&told), "{ended:?}");
        }
    }
    fs::remove_file(&file.0).unwrap();
}

#[test]
fn a_service_keeps_its_state_where_systemd_says_unless_the_config_says_otherwise() {
    let (pool, state) = (hard_pool(), State::new());
    let service = format!("export STATE_DIRECTORY={}:/nowhere; ", state.0.display());
    let config = ProxyConfig::new(&[pool.url()]);
    let nothing = config.clone().sections("[state]\ndirectory = \"\"");
    let proxy = Program::run_after(&service, millrace(), &nothing);
    Rig::start(proxy.address(), "farm.rig").mine();
    proxy.stop();
    assert!(!state.0.exists());
    let proxy = Program::run_after(&service, millrace(), &config);
    Rig::start(proxy.address(), "farm.rig").mine();
    let told = proxy.reload(&config.text());
    assert!(told[0].contains("nothing has changed"), "{told:?}");
    let told = proxy.reload(&nothing.text());
    assert!(told[0].contains(": state.directory: "), "{told:?}");
    proxy.stop();
    assert!(state.0.join("sessions").exists());
}

#[test]
fn a_directory_that_the_config_does_not_name_keeps_no_miner_from_mining() {
    let pool = hard_pool();
    let config = ProxyConfig::new(&[pool.url()]);
    let service = "export STATE_DIRECTORY=/dev/null; ";
    let proxy = Program::run_after(service, millrace(), &config);
    let line = proxy.wait_for_log("nothing is kept until the next start");
    assert!(line.contains("/dev/null"), "{line}");
    Rig::start(proxy.address(), "farm.rig").mine();
    let told = proxy.reload(&config.text());
    assert!(told[0].contains("nothing has changed"), "{told:?}");
    proxy.stop();
}

/// A link to itself stands for a disk that is full or read-only.
#[test]
fn a_disk_at_fault_keeps_no_miner_from_mining() {
    let (pool, state) = (Pool::start(Pool::config()), State::new());
    std::os::unix::fs::symlink(&state.0, &state.0).unwrap();
    let config = state.config(&pool);
    let checked = Program::with_config(millrace(), &config.text(), &["check", "--config"]).ended();
    assert_eq!(checked.code, Some(2), "{checked:?}");
    let proxy = Program::run(millrace(), &config);
    let line = proxy.wait_for_log("nothing is kept until the next start");
    assert!(line.starts_with("ERROR cannot write in"), "{line}");
    Rig::start(proxy.address(), "farm.rig").mine();
    pool.next_share();
    assert_eq!(proxy.stop().code, Some(0));
    fs::remove_file(&state.0).unwrap();
}

#[test]
fn check_leaves_no_directory_behind() {
    let (pool, state) = (Pool::start(Pool::config()), State::new());
    let text = state.config(&pool).text();
    let ended = Program::with_config(millrace(), &text, &["check", "--config"]).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = format!("state is kept in {}", state.0.display());
    assert!(ended.stdout.contains(&told), "{ended:?}");
    assert!(!state.0.exists());
}

/// A pool on a network where every share solves a block.
fn easy_pool() -> Pool {
    Pool::start(PoolConfig {
        nbits: 0x207f_ffff,
        ..Pool::config()
    })
}

/// Solves a block, and hands it in when the pool is gone.
fn solve_in_vain(pool: Pool, proxy: &Program) {
    let mut rig = Rig::start(proxy.address(), "farm.rig");
    let share = rig.find();
    pool.stop();
    let _ = proxy.wait_for_log("connection closed by the upstream");
    rig.submit(&share);
    let _ = proxy.wait_for_log("BLOCK KEPT");
}

fn bytes(hex: &Value) -> Vec<u8> {
    sv1::hex::decode(hex.as_str().unwrap().as_bytes()).unwrap()
}

/// Checks that a kept block is whole: its parts make its header, and its header its hash.
fn assert_whole(block: &Value) {
    let header = bytes(&block["header"]);
    let hash = BlockHash(double_sha256(&header)).to_string();
    assert_eq!(block["hash"], hash.as_str(), "{block}");
    let path = block["merkle_path"].as_array().unwrap();
    let path: Vec<[u8; 32]> = path
        .iter()
        .map(|node| bytes(node).try_into().unwrap())
        .collect();
    let root = merkle_root(coinbase_txid(&[&bytes(&block["coinbase"])]), path.iter());
    assert_eq!(header[36..68], root, "{block}");
    let fields = ["upstream", "worker", "sent", "extranonce"].map(|field| &block[field]);
    assert_eq!(fields[..2], ["pool0", "farm.rig"], "{block}");
    assert_eq!(
        (fields[2], bytes(fields[3]).len()),
        (&Value::Bool(false), 16)
    );
}

#[test]
fn a_block_solved_while_its_pool_is_away_is_written_to_a_file() {
    let (pool, state) = (easy_pool(), State::new());
    let proxy = Program::run(millrace(), &state.config(&pool));
    solve_in_vain(pool, &proxy);
    let line = proxy.wait_for_log(" is kept in ");
    assert!(line.starts_with("ERROR block "), "{line}");
    let (_, path) = line.split_once(" is kept in ").unwrap();
    let block: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_whole(&block);
    let name = format!("block-{}.json", block["hash"].as_str().unwrap());
    assert_eq!(Path::new(path), state.0.join(name));
    proxy.stop();
}

#[test]
fn a_block_solved_while_its_pool_is_away_is_logged_whole_without_a_state_directory() {
    let pool = easy_pool();
    let proxy = Program::run(millrace(), &ProxyConfig::new(&[pool.url()]).http(""));
    let kept_at = || proxy.http().json("/api/v1/status")["last_block_kept"].clone();
    assert_eq!(kept_at(), Value::Null);
    solve_in_vain(pool, &proxy);
    let _ = proxy.http().wait_for_metrics(|page| {
        page.metric("millrace_upstream_kept_blocks_total{upstream=\"pool0\"}") == Some(1.0)
    });
    assert!(kept_at().is_string());
    let line = proxy.wait_for_log("the whole block ");
    assert!(line.starts_with("ERROR "), "{line}");
    let (_, json) = line.split_once(": ").unwrap();
    assert_whole(&serde_json::from_str(json).unwrap());
    proxy.stop();
}
