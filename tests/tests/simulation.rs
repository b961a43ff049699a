//! The short form of the simulation: some hundred worlds, each of which would be replayed by its seed.

use tests::simulation::{Coverage, Options, simulate};

/// Worlds that are run.
const WORLDS: u64 = 300;

#[test]
fn no_invariant_breaks_in_three_hundred_worlds() {
    let mut coverage = Coverage::default();
    for seed in 0..WORLDS {
        let outcome = simulate(seed, Options::default());
        coverage.add(&outcome.coverage);
        if let Some(failure) = outcome.failure {
            let broken = failure.broken;
            panic!(
                "{}\n{}: {}\n{}\nreplay: cargo run --release -p tests --bin simulate -- --seed {seed} --trace",
                failure.trail,
                broken.invariant,
                broken.invariant.sentence(),
                broken.words
            );
        }
    }
    assert!(coverage.of("share accepted, sent on") > 1_000, "{coverage}");
}

#[test]
fn a_seed_is_a_world_to_the_last_event() {
    for seed in [3, 11, 12] {
        let [one, two] = [0; 2].map(|_| simulate(seed, Options::default()));
        assert_eq!(
            (one.hash, one.events),
            (two.hash, two.events),
            "seed {seed}"
        );
        assert_eq!(one.coverage, two.coverage, "seed {seed}");
        assert_ne!(one.hash, simulate(seed + 1, Options::default()).hash);
    }
}
