//! Commands to a running pool, and what it tells.

use async_channel::{Receiver, Sender};
use sv2::bitcoin::Target;
use sv2::message::Message;
use sv2::types::B0_32;

use crate::command::{Channels, Command};
use crate::event::{BlockWrite, PoolEvent};
use crate::faults::Faults;
use crate::job::GivenJob;
use crate::server::Input;
use crate::statistics::PoolStats;

/// A running pool, to be asked and commanded; commands are done in the order in which they are given.
#[derive(Debug, Clone)]
pub struct PoolHandle {
    pub(crate) inputs: Sender<Input>,
    pub(crate) event_queue: usize,
}

/// The pool does not run any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pool has stopped")]
pub struct PoolStopped;

impl PoolHandle {
    /// Takes a snapshot of the statistics.
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn stats(&self) -> Result<PoolStats, PoolStopped> {
        let (sender, receiver) = async_channel::bounded(1);
        self.command(Command::Stats(sender)).await?;
        receiver.recv().await.map_err(|_| PoolStopped)
    }

    /// Gives everything that happens from now on. A subscriber that does not keep up misses events;
    /// [`PoolStats::events_dropped`] counts them.
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn subscribe(&self) -> Result<Receiver<PoolEvent>, PoolStopped> {
        let (sender, receiver) = async_channel::bounded(self.event_queue.max(1));
        self.command(Command::Subscribe(sender)).await?;
        Ok(receiver)
    }

    /// Gives when the writes of new blocks begin from now on, one for each connection: what the time to a miner is
    /// measured from. Costs shares nothing, as [`subscribe`](Self::subscribe) does. A watcher that does not keep up
    /// misses some.
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn watch_block_writes(&self) -> Result<Receiver<BlockWrite>, PoolStopped> {
        let (sender, receiver) = async_channel::bounded(self.event_queue.max(1));
        self.command(Command::WatchBlockWrites(sender)).await?;
        Ok(receiver)
    }

    /// Starts a new block at once.
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn new_block(&self) -> Result<(), PoolStopped> {
        self.command(Command::NewBlock).await
    }

    /// Deals a new job on the present block.
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn new_job(&self) -> Result<(), PoolStopped> {
        self.command(Command::NewJob).await
    }

    /// Starts a block with exactly this job; see [`Pool::deal`](crate::Pool::deal).
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn deal(&self, job: GivenJob) -> Result<(), PoolStopped> {
        self.command(Command::Deal(Box::new(job))).await
    }

    /// Sets the target of channels; see [`Pool::set_target`](crate::Pool::set_target).
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn set_target(&self, which: Channels, target: Target) -> Result<(), PoolStopped> {
        self.command(Command::SetTarget(which, target)).await
    }

    /// Sets the extranonce prefix of channels; see
    /// [`Pool::set_extranonce_prefix`](crate::Pool::set_extranonce_prefix).
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn set_extranonce_prefix(
        &self,
        which: Channels,
        prefix: B0_32,
    ) -> Result<(), PoolStopped> {
        self.command(Command::SetExtranoncePrefix(which, prefix))
            .await
    }

    /// Closes channels with a reason.
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn close_channels(&self, which: Channels, reason: &str) -> Result<(), PoolStopped> {
        self.command(Command::CloseChannels(which, reason.to_owned()))
            .await
    }

    /// Sends any message, right or wrong, to every connection that is set up.
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), PoolStopped> {
        self.command(Command::Send(message.into())).await
    }

    /// Changes what the pool does wrong.
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn set_faults(&self, faults: Faults) -> Result<(), PoolStopped> {
        self.command(Command::SetFaults(faults)).await
    }

    /// Closes every connection; new ones are welcome.
    ///
    /// # Errors
    /// Where the pool has stopped.
    pub async fn disconnect_all(&self) -> Result<(), PoolStopped> {
        let reason = "asked to disconnect all".to_owned();
        self.command(Command::DisconnectAll(reason)).await
    }

    /// Stops the pool: its listener and connections close, and [`PoolServer::run`](crate::PoolServer::run)
    /// returns.
    ///
    /// # Errors
    /// Where the pool has stopped already.
    pub async fn stop(&self) -> Result<(), PoolStopped> {
        self.command(Command::Stop).await
    }

    async fn command(&self, command: Command) -> Result<(), PoolStopped> {
        let input = Input::Command(command);
        self.inputs.send(input).await.map_err(|_| PoolStopped)
    }
}
