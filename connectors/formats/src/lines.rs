//! Messages that end with a line feed, as JSON lines do.

use crate::splitter::Found;
use crate::{SplitUntil, Splitter};
use bytes::Bytes;
use memchr::memchr_iter;
use stygian_api::Messages;

/// One message a line; CR LF ends a line too, blank lines are no messages.
#[derive(Clone, Copy, Debug)]
pub struct Lines;

impl Splitter for Lines {
    fn split(&self, buffer: &Bytes, base: u64, until: SplitUntil) -> (Messages, usize) {
        let mut found = Found::new(buffer, base);
        let mut start = 0;
        for end in memchr_iter(b'\n', buffer) {
            if found.messages.len() == until.rows {
                return (found.messages, start);
            }
            add(&mut found, start, &buffer[start..end]);
            start = end + 1;
        }
        if until.last && start < buffer.len() && found.messages.len() < until.rows {
            add(&mut found, start, &buffer[start..]);
            start = buffer.len();
        }
        (found.messages, start)
    }
}

#[inline]
fn add(found: &mut Found, start: usize, line: &[u8]) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.iter().all(u8::is_ascii_whitespace) {
        found.add(start, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str, rows: usize, last: bool) -> (Vec<(u64, String)>, usize) {
        let (messages, used) = Lines.split(&Bytes::copy_from_slice(text.as_bytes()), 100, SplitUntil { rows, last });
        let texts = messages.iter().map(|m| String::from_utf8(m.to_vec()).expect("text"));
        (messages.offsets.iter().copied().zip(texts).collect(), used)
    }

    #[test]
    fn leaves_an_unfinished_line_unless_it_is_the_last() {
        assert_eq!(split("a\nb", 9, false), (vec![(100, "a".into())], 2));
        assert_eq!(split("a\nb", 9, true), (vec![(100, "a".into()), (102, "b".into())], 3));
    }

    #[test]
    fn takes_cr_lf_and_passes_over_blank_lines() {
        assert_eq!(split("a\r\n\r\n \t\nb\n", 9, false), (vec![(100, "a".into()), (108, "b".into())], 10));
    }

    #[test]
    fn stops_at_the_row_limit() {
        assert_eq!(split("a\nb\nc\n", 2, true), (vec![(100, "a".into()), (102, "b".into())], 4));
    }

    proptest! {
        /// Against `str::lines`, read in pieces of any size from any consumed offset.
        #[test]
        fn finds_every_line_whatever_the_pieces(text in "[ab\r\n ]{0,60}", piece in 1_usize..20, rows in 1_usize..5) {
            let expected: Vec<&str> = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).filter(|l| !l.trim().is_empty()).collect();
            let (mut at, mut size, mut got) = (0, piece, Vec::new());
            while at < text.len() {
                let end = (at + size).min(text.len());
                let (found, used) = split(&text[at..end], rows, end == text.len());
                got.extend(found.into_iter().map(|(_, line)| line));
                size = if used == 0 { size + piece } else { piece };
                at += used;
            }
            prop_assert_eq!(got, expected);
        }
    }
}
