//! The hash of tables in memory, seeded once a process, so that nobody who writes rows can make keys collide on purpose. Nothing that is
//! stored or sent depends on it; key groups have a hash of their own.

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use xxhash_rust::xxh3::xxh3_64_with_seed;

static SEED: LazyLock<u64> = LazyLock::new(|| std::hash::RandomState::new().build_hasher().finish());

/// The seed; to be taken out of a loop.
pub(crate) fn seed() -> u64 {
    *SEED
}

/// The hash of a key under the seed.
#[inline]
pub(crate) fn hash(key: &[u8], seed: u64) -> u64 {
    hash_parts(split(key), seed)
}

/// A key as its first byte and the rest, which may lie elsewhere.
#[inline]
pub(crate) fn split(key: &[u8]) -> (u8, &[u8]) {
    key.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest))
}

/// The hash of a key in two parts.
#[inline]
pub(crate) fn hash_parts((first, rest): (u8, &[u8]), seed: u64) -> u64 {
    xxh3_64_with_seed(rest, seed.wrapping_add(u64::from(first)))
}
