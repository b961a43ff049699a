//! The page in a real browser, beside what the API says: figures, searching, sorting, paging, the keyboard, narrow
//! screens, hostile names, and a proxy that goes away and comes back.
//!
//! They need Debian's `chromium` and `chromium-driver`, and are ignored where nobody asks for them:
//! `cargo test -p tests --test appliance dashboard -- --ignored`

use std::net::SocketAddr;

use async_std::task::block_on;
use serde_json::{Value, json};
use sv1_miner::{Farm, FarmConfig};
use tests::browser::{Browser, END, ENTER, HOME, LEFT, TAB};
use tests::{Answer, Http, Pool, Program, ProxyConfig, Rig, Scene, Stage, Wire};

use super::http_api::assert_described;
use super::millrace;

const TOKEN: &str = "0123456789abcdef";
/// Names and firmware that would do something if they were ever taken for markup.
const HOSTILE: &str = "<img src=x onerror=document.title='stolen'>";
const SCRIPT: &str = "</script><script>document.title='stolen'</script>";
/// Rows of a page of the list.
const ROWS: usize = 25;

/// What the list shows: each row's cells by what they are about.
const LIST: &str = "return [...document.querySelectorAll('#rows > tr:not(.more)')].map((row) => ({
    worker: row.querySelector('.opener').innerText,
    problem: row.querySelector('.badge span').textContent,
    accepted: Number(row.querySelector('.accepted data').value),
    rejected: Number(row.querySelector('.rejected data').value),
}))";

fn start(pool: &Pool, lines: &str) -> (Program, Http) {
    let proxy = Program::run(millrace(), &ProxyConfig::new(&[pool.url()]).http(lines));
    let http = proxy.http();
    let _ = proxy.wait_for_log("channel open");
    (proxy, http)
}

fn open(http: &Http) -> Browser {
    let browser = Browser::start();
    browser.open(&format!("http://{}/", http.address()));
    browser
}

/// Gives the number behind a figure of the page.
fn figure(browser: &Browser, id: &str) -> f64 {
    let number = browser.run(&format!(
        "return Number(document.getElementById('{id}').value)"
    ));
    number.as_f64().unwrap()
}

fn workers(list: &Value) -> Vec<&str> {
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| row["worker"].as_str().unwrap()).collect()
}

fn assert_silent(browser: &Browser) {
    assert_eq!(browser.console(), Vec::<String>::new());
}

