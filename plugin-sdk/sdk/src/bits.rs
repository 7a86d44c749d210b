//! Bitmaps as Arrow lays them out: 8 rows a byte, the first row in the lowest bit.

/// How many bytes a bitmap of so many rows has.
pub(crate) fn bytes_for(rows: usize) -> usize {
    rows.div_ceil(8)
}

/// The bit of a row. The bitmap must be long enough.
#[inline]
pub(crate) fn get(bits: &[u8], row: usize) -> bool {
    bits[row / 8] & (1 << (row % 8)) != 0
}

/// Whether the first `rows` bits are all set. The bitmap must be long enough.
pub(crate) fn all_set(bits: &[u8], rows: usize) -> bool {
    let (whole, rest) = (rows / 8, rows % 8);
    let mask = (1_u8 << rest) - 1;
    bits[..whole].iter().all(|byte| *byte == 0xff) && (rest == 0 || bits[whole] & mask == mask)
}

/// A bitmap that grows. Bits behind the end are clear.
#[derive(Debug, Default)]
pub(crate) struct BitBuilder {
    bytes: Vec<u8>,
    len: usize,
    clear: bool,
}

impl BitBuilder {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes_for(rows)), ..Self::default() }
    }

    /// So many set bits.
    pub(crate) fn all_set(rows: usize) -> Self {
        let mut bits = Self::with_capacity(rows);
        (0..rows).for_each(|_| bits.push(true));
        bits
    }

    #[inline]
    pub(crate) fn push(&mut self, bit: bool) {
        let at = self.len % 8;
        match self.bytes.last_mut() {
            Some(last) if at != 0 => *last |= u8::from(bit) << at,
            _ => self.bytes.push(u8::from(bit)),
        }
        self.clear |= !bit;
        self.len += 1;
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        if rows >= self.len {
            return;
        }
        self.bytes.truncate(bytes_for(rows));
        if let (Some(last), rest @ 1..) = (self.bytes.last_mut(), rows % 8) {
            *last &= (1 << rest) - 1;
        }
        self.len = rows;
        self.clear = !all_set(&self.bytes, rows);
    }

    /// Whether a bit is clear.
    pub(crate) fn has_clear(&self) -> bool {
        self.clear
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_was_pushed() {
        let mut builder = BitBuilder::default();
        let bits: Vec<bool> = (0..21).map(|row| row % 3 == 0).collect();
        bits.iter().for_each(|bit| builder.push(*bit));
        assert!(builder.has_clear());
        let bytes = builder.into_bytes();
        assert_eq!(bytes.len(), 3);
        assert_eq!((0..21).map(|row| get(&bytes, row)).collect::<Vec<_>>(), bits);
    }

    #[test]
    fn forgets_clear_bits_when_truncated_before_them() {
        for keep in [0, 1, 7, 8, 9] {
            let mut builder = BitBuilder::default();
            (0..12).for_each(|row| builder.push(row < 9));
            builder.truncate(keep);
            assert!(!builder.has_clear());
            builder.push(false);
            builder.push(true);
            let bytes = builder.into_bytes();
            assert_eq!(bytes.len(), bytes_for(keep + 2));
            assert!(all_set(&bytes, keep) && !get(&bytes, keep) && get(&bytes, keep + 1));
        }
    }
}
