//! The pool that fails: a process where it has to be killed, in this process where it has to be commanded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_std::task::block_on;
use sv2::url::PoolUrl;
use sv2_pool::{Channels, PoolConfig};

use super::JOB_INTERVAL;
use crate::{Pool, Program};

/// A secret authority key that nobody else uses, so that a restarted pool has the same one.
const SECRET: &str = "2mdj37nRz5kzPXMRExaxVhzNwh86dkdDpWsu2LmQ2rBM5jfP2e";
/// Extranonce prefixes before and after a restart.
const PREFIXES: [&str; 2] = ["0102030405060708090a0b0c", "f1f2f3f4f5f6f7f8f9fafbfc"];

/// The pool that the farm prefers.
pub(super) enum Primary {
    /// `sv2-pool`, and where it is.
    Process {
        /// Where it is started from.
        path: PathBuf,
        /// What runs; nothing once it was killed.
        program: Option<Program>,
        url: String,
    },
    /// The same pool within this process.
    Inside(Box<Pool>),
}

impl Primary {
    pub(super) fn process(path: &Path) -> Self {
        let program = start(path, "127.0.0.1:0", PREFIXES[0]);
        Self::Process {
            url: program.first_output(),
            program: Some(program),
            path: path.to_owned(),
        }
    }

    pub(super) fn inside(job_interval: Duration) -> Self {
        Self::Inside(Box::new(Pool::start(PoolConfig {
            job_interval: Some(job_interval),
            ..Pool::config()
        })))
    }

    pub(super) fn url(&self) -> String {
        match self {
            Self::Process { url, .. } => url.clone(),
            Self::Inside(pool) => pool.url().to_owned(),
        }
    }

    pub(super) fn kill(&mut self) {
        if let Self::Process { program, .. } = self {
            // Dropped, it is killed.
            *program = None;
        }
    }

    pub(super) fn hang(&self) {
        if let Self::Process {
            program: Some(program),
            ..
        } = self
        {
            program.signal("STOP");
        }
    }

    pub(super) fn restart(&mut self) {
        self.kill();
        if let Self::Process { path, program, url } = self {
            let url: PoolUrl = url.parse().expect("a pool's URL");
            let listen = format!("127.0.0.1:{}", url.port);
            *program = Some(start(path, &listen, PREFIXES[1]));
        }
    }

    pub(super) fn close_channel(&self) {
        if let Self::Inside(pool) = self {
            let close = pool.handle.close_channels(Channels::All, "maintenance");
            block_on(close).expect("the pool runs");
        }
    }

    /// Ends it, hanging or not.
    pub(super) fn end(self) {
        if let Self::Inside(pool) = self {
            pool.stop();
        }
    }
}

fn start(path: &Path, listen: &str, prefix: &str) -> Program {
    let interval = format!("{}s", JOB_INTERVAL.as_secs());
    let arguments = [
        "--listen",
        listen,
        "--authority-secret",
        SECRET,
        "--extranonce-prefix",
        prefix,
        "--share-difficulty",
        "0.00001",
        "--job-interval",
        &interval,
        "--block-interval",
        "never",
        "--ack-batch",
        "1",
    ];
    Program::with_arguments(path, &arguments)
}
