//! One file of which ranges are read. Its length is that of the moment it was opened: it must not shrink afterwards, and what it grows
//! is not read.

use ::bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use std::error::Error;
use std::ops::Range;
use std::sync::Arc;
use stygian_api::ConnectorError;
use stygian_formats::RangeReader;

/// A file that is being read.
#[derive(Clone, Debug)]
pub(crate) struct FileBytes {
    store: Arc<dyn ObjectStore>,
    location: object_store::path::Path,
    /// For messages.
    pub(crate) shown: String,
    /// In bytes.
    pub(crate) size: u64,
    /// When it was written last: microseconds since 1970.
    pub(crate) modified: i64,
}

impl FileBytes {
    pub(crate) async fn open(
        store: Arc<dyn ObjectStore>,
        location: object_store::path::Path,
        shown: String,
    ) -> Result<Self, ConnectorError> {
        let found = store.head(&location).await.map_err(|e| ConnectorError::io("read", &shown, e))?;
        Ok(Self { store, location, shown, size: found.size, modified: found.last_modified.timestamp_micros() })
    }

    /// The bytes in `range`, which lies within the file.
    pub(crate) async fn read(&self, range: Range<u64>) -> Result<Bytes, ConnectorError> {
        let failed = |e: object_store::Error| ConnectorError::io("read", &self.shown, e);
        let wanted = range.end.saturating_sub(range.start);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(range)));
        let found = match self.store.get_opts(&self.location, options).await {
            Ok(found) if found.meta.size >= self.size => found,
            Ok(found) => return Err(self.shrunk(found.meta.size)),
            Err(error) => return Err(self.explain(error).await),
        };
        let bytes = found.bytes().await.map_err(failed)?;
        if bytes.len() as u64 == wanted { Ok(bytes) } else { Err(self.shrunk(bytes.len() as u64)) }
    }

    async fn explain(&self, error: object_store::Error) -> ConnectorError {
        match self.store.head(&self.location).await {
            Ok(found) if found.size < self.size => self.shrunk(found.size),
            _ => ConnectorError::io("read", &self.shown, error),
        }
    }

    fn shrunk(&self, now: u64) -> ConnectorError {
        ConnectorError::Refused {
            what: self.shown.clone(),
            reason: format!("the file had {} bytes and has {now} while it is being read", self.size),
            hint: "write new files under other names, and rename them when they are whole".into(),
        }
    }
}

impl RangeReader for FileBytes {
    fn len(&self) -> u64 {
        self.size
    }

    fn read(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, Box<dyn Error + Send + Sync>>> {
        async move { FileBytes::read(self, range).await.map_err(Into::into) }.boxed()
    }
}
