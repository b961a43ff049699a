//! Properties of the codec: what is encoded is decoded as what it was, for every message of the tables (SV2 §8), and
//! nothing that a peer can send panics.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod random_messages;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::Union;
use random_messages::{every_message, for_every_message, quarter_of_the_cases};
use sv2::codec::{DecodeError, Reader};
use sv2::frame::{self, Header, UnknownFrame};
use sv2::fuzz::fuzz_frame;
use sv2::message::{Message, PayloadTooLong, Received};
use sv2::messages::job_declaration::ProvideMissingTransactionsSuccess;
use sv2::tlv::{Tlvs, UserIdentity};
use sv2::types::{B0_16M, ExtensionType, RequestId, U24};

/// Longest payload of a frame (U24).
const MAX_PAYLOAD: usize = 16_777_215;

fn encode(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    message.encode(&mut frame).unwrap();
    frame
}

fn payload_len(message: &Message) -> usize {
    match message {
        Message::Common(message) => message.payload_len(),
        Message::Mining(message) => message.payload_len(),
        Message::JobDeclaration(message) => message.payload_len(),
        Message::TemplateDistribution(message) => message.payload_len(),
        Message::ExtensionsNegotiation(message) => message.payload_len(),
        Message::Unknown(frame) => frame.payload.len(),
    }
}

/// The numbers that our tables know: of an unknown message even an empty payload is carried.
fn numbers_of_the_tables() -> BTreeSet<(u16, u8)> {
    let numbers = (0..=3).flat_map(|extension| (0..=255).map(move |number| (extension, number)));
    let is_known = |(extension, msg_type): &(u16, u8)| {
        let header = Header {
            extension_type: ExtensionType(*extension),
            channel_msg: false,
            msg_type: *msg_type,
            msg_length: U24::default(),
        };
        Message::decode_payload(header, &[]).is_err()
    };
    numbers.filter(is_known).collect()
}

#[test]
fn every_message_of_the_tables_has_a_strategy() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut numbers = BTreeSet::new();
    for strategy in every_message() {
        let frame = encode(&strategy.new_tree(&mut runner).unwrap().current());
        let (header, _) = frame::split(&frame).unwrap();
        assert!(numbers.insert((header.extension_type.0, header.msg_type)));
    }
    assert_eq!(numbers, numbers_of_the_tables());
    assert_eq!(numbers.len(), 44);
}

// NaN is unequal to itself, so it is bytes that are compared.
#[test]
fn what_is_encoded_is_decoded_as_what_it_was() {
    for_every_message(|message| {
        let frame = encode(&message);
        let Received {
            message: again,
            tlvs,
        } = Message::decode(&frame)?;
        prop_assert!(tlvs.is_empty());
        prop_assert_eq!(again.name(), message.name());
        prop_assert!(encode(&again) == frame);
        fuzz_frame(&frame);
        Ok(())
    });
}

#[test]
fn a_message_knows_the_length_of_its_payload() {
    for_every_message(|message| {
        prop_assert_eq!(encode(&message).len(), Header::LEN + payload_len(&message));
        Ok(())
    });
}

#[test]
fn a_frame_is_appended_to_what_is_there() {
    for_every_message(|message| {
        let mut out = b"earlier".to_vec();
        message.encode(&mut out).unwrap();
        prop_assert!(out == [b"earlier", encode(&message).as_slice()].concat());
        Ok(())
    });
}

#[test]
fn every_message_takes_the_worker_name_of_extension_2() {
    for_every_message(|message| {
        let worker = UserIdentity::new("farm.rig1").unwrap();
        let mut frame = Vec::new();
        message.encode_with(Some(&worker), &mut frame).unwrap();
        let Received {
            message: again,
            tlvs,
        } = Message::decode(&frame)?;
        prop_assert!(encode(&again) == encode(&message));
        prop_assert_eq!(tlvs.user_identity(), Some(worker));
        fuzz_frame(&frame);
        Ok(())
    });
}

/// A TLV field's extension, type and value.
fn fields() -> impl Strategy<Value = Vec<(u16, u8, Vec<u8>)>> {
    let field = (any::<u16>(), any::<u8>(), vec(any::<u8>(), 0..40));
    vec(field, 0..5)
}

