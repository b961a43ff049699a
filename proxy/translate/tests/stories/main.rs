//! Stories: what the translator does, told by scripted miners and pools on a virtual clock. Names are claims.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]
#![allow(
    unreachable_pub,
    missing_docs,
    reason = "the bench is public to the stories only"
)]

#[path = "../bench/mod.rs"]
mod bench;

mod blocks;
mod ceiling;
mod channel;
mod difficulty;
mod extranonce;
mod further_channels;
mod fuzz;
mod jobs;
mod late_block;
mod layouts;
mod limits;
mod outages;
mod own_channels;
mod properties;
mod reconfiguring;
mod sessions;
mod set_up;
mod shares;
mod showing;
mod silence;
mod upstreams;
mod vectors;
