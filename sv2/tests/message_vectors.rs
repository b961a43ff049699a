//! Every message vector in both directions, and every truncation.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;

use serde_json::Value;
use sv2::codec::DecodeError;
use sv2::message::{Message, Received};
use sv2::messages::common::Common;
use sv2::messages::extensions::ExtensionsNegotiation;
use sv2::messages::job_declaration::JobDeclaration;
use sv2::messages::mining::Mining;
use sv2::messages::template_distribution::TemplateDistribution;
use sv2::tlv::UserIdentity;

fn vectors() -> Vec<Value> {
    let folder = std::env::var("MILLRACE_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors").into());
    let text = fs::read_to_string(format!("{folder}/sv2_messages.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_array().unwrap().clone();
    assert!(
        vectors.len() > 200,
        "the file lists every message of the specification"
    );
    vectors
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let digits = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Makes the message from a vector's `fields`.
fn from_fields(vector: &Value) -> Message {
    let (name, fields) = (text(&vector["name"]), &vector["fields"]);
    match text(&vector["subprotocol"]) {
        "common" => Message::Common(Common::deserialize_fields(name, fields).unwrap().unwrap()),
        "mining" => Message::Mining(Mining::deserialize_fields(name, fields).unwrap().unwrap()),
        "job_declaration" => Message::JobDeclaration(
            JobDeclaration::deserialize_fields(name, fields)
                .unwrap()
                .unwrap(),
        ),
        "template_distribution" => {
            let message = TemplateDistribution::deserialize_fields(name, fields);
            Message::TemplateDistribution(message.unwrap().unwrap())
        }
        "extensions_negotiation" => {
            let message = ExtensionsNegotiation::deserialize_fields(name, fields);
            Message::ExtensionsNegotiation(message.unwrap().unwrap())
        }
        other => panic!("subprotocol {other}"),
    }
}

fn to_fields(message: &Message) -> Value {
    let serializer = serde_json::value::Serializer;
    match message {
        Message::Common(message) => message.serialize_fields(serializer),
        Message::Mining(message) => message.serialize_fields(serializer),
        Message::JobDeclaration(message) => message.serialize_fields(serializer),
        Message::TemplateDistribution(message) => message.serialize_fields(serializer),
        Message::ExtensionsNegotiation(message) => message.serialize_fields(serializer),
        Message::Unknown(frame) => panic!("{frame:?} should be known"),
    }
    .unwrap()
}

/// The worker's name where the vector has a TLV.
fn worker(vector: &Value) -> Option<UserIdentity> {
    let tlv = vector["tlvs"].as_array()?.first()?;
    Some(UserIdentity::new(text(&tlv["user_identity"])).unwrap())
}

/// The only fractions are F32: serde_json reads decimals to the nearest binary64 but one, which narrows exactly.
#[allow(clippy::cast_possible_truncation)]
fn same_fields(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            a.as_f64().map(|x| x as f32) == b.as_f64().map(|x| x as f32)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_fields(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(k, a)| b.get(k).is_some_and(|b| same_fields(a, b)))
        }
        (a, b) => a == b,
    }
}

#[test]
fn fields_give_the_recorded_frame() {
    for vector in vectors() {
        let mut frame = Vec::new();
        from_fields(&vector)
            .encode_with(worker(&vector).as_ref(), &mut frame)
            .unwrap();
        assert_eq!(
            frame,
            hex(&vector["frame"]),
            "{} {}",
            vector["name"],
            vector["case"]
        );
    }
}

#[test]
fn recorded_frames_give_the_fields() {
    for vector in vectors() {
        let Received { message, tlvs } = Message::decode(&hex(&vector["frame"])).unwrap();
        assert_eq!(message.name(), text(&vector["name"]));
        let fields = to_fields(&message);
        assert!(
            same_fields(&fields, &vector["fields"]),
            "{fields} is not {}",
            vector["fields"]
        );
        assert_eq!(message, from_fields(&vector));
        assert_eq!(tlvs.user_identity(), worker(&vector), "{}", vector["case"]);
    }
}

#[test]
fn big_endian_worker_names_are_read_too() {
    let with_tlv = vectors()
        .into_iter()
        .filter(|v| v.get("frame_tlv_big_endian").is_some());
    let mut count = 0;
    for vector in with_tlv {
        let received = Message::decode(&hex(&vector["frame_tlv_big_endian"])).unwrap();
        assert_eq!(
            received.tlvs.user_identity(),
            worker(&vector),
            "{}",
            vector["case"]
        );
        count += 1;
    }
    assert!(count > 3);
}

#[test]
fn every_truncation_of_a_frame_is_an_error() {
    for vector in vectors() {
        let frame = hex(&vector["frame"]);
        // Long messages are cut at every byte near both ends and at steps between.
        let cuts = (0..frame.len()).filter(|i| *i < 700 || frame.len() - i < 300 || i % 97 == 0);
        for end in cuts {
            assert!(
                Message::decode(&frame[..end]).is_err(),
                "{} cut at {end}",
                vector["name"]
            );
        }
    }
}

#[test]
fn every_truncation_of_a_payload_is_an_error_or_ends_before_the_tlv_fields() {
    for vector in vectors() {
        let frame = hex(&vector["frame"]);
        let mut whole = Vec::new();
        from_fields(&vector).encode(&mut whole).unwrap();
        for end in (6..frame.len()).filter(|i| *i < 700 || i % 97 == 0) {
            let mut cut = frame[..end].to_vec();
            let length = u32::try_from(end - 6).unwrap().to_le_bytes();
            cut[3..6].copy_from_slice(&length[..3]);
            let without_tlv = end == whole.len();
            assert_eq!(
                Message::decode(&cut).is_ok(),
                without_tlv,
                "{} cut at {end}",
                vector["name"]
            );
        }
    }
}

#[test]
fn bytes_behind_the_frame_are_an_error() {
    for vector in vectors() {
        let mut frame = hex(&vector["frame"]);
        frame.push(0);
        assert!(matches!(
            Message::decode(&frame),
            Err(DecodeError::FrameLengthMismatch { .. })
        ));
    }
}

#[test]
fn an_unknown_message_is_carried_unchanged() {
    for frame in [
        &b"\x00\x00\x7f\x03\x00\x00abc"[..], // core number that no table has
        b"\x00\x80\x1e\x04\x00\x00abcd",     // reserved in SV2 §8
        b"\x03\x00\x00\x02\x00\x00hi",       // an extension that we do not know
        b"\x00\xc0\x01\x04\x00\x00abcd",     // an experimental extension, about a channel
        b"\x01\x00\x63\x00\x00\x00",         // unknown number within a known extension
    ] {
        let received = Message::decode(frame).unwrap();
        assert!(matches!(received.message, Message::Unknown(_)), "{frame:?}");
        let mut again = Vec::new();
        received.message.encode(&mut again).unwrap();
        assert_eq!(again, frame);
    }
}

#[test]
fn unused_bits_of_a_bool_carry_no_meaning() {
    let mut vectors = vectors().into_iter();
    let vector = vectors
        .find(|v| v["name"] == "NewExtendedMiningJob" && v["case"] == "minimal")
        .unwrap();
    let mut frame = hex(&vector["frame"]);
    let position = 6 + 4 + 4 + 1 + 4;
    assert_eq!(frame[position], 0);
    frame[position] = 0xfe;
    let Message::Mining(Mining::NewExtendedMiningJob(job)) =
        Message::decode(&frame).unwrap().message
    else {
        panic!("the frame is a NewExtendedMiningJob");
    };
    assert!(!job.version_rolling_allowed);
}
