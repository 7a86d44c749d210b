//! The I/O side of a source's subtask: opens its splits and fetches ahead, as far as the channel has room.
//!
//! Splits are read in their order, as many at once as the source says, each whenever it has something.
//! New ones may come while others are read (`split_discovery`).

use crate::channel::{Sender, Weigh, batch_bytes};
use crate::error::JobError;
use crate::metrics::Counters;
use crate::source_task::SplitPosition;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::VecDeque;
use std::sync::Arc;
use stygian_api::{ConnectorError, Fetched, Source, Split, SplitReader};
use stygian_core::{Offset, OperatorId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What happened to a split; splits are numbered within the subtask.
pub(crate) enum SplitEvent {
    /// There is one more, with the next number.
    Found(Split),
    /// It is being read from now on.
    Opened(usize),
    /// It brought rows.
    Fetched(usize, Fetched),
    /// It is at its end.
    Ended(usize),
    /// All splits are at their end, and there will be no more.
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

/// What the I/O side of a source's subtask needs.
pub(crate) struct Reading {
    pub(crate) node: OperatorId,
    pub(crate) source: Arc<dyn Source>,
    /// With the offset to begin at.
    pub(crate) splits: Vec<(Split, Offset)>,
    /// Where new splits come from; `None`: there will be none.
    pub(crate) new: Option<mpsc::Receiver<Split>>,
    pub(crate) to: Sender<SplitEvent>,
    pub(crate) counters: Arc<Counters>,
}

/// A split was opened, or asked for rows.
struct Step {
    number: usize,
    reader: Box<dyn SplitReader>,
    /// `None`: it was opened.
    fetched: Option<Fetched>,
}

/// How many rows there are to read behind what was fetched, by split.
#[derive(Default)]
struct Behind(Vec<Option<u64>>);

impl Behind {
    /// Takes in what a reader knows after a step; whether that has changed.
    fn is_news(&mut self, step: &Step) -> bool {
        let known = match step.fetched {
            Some(Fetched::End) => None,
            _ => step.reader.behind(),
        };
        if self.0.len() <= step.number {
            self.0.resize(step.number + 1, None);
        }
        std::mem::replace(&mut self.0[step.number], known) != known
    }

    fn sum(&self) -> Option<u64> {
        self.0.iter().flatten().copied().reduce(u64::saturating_add)
    }
}

type Stepping = BoxFuture<'static, Result<Step, ConnectorError>>;

impl Reading {
    /// Whether there is nothing to read, and never will be.
    pub(crate) fn is_over(&self) -> bool {
        self.splits.is_empty() && self.new.is_none()
    }

    /// Reads the splits until they end or the job is asked to stop.
    pub(crate) async fn run(mut self, batch_rows: usize, stop: CancellationToken) -> Result<(), JobError> {
        let at_once = self.source.at_once().max(1);
        let mut waiting: VecDeque<(usize, (Split, Offset))> = self.splits.drain(..).enumerate().collect();
        let (mut found, mut steps) = (waiting.len(), FuturesUnordered::<Stepping>::new());
        let mut behind = Behind::default();
        loop {
            while steps.len() < at_once
                && let Some((number, (split, from))) = waiting.pop_front()
            {
                steps.push(open(self.source.clone(), number, split, from));
            }
            if steps.is_empty() && self.new.is_none() {
                break;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                split = next(&mut self.new), if self.new.is_some() => match split {
                    Some(split) => {
                        self.send(SplitEvent::Found(split.clone())).await?;
                        waiting.push_back((found, (split, Offset::default())));
                        found += 1;
                    }
                    None => self.new = None,
                },
                Some(step) = steps.next(), if !steps.is_empty() => {
                    let step = step.map_err(|source| JobError::Source { source_name: self.node.clone(), source })?;
                    if behind.is_news(&step) {
                        self.counters.set_behind(behind.sum());
                    }
                    if let Some((number, reader)) = self.tell(step).await? {
                        steps.push(fetch(number, reader, batch_rows));
                    }
                }
            }
        }
        self.send(SplitEvent::Finished).await
    }

    /// Tells what came; gives back the reader of a split that goes on.
    async fn tell(&self, step: Step) -> Result<Option<(usize, Box<dyn SplitReader>)>, JobError> {
        let Step { number, reader, fetched } = step;
        let event = match fetched {
            None => SplitEvent::Opened(number),
            Some(Fetched::Nothing) => return Ok(Some((number, reader))),
            Some(Fetched::End) => {
                self.send(SplitEvent::Ended(number)).await?;
                return Ok(None);
            }
            Some(fetched) => SplitEvent::Fetched(number, fetched),
        };
        self.send(event).await?;
        Ok(Some((number, reader)))
    }

    async fn send(&self, event: SplitEvent) -> Result<(), JobError> {
        self.to.send(event).await.map_err(|_| JobError::Severed)
    }
}

async fn next(new: &mut Option<mpsc::Receiver<Split>>) -> Option<Split> {
    match new {
        Some(new) => new.recv().await,
        None => None,
    }
}

fn open(source: Arc<dyn Source>, number: usize, split: Split, from: Offset) -> Stepping {
    Box::pin(async move {
        let reader = source.open(&split.id, from).await?;
        Ok(Step { number, reader, fetched: None })
    })
}

fn fetch(number: usize, mut reader: Box<dyn SplitReader>, rows: usize) -> Stepping {
    Box::pin(async move {
        let fetched = reader.fetch(rows).await?;
        Ok(Step { number, reader, fetched: Some(fetched) })
    })
}

/// Spreads splits over subtasks: the largest first, each to the one with the least to read; every subtask keeps the source's order.
pub(crate) fn spread(splits: Vec<SplitPosition>, subtasks: usize) -> Vec<Vec<SplitPosition>> {
    let bytes: Vec<u64> = splits.iter().map(|position| position.split.bytes.unwrap_or(1)).collect();
    let mut order: Vec<usize> = (0..splits.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(bytes[*at]));
    let (mut load, mut owner) = (vec![(0_u64, 0_usize); subtasks], vec![0; splits.len()]);
    for at in order {
        let least = (0..subtasks).min_by_key(|subtask| load[*subtask]).unwrap_or(0);
        load[least].0 += bytes[at];
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
        let split = |(name, bytes)| SplitPosition::unread(Split { id: SplitId::new(name), bytes: Some(bytes) });
        let splits = splits.map(split).to_vec();
        let names = |splits: &Vec<SplitPosition>| splits.iter().map(|at| at.split.id.to_string()).collect::<String>();
        let spread: Vec<String> = spread(splits, 3).iter().map(names).collect();
        assert_eq!(spread, ["b", "c", "ad"]);
    }
}
