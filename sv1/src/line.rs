//! Bytes from a socket into lines: the framing of Stratum V1, without I/O.
//!
//! A miner at rest must cost next to nothing, so the decoder owns memory only while it holds the
//! beginning of a line whose end has not come; a line that is whole in what was read is never copied.

use thiserror::Error;

/// Bound of a line that a miner may send, in bytes before the `\n`.
///
/// The common firmware cuts its own lines at 1,024 bytes. Four times that leaves room for a worker
/// name of 255 characters with each written as a `\uXXXX` escape (1,530 bytes) beside a long
/// password, and bounds 10,000 connections that all send half a line to 40 MiB.
pub const MAX_CALL_LINE: usize = 4 * 1024;

/// Bound of a line that a server may send, in bytes before the `\n`.
///
/// The largest coinbase that any known firmware holds is 16 KiB, which is 32 KiB of hex; 32 merkle
/// branches are 2 KiB more. Twice their sum, rounded down to a power of two.
pub const MAX_SERVER_LINE: usize = 64 * 1024;

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LineError {
    /// A line is longer than the bound. What follows of it, up to its end, is skipped.
    #[error("line is longer than {max_length} bytes")]
    TooLong {
        /// The bound, in bytes.
        max_length: usize,
    },
}

/// Cuts a stream of bytes into lines that end in `\n` or `\r\n`; empty lines are skipped.
///
/// ```
/// let mut decoder = sv1::LineDecoder::new(sv1::MAX_CALL_LINE);
/// let mut chunk: &[u8] = b"{\"id\":1}\r\n{\"id\"";
/// while let Some(line) = decoder.next_line(&mut chunk) {
///     assert_eq!(line, Ok(&b"{\"id\":1}"[..]));
/// }
/// ```
#[derive(Debug)]
pub struct LineDecoder {
    partial: Vec<u8>,
    max_length: usize,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// `partial` is the beginning of a line.
    Collecting,
    /// `partial` was given out as a line, and is of no more use.
    Delivered,
    /// A line passed the bound: all up to its end is dropped.
    Skipping,
}

impl LineDecoder {
    /// Creates a decoder whose lines have at most `max_length` bytes before their `\n`.
    #[must_use]
    pub const fn new(max_length: usize) -> Self {
        Self {
            partial: Vec::new(),
            max_length,
            state: State::Collecting,
        }
    }

    /// Takes the next line off the front of `chunk`, without its line end.
    ///
    /// To be called until it returns `None`: then `chunk` is empty, and a line that it began is kept
    /// for the next chunk.
    ///
    /// # Errors
    /// A line longer than the bound is reported once, as soon as the bound is passed.
    pub fn next_line<'a, 'c: 'a>(
        &'a mut self,
        chunk: &mut &'c [u8],
    ) -> Option<Result<&'a [u8], LineError>> {
        if self.state == State::Delivered {
            self.partial = Vec::new();
            self.state = State::Collecting;
        }
        loop {
            let Some(end) = chunk.iter().position(|byte| *byte == b'\n') else {
                return self.keep(chunk).map(Err);
            };
            let (head, rest) = chunk.split_at(end);
            *chunk = rest.get(1..).unwrap_or_default();
            if self.state == State::Skipping {
                self.state = State::Collecting;
                continue;
            }
            if self.partial.len() + head.len() > self.max_length {
                self.partial = Vec::new();
                return Some(Err(self.too_long()));
            }
            if self.partial.is_empty() {
                match trimmed(head) {
                    [] => continue,
                    line => return Some(Ok(line)),
                }
            }
            self.partial.extend_from_slice(head);
            if trimmed(&self.partial).is_empty() {
                self.partial = Vec::new();
                continue;
            }
            self.state = State::Delivered;
            return Some(Ok(trimmed(&self.partial)));
        }
    }

    /// Returns how many bytes of an unfinished line are held.
    #[must_use]
    pub fn held(&self) -> usize {
        match self.state {
            State::Collecting => self.partial.len(),
            State::Delivered | State::Skipping => 0,
        }
    }

    /// Keeps a chunk without a line end for later.
    fn keep(&mut self, chunk: &mut &[u8]) -> Option<LineError> {
        let kept = std::mem::take(chunk);
        if self.state == State::Skipping {
            return None;
        }
        if self.partial.len() + kept.len() > self.max_length {
            self.partial = Vec::new();
            self.state = State::Skipping;
            return Some(self.too_long());
        }
        self.partial.extend_from_slice(kept);
        None
    }

    const fn too_long(&self) -> LineError {
        LineError::TooLong {
            max_length: self.max_length,
        }
    }
}