fn assert_fits(browser: &Browser) {
    let wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
    assert!(wide.as_i64().unwrap() <= 0, "too wide by {wide} pixels");
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn the_figures_are_the_apis() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let browser = open(&http);
    browser.wait_for_text("#headline", |text| text == "No miner is connected");
    let mut rigs = ["farm.rig1", "farm.rig2"].map(|name| Rig::start(proxy.address(), name));
    rigs[0].mine_many(4);
    rigs[1].mine_many(2);
    let share = rigs[1].find();
    assert!(matches!(rigs[1].submit(&share), Answer::Accepted));
    assert!(matches!(rigs[1].submit(&share), Answer::Rejected(_)));
    browser.wait_for_text("#upstream-acknowledged", |text| text == "7");
    browser.wait_for(LIST, |list| {
        list[0]["accepted"] == 4 && list[1]["rejected"] == 1
    });
    let status = http.json("/api/v1/status");
    for (id, value) in [
        ("miners-mining", &status["miners"]["mining"]),
        ("shares-accepted", &status["shares"]["accepted"]),
        ("shares-rejected", &status["shares"]["rejected"]),
        ("upstream-sent", &status["upstream_shares"]["sent"]),
    ] {
        assert_eq!(figure(&browser, id), value.as_f64().unwrap(), "{id}");
    }
    // It falls while nobody finds shares: what the page shows is of a little before.
    let rate = status["hashrate"]["1h"].as_f64().unwrap();
    let shown = figure(&browser, "hashrate-1h");
    assert!(shown >= rate && shown < rate * 1.5, "{shown} beside {rate}");
    assert_eq!(browser.text("#reasons li span"), "duplicate");
    assert_eq!(browser.text("#reasons li data"), "1");
    let pool_card = browser.text("#upstreams article");
    assert!(
        pool_card.contains("pool0") && pool_card.contains("Active"),
        "{pool_card}"
    );
    assert!(
        pool_card.contains("7 of 7 shares acknowledged (100 %)"),
        "{pool_card}"
    );
    let newest = http.json("/api/v1/events")["events"][0]["text"].clone();
    assert_eq!(browser.text("#events .what"), newest.as_str().unwrap());
    browser.wait_for_text("#headline", |text| text == "All well");
    drop(rigs);
    browser.wait_for_text("#headline", |text| text == "2 workers offline");
    assert!(
        browser
            .run("return document.title")
            .as_str()
            .unwrap()
            .starts_with("2 workers offline")
    );
    assert_silent(&browser);
    proxy.stop();
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn the_figures_follow_a_farm_that_mines() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let farm = Farm::spawn(&FarmConfig {
        shares_per_minute: 60.0,
        ..FarmConfig::new(proxy.address().to_string(), 3 * ROWS)
    });
    let browser = open(&http);
    let all = |text: &str| text == "75";
    browser.wait_for_text("#miners-mining", all);
    for _ in 0..3 {
        let accepted = |status: Value| status["shares"]["accepted"].as_f64().unwrap();
        // Counters only grow, so what the page shows next lies between two answers.
        let before = accepted(http.json("/api/v1/status"));
        let script = "return Number(document.getElementById('shares-accepted').value)";
        let shown = browser.wait_for(script, |shown| shown.as_f64().unwrap() > before);
        let after = accepted(http.json("/api/v1/status"));
        assert!(
            shown.as_f64().unwrap() <= after,
            "{before}, {shown}, {after}"
        );
    }
    assert_eq!(
        browser
            .wait_for(LIST, |list| list[0].is_object())
            .as_array()
            .unwrap()
            .len(),
        ROWS
    );
    assert_silent(&browser);
    block_on(farm.stop());
    proxy.stop();
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn workers_are_searched_sorted_and_paged() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let rig = |number: usize| Rig::start(proxy.address(), &format!("farm.rig{number:02}"));
    let mut rigs: Vec<_> = (1..=2 * ROWS + 3).map(rig).collect();
    rigs[6].mine_many(3);
    rigs[40].mine_many(5);
    // Who never mined is not missed.
    rigs[2 * ROWS..].iter_mut().for_each(Rig::mine);
    let browser = open(&http);
    browser.wait_for_text("#place", |text| text == "1–25 of 53");

    browser.click("#columns th:first-child button");
    let list = browser.wait_for(LIST, |list| list[0]["worker"] == "farm.rig01");
    assert_eq!(
        workers(&list),
        (1..=ROWS)
            .map(|n| format!("farm.rig{n:02}"))
            .collect::<Vec<_>>()
    );
    let sorts = "return [...document.querySelectorAll('#columns th')].map((it) => it.getAttribute('aria-sort'))";
    assert_eq!(browser.run(sorts)[0], "ascending");
    browser.click("#columns th:first-child button");
    browser.wait_for(LIST, |list| list[0]["worker"] == "farm.rig53");
    assert_eq!(browser.run(sorts)[0], "descending");

    browser.click("#next");
    browser.wait_for(LIST, |list| list[0]["worker"] == "farm.rig28");
    browser.click("#next");
    let last = browser.wait_for(LIST, |list| list[0]["worker"] == "farm.rig03");
    assert_eq!(workers(&last), ["farm.rig03", "farm.rig02", "farm.rig01"]);
    assert_eq!(browser.text("#place"), "51–53 of 53");
    browser.click("#next");
    let address = browser.run("return location.hash");
    assert_eq!(
        address, "#sort=worker&order=desc&page=3",
        "there is no fourth page"
    );
    browser.devtools("Page.reload", &json!({}));
    browser.wait_for(LIST, |list| list[0]["worker"] == "farm.rig03");

    browser.type_into("#search", "RIG4");
    let found = browser.wait_for(LIST, |list| {
        list.as_array().is_some_and(|rows| rows.len() == 10)
    });
    assert_eq!(found[0]["worker"], "farm.rig49");
    assert_eq!(browser.text("#place"), "1–10 of 10, 53 in all");
    browser.open(&format!("http://{}/#sort=accepted", http.address()));
    let most = browser.wait_for(LIST, |list| list[0]["accepted"] == 5);
    assert_eq!(workers(&most)[..2], ["farm.rig41", "farm.rig07"]);

    rigs.truncate(2 * ROWS);
    browser.click("#problems [data-value=any]");
    let gone = browser.wait_for(LIST, |list| {
        list.as_array().is_some_and(|rows| rows.len() == 3)
    });
    assert!(
        gone.as_array()
            .unwrap()
            .iter()
            .all(|row| row["problem"] == "offline"),
        "{gone}"
    );
    browser.click("#views [data-value=miners]");
    browser.wait_for_text("#list-empty", |text| text == "No connection fits.");
    browser.open(&format!(
        "http://{}/#sort=nonsense&page=x&problem=none-such",
        http.address()
    ));
    browser.wait_for_text("#list-trouble", |text| {
        text.starts_with("problem: expected one of any, none")
    });
    browser.wait_for_text("#headline", |text| text == "3 workers offline");
    let grave = browser.console();
    assert!(
        grave.iter().all(|line| line.contains("400 (Bad Request)")),
        "{grave:?}"
    );
    proxy.stop();
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn what_miners_call_themselves_is_text() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let mut named = Rig::start(proxy.address(), HOSTILE);
    named.mine();
    let mut wire = Wire::connect(proxy.address());
    let request = |id: u32, method: &str, parameters: Value| {
        json!({"id": id, "method": method, "params": parameters}).to_string()
    };
    wire.send_line(&request(1, "mining.subscribe", json!([SCRIPT])));
    wire.send_line(&request(2, "mining.authorize", json!(["zz.scripted", "x"])));
    let browser = open(&http);
    browser.resize(320, 700);
    let list = browser.wait_for(LIST, |list| list[1].is_object());
    assert!(workers(&list).contains(&HOSTILE), "{list:#}");
    browser.run("document.querySelectorAll('.opener').forEach((opener) => opener.click())");
    browser.wait_for_text("#rows", |text| text.contains(SCRIPT));
    browser.wait_for_text("#events", |text| {
        text.contains(HOSTILE) && text.contains(SCRIPT)
    });
    assert_eq!(
        browser.run("return document.querySelectorAll('main img, main script').length"),
        0
    );
    assert_ne!(browser.run("return document.title"), "stolen");
    assert_fits(&browser);
    assert_silent(&browser);
    proxy.stop();
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn everything_is_reached_by_keyboard() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let _rigs = ["farm.rig1", "farm.rig2"].map(|name| Rig::start(proxy.address(), name));
    let browser = open(&http);
    browser.wait_for(LIST, |list| list[1].is_object());
    let focused = "const it = document.activeElement; return it.id || it.dataset.value || it.className || it.innerText";
    let mut passed = Vec::new();
    browser.press(TAB);
    while browser.run(focused) != "opener" {
        passed.push(browser.run(focused).as_str().unwrap_or_default().to_owned());
        let outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle");
        assert_eq!(outline, "solid", "the focus on {passed:?} cannot be seen");
        assert!(passed.len() < 60, "no row is reached: {passed:?}");
        browser.press(TAB);
    }
    for stop in [
        "skip", "plot", "1", "24", "workers", "miners", "search", "any", "State▼", "Worker",
    ] {
        assert!(
            passed.iter().any(|it| it == stop),
            "{stop} is not among {passed:?}"
        );
    }
    browser.press(ENTER);
    assert!(browser.text(".more").contains("Shares"), "the row is open");
    // The page goes on, and the focus and the open row stay.
    let as_of = browser.text("#as-of");
    browser.wait_for_text("#as-of", |text| text != as_of);
    assert_eq!(browser.run(focused), "opener");
    browser.press(ENTER);
    assert_eq!(
        browser.run("return document.querySelectorAll('.more').length"),
        0
    );
    browser.run("document.querySelector('#columns button').focus()");
    browser.press(ENTER);
    browser.wait_for(LIST, |list| list[0]["worker"] == "farm.rig1");
    browser.press(ENTER);
    browser.wait_for(LIST, |list| list[0]["worker"] == "farm.rig2");
    assert_silent(&browser);
    proxy.stop();
}

