//! The inputs of a subtask: one channel from each upstream subtask, read as one stream.
//!
//! Rows come as they are; watermarks are merged; a barrier comes once, when all inputs have delivered it; the end comes when all inputs
//! have ended. An input that is ahead of a barrier is not read, and nothing else waits on another input.

use crate::alignment::Alignment;
use crate::channel::Receiver;
use crate::error::JobError;
use crate::watermark::{Progress, WatermarkMerge};
use std::future::poll_fn;
use std::task::{Context, Poll};
use stygian_core::StreamElement;

/// The inputs of a subtask.
pub(crate) struct Inputs {
    channels: Vec<Receiver<StreamElement>>,
    alignment: Alignment,
    watermarks: WatermarkMerge,
    /// The input that is asked first next time.
    first: usize,
}

impl Inputs {
    pub(crate) fn new(channels: Vec<Receiver<StreamElement>>) -> Self {
        let inputs = channels.len();
        Self { channels, alignment: Alignment::new(inputs), watermarks: WatermarkMerge::new(inputs), first: 0 }
    }

    /// The next element of the merged stream. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When an upstream task is gone without having ended its stream, or sends what cannot come.
    pub(crate) async fn next(&mut self) -> Result<StreamElement, JobError> {
        loop {
            if self.alignment.all_ended() {
                return Ok(StreamElement::EndOfInput);
            }
            let (input, element) = poll_fn(|context| self.poll(context)).await;
            if let Some(element) = self.merge(input, element.ok_or(JobError::Severed)?)? {
                return Ok(element);
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(usize, Option<StreamElement>)> {
        let inputs = self.channels.len();
        for n in 0..inputs {
            let input = (self.first + n) % inputs;
            if !self.alignment.may_read(input) {
                continue;
            }
            if let Poll::Ready(element) = self.channels[input].poll_recv(context) {
                self.first = (input + 1) % inputs;
                return Poll::Ready((input, element));
            }
        }
        Poll::Pending
    }

    fn merge(&mut self, input: usize, element: StreamElement) -> Result<Option<StreamElement>, JobError> {
        let progress = match element {
            StreamElement::Batch(rows) => {
                self.watermarks.active(input);
                return Ok(Some(StreamElement::Batch(rows)));
            }
            StreamElement::Barrier(id) => {
                let complete = self.alignment.barrier(input, id);
                let complete = complete.map_err(|_| JobError::Wiring(format!("barrier {id} came out of order on input {input}")))?;
                return Ok(complete.map(StreamElement::Barrier));
            }
            StreamElement::EndOfInput => return Ok(self.alignment.ended(input).map(StreamElement::Barrier)),
            StreamElement::Watermark(watermark) => self.watermarks.watermark(input, watermark),
            StreamElement::Idle => self.watermarks.idle(input),
        };
        Ok(progress.map(|progress| match progress {
            Progress::Watermark(watermark) => StreamElement::Watermark(watermark),
            Progress::Idle => StreamElement::Idle,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Sender, channel};
    use arrow_array::{Int64Array, RecordBatch};
    use std::sync::Arc;
    use stygian_core::{ByteSize, CheckpointId, EventTime};

    fn two() -> (Sender<StreamElement>, Sender<StreamElement>, Inputs) {
        let ((a, from_a), (b, from_b)) = (channel(16, ByteSize::mib(1)), channel(16, ByteSize::mib(1)));
        (a, b, Inputs::new(vec![from_a, from_b]))
    }

    fn row(n: i64) -> StreamElement {
        let column = Arc::new(Int64Array::from(vec![n])) as arrow_array::ArrayRef;
        StreamElement::Batch(RecordBatch::try_from_iter([("n", column)]).expect("one column"))
    }

    async fn send(to: &Sender<StreamElement>, elements: impl IntoIterator<Item = StreamElement>) {
        for element in elements {
            to.send(element).await.expect("open");
        }
    }

    #[tokio::test]
    async fn rows_behind_a_barrier_wait_for_the_other_input() {
        let (a, b, mut inputs) = two();
        let barrier = StreamElement::Barrier(CheckpointId(1));
        send(&a, [barrier.clone(), row(2), StreamElement::EndOfInput]).await;
        send(&b, [row(1), barrier.clone(), StreamElement::EndOfInput]).await;
        let mut seen = Vec::new();
        loop {
            let element = inputs.next().await.expect("in order");
            let end = element == StreamElement::EndOfInput;
            seen.push(element);
            if end {
                break;
            }
        }
        assert_eq!(seen, [row(1), barrier, row(2), StreamElement::EndOfInput]);
    }

    #[tokio::test]
    async fn a_stopped_input_keeps_holding_the_watermark() {
        let (a, b, mut inputs) = two();
        let mark = |micros| StreamElement::Watermark(EventTime::from_micros(micros));
        send(&a, [mark(5), StreamElement::EndOfInput]).await;
        send(&b, [mark(9), StreamElement::EndOfInput]).await;
        assert_eq!(inputs.next().await.expect("in order"), mark(5));
        assert_eq!(inputs.next().await.expect("in order"), StreamElement::EndOfInput);
        assert_eq!(inputs.watermarks.current(), EventTime::from_micros(5));
    }

    #[tokio::test]
    async fn rows_of_an_idle_input_hold_the_watermark_again() {
        let (a, b, mut inputs) = two();
        let mark = |micros| StreamElement::Watermark(EventTime::from_micros(micros));
        send(&a, [mark(5), StreamElement::Idle, row(1)]).await;
        send(&b, [mark(3), mark(9)]).await;
        let mut last = None;
        while inputs.watermarks.current() < EventTime::from_micros(5) || last != Some(row(1)) {
            last = Some(inputs.next().await.expect("in order"));
        }
        let before = inputs.watermarks.current();
        send(&b, [mark(30)]).await;
        send(&a, [mark(12)]).await;
        assert_eq!(inputs.next().await.expect("in order"), mark(12), "not 30: input a is back, with nothing said beyond {before}");
    }

    #[tokio::test]
    async fn a_severed_input_is_an_error() {
        let (a, _b, mut inputs) = two();
        drop(a);
        assert!(matches!(inputs.next().await, Err(JobError::Severed)));
    }
}
