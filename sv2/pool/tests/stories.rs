//! What the pool does, told on a virtual clock: scripted clients against the core without I/O.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, missing_docs)]

#[path = "stories/client.rs"]
mod client;

#[path = "stories/hostile.rs"]
mod hostile;
#[path = "stories/jobs.rs"]
mod jobs;
#[path = "stories/opening.rs"]
mod opening;
#[path = "stories/shares.rs"]
mod shares;
#[path = "stories/targets.rs"]
mod targets;
