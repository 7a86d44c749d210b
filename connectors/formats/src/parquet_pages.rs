//! The sizes that the page headers of a Parquet column chunk claim, read before anything is decompressed.
//!
//! A page header is a struct of Thrift's compact protocol: per field a byte (the difference to the last field's number in the upper
//! half, the type in the lower), then the value. Fields 2 and 3 of a page header are the sizes of the page, decompressed and
//! compressed; all others are passed over. See `parquet.thrift` and the compact protocol's specification.

use crate::FormatError;
use stygian_core::ByteSize;

/// Structs, lists and maps of a header may be nested this deep; real ones are 3.
const DEPTH: usize = 8;

/// Checks every page of a column chunk.
pub(crate) fn check(chunk: &[u8], limit: ByteSize) -> Result<(), FormatError> {
    let mut rest = chunk;
    while !rest.is_empty() {
        let damaged = || FormatError::Corrupt(format!("the page header at byte {} of a column chunk is damaged", chunk.len() - rest.len()));
        let mut header = Header { bytes: rest, sizes: [0, 0] };
        header.structure(0).ok_or_else(damaged)?;
        let [decompressed, compressed] = header.sizes.map(u64::try_from);
        let (Ok(decompressed), Ok(compressed)) = (decompressed, compressed) else { return Err(damaged()) };
        if decompressed > limit.0 {
            let part = "a page".to_owned();
            return Err(FormatError::TooLarge { part, found: decompressed, limit: limit.0, option: "max_page_bytes" });
        }
        rest = usize::try_from(compressed).ok().and_then(|size| header.bytes.get(size..)).ok_or_else(damaged)?;
    }
    Ok(())
}

struct Header<'a> {
    bytes: &'a [u8],
    /// Decompressed, compressed.
    sizes: [i64; 2],
}

impl Header<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.bytes = self.bytes.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn structure(&mut self, depth: usize) -> Option<()> {
        let mut field = 0_i64;
        loop {
            let head = self.byte()?;
            let (step, kind) = (head >> 4, head & 15);
            if kind == 0 {
                return Some(());
            }
            field = if step == 0 { self.zigzag()? } else { field.checked_add(i64::from(step))? };
            match (depth, field, kind) {
                (0, 2, 5) => self.sizes[0] = self.zigzag()?,
                (0, 3, 5) => self.sizes[1] = self.zigzag()?,
                _ => self.value(kind, depth, false)?,
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize, in_list: bool) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        match kind {
            1 | 2 => self.skip(u64::from(in_list)),
            3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            8 => self.varint().and_then(|length| self.skip(length)),
            9 | 10 => self.list(depth + 1),
            12 => self.structure(depth + 1),
            _ => None,
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        // Every element but an empty struct takes a byte, and an empty struct takes one too.
        for _ in 0..count.min(self.bytes.len() as u64 + 1) {
            self.value(head & 15, depth, true)?;
        }
        Some(())
    }
}
