//! Recorded handshakes and frames of the reference implementation, replayed on both sides (SV2 §4).

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;
use sha2::{Digest, Sha256};
use sv2::authority_key::{AuthorityPublicKey, AuthoritySecretKey};
use sv2::noise::{
    Certificate, FrameDecryptor, FrameEncryptor, Initiator, KeyPair, Responder, Transport,
    UnixSeconds,
};

fn transcripts() -> Vec<Value> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors");
    let folder = std::env::var("MILLRACE_VECTORS").unwrap_or_else(|_| default.to_owned());
    let text = std::fs::read_to_string(format!("{folder}/noise.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let transcripts = file["transcripts"].as_array().unwrap().clone();
    assert!(!transcripts.is_empty());
    transcripts
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

fn array<const LEN: usize>(hex: &Value) -> [u8; LEN] {
    bytes(hex).try_into().unwrap()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn authority(transcript: &Value) -> AuthorityPublicKey {
    AuthorityPublicKey::from_bytes(array(&transcript["authority"]["public_key"])).unwrap()
}

fn certificate(transcript: &Value) -> Certificate {
    let message = &transcript["certificate"]["signature_noise_message"];
    Certificate::from_bytes(&array(message))
}

fn key_pair(secret: &Value, ellswift: &Value) -> KeyPair {
    KeyPair::from_parts(array(secret), array(ellswift)).unwrap()
}

fn initiator(transcript: &Value) -> Initiator {
    let keys = &transcript["initiator"];
    let ephemeral = key_pair(
        &keys["ephemeral_secret_key"],
        &keys["ephemeral_public_key_ellswift"],
    );
    Initiator::with_fixed_ephemeral(Some(authority(transcript)), &ephemeral).unwrap()
}

/// Our initiator after the recorded act 2.
fn initiator_transport(transcript: &Value) -> Transport {
    let now = certificate(transcript).valid_from;
    let act_2 = array(&transcript["act2"]);
    initiator(transcript).finish(&act_2, now).unwrap().0
}

/// Our responder's act 2 for the recorded act 1, and its side of the connection.
fn responder_transport(transcript: &Value) -> ([u8; 234], Transport) {
    let keys = &transcript["responder"];
    let static_key = key_pair(
        &keys["static_secret_key"],
        &keys["static_public_key_ellswift"],
    );
    let ephemeral = key_pair(
        &keys["ephemeral_secret_key"],
        &keys["ephemeral_public_key_ellswift"],
    );
    Responder::with_fixed_ephemeral(&static_key, certificate(transcript), &ephemeral)
        .respond(&array(&transcript["act1"]))
        .unwrap()
}

fn plaintext(frame: &Value) -> Vec<u8> {
    let Some(rule) = frame.get("plaintext_rule") else {
        return bytes(&frame["plaintext"]);
    };
    let [repeated] = array(&rule["payload_repeat"]);
    let payload = vec![repeated; rule["len"].as_u64().unwrap().try_into().unwrap()];
    [bytes(&rule["header"]), payload].concat()
}

/// Encrypts the recorded frames on one side and decrypts them on the other, and looks at the bytes between.
fn replay(frames: &Value, mut encryptor: FrameEncryptor, mut decryptor: FrameDecryptor) {
    for frame in frames.as_array().unwrap() {
        let plaintext = plaintext(frame);
        let mut ciphertext = Vec::new();
        encryptor.encrypt(&plaintext, &mut ciphertext).unwrap();
        let len = frame["ciphertext_len"].as_u64().unwrap();
        assert_eq!(ciphertext.len() as u64, len);
        let hash = Sha256::digest(&ciphertext).to_vec();
        assert_eq!(hash, bytes(&frame["ciphertext_sha256"]));
        if let Some(recorded) = frame.get("ciphertext") {
            assert_eq!(ciphertext, bytes(recorded));
        }
        let mut input = ciphertext.as_slice();
        let decrypted = decryptor.next_frame(&mut input).unwrap();
        assert_eq!(decrypted, Some(plaintext.as_slice()));
        assert_eq!(decryptor.next_frame(&mut input), Ok(None));
        assert!(input.is_empty());
    }
}

#[test]
fn our_initiator_sends_the_recorded_act_1_and_accepts_the_recorded_act_2() {
    for transcript in transcripts() {
        assert_eq!(
            initiator(&transcript).act1().as_slice(),
            bytes(&transcript["act1"])
        );
        let transport = initiator_transport(&transcript);
        let hash = bytes(&transcript["handshake_hash"]);
        assert_eq!(transport.handshake_hash.as_slice(), hash);
    }
}

#[test]
fn our_responder_answers_with_the_recorded_act_2() {
    for transcript in transcripts() {
        let (act_2, transport) = responder_transport(&transcript);
        assert_eq!(act_2.as_slice(), bytes(&transcript["act2"]));
        let hash = bytes(&transcript["handshake_hash"]);
        assert_eq!(transport.handshake_hash.as_slice(), hash);
    }
}

#[test]
fn frames_become_the_recorded_bytes_and_come_back_in_both_directions() {
    for transcript in transcripts() {
        let client = initiator_transport(&transcript);
        let (_, server) = responder_transport(&transcript);
        let up = &transcript["initiator_to_responder"];
        replay(up, client.encryptor, server.decryptor);
        let down = &transcript["responder_to_initiator"];
        replay(down, server.encryptor, client.decryptor);
    }
}

#[test]
fn certificates_are_valid_when_the_recording_says_so() {
    for transcript in transcripts() {
        let (authority, certificate) = (authority(&transcript), certificate(&transcript));
        let fields = &transcript["certificate"];
        let static_key = array(&fields["server_public_key"]);
        assert_eq!(
            u64::from(certificate.version),
            fields["version"].as_u64().unwrap()
        );
        assert_eq!(certificate.valid_from.0, number(&fields["valid_from"]));
        assert_eq!(
            certificate.not_valid_after.0,
            number(&fields["not_valid_after"])
        );
        assert_eq!(
            certificate.signature.as_slice(),
            bytes(&fields["signature"])
        );
        assert_eq!(
            certificate.to_bytes().as_slice(),
            bytes(&fields["signature_noise_message"])
        );
        for check in fields["validity_checks"].as_array().unwrap() {
            let now = UnixSeconds(number(&check["time"]));
            let valid = check["valid"].as_bool().unwrap();
            let verdict = certificate.verify(&authority, &static_key, now);
            assert_eq!(verdict.is_ok(), valid);
            let finished = initiator(&transcript).finish(&array(&transcript["act2"]), now);
            assert_eq!(finished.is_ok(), valid);
        }
    }
}

#[test]
fn authority_keys_have_the_recorded_text() {
    for transcript in transcripts() {
        let recorded = &transcript["authority"];
        let text = recorded["public_key_base58check"].as_str().unwrap();
        assert_eq!(authority(&transcript).to_string(), text);
        assert_eq!(text.parse(), Ok(authority(&transcript)));
        let secret = AuthoritySecretKey::from_bytes(array(&recorded["secret_key"])).unwrap();
        assert_eq!(secret.public_key(), authority(&transcript));
    }
}

#[test]
fn a_certificate_that_we_sign_again_is_valid_for_the_recorded_key() {
    for transcript in transcripts() {
        let recorded = certificate(&transcript);
        let secret = array(&transcript["authority"]["secret_key"]);
        let secret = AuthoritySecretKey::from_bytes(secret).unwrap();
        let static_key = array(&transcript["certificate"]["server_public_key"]);
        let (from, after) = (recorded.valid_from, recorded.not_valid_after);
        let ours = Certificate::sign(&secret, &static_key, from, after);
        let verdict = ours.verify(&authority(&transcript), &static_key, from);
        assert_eq!(verdict, Ok(()));
    }
}
