//! What formats with a structure of their own read from.

use bytes::Bytes;
use futures::future::BoxFuture;
use std::error::Error;
use std::ops::Range;

/// A file of which ranges can be read.
pub trait RangeReader: Send {
    /// The length of the file in bytes.
    fn len(&self) -> u64;

    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Exactly the bytes in the range, which lies in the file.
    fn read(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, Box<dyn Error + Send + Sync>>>;
}

/// Bytes as a file.
#[cfg(test)]
#[derive(Clone)]
pub(crate) struct InMemory(pub(crate) Bytes);

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test's own ranges")]
impl RangeReader for InMemory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, Box<dyn Error + Send + Sync>>> {
        let bytes = self.0.slice(usize::try_from(range.start).expect("fits")..usize::try_from(range.end).expect("fits"));
        Box::pin(async move { Ok(bytes) })
    }
}
