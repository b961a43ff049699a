//! The program `screenshot`: a picture of the page over a made-up farm, for the README and for who works on the page.
//!
//! `cargo run -p tests --bin screenshot -- docs/dashboard.png`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use structopt::StructOpt;
use tests::{Browser, Pool, Program, ProxyConfig, Scene, Stage};

/// Starts the real millrace and a headless Chromium, shows a made-up farm on the page, and writes what is seen as PNG.
/// Needs Debian's chromium and chromium-driver.
#[derive(Debug, StructOpt)]
struct Arguments {
    /// File to write
    #[structopt(parse(from_os_str))]
    file: PathBuf,
    /// Width in pixels
    #[structopt(long, default_value = "1280")]
    width: u32,
    /// Height in pixels
    #[structopt(long, default_value = "1180")]
    height: u32,
    /// Dark colours
    #[structopt(long)]
    dark: bool,
    /// A farm in which all is well, instead of one with some machines in trouble
    #[structopt(long)]
    well: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(program) = tests::build("millrace") else {
        eprintln!("millrace cannot be built");
        return ExitCode::FAILURE;
    };
    let pool = Pool::start(Pool::config());
    let proxy = Program::run(&program, &ProxyConfig::new(&[pool.url()]).http(""));
    let scene = match arguments.well {
        true => Scene::well(),
        false => Scene::troubled(),
    };
    let stage = Stage::start(proxy.http(), scene);
    let browser = Browser::start();
    browser.resize(arguments.width, arguments.height);
    // A picture cannot be scrolled.
    browser.devtools("Emulation.setScrollbarsHidden", &json!({"hidden": true}));
    browser.scheme(if arguments.dark { "dark" } else { "light" });
    browser.open(&stage.url());
    // What is asked for last.
    browser.wait_for_text("#events", |text| !text.is_empty());
    let picture = browser.screenshot();
    proxy.stop();
    match std::fs::write(&arguments.file, picture) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", arguments.file.display());
            ExitCode::FAILURE
        }
    }
}
