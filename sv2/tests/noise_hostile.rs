//! What a faulty or hostile peer, or the network between, can do to a Noise connection (SV2 §4).

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use sv2::authority_key::{AuthorityPublicKey, AuthoritySecretKey};
use sv2::noise::{
    ACT_1_LEN, ACT_2_LEN, Certificate, CertificateError, DecryptError, HandshakeError, Initiator,
    KeyPair, Responder, Transport, UnixSeconds,
};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

struct Server {
    authority: AuthorityPublicKey,
    static_key: KeyPair,
    certificate: Certificate,
}

impl Server {
    fn new() -> Self {
        let authority = AuthoritySecretKey::generate();
        let static_key = KeyPair::generate();
        let key = static_key.x_only_public_key();
        let certificate = Certificate::sign(&authority, &key, NOW, NOW.saturating_add(3_600));
        Self {
            authority: authority.public_key(),
            static_key,
            certificate,
        }
    }

    fn respond(&self, act_1: &[u8; ACT_1_LEN]) -> ([u8; ACT_2_LEN], Transport) {
        let responder = Responder::new(&self.static_key, self.certificate);
        responder.respond(act_1).unwrap()
    }
}

/// Client and server after a good handshake.
fn connection() -> (Transport, Transport) {
    let server = Server::new();
    let initiator = Initiator::new(Some(server.authority)).unwrap();
    let (act_2, theirs) = server.respond(initiator.act1());
    let (ours, _) = initiator.finish(&act_2, NOW).unwrap();
    (ours, theirs)
}

/// A frame with a payload of this length.
fn frame(len: usize) -> Vec<u8> {
    let [low, middle, high, _] = u32::try_from(len).unwrap().to_le_bytes();
    let header = [0x34, 0x52, 0x99, low, middle, high];
    let payload = (0..=u8::MAX).cycle().take(len);
    header.into_iter().chain(payload).collect()
}

#[test]
fn every_changed_byte_of_act_1_fails_the_handshake() {
    let server = Server::new();
    for index in 0..ACT_1_LEN {
        let initiator = Initiator::new(Some(server.authority)).unwrap();
        let mut act_1 = *initiator.act1();
        act_1[index] ^= 0x10;
        let (act_2, _) = server.respond(&act_1);
        let error = initiator.finish(&act_2, NOW).unwrap_err();
        assert_eq!(error, HandshakeError::Act2NotAuthentic, "byte {index}");
    }
}

#[test]
fn every_changed_byte_of_act_2_fails_the_handshake() {
    let server = Server::new();
    for index in 0..ACT_2_LEN {
        let initiator = Initiator::new(Some(server.authority)).unwrap();
        let (mut act_2, _) = server.respond(initiator.act1());
        act_2[index] ^= 0x10;
        let error = initiator.finish(&act_2, NOW).unwrap_err();
        assert_eq!(error, HandshakeError::Act2NotAuthentic, "byte {index}");
    }
}

#[test]
fn acts_cut_short_and_filled_with_zeros_fail_the_handshake() {
    let server = Server::new();
    for len in 0..ACT_2_LEN {
        let initiator = Initiator::new(Some(server.authority)).unwrap();
        let mut act_1 = *initiator.act1();
        act_1[len.min(ACT_1_LEN)..].fill(0);
        let (mut act_2, _) = server.respond(&act_1);
        act_2[len..].fill(0);
        let error = initiator.finish(&act_2, NOW).unwrap_err();
        assert_eq!(error, HandshakeError::Act2NotAuthentic, "{len} bytes");
    }
}

#[test]
fn a_server_of_another_authority_is_refused() {
    let (server, other) = (Server::new(), Server::new());
    let initiator = Initiator::new(Some(other.authority)).unwrap();
    let (act_2, _) = server.respond(initiator.act1());
    let error = initiator.finish(&act_2, NOW).unwrap_err();
    let expected = CertificateError::NotSignedByAuthority(other.authority);
    assert_eq!(error, HandshakeError::Certificate(expected));
}

