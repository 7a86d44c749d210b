//! Cutting CSV into records: as lines, but a line feed inside quotes does not end one.

use crate::splitter::Found;
use crate::{CsvOptions, SplitUntil, Splitter};
use bytes::Bytes;
use memchr::{memchr, memchr2};
use stygian_api::Messages;

/// One message a record, without its line end; CR LF ends a record too, empty lines are no records.
#[derive(Clone, Copy, Debug)]
pub struct CsvRecords {
    delimiter: u8,
    quote: u8,
}

impl CsvRecords {
    /// A splitter of files written so.
    pub fn new(options: &CsvOptions) -> Self {
        Self { delimiter: options.delimiter.0, quote: options.quote.0 }
    }

    /// Where the record that begins at `start` has its line feed; `None`: not in this buffer.
    fn end(self, buffer: &[u8], start: usize) -> Option<usize> {
        let line = start + memchr(b'\n', &buffer[start..])?;
        match memchr(self.quote, &buffer[start..line]) {
            None => Some(line),
            Some(_) => self.quoted_end(buffer, start),
        }
    }

    /// As [`Self::end`], field by field. A quote counts only at the start of a field, where CSV readers heed it.
    fn quoted_end(self, buffer: &[u8], mut at: usize) -> Option<usize> {
        loop {
            if *buffer.get(at)? == self.quote {
                at = self.after_quotes(buffer, at + 1)?;
            }
            at += memchr2(self.delimiter, b'\n', buffer.get(at..)?)?;
            if buffer[at] == b'\n' {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Behind the closing quote of a field whose content begins at `at`.
    fn after_quotes(self, buffer: &[u8], mut at: usize) -> Option<usize> {
        loop {
            at += memchr(self.quote, buffer.get(at..)?)? + 1;
            if *buffer.get(at)? != self.quote {
                return Some(at);
            }
            at += 1;
        }
    }
}

impl Splitter for CsvRecords {
    fn split(&self, buffer: &Bytes, base: u64, until: SplitUntil) -> (Messages, usize) {
        let mut found = Found::new(buffer, base);
        let mut start = 0;
        while start < buffer.len() && found.messages.len() < until.rows {
            let (end, next) = match self.end(buffer, start) {
                Some(end) => (end, end + 1),
                None if until.last => (buffer.len(), buffer.len()),
                None => break,
            };
            let record = buffer[start..end].strip_suffix(b"\r").unwrap_or(&buffer[start..end]);
            if !record.is_empty() {
                found.add(start, record);
            }
            start = next;
        }
        (found.messages, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &[u8], rows: usize, last: bool) -> (Vec<Vec<u8>>, usize) {
        let splitter = CsvRecords::new(&CsvOptions::default());
        let (messages, used) = splitter.split(&Bytes::copy_from_slice(text), 0, SplitUntil { rows, last });
        (messages.iter().map(<[u8]>::to_vec).collect(), used)
    }

    #[test]
    fn keeps_line_feeds_inside_quotes() {
        let (records, used) = split(b"a,\"b\n\"\"c\"\r\n\nd,e\"\nf", 9, false);
        assert_eq!(records, [b"a,\"b\n\"\"c\"".to_vec(), b"d,e\"".to_vec()]);
        assert_eq!(used, 17);
    }

    #[test]
    fn waits_for_the_end_of_quotes_unless_nothing_follows() {
        assert_eq!(split(b"a,\"b\nc\n", 9, false), (vec![], 0));
        assert_eq!(split(b"a,\"b\nc\n", 9, true).0, [b"a,\"b\nc\n".to_vec()]);
    }

    /// The records as csv-core reads them, as lists of fields.
    fn reference(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv_core::ReaderBuilder::new().terminator(csv_core::Terminator::Any(b'\n')).build();
        let (mut at, mut records) = (0, Vec::new());
        loop {
            let (mut out, mut ends) = (vec![0; text.len() + 1], vec![0; text.len() + 2]);
            let (mut written, mut fields) = (0, 0);
            loop {
                let (result, read, more, count) = reader.read_record(&text[at..], &mut out[written..], &mut ends[fields..]);
                (at, written, fields) = (at + read, written + more, fields + count);
                match result {
                    csv_core::ReadRecordResult::Record => break,
                    csv_core::ReadRecordResult::End => return records,
                    _ => {}
                }
            }
            let mut start = 0;
            records.push(ends[..fields].iter().map(|end| out[std::mem::replace(&mut start, *end)..*end].to_vec()).collect());
        }
    }

    proptest! {
        /// Every record has the fields that csv-core finds in the whole text, whatever pieces it is read in.
        #[test]
        fn agrees_with_csv_core(text in "[a,\"\n]{0,40}", piece in 1_usize..10, rows in 1_usize..4) {
            let text = text.as_bytes();
            let (mut at, mut size, mut got) = (0, piece, Vec::new());
            while at < text.len() {
                let end = (at + size).min(text.len());
                let (found, used) = split(&text[at..end], rows, end == text.len());
                got.extend(found);
                size = if used == 0 { size + piece } else { piece };
                at += used;
            }
            let got: Vec<_> = got.iter().map(|record| CsvOptions::default().fields(record)).collect();
            prop_assert_eq!(got, reference(text));
        }
    }
}