/// A line without the `\r` of its end.
const fn trimmed(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r'] => line,
        line => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Lines = Vec<Result<Vec<u8>, LineError>>;

    fn feed(decoder: &mut LineDecoder, mut chunk: &[u8]) -> Lines {
        let mut lines = Lines::new();
        while let Some(line) = decoder.next_line(&mut chunk) {
            lines.push(line.map(<[u8]>::to_vec));
        }
        assert!(chunk.is_empty());
        lines
    }

    fn line(text: &str) -> Result<Vec<u8>, LineError> {
        Ok(text.as_bytes().to_vec())
    }

    #[test]
    fn both_line_ends_are_taken_and_empty_lines_are_skipped() {
        let mut decoder = LineDecoder::new(10);
        let lines = feed(&mut decoder, b"one\r\n\n\r\ntwo\nthree\r");
        assert_eq!(lines, [line("one"), line("two")]);
        assert_eq!(feed(&mut decoder, b"\n\r"), [line("three")]);
        assert_eq!(feed(&mut decoder, b"\nfour\n"), [line("four")]);
    }

    #[test]
    fn a_line_whole_in_its_chunk_is_not_copied() {
        let mut decoder = LineDecoder::new(10);
        let bytes = b"one\ntwo\n".to_vec();
        let mut chunk = bytes.as_slice();
        let first = decoder.next_line(&mut chunk).unwrap().unwrap();
        assert_eq!(first.as_ptr(), bytes.as_ptr());
        assert_eq!(decoder.partial.capacity(), 0);
    }

    #[test]
    fn a_decoder_at_rest_owns_no_memory() {
        let mut decoder = LineDecoder::new(100);
        feed(&mut decoder, b"be");
        assert_eq!(decoder.held(), 2);
        assert_eq!(
            feed(&mut decoder, b"gin\nend\n"),
            [line("begin"), line("end")]
        );
        assert_eq!((decoder.held(), decoder.partial.capacity()), (0, 0));
    }

    #[test]
    fn a_line_at_the_limit_is_a_line() {
        let mut decoder = LineDecoder::new(4);
        assert_eq!(feed(&mut decoder, b"four\n"), [line("four")]);
        assert_eq!(feed(&mut decoder, b"fo"), []);
        assert_eq!(feed(&mut decoder, b"ur\n"), [line("four")]);
    }

    #[test]
    fn a_line_over_the_limit_is_an_error_once_and_the_next_is_read() {
        let too_long = Err(LineError::TooLong { max_length: 4 });
        let mut decoder = LineDecoder::new(4);
        assert_eq!(
            feed(&mut decoder, b"fives\nnext\n"),
            [too_long.clone(), line("next")]
        );
        assert_eq!(feed(&mut decoder, b"fiv"), []);
        assert_eq!(feed(&mut decoder, b"es"), [too_long]);
        assert_eq!((decoder.held(), decoder.partial.capacity()), (0, 0));
        assert_eq!(feed(&mut decoder, &[b'x'; 1000]), []);
        assert_eq!(decoder.partial.capacity(), 0);
        assert_eq!(feed(&mut decoder, b"\nnext\n"), [line("next")]);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x')], 0..100),
            cuts in proptest::collection::vec(1usize..8, 100),
        ) {
            let whole = feed(&mut LineDecoder::new(12), &bytes);
            let mut decoder = LineDecoder::new(12);
            let (mut rest, mut pieces) = (bytes.as_slice(), Lines::new());
            for cut in cuts {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                pieces.extend(feed(&mut decoder, piece));
                prop_assert!(decoder.held() <= 12);
                rest = tail;
            }
            if !rest.is_empty() {
                pieces.extend(feed(&mut decoder, rest));
            }
            // An unfinished line past the limit is reported at once, in one piece or in many.
            prop_assert_eq!(whole, pieces);
        }
    }
}
