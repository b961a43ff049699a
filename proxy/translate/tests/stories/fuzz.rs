//! The fuzz target `session` over what firmware says, over what that becomes when bytes of it change, and over anything.

use std::path::Path;

use proptest::prelude::*;

use crate::bench::fuzz::fuzz_session;

/// What the miner of each conversation sends, with shares where it submits some, and a look at the clock where it waits.
fn conversations() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/firmware/conversations");
    let files = std::fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let texts = paths
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap());
    texts.map(|text| said(&text)).collect()
}

fn said(conversation: &str) -> Vec<u8> {
    let mut said = Vec::new();
    for line in conversation.lines() {
        match line.split_once(' ') {
            Some((">", sent)) => said.extend_from_slice(format!("{sent}\n").as_bytes()),
            Some(("share", _)) => said.extend([0xfe, 5]),
            Some(("wait", _)) => said.extend([0xf9, 120]),
            Some(("pool:", "new job")) => said.extend([0xfb, 0]),
            Some(("pool:", _)) => said.extend([0xfb, 1]),
            _ if line == "reconnect" => said.extend([0xf8, 0, 0xf6, 0]),
            _ => {}
        }
    }
    said
}

#[test]
fn what_every_firmware_says_leaves_the_sessions_in_order() {
    let conversations = conversations();
    assert!(conversations.len() >= 16);
    conversations.iter().for_each(|said| fuzz_session(said));
}

/// `SEEDS=DIRECTORY cargo test -p translate --test stories seeds` writes what the fuzzer begins with.
#[test]
fn conversations_make_seeds_for_the_fuzzer() {
    let conversations = conversations();
    assert!(conversations.iter().all(|said| said.starts_with(b"{")));
    if let Some(directory) = std::env::var_os("SEEDS") {
        for (number, said) in conversations.iter().enumerate() {
            let path = Path::new(&directory).join(format!("conversation-{number}"));
            std::fs::write(path, said).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn conversations_with_bytes_changed_leave_the_sessions_in_order(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        insertions in prop::collection::vec((any::<prop::sample::Index>(), 0xf6..=0xff_u8, any::<u8>()), 0..6),
    ) {
        let mut said = which.get(&conversations()).clone();
        for (place, byte) in changes {
            let place = place.index(said.len());
            said[place] = byte;
        }
        for (place, what, number) in insertions {
            let place = place.index(said.len());
            said.splice(place..place, [what, number]);
        }
        fuzz_session(&said);
    }

    #[test]
    fn any_bytes_leave_the_sessions_in_order(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        fuzz_session(&bytes);
    }
}