/// The proxy once more, on the same port for HTTP.
fn again(pool: &Pool, address: SocketAddr, lines: &str) -> Program {
    let text = ProxyConfig::new(&[pool.url()]).http(lines).text();
    let text = text.replace(
        "address = \"127.0.0.1:0\"\ntoken",
        &format!("address = \"{address}\"\ntoken"),
    );
    assert!(text.contains(&address.to_string()));
    Program::with_config(millrace(), &text, &["run", "--config"])
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_lost_proxy_is_told_and_its_return_noticed() {
    let pool = Pool::start(Pool::config());
    let token = format!("token = \"{TOKEN}\"");
    let (proxy, http) = start(&pool, &token);
    let mut rig = Rig::start(proxy.address(), "farm.rig1");
    rig.mine();
    let browser = Browser::start();
    browser.open(&format!("http://anybody:{TOKEN}@{}/", http.address()));
    browser.wait_for_text("#headline", |text| text == "All well");
    proxy.stop();
    let more = "return document.getElementById('state').innerText";
    let lost = browser.wait_for(more, |text| {
        text.as_str().unwrap().starts_with("Lost the proxy")
    });
    let lost = lost.as_str().unwrap();
    assert!(lost.contains(" ago — figures below are from "), "{lost}");
    assert_eq!(
        figure(&browser, "shares-accepted"),
        1.0,
        "what was last known stays"
    );
    browser.wait_for(more, |text| {
        text.as_str().unwrap().contains("proxy 2 s ago")
    });

    let back = again(&pool, http.address(), &token);
    browser.wait_for_text("#headline", |text| text == "No miner is connected");
    assert_eq!(figure(&browser, "shares-accepted"), 0.0);
    let hidden = "return document.getElementById('notice').hidden";
    assert_eq!(browser.run(hidden), true);
    back.stop();

    let other = "fedcba9876543210";
    let changed = again(&pool, http.address(), &format!("token = \"{other}\""));
    browser.wait_for_text("#headline", |text| {
        text == "The proxy asks for another password"
    });
    assert!(browser.text("#notice").contains("Load the page again"));
    browser.open(&format!("http://anybody:{other}@{}/", http.address()));
    browser.wait_for_text("#headline", |text| text == "No miner is connected");
    assert_eq!(browser.run(hidden), true);
    let grave = browser.console();
    let network = |line: &String| line.starts_with("\"network\"");
    assert!(grave.iter().all(network), "{grave:#?}");
    changed.stop();
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_pool_that_is_gone_is_told_at_the_top() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let browser = open(&http);
    browser.wait_for_text("#headline", |text| text == "No miner is connected");
    pool.stop();
    browser.wait_for_text("#headline", |text| text == "No pool has work");
    let since = browser.text("#headline-more");
    assert!(
        since.starts_with(" — since ") || since.starts_with("— since "),
        "{since}"
    );
    let card = browser.wait_for_text("#upstreams article", |text| text.contains("Last failure"));
    assert!(card.contains("Away"), "{card}");
    assert_eq!(
        browser.run("return document.getElementById('state').dataset.level"),
        "bad"
    );
    assert_silent(&browser);
    proxy.stop();
}

/// A made-up farm with a day behind it, as the page shows it at this size.
fn on_stage(scene: Scene, width: u32) -> (Pool, Program, Stage, Browser) {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let stage = Stage::start(http, scene);
    let browser = Browser::start();
    browser.resize(width, 900);
    browser.open(&stage.url());
    browser.wait_for_text("#plot-value", |text| text.contains("H/s"));
    (pool, proxy, stage, browser)
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn the_plot_tells_its_values_to_the_keyboard() {
    let (_pool, proxy, stage, browser) = on_stage(Scene::well(), 1_280);
    let history = stage.http().json("/api/v1/hashrate?step=5");
    let rates = history["hashrate"].as_array().unwrap();
    let value = "return document.getElementById('plot').getAttribute('aria-valuetext')";
    let index = "return Number(document.getElementById('plot').getAttribute('aria-valuenow'))";
    browser.run("document.getElementById('plot').focus()");
    browser.press(HOME);
    assert_eq!(browser.run(index), 0);
    assert!(
        browser
            .run("return document.querySelector('#plot-cursor circle') !== null")
            .as_bool()
            .unwrap()
    );
    browser.press(END);
    assert_eq!(browser.run(index).as_u64().unwrap(), rates.len() as u64 - 1);
    browser.press(LEFT);
    assert_eq!(browser.run(index).as_u64().unwrap(), rates.len() as u64 - 2);
    let told = browser.run(value);
    assert!(
        told.as_str().unwrap().contains(" PH/s, 414 miners, "),
        "{told}"
    );
    assert_eq!(browser.text("#plot-value"), told.as_str().unwrap());
    browser.click("#ranges [data-value='1']");
    let most = "return Number(document.getElementById('plot').getAttribute('aria-valuemax'))";
    // The step that is not over, and one that began before, may be missing.
    browser.wait_for(most, |last| {
        last.as_u64().is_some_and(|last| (57..=60).contains(&last))
    });
    assert_silent(&browser);
    proxy.stop();
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn a_block_that_was_kept_is_told_at_the_top_for_a_day() {
    let hour = 3_600.0;
    for (kept, headline) in [
        (23.0 * hour, "1 solved block may not have reached the pool"),
        (25.0 * hour, "All well"),
    ] {
        let (_pool, proxy, _stage, browser) = on_stage(Scene::with_a_block_kept(kept), 1_280);
        browser.wait_for_text("#headline", |text| text.starts_with(headline));
        assert_silent(&browser);
        proxy.stop();
    }
}

#[test]
#[ignore = "needs chromium and chromedriver"]
fn the_page_fits_a_narrow_screen() {
    for (scene, width) in [(Scene::well(), 320), (Scene::troubled(), 390)] {
        let (_pool, proxy, _stage, browser) = on_stage(scene, width);
        browser.wait_for(LIST, |list| list[0].is_object());
        assert_fits(&browser);
        browser.run("document.querySelector('.opener').click()");
        browser.wait_for_text(".more", |text| text.contains("Shares"));
        assert_fits(&browser);
        assert_silent(&browser);
        proxy.stop();
    }
}

#[test]
fn what_is_made_up_for_pictures_is_as_the_api_is_described() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, "");
    let description = http.json("/api/v1/openapi.json");
    let stage = Stage::start(http, Scene::troubled()).http();
    for path in ["status", "upstreams", "workers", "events", "hashrate"] {
        let path = format!("/api/v1/{path}");
        assert_described(&description, &path, &stage.get(&path));
    }
    proxy.stop();
}

#[test]
fn the_page_is_served_whole_to_who_may_read() {
    let pool = Pool::start(Pool::config());
    let (proxy, http) = start(&pool, &format!("token = \"{TOKEN}\""));
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let page = http.get_with("/", &bearer);
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'"),
        "{policy}"
    );
    let known = format!(
        "{bearer}If-None-Match: {}\r\n",
        page.header("etag").unwrap()
    );
    assert_eq!(http.get_with("/", &known).status, 304);
    for path in ["/", "/dashboard/main.js", "/dashboard/icon.svg"] {
        assert_eq!(http.get(path).status, 401, "{path}");
        assert_eq!(http.get_with(path, &bearer).status, 200, "{path}");
    }
    // The page itself must not have the browser ask for a password again and again.
    let refused = http.get_with("/api/v1/status", "Accept: application/json\r\n");
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("www-authenticate"),
        Some("Bearer realm=\"Millrace\"")
    );
    proxy.stop();
}
