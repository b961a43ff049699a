//! What decoding allocates is bounded by what has arrived, whatever lengths and counts a peer claims.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![expect(
    unsafe_code,
    reason = "an allocator that counts cannot be written without"
)]

mod random_messages;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::prelude::*;
use random_messages::for_every_message;
use sv2::message::Message;

/// Counts the bytes that the current thread holds; tests run in one thread each.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static MOST_HELD: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    let held = HELD.get().wrapping_add(more).wrapping_sub(less);
    HELD.set(held);
    MOST_HELD.set(MOST_HELD.get().max(held));
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: our caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: our caller keeps the contract of `dealloc`, and `pointer` is from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` held at once, beyond those held before.
fn most_held<T>(work: impl FnOnce() -> T) -> usize {
    let before = HELD.get();
    MOST_HELD.set(before);
    let kept = work();
    let most = MOST_HELD.get() - before;
    drop(kept);
    most
}

/// The worst case is a sequence of empty B0_16M: each came as 3 bytes and is held as a `Vec` of 24. Places are
/// reserved for no more of them than can have come, so beside their content there are 8 bytes per byte received.
fn bound(frame: &[u8]) -> usize {
    frame.len() * 9
}

fn decode(frame: &[u8]) -> usize {
    most_held(|| Message::decode(frame))
}

/// A frame without channel bit, its header as long as its payload says.
fn frame(msg_type: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let head = [0, 0, msg_type, length[0], length[1], length[2]];
    [&head, payload].concat()
}

#[test]
fn decoding_a_message_holds_at_most_nine_times_its_frame() {
    for_every_message(|message| {
        let mut frame = Vec::new();
        message.encode(&mut frame).unwrap();
        prop_assert!(decode(&frame) <= bound(&frame));
        Ok(())
    });
}

#[test]
fn decoding_a_frame_with_any_byte_at_its_maximum_holds_no_more() {
    for_every_message(|message| {
        let mut frame = Vec::new();
        message.encode(&mut frame).unwrap();
        // Every length and count stands behind few bytes or behind a long field.
        for at in (6..frame.len()).take(30) {
            let before = frame[at];
            frame[at] = 0xff;
            prop_assert!(decode(&frame) <= bound(&frame), "byte {at}");
            frame[at] = before;
        }
        Ok(())
    });
}

#[test]
fn a_count_of_65535_with_three_bytes_behind_it_reserves_nothing_for_the_rest() {
    const COUNT: [u8; 2] = [0xff, 0xff];
    let three = [0; 3];
    let cases: [(u8, &[u8], usize); 6] = [
        (0x25, &[0; 4], 0),   // SetGroupChannel: no ChannelId is complete
        (0x55, &[0; 4], 2),   // ProvideMissingTransactions: one U16
        (0x56, &[0; 4], 24),  // ProvideMissingTransactions.Success: one B0_16M
        (0x74, &[0; 10], 24), // RequestTransactionData.Success: one B0_16M
        (0x57, &[0; 13], 0),  // DeclareMiningJob: no U256 is complete
        (0x1f, &[0; 14], 0),  // NewExtendedMiningJob: no U256 is complete
    ];
    for (msg_type, before, expected) in cases {
        let frame = frame(msg_type, &[before, &COUNT, &three].concat());
        assert!(Message::decode(&frame).is_err(), "{msg_type:#x}");
        assert_eq!(decode(&frame), expected, "{msg_type:#x}");
    }
}

#[test]
fn a_length_of_16_megabytes_with_three_bytes_behind_it_reserves_nothing() {
    let one_transaction = [0, 0, 0, 0, 1, 0];
    let payload = [&one_transaction[..], &[0xff; 3], &[0; 3]].concat();
    let frame = frame(0x56, &payload);
    assert!(Message::decode(&frame).is_err());
    assert_eq!(decode(&frame), 24, "the place of the one transaction");
}

#[test]
fn a_header_that_announces_16_megabytes_reserves_nothing() {
    let frame = [0, 0, 0x56, 0xff, 0xff, 0xff, 0, 0, 0];
    assert_eq!(decode(&frame), 0);
}

#[test]
fn a_frame_is_written_into_one_allocation_of_its_length() {
    for_every_message(|message| {
        let mut frame = Vec::new();
        let most = most_held(|| message.encode(&mut frame).unwrap());
        prop_assert_eq!(most, frame.len());
        prop_assert_eq!(frame.capacity(), frame.len());
        Ok(())
    });
}
