//! The sink: opens a writer a subtask, and commits by renaming.

use crate::committer::Renamer;
use crate::remote::Remote;
use crate::source::blocking;
use crate::writer::{FilesWriter, WriterSpec};
use async_trait::async_trait;
use std::sync::Arc;
use stygian_api::{Accepts, CommitPoint, Committer, ConnectorError, Probe, Sink, SinkContext, SinkWriter};

/// A folder that files are written into.
#[derive(Debug)]
pub(crate) struct FilesSink {
    pub(crate) spec: WriterSpec,
    /// The same place, if it is in HDFS.
    pub(crate) remote: Option<Remote>,
}

#[async_trait]
impl Sink for FilesSink {
    fn accepts(&self) -> Accepts {
        Accepts::Append
    }

    /// In-progress files of earlier runs are left alone: the committer sees to them.
    async fn open(&self, context: SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        let (files, root) = (self.spec.files.clone(), self.spec.root.clone());
        blocking(move || files.create_folder(&root)).await?;
        Ok(Box::new(FilesWriter::new(self.spec.clone(), &context)))
    }

    fn probes(&self) -> Vec<Probe> {
        self.remote.as_ref().map(|remote| remote.probes(&self.spec.root)).unwrap_or_default()
    }

    fn holds_by(&self) -> Option<&'static str> {
        self.spec.compaction.map(|_| "compact_below")
    }

    fn committer(&self) -> Box<dyn Committer> {
        Box::new(Renamer::new(self.spec.clone()))
    }

    fn commit_point(&self) -> Option<Arc<dyn CommitPoint>> {
        None
    }
}
