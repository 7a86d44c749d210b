//! The I/O side of a source's subtask: opens its splits one after the other and fetches ahead, as far as the channel has room.

use crate::channel::{Sender, Weigh, batch_bytes};
use crate::error::JobError;
use std::sync::Arc;
use stygian_api::{Fetched, Source, Split};
use stygian_core::{Offset, OperatorId};
use tokio_util::sync::CancellationToken;

/// What happened to a split; splits are numbered within the subtask.
pub(crate) enum SplitEvent {
    /// It is being read from now on.
    Opened(usize),
    /// It brought rows, or word that there are none for now.
    Fetched(usize, Fetched),
    /// It is at its end.
    Ended(usize),
    /// All splits are at their end.
    Finished,
}

impl Weigh for SplitEvent {
    fn bytes(&self) -> usize {
        match self {
            Self::Fetched(_, Fetched::Messages { messages, .. }) => messages.buffer.len(),
            Self::Fetched(_, Fetched::Rows { rows, .. }) => batch_bytes(rows),
            _ => 0,
        }
    }
}

/// Reads the splits in order until they end or the job is asked to stop.
pub(crate) async fn read_splits(
    node: OperatorId,
    source: Arc<dyn Source>,
    splits: Vec<Split>,
    batch_rows: usize,
    to: Sender<SplitEvent>,
    stop: CancellationToken,
) -> Result<(), JobError> {
    let failed = |error| JobError::Source { source_name: node.clone(), source: error };
    for (number, split) in splits.iter().enumerate() {
        let mut reader = source.open(&split.id, Offset::default()).await.map_err(failed)?;
        send(&to, SplitEvent::Opened(number)).await?;
        loop {
            let fetched = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                fetched = reader.fetch(batch_rows) => fetched.map_err(failed)?,
            };
            if matches!(fetched, Fetched::End) {
                break;
            }
            send(&to, SplitEvent::Fetched(number, fetched)).await?;
        }
        send(&to, SplitEvent::Ended(number)).await?;
    }
    send(&to, SplitEvent::Finished).await
}

async fn send(to: &Sender<SplitEvent>, event: SplitEvent) -> Result<(), JobError> {
    to.send(event).await.map_err(|_| JobError::Severed)
}

/// Spreads splits over subtasks: the largest first, each to the one with the least to read; every subtask keeps the source's order.
pub(crate) fn spread(splits: Vec<Split>, subtasks: usize) -> Vec<Vec<Split>> {
    let mut order: Vec<usize> = (0..splits.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(splits[*at].bytes.unwrap_or(1)));
    let (mut load, mut owner) = (vec![(0_u64, 0_usize); subtasks], vec![0; splits.len()]);
    for at in order {
        let least = (0..subtasks).min_by_key(|subtask| load[*subtask]).unwrap_or(0);
        load[least].0 += splits[at].bytes.unwrap_or(1);
        load[least].1 += 1;
        owner[at] = least;
    }
    let mut spread = vec![Vec::new(); subtasks];
    splits.into_iter().zip(owner).for_each(|(split, owner)| spread[owner].push(split));
    spread
}

#[cfg(test)]
mod tests {
    use super::*;
    use stygian_core::SplitId;

    #[test]
    fn spreads_splits_by_size_and_keeps_their_order() {
        let splits = [("a", 10), ("b", 60), ("c", 30), ("d", 20)];
        let splits = splits.map(|(name, bytes)| Split { id: SplitId::new(name), bytes: Some(bytes) }).to_vec();
        let names = |splits: &Vec<Split>| splits.iter().map(|split| split.id.to_string()).collect::<String>();
        let spread: Vec<String> = spread(splits, 3).iter().map(names).collect();
        assert_eq!(spread, ["b", "c", "ad"]);
    }
}
