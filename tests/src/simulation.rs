//! Seeded simulation: whole farms, several pools and a faulty network around the real [`translate::Translator`].
//!
//! A seed is a world: every delay, fault and share follows from it, so that a failure is replayed by its seed alone.
//! Lines and messages cross the seam as bytes, shares are real, and pools are [`sv2_pool::Pool`] with full validation.
//! At every step the world checks each [`Invariant`].
//!
//! | question | file |
//! |---|---|
//! | what happens, and in which order? | `simulation/world.rs`, `queue.rs`, `link.rs` |
//! | what do miners do? | `miner.rs`, `world/mining.rs`, `conn.rs` |
//! | what does the operator change? | `world/operator.rs` |
//! | what do pools do, and do wrong? | `site.rs`, `world/pools.rs`, `world/trouble.rs` |
//! | what must hold? | `invariant.rs`, `world/judge.rs`, `world/audit.rs` |
//! | whose channel, whose space? | `world/own.rs`, `world/moving.rs`, `slot.rs` |
//! | what was dealt, by the spec? | `view.rs` |
//! | are the invariants watched at all? | `seam.rs` |

mod conn;
mod coverage;
mod invariant;
mod link;
mod miner;
mod queue;
mod random;
#[cfg_attr(feature = "breaks", path = "simulation/seam/breaking.rs")]
mod seam;
mod site;
mod slot;
mod trail;
mod view;
mod world;

pub use coverage::{Coverage, KINDS};
pub use invariant::{Broken, Invariant};

use seam::Seam;
use trail::{Trail, Wanted};
use world::World;

/// How a world is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Length of the world's time; chosen by the seed where `None`.
    pub minutes: Option<u64>,
    /// Whether everything that happens is printed.
    pub trace: bool,
    /// The invariant that is broken on purpose.
    #[cfg(feature = "breaks")]
    pub breaks: Option<Invariant>,
}

/// What came of a world.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Hash of everything that happened.
    pub hash: u64,
    /// Events that happened.
    pub events: u64,
    /// What occurred.
    pub coverage: Coverage,
    /// The invariant that did not hold, if one did not, and what led to it.
    pub failure: Option<Failure>,
}

/// An invariant that did not hold in a world.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Which, and what was found.
    pub broken: Broken,
    /// The last of what happened, in words.
    pub trail: String,
}

/// Runs the world of a seed.
#[must_use]
pub fn simulate(seed: u64, options: Options) -> Outcome {
    let wanted = match options.trace {
        true => Wanted::All,
        false => Wanted::Nothing,
    };
    let outcome = run(seed, options, wanted);
    match outcome.failure {
        // The same again, with words for what happens.
        Some(_) if !options.trace => run(seed, options, Wanted::TheLast),
        _ => outcome,
    }
}

fn run(seed: u64, options: Options, wanted: Wanted) -> Outcome {
    let mut world = World::new(
        seed,
        options.minutes,
        Seam::new(options),
        Trail::new(wanted),
    );
    let result = world.run();
    Outcome {
        hash: world.trail.hash(),
        events: world.trail.events(),
        failure: result.err().map(|broken| Failure {
            broken,
            trail: world.trail.to_string(),
        }),
        coverage: world.coverage,
    }
}