fn little_endian(fields: &[(u16, u8, Vec<u8>)]) -> Vec<u8> {
    let field = |(extension, field_type, value): &(u16, u8, Vec<u8>)| {
        let length = u16::try_from(value.len()).unwrap().to_le_bytes();
        let head = [extension.to_le_bytes().as_slice(), &[*field_type], &length].concat();
        [head, value.clone()].concat()
    };
    fields.iter().flat_map(field).collect()
}

/// A message of any type.
fn message() -> impl Strategy<Value = Message> {
    Union::new(every_message())
}

/// A place in a frame.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In header or first fields, where most lengths, counts and flags stand.
    Front(usize),
    Anywhere(Index),
}

impl Place {
    fn within(self, frame: &[u8]) -> usize {
        match self {
            Self::Front(at) => at % frame.len(),
            Self::Anywhere(index) => index.index(frame.len()),
        }
    }
}

/// One change to the bytes of a frame.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Place, u8),
    Set(Place, u8),
    Remove(Place, usize),
    Insert(Place, Vec<u8>),
    Repeat(Place, usize),
    Truncate(Place),
}

impl Mutation {
    fn apply(&self, frame: &mut Vec<u8>) {
        if frame.is_empty() {
            return;
        }
        let from = |place: &Place| place.within(frame);
        let piece = |place: &Place, length: usize| {
            let start = place.within(frame);
            start..(start + length).min(frame.len())
        };
        match self {
            Self::Flip(place, bits) => {
                let at = from(place);
                frame[at] ^= bits;
            }
            Self::Set(place, value) => {
                let at = from(place);
                frame[at] = *value;
            }
            Self::Remove(place, length) => {
                let piece = piece(place, *length);
                frame.drain(piece);
            }
            Self::Insert(place, bytes) => {
                let at = from(place);
                frame.splice(at..at, bytes.iter().copied());
            }
            Self::Repeat(place, length) => {
                let piece = piece(place, *length);
                let end = piece.end;
                let repeated = frame[piece].to_vec();
                frame.splice(end..end, repeated);
            }
            Self::Truncate(place) => {
                let at = from(place);
                frame.truncate(at);
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = prop_oneof![
        any::<Index>().prop_map(Place::Anywhere),
        (0..64_usize).prop_map(Place::Front),
    ];
    let extreme = proptest::sample::select(vec![0, 1, 2, 0x7f, 0x80, 0xfe, 0xff]);
    let piece = vec(any::<u8>(), 1..16);
    (place, 0..6, extreme, piece, any::<u8>(), 1..16_usize).prop_map(
        |(at, kind, extreme, piece, bits, count)| match kind {
            0 => Mutation::Flip(at, bits),
            1 => Mutation::Set(at, extreme),
            2 => Mutation::Remove(at, count),
            3 => Mutation::Insert(at, piece),
            4 => Mutation::Repeat(at, count),
            _ => Mutation::Truncate(at),
        },
    )
}

/// Makes the header tell the length that the payload has.
fn mend_length(frame: &mut [u8]) {
    if let Some(payload) = frame.len().checked_sub(Header::LEN) {
        let length = u32::try_from(payload).unwrap().to_le_bytes();
        frame[3..6].copy_from_slice(&length[..3]);
    }
}

fn number_of_the_tables() -> impl Strategy<Value = (u16, u8)> {
    proptest::sample::select(Vec::from_iter(numbers_of_the_tables()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        fuzz_frame(&bytes);
    }

    #[test]
    fn random_bytes_in_a_frame_never_panic(
        payload in vec(prop_oneof![any::<u8>(), Just(0), Just(1)], 0..300),
        (extension, msg_type) in number_of_the_tables(),
        channel_msg: bool,
    ) {
        let [low, high] = (extension | u16::from(channel_msg) << 15).to_le_bytes();
        let mut frame = [&[low, high, msg_type, 0, 0, 0], payload.as_slice()].concat();
        mend_length(&mut frame);
        fuzz_frame(&frame);
    }

    #[test]
    fn an_unknown_frame_is_carried_unchanged(
        extension in 2..0x8000_u16,
        channel_msg: bool,
        msg_type: u8,
        payload in vec(any::<u8>(), 0..100),
    ) {
        let header = Header {
            extension_type: ExtensionType(extension),
            channel_msg,
            msg_type,
            msg_length: U24::new(u32::try_from(payload.len()).unwrap()).unwrap(),
        };
        prop_assert_eq!(Header::from_bytes(header.to_bytes()), header);
        let unknown = Message::Unknown(UnknownFrame { header, payload });
        let frame = encode(&unknown);
        prop_assert_eq!(Message::decode(&frame)?.message, unknown);
        fuzz_frame(&frame);
    }

    #[test]
    fn a_worker_name_is_found_behind_any_other_fields(mut fields in fields(), name in vec(any::<u8>(), 0..=32)) {
        fields.retain(|(extension, field_type, _)| (*extension, *field_type) != (2, 1));
        fields.push((2, 1, name.clone()));
        let tlvs = Tlvs::new(&little_endian(&fields))?;
        prop_assert_eq!(tlvs.user_identity(), UserIdentity::from_bytes(&name));
    }

    #[test]
    fn a_big_endian_worker_name_of_any_length_is_read(name in vec(any::<u8>(), 0..=32)) {
        let length = u8::try_from(name.len()).unwrap();
        let bytes = [&[0, 2, 1, 0, length], name.as_slice()].concat();
        prop_assert_eq!(Tlvs::new(&bytes)?.user_identity(), UserIdentity::from_bytes(&name));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..quarter_of_the_cases() })]

    #[test]
    fn mutated_frames_never_panic(
        message in message(),
        worker in proptest::option::of(vec(any::<u8>(), 0..=32)),
        mutations in vec(mutation(), 1..6),
        mend: bool,
    ) {
        let worker = worker.and_then(|name| UserIdentity::from_bytes(&name));
        let mut frame = Vec::new();
        message.encode_with(worker.as_ref(), &mut frame).unwrap();
        mutations.iter().for_each(|mutation| mutation.apply(&mut frame));
        if mend {
            mend_length(&mut frame);
        }
        fuzz_frame(&frame);
    }

    #[test]
    fn every_cut_of_a_payload_is_an_error(message in message(), cut: Index) {
        let mut frame = encode(&message);
        frame.truncate(Header::LEN + cut.index(frame.len() - Header::LEN));
        prop_assert!(Message::decode(&frame).is_err());
        mend_length(&mut frame);
        let outcome = Message::decode(&frame);
        let cut_field = matches!(outcome, Err(DecodeError::PayloadEndsInsideField { .. }));
        prop_assert!(cut_field, "{:?}", outcome);
    }
}

fn transactions(sizes: &[usize]) -> Message {
    let transactions: Vec<_> = sizes
        .iter()
        .map(|size| B0_16M::try_from(vec![7; *size]).unwrap())
        .collect();
    let message = ProvideMissingTransactionsSuccess {
        request_id: RequestId(1),
        transaction_list: transactions.try_into().unwrap(),
    };
    message.into()
}

#[test]
fn a_payload_of_the_longest_length_fits_a_frame_and_one_byte_more_does_not() {
    let overhead = 4 + 2 + 3;
    let longest = transactions(&[MAX_PAYLOAD - overhead]);
    let frame = encode(&longest);
    assert_eq!(frame.len(), Header::LEN + MAX_PAYLOAD);
    assert!(Message::decode(&frame).unwrap().message == longest);

    let mut out = b"earlier".to_vec();
    let too_long = transactions(&[MAX_PAYLOAD - overhead + 1]).encode(&mut out);
    assert_eq!(too_long, Err(PayloadTooLong(MAX_PAYLOAD + 1)));
    assert_eq!(out, b"earlier");
}

#[test]
fn a_reader_refuses_any_length_that_has_not_come() {
    for length in [4, 5, usize::MAX] {
        let mut reader = Reader::new(b"abc");
        let missing = length - 3;
        let error = DecodeError::PayloadEndsInsideField { missing };
        assert_eq!(reader.bytes(length), Err(error));
        assert_eq!(reader.remaining(), 3);
    }
}
