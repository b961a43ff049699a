//! Our side of a Noise connection against the reference implementation's, each way round (SV2 §4).

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::{Duration, SystemTime};

use codec_sv2::{
    Decrypted, Handshake, NoiseDecoder, NoiseEncoder, SerializedFrame, Transport,
    TransportDecryptState,
};
use sv2::authority_key::AuthoritySecretKey;
use sv2::noise::{self, Certificate, Initiator, KeyPair, Responder, UnixSeconds};

const AUTHORITY: [u8; 32] = [0x11; 32];

/// Payload lengths around whole blocks of 65,519 bytes, with small frames between.
const PAYLOADS: [usize; 12] = [
    0, 1, 38, 65_518, 65_519, 65_520, 65_535, 100, 131_038, 131_039, 300_000, 7,
];

/// Our client and their server after a handshake.
fn our_initiator() -> (noise::Transport, Transport) {
    let authority = AuthoritySecretKey::from_bytes(AUTHORITY)
        .unwrap()
        .public_key();
    let responder = noise_sv2::Responder::from_authority_kp(
        &authority.to_bytes(),
        &AUTHORITY,
        Duration::from_secs(3_600),
    );
    let initiator = Initiator::new(Some(authority)).unwrap();
    let responder = Handshake::responder(responder.unwrap());
    let (act_2, theirs) = responder.step_1(*initiator.act1()).unwrap();
    let act_2 = act_2.payload().try_into().unwrap();
    let now = UnixSeconds::from(SystemTime::now());
    let (ours, certificate) = initiator.finish(&act_2, now).unwrap();
    let validity = certificate.not_valid_after.0 - certificate.valid_from.0;
    assert_eq!(validity, 3_600);
    (ours, theirs)
}

/// Our server and their client after a handshake.
fn our_responder() -> (noise::Transport, Transport) {
    let now = UnixSeconds(1_700_000_000);
    let authority = AuthoritySecretKey::from_bytes(AUTHORITY).unwrap();
    let static_key = KeyPair::generate();
    let key = static_key.x_only_public_key();
    let certificate = Certificate::sign(&authority, &key, now, now.saturating_add(1));
    let initiator = noise_sv2::Initiator::from_raw_k(authority.public_key().to_bytes());
    let (act_1, initiator) = Handshake::initiator(initiator.unwrap()).step_0().unwrap();
    let act_1 = act_1.payload().try_into().unwrap();
    let responder = Responder::new(&static_key, certificate);
    let (act_2, ours) = responder.respond(&act_1).unwrap();
    let theirs = initiator.step_2_with_now(act_2, now.0).unwrap();
    (ours, theirs)
}

fn frame(len: usize) -> Vec<u8> {
    let [low, middle, high, _] = u32::try_from(len).unwrap().to_le_bytes();
    let header = [0x34, 0x52, 0x99, low, middle, high];
    let payload = (0..=u8::MAX).cycle().take(len);
    header.into_iter().chain(payload).collect()
}

/// Reads one frame with their decoder.
fn read_theirs(
    decoder: &mut NoiseDecoder,
    mut state: TransportDecryptState,
    wire: &mut &[u8],
) -> (Vec<u8>, TransportDecryptState) {
    loop {
        let space = decoder.writable();
        let (bytes, rest) = wire.split_at(space.len());
        space.copy_from_slice(bytes);
        *wire = rest;
        match decoder.next_transport_frame(state).unwrap() {
            Decrypted::Frame(frame, state) => return (frame.as_bytes().to_vec(), state),
            Decrypted::Incomplete(_, same) => state = same,
        }
    }
}

/// Frames of all lengths, both ways.
fn exchange(mut ours: noise::Transport, theirs: Transport) {
    let (mut encrypt, mut decrypt) = theirs.split();
    let (mut encoder, mut decoder) = (NoiseEncoder::new(), NoiseDecoder::new());
    for len in PAYLOADS {
        let sent = frame(len);
        let mut wire = Vec::new();
        ours.encryptor.encrypt(&sent, &mut wire).unwrap();
        let mut wire = wire.as_slice();
        let (received, state) = read_theirs(&mut decoder, decrypt, &mut wire);
        decrypt = state;
        assert!(received == sent && wire.is_empty(), "payload of {len}, up");

        let theirs = SerializedFrame::from_bytes(sent.clone()).ok().unwrap();
        let wire = encoder.encode_transport(theirs, &mut encrypt).unwrap();
        let mut wire: &[u8] = wire.as_ref();
        let received = ours.decryptor.next_frame(&mut wire).unwrap();
        assert!(received == Some(sent.as_slice()), "payload of {len}, down");
        assert!(wire.is_empty());
    }
}

#[test]
fn our_initiator_talks_to_their_responder() {
    let (ours, theirs) = our_initiator();
    exchange(ours, theirs);
}

#[test]
fn our_responder_talks_to_their_initiator() {
    let (ours, theirs) = our_responder();
    exchange(ours, theirs);
}

#[test]
fn their_initiator_refuses_our_responder_under_another_authority() {
    let now = UnixSeconds(1_700_000_000);
    let static_key = KeyPair::generate();
    let key = static_key.x_only_public_key();
    let other = AuthoritySecretKey::generate();
    let certificate = Certificate::sign(&other, &key, now, now);
    let authority = AuthoritySecretKey::from_bytes(AUTHORITY).unwrap();
    let mut initiator =
        noise_sv2::Initiator::from_raw_k(authority.public_key().to_bytes()).unwrap();
    let act_1 = initiator.step_0().unwrap();
    let responder = Responder::new(&static_key, certificate);
    let (act_2, _) = responder.respond(&act_1).unwrap();
    assert!(initiator.step_2_with_now(act_2, now.0).is_err());
}
