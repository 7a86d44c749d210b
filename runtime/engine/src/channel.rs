//! Channels between tasks, bounded in elements and in bytes.
//!
//! A sender waits until both bounds have room; an empty channel takes an element of any size, so nothing is ever too large to pass.

use std::sync::Arc;
use std::task::{Context, Poll};
use stygian_core::{ByteSize, StreamElement};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// What counts against the byte bound.
pub(crate) trait Weigh {
    /// Bytes, about.
    fn bytes(&self) -> usize;
}

impl Weigh for StreamElement {
    fn bytes(&self) -> usize {
        match self {
            Self::Batch(rows) => batch_bytes(rows),
            _ => 0,
        }
    }
}

/// Bytes that the rows take, counting of shared buffers only their own part.
pub(crate) fn batch_bytes(rows: &arrow_array::RecordBatch) -> usize {
    rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}

/// The sending half.
pub(crate) struct Sender<T> {
    to: mpsc::Sender<Sent<T>>,
    room: Arc<Semaphore>,
    most_kib: u32,
}

/// The receiving half.
pub(crate) struct Receiver<T>(mpsc::Receiver<Sent<T>>);

/// An element with the room it takes, which is free again when it is received.
struct Sent<T> {
    element: T,
    _room: Option<OwnedSemaphorePermit>,
}

/// The other side is gone: its task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// A channel of at most `elements` elements and `bytes` bytes.
pub(crate) fn channel<T: Weigh>(elements: usize, bytes: ByteSize) -> (Sender<T>, Receiver<T>) {
    let most_kib = u32::try_from(bytes.0.div_ceil(1024)).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4);
    let (to, from) = mpsc::channel(elements.max(1));
    (Sender { to, room: Arc::new(Semaphore::new(most_kib as usize)), most_kib }, Receiver(from))
}

impl<T: Weigh> Sender<T> {
    /// Sends when there is room.
    pub(crate) async fn send(&self, element: T) -> Result<(), Closed> {
        let kib = u32::try_from(element.bytes().div_ceil(1024)).unwrap_or(u32::MAX).min(self.most_kib);
        let room = match kib {
            0 => None,
            kib => Some(self.room.clone().acquire_many_owned(kib).await.map_err(|_| Closed)?),
        };
        self.to.send(Sent { element, _room: room }).await.map_err(|_| Closed)
    }
}

impl<T> Receiver<T> {
    /// The next element; `None` when the sender is gone.
    pub(crate) async fn recv(&mut self) -> Option<T> {
        self.0.recv().await.map(|sent| sent.element)
    }

    /// As [`Receiver::recv`], for a hand-written wait on several.
    pub(crate) fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(context).map(|sent| sent.map(|sent| sent.element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Duration, timeout};

    struct Block(usize);

    impl Weigh for Block {
        fn bytes(&self) -> usize {
            self.0
        }
    }

    async fn fits(to: &Sender<Block>, bytes: usize) -> bool {
        timeout(Duration::from_millis(20), to.send(Block(bytes))).await.is_ok()
    }

    #[tokio::test]
    async fn an_empty_channel_takes_a_block_of_any_size() {
        let (to, mut from) = channel(4, ByteSize::kib(8));
        assert!(fits(&to, 1 << 20).await);
        assert!(!fits(&to, 1).await, "full by bytes");
        assert_eq!(from.recv().await.map(|block| block.0), Some(1 << 20));
        assert!(fits(&to, 1).await);
    }

    #[tokio::test]
    async fn a_channel_is_bounded_in_elements() {
        let (to, mut from) = channel(2, ByteSize::kib(8));
        assert!(fits(&to, 0).await && fits(&to, 0).await);
        assert!(!fits(&to, 0).await);
        from.recv().await;
        assert!(fits(&to, 0).await);
        drop(from);
        assert_eq!(to.send(Block(0)).await, Err(Closed));
    }
}
