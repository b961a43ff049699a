//! The program `sv2-pool`: arguments, a line every few seconds, and a summary.

mod arguments;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use async_global_executor::GlobalExecutorConfig;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use structopt::StructOpt;
use sv2_pool::{PoolHandle, PoolServer};

use arguments::Arguments;
use report::Report;

/// How often the state is told.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Exit code for arguments that cannot be.
const BAD_ARGUMENTS: u8 = 2;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let arguments = match Arguments::from_args_safe() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            eprintln!("{error}");
            return ExitCode::from(BAD_ARGUMENTS);
        }
        Err(help) => {
            println!("{help}");
            return ExitCode::SUCCESS;
        }
    };
    // One thread is the fast choice: waking another costs more than the work.
    async_global_executor::init_with_config(
        GlobalExecutorConfig::default()
            .with_min_threads(1)
            .with_max_threads(1),
    );
    async_global_executor::block_on(async_global_executor::spawn(run(arguments)))
}

async fn run(arguments: Arguments) -> ExitCode {
    let server = match PoolServer::bind(arguments.config()).await {
        Ok(server) => server,
        Err(error) => {
            log::error!("{error}");
            return match error {
                sv2_pool::server::BindError::Config(_) => ExitCode::from(BAD_ARGUMENTS),
                sv2_pool::server::BindError::Listen { .. } => ExitCode::FAILURE,
            };
        }
    };
    // A line is flushed as it is written: whoever starts the pool reads its URL here.
    println!("{}", server.url());
    let handle = server.handle();
    if let Err(error) = stop_on_signal(handle.clone()) {
        log::error!("signals cannot be caught: {error}");
        return ExitCode::FAILURE;
    }
    if let Some(time) = arguments.run_for {
        async_global_executor::spawn(stop_after(handle.clone(), time)).detach();
    }
    let mut report = Report::new();
    async_global_executor::spawn(report_often(handle, Report::new())).detach();
    let stats = server.run().await;
    eprintln!("{}", report.line(&stats));
    if arguments.json {
        println!("{}", report.json(&stats));
    } else {
        println!("{}", report.summary(&stats));
    }
    ExitCode::SUCCESS
}

async fn report_often(handle: PoolHandle, mut report: Report) {
    loop {
        sv2_pool::server::sleep(REPORT_INTERVAL).await;
        match handle.stats().await {
            Ok(stats) => eprintln!("{}", report.line(&stats)),
            Err(_) => return,
        }
    }
}

async fn stop_after(handle: PoolHandle, time: Duration) {
    sv2_pool::server::sleep(time).await;
    // It may have been stopped by a signal before.
    let _ = handle.stop().await;
}

/// Stops the pool on the first SIGINT or SIGTERM, and the program on the second.
fn stop_on_signal(handle: PoolHandle) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut signals = signals.forever();
            if signals.next().is_some() {
                let _ = async_global_executor::block_on(handle.stop());
            }
            if signals.next().is_some() {
                std::process::exit(1);
            }
        })?;
    Ok(())
}
