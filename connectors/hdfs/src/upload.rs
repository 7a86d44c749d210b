//! An object that comes in parts: written to HDFS as they come, in order, by a task of their own.

use crate::client::Hdfs;
use crate::store::generic;
use crate::writer::Writer;
use async_trait::async_trait;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use std::fmt;
use stygian_api::ConnectorError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A part, and who is to be told what has become of it.
type Part = (PutPayload, oneshot::Sender<std::result::Result<(), ConnectorError>>);

/// See the module's text. One that is dropped before its end leaves the file under its other name, as a crash does.
pub(crate) struct Upload {
    hdfs: Hdfs,
    /// The name that the file has until it is whole.
    other: String,
    path: String,
    /// `None` after the end.
    parts: Option<(mpsc::UnboundedSender<Part>, JoinHandle<Writer>)>,
}

impl Upload {
    /// Into a new file, which is renamed to `path` at the end.
    pub(crate) fn of(hdfs: Hdfs, mut file: Writer, path: String) -> Self {
        let other = file.path().to_owned();
        // As long as the parts that their sender does not wait for.
        let (sender, mut parts) = mpsc::unbounded_channel::<Part>();
        let writing = async move {
            while let Some((payload, told)) = parts.recv().await {
                let written = write(&mut file, payload).await;
                // Who does not wait for a part learns of it at the end: a file is given up after its first error.
                let _ = told.send(written);
            }
            file
        };
        Self { hdfs, other, path, parts: Some((sender, tokio::spawn(writing))) }
    }

    fn ended(&self) -> object_store::Error {
        generic(crate::fault::Fault::GivenUp.of("write", self.hdfs.shown(&self.path)))
    }
}

/// Writes all pieces of a payload.
pub(crate) async fn write(file: &mut Writer, payload: PutPayload) -> std::result::Result<(), ConnectorError> {
    for bytes in payload {
        file.write(bytes).await?;
    }
    Ok(())
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upload({})", self.path)
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let (tell, told) = oneshot::channel();
        let sent = self.parts.as_ref().is_some_and(|(parts, _)| parts.send((payload, tell)).is_ok());
        let ended = self.ended();
        Box::pin(async move {
            match told.await {
                Ok(written) if sent => written.map_err(generic),
                _ => Err(ended),
            }
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (parts, writing) = self.parts.take().ok_or_else(|| self.ended())?;
        drop(parts);
        let file = writing.await.map_err(|_| self.ended())?;
        file.finish().await.map_err(generic)?;
        self.hdfs.renamed(&self.other, &self.path, true).await.map_err(generic)?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn abort(&mut self) -> Result<()> {
        if let Some((_, writing)) = self.parts.take() {
            writing.abort();
        }
        self.hdfs.remove(&self.other).await.map(|_| ()).map_err(generic)
    }
}
