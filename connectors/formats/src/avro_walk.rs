//! Walks over the rows of an Avro block before they are decoded: are there as many as the block says, and nothing behind them?
//!
//! A block only says how many rows it has; where one ends is known by going through it. What is checked here lets the decoder be
//! trusted with the block: lengths lie within it, unions and counts are sound, and arrays of values that take no bytes (a few bytes
//! can claim quintillions) stay within a budget. Values themselves are the decoder's to judge. See "Binary encoding" of the Avro
//! specification.

use crate::avro_shapes::{DEPTH, Shape, Shapes};

impl Shapes {
    /// Walks over `rows` rows, which must be all of `block`. `budget`: how many values there may be.
    pub(crate) fn walk(&self, block: &[u8], rows: u64, budget: u64) -> Result<(), String> {
        let mut walk = Walk { shapes: self, bytes: block, budget };
        for row in 0..rows {
            walk.value(self.root, 0).ok_or_else(|| match walk.budget {
                0 => format!("it has more than {budget} values"),
                _ => format!("row {row} of {rows} is damaged at byte {}", block.len() - walk.bytes.len()),
            })?;
        }
        if walk.bytes.is_empty() { Ok(()) } else { Err(format!("{} bytes are left behind its {rows} rows", walk.bytes.len())) }
    }

    /// Walks over a message, which must be one value. `budget`: how many values there may be within it.
    pub(crate) fn walk_one(&self, message: &[u8], budget: u64) -> Result<(), String> {
        let mut walk = Walk { shapes: self, bytes: message, budget };
        let walked = walk.value(self.root, 0);
        let at = message.len() - walk.bytes.len();
        match walked {
            None if walk.budget == 0 => Err(format!("its value has more than {budget} parts")),
            None => Err(format!("its value is damaged at byte {at} of {}", message.len())),
            Some(()) if at < message.len() => Err(format!("{} bytes are left behind its value", message.len() - at)),
            Some(()) => Ok(()),
        }
    }
}

struct Walk<'a> {
    shapes: &'a Shapes,
    bytes: &'a [u8],
    budget: u64,
}

impl Walk<'_> {
    /// Goes over a value; `None`: it is damaged, or the budget is used up.
    fn value(&mut self, shape: usize, depth: usize) -> Option<()> {
        self.budget = self.budget.checked_sub(1)?;
        if depth > DEPTH {
            return None;
        }
        match &self.shapes.all[shape] {
            Shape::Fixed(size) => self.skip(*size),
            Shape::Varint => self.number().map(drop),
            Shape::Bytes => self.text(),
            Shape::Record(fields) => fields.iter().try_for_each(|field| self.value(*field, depth + 1)),
            Shape::Array(items) => self.blocks(|walk| walk.value(*items, depth + 1)),
            Shape::Map(values) => self.blocks(|walk| walk.text().and_then(|()| walk.value(*values, depth + 1))),
            Shape::Union(branches) => {
                let branch = usize::try_from(self.number()?).ok()?;
                self.value(*branches.get(branch)?, depth + 1)
            }
        }
    }

    /// Items in blocks with their counts; a negative one is followed by the block's size in bytes.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            let count = self.number()?;
            if count == 0 {
                return Some(());
            }
            let size = if count < 0 { Some(self.number()?) } else { None };
            let before = self.bytes.len();
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
            let taken = i64::try_from(before - self.bytes.len()).ok();
            if size.is_some() && size != taken {
                return None;
            }
        }
    }

    fn text(&mut self) -> Option<()> {
        let length = u64::try_from(self.number()?).ok()?;
        self.skip(length)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.bytes = self.bytes.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn number(&mut self) -> Option<i64> {
        let (value, length) = number(self.bytes)?;
        self.bytes = &self.bytes[length..];
        Some(value)
    }
}

