//! The JSON that is written by hand: strings with their escapes, and numbers.

use std::fmt::Display;
use std::io::Write;

/// Appends a JSON string, quoted and escaped.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing text to a Vec cannot fail");
}

/// Appends what `value` displays as; for numbers and other text without need of escapes.
pub(crate) fn push_display(out: &mut Vec<u8>, value: impl Display) {
    write!(out, "{value}").expect("writing to a Vec cannot fail");
}

/// Appends a number as its shortest exact decimal, never with an exponent: `8192`, `0.0078125`.
///
/// JSON has no word for a number that is not finite; 1 is written for it.
pub(crate) fn push_number(out: &mut Vec<u8>, number: f64) {
    debug_assert!(number.is_finite(), "{number} cannot be written");
    push_display(out, if number.is_finite() { number } else { 1.0 });
}

/// Appends a quoted string of hex digits.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    crate::hex::encode_into(out, bytes);
    out.push(b'"');
}

/// Appends a number as eight quoted hex digits.
pub(crate) fn push_hex_u32(out: &mut Vec<u8>, number: u32) {
    push_hex(out, &number.to_be_bytes());
}
