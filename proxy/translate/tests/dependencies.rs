//! What the brain may depend on: nothing that does I/O, keeps time or waits.

/// The message crates and two small libraries. `sv2` brings the Noise handshake along, which takes randomness from the
/// system where the body asks for a handshake; the brain never does.
const ALLOWED: [&str; 4] = ["sha2", "sv1", "sv2", "thiserror"];

#[test]
fn the_brain_depends_on_nothing_that_does_io_or_waits() {
    let manifest = include_str!("../Cargo.toml");
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let lines = section.lines().filter(|line| !line.is_empty());
    let names: Vec<_> = lines
        .map(|line| line.split(['.', ' ', '=']).next().unwrap())
        .collect();
    assert_eq!(names, ALLOWED);
}