/// A zigzag number and how many bytes it takes; `None`: it does not end within `bytes`, or has more than 64 bits.
pub(crate) fn number(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        if at == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            return Some(((value >> 1).cast_signed() ^ -(value & 1).cast_signed(), at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn walk(fields: &Value, block: &[u8], rows: u64) -> Result<(), String> {
        let schema = json!({ "type": "record", "name": "r", "namespace": "n", "fields": fields });
        Shapes::of(&schema).expect("a schema").walk(block, rows, 1000)
    }

    #[test]
    fn counts_rows_of_every_type() {
        let fields = json!([
            { "name": "a", "type": ["null", "string"] },
            { "name": "b", "type": { "type": "array", "items": "int" } },
            { "name": "c", "type": { "type": "map", "values": { "type": "fixed", "name": "f", "size": 2 } } },
            { "name": "d", "type": ["null", "n.f"] },
            { "name": "e", "type": { "type": "long", "logicalType": "timestamp-micros" } },
            { "name": "f", "type": ["null", "r"] },
            { "name": "g", "type": "double" },
        ]);
        let row = |inner: &[u8]| {
            let head = [2, 2, b'x', 4, 2, 4, 0, 1, 8, 2, b'k', 1, 2, 0, 2, 9, 9, 0x80, 1];
            [head.as_slice(), inner, &[0; 8]].concat()
        };
        let rows = [row(&[0]), row(&[&[2], row(&[0]).as_slice()].concat())].concat();
        assert_eq!(walk(&fields, &rows, 2), Ok(()));
        assert_eq!(walk(&fields, &rows[..rows.len() - 1], 2).map_err(|e| e.contains("row 1 of 2 is damaged")), Err(true));
        assert_eq!(walk(&fields, &[rows.as_slice(), &[0]].concat(), 2), Err("1 bytes are left behind its 2 rows".into()));
        assert_eq!(walk(&fields, &rows, 3).map_err(|e| e.starts_with("row 2 of 3 is damaged")), Err(true));
    }

    #[test]
    fn bears_claims_that_take_no_bytes() {
        let nulls = json!([{ "name": "a", "type": { "type": "array", "items": "null" } }]);
        let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(walk(&nulls, &huge, 1), Err("it has more than 1000 values".into()));
        assert_eq!(walk(&json!([]), &[], u64::MAX), Err("it has more than 1000 values".into()));
        let own = json!([{ "name": "a", "type": "r" }]);
        assert!(walk(&own, &[], 1).is_err());
    }

    #[test]
    fn walks_over_one_message() {
        let schema = json!({ "type": "record", "name": "r", "fields": [{ "name": "a", "type": "string" }] });
        let shapes = Shapes::of(&schema).expect("a schema");
        let told = |message: &[u8]| shapes.walk_one(message, 10);
        assert_eq!(told(&[4, b'a', b'b']), Ok(()));
        assert_eq!(told(&[4, b'a']), Err("its value is damaged at byte 1 of 2".into()));
        assert_eq!(told(&[2, b'a', b'b']), Err("1 bytes are left behind its value".into()));
        let nulls = json!({ "type": "record", "name": "r", "fields": [{ "name": "a", "type": { "type": "array", "items": "null" } }] });
        let told = Shapes::of(&nulls).expect("a schema").walk_one(&[0xfe, 0xff, 0xff, 0xff, 0xf, 0], 1000);
        assert_eq!(told, Err("its value has more than 1000 parts".into()));
    }

    #[test]
    fn reads_numbers_as_avro_writes_them() {
        for (bytes, expected) in [(vec![0], 0), (vec![1], -1), (vec![2], 1), (vec![0x7f], -64), (vec![0x80, 1], 64)] {
            assert_eq!(number(&bytes), Some((expected, bytes.len())));
        }
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some((i64::MIN, 10)));
        assert_eq!([number(&[]), number(&[0x80]), number(&[0xff; 10]), number(&[0xff; 11])], [None; 4]);
    }
}