#[test]
fn a_stolen_certificate_does_not_vouch_for_another_static_key() {
    let (server, mut thief) = (Server::new(), Server::new());
    thief.certificate = server.certificate;
    let initiator = Initiator::new(Some(server.authority)).unwrap();
    let (act_2, _) = thief.respond(initiator.act1());
    let error = initiator.finish(&act_2, NOW).unwrap_err();
    let expected = CertificateError::NotSignedByAuthority(server.authority);
    assert_eq!(error, HandshakeError::Certificate(expected));
}

#[test]
fn a_certificate_is_refused_only_past_the_leeway() {
    let server = Server::new();
    let finish = |now| {
        let initiator = Initiator::new(Some(server.authority)).unwrap();
        let (act_2, _) = server.respond(initiator.act1());
        initiator
            .finish(&act_2, now)
            .map(|(_, certificate)| certificate)
    };
    assert_eq!(finish(NOW.saturating_sub(60)), Ok(server.certificate));
    assert_eq!(finish(NOW.saturating_add(3_660)), Ok(server.certificate));
    let (early, late) = (NOW.saturating_sub(61), NOW.saturating_add(3_661));
    let not_yet_valid = CertificateError::NotYetValid {
        valid_from: NOW,
        now: early,
    };
    assert_eq!(finish(early), Err(not_yet_valid.into()));
    let expired = CertificateError::Expired {
        not_valid_after: NOW.saturating_add(3_600),
        now: late,
    };
    assert_eq!(finish(late), Err(expired.into()));
}

#[test]
fn without_an_authority_key_any_server_is_taken() {
    let server = Server::new();
    let initiator = Initiator::new(None).unwrap();
    let (act_2, mut theirs) = server.respond(initiator.act1());
    let (mut ours, certificate) = initiator.finish(&act_2, UnixSeconds(0)).unwrap();
    assert_eq!(certificate, server.certificate);
    let mut wire = Vec::new();
    ours.encryptor.encrypt(&frame(9), &mut wire).unwrap();
    let received = theirs.decryptor.next_frame(&mut wire.as_slice()).unwrap();
    assert_eq!(received, Some(frame(9).as_slice()));
}

#[test]
fn every_changed_byte_of_a_frame_is_an_error_that_lasts() {
    let len = {
        let mut wire = Vec::new();
        let (mut ours, _) = connection();
        ours.encryptor.encrypt(&frame(20), &mut wire).unwrap();
        wire.len()
    };
    for index in 0..len {
        let (mut ours, mut theirs) = connection();
        let mut wire = Vec::new();
        ours.encryptor.encrypt(&frame(20), &mut wire).unwrap();
        let good = wire.clone();
        wire[index] ^= 1;
        let expected = if index < 22 {
            DecryptError::HeaderNotAuthentic
        } else {
            DecryptError::PayloadNotAuthentic
        };
        let decryptor = &mut theirs.decryptor;
        assert_eq!(decryptor.next_frame(&mut wire.as_slice()), Err(expected));
        assert_eq!(decryptor.next_frame(&mut good.as_slice()), Err(expected));
        assert_eq!(decryptor.next_frame(&mut [].as_slice()), Err(expected));
    }
}

#[test]
fn a_frame_cut_short_anywhere_waits_for_the_rest() {
    let (mut ours, _) = connection();
    let mut wire = Vec::new();
    ours.encryptor.encrypt(&frame(20), &mut wire).unwrap();
    for len in 0..wire.len() {
        let (mut ours, mut theirs) = connection();
        let mut wire = Vec::new();
        ours.encryptor.encrypt(&frame(20), &mut wire).unwrap();
        let (mut first, mut rest) = wire.split_at(len);
        assert_eq!(theirs.decryptor.next_frame(&mut first), Ok(None));
        let received = theirs.decryptor.next_frame(&mut rest).unwrap();
        assert_eq!(received, Some(frame(20).as_slice()));
    }
}

