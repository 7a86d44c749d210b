//! A file that is being written, to its end.
//!
//! `finish` has the DataNodes write all to their disks (hsync), and then closes the file. If the NameNode goes between these two, all bytes are
//! safe and only the end is open: then HDFS is asked to close the file by itself (lease recovery), and what it has is compared with what was
//! written.

use crate::client::Hdfs;
use crate::fault::Fault;
use crate::recognise::{Meaning, meaning};
use crate::task::{Failed, Tries, run};
use bytes::Bytes;
use hdfs_native::file::FileWriter;
use std::fmt;
use std::time::Instant;
use stygian_api::ConnectorError;

/// A new file. One that is dropped before its end stays as it is, not closed, until it is removed; so does one after an error.
pub struct Writer {
    hdfs: Hdfs,
    path: String,
    /// `None` after an error: what the file holds then is not known. In a box, as it is large and goes from task to task.
    file: Option<Box<FileWriter>>,
    written: u64,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({}, {} bytes)", self.path, self.written)
    }
}

impl Writer {
    pub(crate) fn new(hdfs: Hdfs, path: String, file: FileWriter) -> Self {
        Self { hdfs, path, file: Some(Box::new(file)), written: 0 }
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes bytes behind those that are there. When it comes back they are on their way; only [`Writer::finish`] makes them safe.
    ///
    /// # Errors
    /// When they cannot be. The file is of no use then: if the error may pass, write all again under a new name.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ConnectorError> {
        let mut file = self.file.take().ok_or_else(|| Fault::GivenUp.of("write", self.hdfs.shown(&self.path)))?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let written =
            run(&self.hdfs.inner.threads, self.hdfs.until(), async move { Box::pin(file.write_bytes(bytes)).await.map(|_| file) }).await;
        match written {
            Ok(file) => {
                self.file = Some(file);
                self.written += len;
                Ok(())
            }
            Err(failed) => Err(self.hdfs.error_of_data("write", &self.path, failed).await),
        }
    }

    /// Makes all that was written safe on the DataNodes' disks, and closes the file. Gives back its length.
    ///
    /// # Errors
    /// As [`Writer::write`]. The file may be there all the same.
    pub async fn finish(mut self) -> Result<u64, ConnectorError> {
        let file = self.file.take().ok_or_else(|| Fault::GivenUp.of("finish", self.hdfs.shown(&self.path)))?;
        let until = self.hdfs.until();
        let file = match self.synced(file, until).await {
            Ok(file) => file,
            Err(failed) => return Err(self.hdfs.error_of_data("finish", &self.path, failed).await),
        };
        let mut file = file;
        match run(&self.hdfs.inner.threads, until, async move { Box::pin(file.close()).await }).await {
            Ok(()) => Ok(self.written),
            Err(failed) => self.closed_otherwise(failed, until).await,
        }
    }

    /// Has the DataNodes write all to their disks, and the NameNode know how much it is; again after a failover, as it does not matter how often.
    async fn synced(&self, mut file: Box<FileWriter>, until: Instant) -> Result<Box<FileWriter>, Failed> {
        let mut tries = Tries::new(until);
        loop {
            let (back, synced) = run(&self.hdfs.inner.threads, until, async move {
                let synced = Box::pin(file.hsync()).await;
                Ok((file, synced))
            })
            .await?;
            match synced {
                Ok(()) => return Ok(back),
                Err(error) if meaning(&error) == Meaning::Answer => return Err(Failed::Library(error)),
                Err(error) if !tries.another().await => return Err(Failed::Late(Some(error))),
                Err(_) => file = back,
            }
        }
    }

    /// All is on disks, and closing did not go well.
    async fn closed_otherwise(&self, failed: Failed, until: Instant) -> Result<u64, ConnectorError> {
        // What is left of the time may be nothing; one more look is worth as much again.
        let until = until.max(self.hdfs.until());
        if self.hdfs.closed_by_others(&self.path, self.written, until).await.is_some() {
            return Ok(self.written);
        }
        let text = self.hdfs.fault(&self.path, failed).await.to_string();
        let found = match self.hdfs.looked(&self.path, self.hdfs.until()).await {
            Ok(Some(status)) => format!("there are {} bytes of {}", status.len, self.written),
            Ok(None) => "it is not there any more".to_owned(),
            Err(_) => "it cannot be looked at".to_owned(),
        };
        Err(Fault::NotFinished { text, found }.of("finish", self.hdfs.shown(&self.path)))
    }
}
