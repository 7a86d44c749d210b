//! Random numbers of the suite.

/// xorshift64*: enough to mix operations, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> i64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        i64::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap_or(0) % i64::try_from(bound).unwrap_or(1)
    }

    pub(super) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    pub(super) fn bytes(&mut self) -> Vec<u8> {
        let length = if self.below(20) == 0 { 1000 } else { self.index(6) };
        (0..length).map(|_| u8::try_from(self.below(256)).unwrap_or(0)).collect()
    }
}
