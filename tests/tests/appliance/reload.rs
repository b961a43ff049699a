//! A changed config while miners are connected: SIGHUP applies it without losing one, or refuses it as a whole.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use async_std::task::block_on;
use millrace::appliance::Appliance;
use millrace::config::Config;
use sv1_miner::{Farm, FarmConfig, Stats};
use sv2_pool::PoolEvent;
use tests::{Http, PATIENCE, Pool, Program, ProxyConfig, Rig, Wire};

use super::{millrace, pool_and_proxy};

/// Waits until a pool has accepted so many more shares.
fn wait_for_shares(pool: &Pool, count: usize) {
    (0..count).for_each(|_| drop(pool.next_share()));
}

/// Waits until a farm's miners are all at work.
fn wait_for_all(stats: impl Fn() -> Stats, miners: u64) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while stats().jobs < miners {
        assert!(std::time::Instant::now() < deadline, "{:?}", stats());
        std::thread::yield_now();
    }
}

#[test]
fn a_reload_under_load_loses_no_miner_and_no_share() {
    reload_under_load("");
}

#[test]
fn with_several_shards_a_reload_under_load_loses_no_miner_and_no_share() {
    reload_under_load("[translation]\nshards = 2\n");
}

/// Gives 200 miners another difficulty and another pool, and takes the old one out.
fn reload_under_load(sections: &str) {
    const MINERS: usize = 200;
    let (old, new) = (Pool::start(Pool::config()), Pool::start(Pool::config()));
    let usual = ProxyConfig::new(&[old.url()])
        .level("info")
        .sections(sections);
    let proxy = Program::run(millrace(), &usual);
    let address = proxy.address();
    let _ = proxy.wait_for_log("new block on");
    let farm = Farm::spawn(&FarmConfig {
        shares_per_minute: 60.0,
        connects_per_second: 500.0,
        ..FarmConfig::new(address.to_string(), MINERS)
    });
    wait_for_all(|| farm.stats(), MINERS as u64);
    wait_for_shares(&old, MINERS);
    let harder = usual.difficulty(2_f64.powi(-19));
    let both = harder.preferring("new", new.url());
    let told = proxy.reload(&both.text());
    assert!(told[0].contains("upstream new added; "), "{told:?}");
    assert!(
        told[0].contains("difficulty.start 0.00000095367431640625 → "),
        "{told:?}"
    );
    wait_for_shares(&new, 2 * MINERS);
    assert_eq!(farm.stats().difficulty, 2_f64.powi(-19));
    let told = proxy.reload(&both.without("pool0").text());
    assert!(told[0].contains("upstream pool0 removed"), "{told:?}");
    wait_for_shares(&new, MINERS);
    let (stats, _) = block_on(farm.stop());
    proxy.stop();
    assert_eq!(stats.connections_lost, 0, "{stats:?}");
    assert_eq!(stats.connections, MINERS as u64);
    assert_eq!(stats.shares_rejected_unexcused, 0, "{stats:?}");
    let answered = stats.shares_accepted + stats.rejected();
    assert_eq!(answered, stats.shares_submitted, "{stats:?}");
    let (old, new) = (old.stats_at_rest(), new.stats_at_rest());
    assert_eq!(old.shares_refused_total() + new.shares_refused_total(), 0);
}

#[test]
fn a_pool_that_is_taken_out_is_parted_with_once_its_miners_have_another() {
    let (old, new) = (Pool::start(Pool::config()), Pool::start(Pool::config()));
    let usual = ProxyConfig::new(&[old.url()]);
    let proxy = Program::run(millrace(), &usual);
    let mut rig = Rig::start(proxy.address(), "rig");
    rig.mine();
    let late = rig.find();
    let replaced = usual.without("pool0").preferring("new", new.url());
    let told = proxy.reload(&replaced.text());
    assert!(
        told[0].contains("upstream new added; upstream pool0 removed (its miners leave as soon as another has work)"),
        "{told:?}"
    );
    rig.wait_for_clean_job();
    rig.mine();
    assert_eq!(new.next_share().worker.unwrap().to_string(), "rig");
    let _ = old.next_share();
    assert!(matches!(rig.submit(&late), tests::Answer::Accepted));
    let _ = old.next_share();
    old.wait_for("closed channel", |event| {
        matches!(event, PoolEvent::ChannelClosed { .. }).then_some(())
    });
    rig.mine();
    proxy.stop();
}

