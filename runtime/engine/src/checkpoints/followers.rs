//! Sources that are told of commits, for those who look on from outside. Nothing waits for them: where one is slow, it is told of the newest
//! checkpoint next and of none between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stygian_api::{Source, SplitProgress, with_causes};
use stygian_checkpoint::Manifest;
use stygian_core::{CheckpointId, OperatorId};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the end of a job waits for them.
const LAST: Duration = Duration::from_secs(10);

type Read = BTreeMap<OperatorId, Vec<SplitProgress>>;

/// Tells them, on a task of its own.
pub(crate) struct Followers {
    names: Vec<OperatorId>,
    newest: watch::Sender<Option<(CheckpointId, Arc<Read>)>>,
    telling: Option<JoinHandle<()>>,
}

impl Followers {
    /// Those of the sources that want to be told. On the I/O runtime.
    pub(crate) fn of<'a>(sources: impl Iterator<Item = (&'a OperatorId, &'a Arc<dyn Source>)>) -> Self {
        let wanting: BTreeMap<OperatorId, Arc<dyn Source>> =
            sources.filter(|(_, source)| source.wants_commits()).map(|(node, source)| (node.clone(), source.clone())).collect();
        let (newest, mut seen) = watch::channel(None);
        let names: Vec<OperatorId> = wanting.keys().cloned().collect();
        let tell = async move {
            while seen.changed().await.is_ok() {
                let told: Option<(CheckpointId, Arc<Read>)> = seen.borrow_and_update().clone();
                let Some((id, read)) = told else { continue };
                for (node, source) in &wanting {
                    let Some(read) = read.get(node) else { continue };
                    if let Err(error) = source.committed(read).await {
                        tracing::warn!(source = %node, checkpoint = id.0, "could not tell how far it is read: {}", with_causes(&error));
                    }
                }
            }
        };
        let telling = (!names.is_empty()).then(|| tokio::spawn(tell));
        Self { names, newest, telling }
    }

    /// A checkpoint was committed.
    pub(crate) fn tell(&self, committed: &Manifest) {
        if self.names.is_empty() {
            return;
        }
        let of_source = |node: &OperatorId| {
            let splits = committed.sources.get(node)?;
            Some((node.clone(), splits.iter().map(super::starting::progress).collect()))
        };
        let read = Arc::new(self.names.iter().filter_map(of_source).collect());
        self.newest.send_replace(Some((committed.id, read)));
    }

    /// Waits until all have heard of the last one, for a while.
    pub(crate) async fn finish(&mut self) {
        // Whoever holds no end of it any more has heard all.
        self.newest = watch::channel(None).0;
        if let Some(telling) = self.telling.take()
            && tokio::time::timeout(LAST, telling).await.is_err()
        {
            tracing::warn!("sources could not be told of the last checkpoint within {LAST:?}");
        }
    }
}