#[test]
fn a_repeated_frame_is_not_authentic() {
    let (mut ours, mut theirs) = connection();
    let mut wire = Vec::new();
    ours.encryptor.encrypt(&frame(20), &mut wire).unwrap();
    assert!(matches!(
        theirs.decryptor.next_frame(&mut wire.as_slice()),
        Ok(Some(_))
    ));
    assert_eq!(
        theirs.decryptor.next_frame(&mut wire.as_slice()),
        Err(DecryptError::HeaderNotAuthentic)
    );
}

#[test]
fn a_frame_over_the_limit_is_refused_at_its_header() {
    let (mut ours, mut theirs) = connection();
    theirs.decryptor.set_max_msg_length(100);
    let mut wire = Vec::new();
    ours.encryptor.encrypt(&frame(100), &mut wire).unwrap();
    let full = theirs.decryptor.next_frame(&mut wire.as_slice()).unwrap();
    assert_eq!(full, Some(frame(100).as_slice()));
    wire.clear();
    ours.encryptor.encrypt(&frame(101), &mut wire).unwrap();
    let mut header = &wire[..22];
    let error = DecryptError::MessageTooLong {
        msg_length: 101,
        limit: 100,
    };
    assert_eq!(theirs.decryptor.next_frame(&mut header), Err(error));
}

#[test]
fn the_longest_frame_of_all_goes_through() {
    let (mut ours, mut theirs) = connection();
    theirs.decryptor.set_max_msg_length(u32::MAX);
    let frame = frame(0xff_ffff);
    let mut wire = Vec::new();
    ours.encryptor.encrypt(&frame, &mut wire).unwrap();
    let received = theirs.decryptor.next_frame(&mut wire.as_slice()).unwrap();
    assert!(received == Some(frame.as_slice()));
}

#[test]
fn the_halves_of_a_connection_can_live_in_different_tasks() {
    fn movable<T: Send + Sync + 'static>(_: T) {}
    let (ours, _) = connection();
    movable(ours.encryptor);
    movable(ours.decryptor);
}

/// Frames as traffic has them: many small ones, and some whose payload is about a whole number of blocks.
fn payload_len() -> impl Strategy<Value = usize> {
    prop_oneof![
        20 => 0..300_usize,
        1 => Just(65_519),
        1 => Just(65_520),
        1 => 65_000..200_000_usize,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_of_the_stream_gives_the_same_frames(
        lens in prop::collection::vec(payload_len(), 1..20),
        reads in prop::collection::vec(prop_oneof![4 => 1..64_usize, 1 => 1..100_000_usize], 1..50),
    ) {
        let (mut ours, mut theirs) = connection();
        let mut wire = Vec::new();
        for &len in &lens {
            ours.encryptor.encrypt(&frame(len), &mut wire).unwrap();
        }
        let mut received = Vec::new();
        let mut rest = wire.as_slice();
        for &read in reads.iter().cycle() {
            let (mut input, after) = rest.split_at(read.min(rest.len()));
            rest = after;
            while let Some(frame) = theirs.decryptor.next_frame(&mut input).unwrap() {
                received.push(frame.to_vec());
            }
            prop_assert!(input.is_empty());
            if rest.is_empty() {
                break;
            }
        }
        let sent: Vec<_> = lens.iter().map(|&len| frame(len)).collect();
        prop_assert!(received == sent);
    }

    #[test]
    fn random_bytes_are_no_frame(bytes in prop::collection::vec(any::<u8>(), 22..200)) {
        let (_, mut theirs) = connection();
        let result = theirs.decryptor.next_frame(&mut bytes.as_slice());
        prop_assert_eq!(result, Err(DecryptError::HeaderNotAuthentic));
    }
}