#[test]
fn an_unchanged_config_changes_nothing_and_says_so() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]);
    let proxy = Program::run(millrace(), &config);
    let mut rig = Rig::start(proxy.address(), "rig");
    let job = rig.work().notify.job_id;
    let commented = format!("# words\n{}", config.text());
    for text in [&config.text(), &commented] {
        let told = proxy.reload(text);
        assert!(
            told[0].ends_with("config reloaded: nothing has changed"),
            "{told:?}"
        );
    }
    rig.mine();
    assert_eq!(rig.work().notify.job_id, job);
    proxy.stop();
    assert_eq!(pool.stats_at_rest().connections_total, 1);
}

#[test]
fn a_config_that_cannot_be_applied_is_refused_as_a_whole_with_its_lines() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).http("");
    let proxy = Program::run(millrace(), &config);
    let mut rig = Rig::start(proxy.address(), "rig");
    let job = rig.work().notify.job_id;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let listener = |address: &str| format!("[[listener]]\naddress = \"{address}\"\n");
    // In each there is also something that could be applied.
    let harder = config.clone().difficulty(1.0).level("warn");
    for (wrong, words) in [
        (
            harder.clone().limit("max_minerz = 5"),
            "limits.max_minerz: unknown key; did you mean `max_miners`?",
        ),
        (
            harder.clone().sections("[translation]\nshards = 2\n"),
            "translation.shards: the threads are started with the program; restart to change it",
        ),
        (
            harder
                .sections(&listener("127.0.0.1:0"))
                .sections(&listener(&taken.to_string())),
            "Address already in use",
        ),
    ] {
        let told = proxy.reload(&wrong.text());
        assert!(told[0].contains("config not reloaded: "), "{told:?}");
        assert!(told[0].contains("millrace.toml:"), "{told:?}");
        assert!(told[0].contains(words), "{told:?}");
    }
    assert_eq!(
        proxy.count_log("listening for miners on "),
        1,
        "no port was opened"
    );
    rig.mine();
    assert_eq!(rig.work().notify.job_id, job, "nobody's work changed");
    let events = proxy
        .http()
        .wait_for("/api/v1/events?kind=config-refused", |events| {
            events["events"].as_array().unwrap().len() == 3
        });
    let newest = events["events"][0]["text"].as_str().unwrap();
    assert!(
        newest.contains("listener.address: cannot listen on"),
        "{newest}"
    );
    let told = proxy.reload(&config.difficulty(2_f64.powi(-19)).text());
    assert!(
        told[0].contains("config reloaded: difficulty.start"),
        "{told:?}"
    );
    rig.wait_for_job();
    rig.mine();
    proxy.stop();
}

#[test]
fn listeners_that_share_a_channel_are_not_parted() {
    let pools = [Pool::start(Pool::config()), Pool::start(Pool::config())];
    let second = |line: &str| format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{line}\n");
    let config = ProxyConfig::new(&[pools[0].url(), pools[1].url()]);
    let proxy = Program::run(millrace(), &config.clone().sections(&second("")));
    let mut rig = Rig::start(proxy.address(), "rig");
    rig.mine();
    let parted = config.sections(&second("upstreams = [\"pool1\"]"));
    let told = proxy.reload(&parted.text());
    assert!(
        told[0].contains(
            "listener.upstreams: 127.0.0.1:0 cannot be given other upstreams than 127.0.0.1:0"
        ),
        "{told:?}"
    );
    rig.mine();
    proxy.stop();
}

