//! What the pool does wrong on purpose. Whatever a single message can express needs no entry here:
//! [`PoolHandle::send`](crate::PoolHandle::send) sends any message to every connection.

/// Misbehaviour; by default none. It can be changed while the pool runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Faults {
    /// Sends nothing at all and deals nothing while set: the pool hangs with its connections open.
    pub silent: bool,
    /// Leaves `RequestExtensions` unanswered, as servers do that know no extensions.
    pub silent_on_extensions: bool,
    /// Never acknowledges a share, though it is counted.
    pub never_acknowledge: bool,
    /// Refuses every `SetupConnection` with this error code.
    pub refuse_setup: Option<String>,
    /// Refuses every channel with this error code.
    pub refuse_channels: Option<String>,
}
