//! The bodies of the fuzz targets, as plain functions that `cargo test` runs too.
//!
//! Each panics where a property of a decoder does not hold; what the bytes say does not matter.

use crate::{
    ConfigureReply, FromServer, Incoming, LineDecoder, SubscribeReply, parse_call,
    parse_from_server,
};

/// Reads bytes as a miner's line: no panic, and what was understood is understood again.
pub fn fuzz_call(line: &[u8]) {
    match parse_call(line) {
        Ok(Incoming::Call { id, request }) => {
            let mut encoded = Vec::new();
            request.encode_into(&id, &mut encoded);
            encoded.pop();
            assert_eq!(parse_call(&encoded), Ok(Incoming::Call { id, request }));
        }
        Ok(Incoming::Response(response)) => drop(response),
        Err(error) => drop(error.to_string()),
    }
}

/// Reads bytes as a server's line: no panic, and a job that was understood is understood again.
pub fn fuzz_from_server(line: &[u8]) {
    match parse_from_server(line) {
        Ok(FromServer::Notification(crate::Notification::Notify(notify))) => {
            let mut encoded = notify.encode();
            assert_eq!(encoded.len(), encoded.capacity());
            encoded.pop();
            let again = FromServer::Notification(crate::Notification::Notify(notify));
            assert_eq!(parse_from_server(&encoded), Ok(again));
        }
        Ok(FromServer::Response(response)) => {
            drop(SubscribeReply::parse(&response.result));
            drop(ConfigureReply::parse(&response.result));
        }
        Ok(_) => {}
        Err(error) => drop(error.to_string()),
    }
}

/// Cuts bytes into lines, in chunks whose length the first byte gives: memory stays bounded.
pub fn fuzz_lines(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let mut decoder = LineDecoder::new(64);
    for mut chunk in rest.chunks(usize::from(*first).max(1)) {
        while let Some(line) = decoder.next_line(&mut chunk) {
            if let Ok(line) = line {
                assert!(!line.is_empty() && line.len() <= 64);
                fuzz_call(line);
                fuzz_from_server(line);
            }
        }
        assert!(decoder.held() <= 64);
    }
}
