//! Messages on their way: their bytes live until librdkafka has delivered or given up the last of them.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The messages of one call, side by side in one buffer.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// Keys and payloads.
    pub(crate) bytes: Vec<u8>,
    tally: Arc<Tally>,
}

impl Parcel {
    pub(crate) fn new(bytes: Vec<u8>, tally: Arc<Tally>) -> Self {
        Self { bytes, tally }
    }

    /// One message more or less has arrived.
    pub(crate) fn delivered(&self, error: Option<&KafkaError>) {
        if let Some(error) = error {
            self.tally.fail(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail));
        }
        self.tally.left();
    }
}

/// What one writer has on its way.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    on_the_way: AtomicUsize,
    /// Somebody waits until fewer than so many are on their way; 0: nobody does.
    awaited: AtomicUsize,
    changed: Notify,
    failed: Mutex<Option<RDKafkaErrorCode>>,
}

impl Tally {
    /// So many more are on their way.
    pub(crate) fn add(&self, messages: usize) {
        self.on_the_way.fetch_add(messages, Ordering::SeqCst);
    }

    /// So many of them never set out.
    pub(crate) fn take_back(&self, messages: usize) {
        self.on_the_way.fetch_sub(messages, Ordering::SeqCst);
    }

    pub(crate) fn on_the_way(&self) -> usize {
        self.on_the_way.load(Ordering::SeqCst)
    }

    /// Why the first message that was given up was.
    pub(crate) fn failure(&self) -> Option<RDKafkaErrorCode> {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until fewer than `most` are on their way, or one was given up.
    pub(crate) async fn fewer_than(&self, most: usize) {
        loop {
            let changed = self.changed.notified();
            self.awaited.store(most, Ordering::SeqCst);
            if self.on_the_way() < most || self.failure().is_some() {
                self.awaited.store(0, Ordering::SeqCst);
                return;
            }
            changed.await;
        }
    }

    fn fail(&self, code: RDKafkaErrorCode) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(code);
        self.changed.notify_one();
    }

    fn left(&self) {
        let left = self.on_the_way.fetch_sub(1, Ordering::SeqCst) - 1;
        if left < self.awaited.load(Ordering::SeqCst) {
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn waits_until_enough_have_arrived() {
        let tally = Arc::new(Tally::default());
        tally.add(3);
        let parcel = Parcel::new(Vec::new(), tally.clone());
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, tally.fewer_than(3)).await.is_err());
        parcel.delivered(None);
        tally.fewer_than(3).await;
        assert!(tokio::time::timeout(soon, tally.fewer_than(1)).await.is_err());
        parcel.delivered(Some(&KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut)));
        tally.fewer_than(1).await;
        assert_eq!(tally.failure(), Some(RDKafkaErrorCode::MessageTimedOut));
        assert_eq!(tally.on_the_way(), 1);
    }
}