#[test]
fn ports_open_and_close_and_whoever_is_in_stays() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]);
    let second = config
        .clone()
        .sections("[[listener]]\naddress = \"127.0.0.2:0\"\nuser = \"hall2-{worker}\"\n");
    let proxy = Program::run(millrace(), &config);
    let mut first = Rig::start(proxy.address(), "one");
    first.mine();
    let told = proxy.reload(&second.text());
    assert!(
        told[0].ends_with("config reloaded: listener 127.0.0.2:0 opened"),
        "{told:?}"
    );
    let address: SocketAddr = {
        let line = proxy.wait_for_logs("listening for miners on ", 2);
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let mut rig = Rig::start(address, "two");
    rig.mine();
    let _ = pool.next_share();
    assert_eq!(pool.next_share().worker.unwrap().to_string(), "hall2-two");
    let told = proxy.reload(&config.text());
    assert!(
        told[0].ends_with("config reloaded: listener 127.0.0.2:0 closed (its miners stay)"),
        "{told:?}"
    );
    assert!(TcpStream::connect(address).is_err(), "the port is closed");
    rig.mine();
    first.mine();
    assert_eq!(pool.next_share().worker.unwrap().to_string(), "hall2-two");
    proxy.stop();
    assert_eq!(
        pool.stats_at_rest().connections_total,
        1,
        "all on one channel"
    );
}

#[test]
fn a_listener_with_upstreams_of_its_own_comes_with_a_channel_and_goes_with_its_miners() {
    let pools = [Pool::start(Pool::config()), Pool::start(Pool::config())];
    let config = ProxyConfig::new(&[pools[0].url(), pools[1].url()])
        .listener_line("upstreams = [\"pool0\"]")
        .http("");
    let both = config
        .clone()
        .sections("[[listener]]\naddress = \"127.0.0.2:0\"\nupstreams = [\"pool1\"]\n");
    let proxy = Program::run(millrace(), &config);
    let mut first = Rig::start(proxy.address(), "one");
    first.mine();
    let _ = proxy.reload(&both.text());
    let line = proxy.wait_for_logs("listening for miners on ", 2);
    let mut rig = Rig::start(line.rsplit(' ').next().unwrap().parse().unwrap(), "two");
    rig.mine();
    assert_eq!(pools[1].next_share().worker.unwrap().to_string(), "two");
    let http = proxy.http();
    let shares = |count| {
        move |status: &serde_json::Value| status["shares"]["accepted"].as_u64() == Some(count)
    };
    let status = http.wait_for("/api/v1/status", shares(2));
    assert_eq!(status["miners"]["connected"], 2);
    let told = proxy.reload(&config.text());
    assert!(
        told[0].ends_with("listener 127.0.0.2:0 closed (its miners are let go)"),
        "{told:?}"
    );
    while rig.wire().line().is_some() {}
    let _ = proxy.wait_for_log("let go: the config has its port no longer");
    pools[1].wait_for("closed channel", |event| {
        matches!(event, PoolEvent::ChannelClosed { .. }).then_some(())
    });
    first.mine();
    // Counters go on from where they were: for Prometheus a fall is a restart.
    let status = http.wait_for("/api/v1/status", shares(3));
    assert_eq!(status["miners"]["connected"], 1);
    assert_eq!(status["miners"]["connections"], 2);
    assert_eq!(status["listeners"].as_array().unwrap().len(), 2);
    let page = http.get("/metrics");
    let ready = |address| {
        page.metric(&format!(
            "millrace_listener_ready{{listener=\"{address}\"}}"
        ))
    };
    assert_eq!(ready(proxy.address()), Some(1.0));
    assert_eq!(page.body.matches("millrace_listener_ready{").count(), 1);
    proxy.stop();
}

