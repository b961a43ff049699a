//! Hexadecimal, as Stratum V1 writes every byte string: lower case out, either case in.
//!
//! Encoding is on the path of every notify and decoding on that of every share, so both are plain
//! loops over fixed pairs, which the compiler turns into vector code.

/// Appends two lower-case digits for each byte.
pub fn encode_into(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    let (pairs, _) = out.split_at_mut(start).1.as_chunks_mut::<2>();
    for ([high, low], byte) in pairs.iter_mut().zip(bytes) {
        *high = digit(byte >> 4);
        *low = digit(byte & 0x0f);
    }
}

/// Appends the eight digits of a number, most significant first.
pub fn encode_u32_into(out: &mut Vec<u8>, number: u32) {
    encode_into(out, &number.to_be_bytes());
}

/// Returns the digits as text.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(2 * bytes.len());
    encode_into(&mut out, bytes);
    out.into_iter().map(char::from).collect()
}

/// Fills `out` from exactly twice as many digits, of either case.
///
/// Returns whether that was possible; if not, `out` holds nothing of use.
#[must_use]
pub fn decode_into(digits: &[u8], out: &mut [u8]) -> bool {
    if digits.len() != 2 * out.len() {
        return false;
    }
    let mut seen = 0;
    for ([high, low], byte) in digits.as_chunks::<2>().0.iter().zip(out) {
        let (high, low) = (value(*high), value(*low));
        seen |= high | low;
        *byte = high << 4 | low;
    }
    // A digit's value has four bits; anything else was marked with all eight.
    seen & 0xf0 == 0
}

/// Decodes text of any even length.
#[must_use]
pub fn decode(digits: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; digits.len() / 2];
    decode_into(digits, &mut out).then_some(out)
}

/// Takes away the `0x` that some firmware puts before its digits.
#[must_use]
pub fn strip_prefix(text: &str) -> &str {
    text.strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text)
}

/// Returns the lower-case digit of a number below 16.
pub(crate) const fn digit(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
}

/// The value of a digit, or 0xff for a byte that is none.
const fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0xff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_goes_there_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = encode(&bytes);
        assert!(text.starts_with("000102") && text.ends_with("fdfeff"));
        assert_eq!(decode(text.as_bytes()), Some(bytes.clone()));
        assert_eq!(decode(text.to_uppercase().as_bytes()), Some(bytes));
    }

    #[test]
    fn what_is_no_digit_is_refused_in_either_place() {
        for byte in 0..=255u8 {
            let good = byte.is_ascii_hexdigit();
            assert_eq!(decode(&[byte, b'0']).is_some(), good, "{byte}");
            assert_eq!(decode(&[b'0', byte]).is_some(), good, "{byte}");
        }
    }

    #[test]
    fn the_length_must_fit() {
        assert_eq!(decode(b"abc"), None);
        assert!(!decode_into(b"abcd", &mut [0; 1]));
        assert!(!decode_into(b"ab", &mut [0; 2]));
        assert!(decode_into(b"", &mut []));
    }

    #[test]
    fn numbers_stand_most_significant_digit_first() {
        let mut out = b"x".to_vec();
        encode_u32_into(&mut out, 0x1fff_e000);
        assert_eq!(out, b"x1fffe000");
    }
}
