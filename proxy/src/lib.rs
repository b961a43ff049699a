//! The appliance `millrace`: command line, config, tasks and sockets around the translator.
//!
//! A Stratum V1 → Stratum V2 translation proxy for mining farms. What it decides is in the crate `translate`; here is
//! what touches the operating system.

pub mod appliance;
pub mod arguments;
pub mod check;
pub mod config;
pub mod connect;
mod dealer;
pub mod demo;
mod descriptors;
mod dial;
mod downstream;
mod driver;
mod http;
mod journal;
mod listener;
mod logging;
mod notify;
mod pace;
mod poller;
pub mod reload;
pub mod run;
pub mod runtime;
mod snapshot;
pub mod sockets;
mod state;
mod upstream;
mod watch;

pub use driver::Report;
pub use state::StateError;