#[test]
fn http_and_the_log_follow_without_a_miner_noticing() {
    let pool = Pool::start(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).http("");
    let proxy = Program::run(millrace(), &config);
    let http = proxy.http();
    let mut rig = Rig::start(proxy.address(), "rig");
    rig.mine();
    let with_token = config.clone().http("token = \"0123456789abcdef\"\n");
    let told = proxy.reload(&with_token.text());
    assert!(
        told[0].ends_with("config reloaded: http.token set"),
        "{told:?}"
    );
    // The answer to a request that was on its way may still be one of before.
    let deadline = std::time::Instant::now() + PATIENCE;
    while http.get("/api/v1/status").status != 401 {
        assert!(std::time::Instant::now() < deadline);
    }
    let bearer = "Authorization: Bearer 0123456789abcdef\r\n";
    assert_eq!(http.get_with("/api/v1/status", bearer).status, 200);
    let moved = config.text().replace(
        "[http]\naddress = \"127.0.0.1:0\"",
        "[http]\naddress = \"127.0.0.2:0\"",
    );
    let _ = proxy.reload(&moved);
    let line = proxy.wait_for_logs("serving http on ", 2);
    let second = Http::new(line.rsplit(' ').next().unwrap().parse().unwrap());
    assert_eq!(second.get("/healthz").status, 200);
    assert!(
        TcpStream::connect(http.address()).is_err(),
        "the old port is closed"
    );
    let quiet = moved.replace("level = \"debug\"", "level = \"info\"");
    pool.new_job();
    rig.wait_for_job();
    let _ = proxy.wait_for_log("new job to 1 miners");
    let told = proxy.reload(&quiet);
    assert!(
        told[0].ends_with("config reloaded: log.level debug → info"),
        "{told:?}"
    );
    pool.new_job();
    rig.wait_for_job();
    rig.mine();
    assert_eq!(
        proxy.count_log("new job to"),
        1,
        "that is not told any more"
    );
    proxy.stop();
}

#[test]
fn a_reload_that_comes_before_work_and_miners_counts_too() {
    let (pool, proxy) = pool_and_proxy(Pool::config());
    let config = ProxyConfig::new(&[pool.url()]).difficulty(2_f64.powi(-19));
    let _ = proxy.reload(&config.text());
    let mut wire = Wire::connect(proxy.address());
    wire.set_up("rig");
    let difficulty = wire.notification("mining.set_difficulty")[0].as_f64();
    assert_eq!(difficulty, Some(2_f64.powi(-19)));
    proxy.stop();
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_is_refused_in_time() {
    let (_pool, proxy) = pool_and_proxy(Pool::config());
    let mut rig = Rig::start(proxy.address(), "rig");
    std::fs::remove_file(proxy.config()).unwrap();
    let made = Command::new("mkfifo").arg(proxy.config()).status();
    assert!(made.unwrap().success());
    let told = proxy.reload_as_it_is();
    assert!(
        told[0].contains("config not reloaded: ") && told[0].contains("has not been read within"),
        "{told:?}"
    );
    rig.mine();
    proxy.stop();
}

#[test]
fn a_port_whose_miners_were_let_go_can_be_had_again_at_once() {
    let pools = [Pool::start(Pool::config()), Pool::start(Pool::config())];
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let without = ProxyConfig::new(&[pools[0].url(), pools[1].url()])
        .listener_line("upstreams = [\"pool0\"]");
    let with = without.clone().sections(&format!(
        "[[listener]]\naddress = \"{free}\"\nupstreams = [\"pool1\"]\n"
    ));
    let path = std::env::temp_dir().join(format!("millrace-ports-{}.toml", std::process::id()));
    let first = Config::parse("first", &without.text()).unwrap();
    block_on(async {
        let mut appliance = Appliance::start(&first).unwrap();
        for config in std::iter::repeat_n([&with, &without], 50).flatten() {
            std::fs::write(&path, config.text()).unwrap();
            appliance.follow(&path).await.unwrap();
        }
        appliance.stop().await;
    });
    std::fs::remove_file(path).unwrap();
}
