//! Looks for new splits of a source while the job runs, and hands each to the subtask that has the fewest.
//!
//! A split is handed out once, and stays with its subtask. Until it is, its rows are not known to the watermark, so those of a split that
//! was there long before it was found may be late; a source should name splits as early as it can.

use crate::error::JobError;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use stygian_api::{Source, Split};
use stygian_core::{OperatorId, SplitId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// New splits that wait for a subtask's reader.
pub(crate) const NEW_SPLITS: usize = 64;

/// What is needed to look for a source's splits.
pub(crate) struct Discovery {
    pub(crate) node: OperatorId,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) every: Duration,
    /// By subtask.
    pub(crate) readers: Vec<mpsc::Sender<Split>>,
    pub(crate) assigned: Assigned,
}

/// Which splits are known, and how many each subtask has.
#[derive(Debug)]
pub(crate) struct Assigned {
    known: HashSet<SplitId>,
    counts: Vec<usize>,
}

impl Assigned {
    /// How many splits each subtask begins with, and all that are known.
    pub(crate) fn new(counts: Vec<usize>, known: impl IntoIterator<Item = SplitId>) -> Self {
        Self { known: known.into_iter().collect(), counts }
    }

    /// Those of `found` that are new, each with the subtask that it goes to.
    fn assign(&mut self, found: Vec<Split>) -> Vec<(usize, Split)> {
        let mut new = Vec::new();
        for split in found {
            if self.known.insert(split.id.clone()) {
                let least = (0..self.counts.len()).min_by_key(|subtask| self.counts[*subtask]).unwrap_or(0);
                if let Some(count) = self.counts.get_mut(least) {
                    *count += 1;
                }
                new.push((least, split));
            }
        }
        new
    }
}

impl Discovery {
    /// Looks until the job is asked to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), JobError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.every) => {}
            }
            let found = self.source.splits().await;
            let found = found.map_err(|source| JobError::Source { source_name: self.node.clone(), source })?;
            for (subtask, split) in self.assigned.assign(found) {
                let sent = match self.readers.get(subtask) {
                    Some(reader) => reader.send(split).await.is_ok(),
                    None => false,
                };
                if !sent {
                    // The reader is gone: stopped, or failed and told so itself.
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(names: &[&str]) -> Vec<Split> {
        names.iter().map(|name| Split { id: SplitId::new(*name), bytes: None }).collect()
    }

    #[test]
    fn hands_each_new_split_once_to_the_subtask_with_the_fewest() {
        let mut assigned = Assigned::new(vec![2, 0, 1], splits(&["a", "b", "c"]).into_iter().map(|split| split.id));
        let new = assigned.assign(splits(&["a", "d", "e", "b", "f"]));
        let told: Vec<(usize, &str)> = new.iter().map(|(subtask, split)| (*subtask, split.id.as_str())).collect();
        assert_eq!(told, [(1, "d"), (1, "e"), (2, "f")]);
        assert_eq!(assigned.assign(splits(&["f", "a"])), []);
    }
}
