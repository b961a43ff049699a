//! Solved blocks that their upstream may not have, a file each: `block-HASH.json`, with the hash as explorers write it.
//!
//! One JSON object. Bytes are hex in the order of the wire, times are seconds, and the fields are those of
//! [`KeptBlock`]. The other transactions of the block are the upstream's; it finds them by the job.

use std::fs;
use std::io;

use async_channel::{Receiver, Sender};
use serde_json::{Value, json};
use translate::KeptBlock;

use super::StateDirectory;
use crate::runtime::{self, JoinHandle};

/// What file names begin with.
const PREFIX: &str = "block-";
/// Most files: on the Bitcoin network one is a rare day, and an easy test network must not fill a disk.
const MOST_FILES: usize = 1_000;
/// Blocks that wait for the disk.
const QUEUE: usize = 64;

/// Where blocks are kept: in files, or in the log where there is no state directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blocks {
    queue: Option<Sender<KeptBlock>>,
}

impl Blocks {
    /// Keeps blocks in files. The task ends when the last clone is gone and everything is written.
    pub(crate) fn in_files(directory: StateDirectory) -> (Self, JoinHandle<()>) {
        let (sender, queue) = async_channel::bounded(QUEUE);
        let task = runtime::spawn(write_all(directory, queue));
        let queue = Some(sender);
        (Self { queue }, task)
    }

    /// Keeps a block, without waiting.
    pub(crate) fn keep(&self, block: KeptBlock) {
        let refused = match &self.queue {
            Some(queue) => queue
                .try_send(block)
                .map_err(|refused| refused.into_inner()),
            None => Err(block),
        };
        if let Err(block) = refused {
            in_log(&block);
        }
    }
}

async fn write_all(directory: StateDirectory, queue: Receiver<KeptBlock>) {
    while let Ok(block) = queue.recv().await {
        let directory = directory.clone();
        runtime::unblock(move || in_file(&directory, &block)).await;
    }
}

fn in_file(directory: &StateDirectory, block: &KeptBlock) {
    let name = format!("{PREFIX}{}.json", block.hash);
    let path = directory.path_of(&name);
    let text = format!("{:#}\n", value(block));
    match has_room(directory).and_then(|()| directory.write(&name, text.as_bytes())) {
        Ok(()) => log::error!("block {} is kept in {}", block.hash, path.display()),
        Err(error) => {
            log::error!("{}: cannot be written: {error}", path.display());
            in_log(block);
        }
    }
}

/// Fails where there are as many files as may be.
fn has_room(directory: &StateDirectory) -> io::Result<()> {
    let mut files = 0;
    for entry in fs::read_dir(directory.path_of(""))? {
        files += usize::from(
            entry?
                .file_name()
                .as_encoded_bytes()
                .starts_with(PREFIX.as_bytes()),
        );
    }
    match files < MOST_FILES {
        true => Ok(()),
        false => Err(io::Error::other(format!("there are {files} such files"))),
    }
}

fn in_log(block: &KeptBlock) {
    log::error!("the whole block {}: {}", block.hash, value(block));
}

fn value(block: &KeptBlock) -> Value {
    let hex = |bytes: &[u8]| sv1::hex::encode(bytes);
    let merkle_path: Vec<_> = block.merkle_path.iter().map(|node| hex(node)).collect();
    json!({
        "hash": block.hash.to_string(),
        "header": hex(&block.header),
        "coinbase": hex(&block.coinbase),
        "merkle_path": merkle_path,
        "upstream": block.upstream,
        "channel_id": block.channel_id.0,
        "job_id": block.job_id.0,
        "extranonce": hex(&block.extranonce),
        "worker": block.worker,
        "min_ntime": block.min_ntime,
        "ntime": block.ntime,
        "job_age": block.job_age.as_secs_f64(),
        "sent": block.sent,
    })
}
