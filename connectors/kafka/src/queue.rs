//! Taking messages from librdkafka: one partition's queue, emptied by a callback without a call or an allocation a message.
//!
//! One of the two files with `unsafe`. What it relies on: a queue lives until it is destroyed, which is before its client is (the queue
//! holds the client); the callbacks get the pointers that were given with them, the one of `consume` only while that call lasts, the one
//! of the queue's event until it is switched off; a message and its key, payload and headers live until the callback returns.

#![allow(unsafe_code, reason = "librdkafka's queues have no safe wrapper that takes many messages at once")]

use crate::events::Watch;
use arrow_array::builder::BinaryBuilder;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as native;
use std::ffi::{CString, c_void};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Notify;

/// What is taken at once.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Payloads one behind the other.
    pub(crate) payloads: Vec<u8>,
    /// Where each lies.
    pub(crate) ranges: Vec<Range<usize>>,
    pub(crate) offsets: Vec<u64>,
    /// What came beside each, where it is wanted.
    pub(crate) beside: Beside,
    /// The partition was read up to here, and there was nothing more.
    pub(crate) at_end: Option<u64>,
    /// The partition cannot be read.
    pub(crate) failed: Option<RDKafkaErrorCode>,
}

/// What comes beside messages, a row for each.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) keys: BinaryBuilder,
    /// Milliseconds since 1970.
    pub(crate) timestamps: Vec<Option<i64>>,
    /// Of each name that was asked for, the last header.
    pub(crate) headers: Vec<BinaryBuilder>,
}

/// What is wanted of messages besides their payloads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) any: bool,
    pub(crate) headers: Vec<CString>,
}

/// A partition's queue.
pub(crate) struct PartitionQueue {
    queue: *mut native::rd_kafka_queue_t,
    consumer: Arc<BaseConsumer<Watch>>,
    /// There may be something to take.
    filled: Arc<Notify>,
}

// SAFETY: librdkafka's queues may be used from any thread, from several at once.
unsafe impl Send for PartitionQueue {}
// SAFETY: as above.
unsafe impl Sync for PartitionQueue {}

impl PartitionQueue {
    /// The queue of a partition, which from now on goes nowhere else. To be taken before the partition is assigned, or what comes first is lost.
    /// `None`: there is no such partition to be had.
    pub(crate) fn new(consumer: Arc<BaseConsumer<Watch>>, topic: &str, partition: i32) -> Option<Self> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: the client is alive, the name is a C string for the time of the call.
        let queue = unsafe { native::rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), partition) };
        if queue.is_null() {
            return None;
        }
        let filled = Arc::new(Notify::new());
        // SAFETY: the queue was just got; the pointer is of an `Arc` that `self` holds until it has switched the event off.
        unsafe {
            native::rd_kafka_queue_forward(queue, std::ptr::null_mut());
            native::rd_kafka_queue_cb_event_enable(queue, Some(wake), Arc::as_ptr(&filled).cast_mut().cast());
        }
        Some(Self { queue, consumer, filled })
    }

    /// Comes back when something may have come since the last time.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// The offset behind the newest record of the partition, as the last answer of a broker had it; `None`: there was none.
    pub(crate) fn newest(&self, topic: &str, partition: i32) -> Option<u64> {
        let topic = CString::new(topic).ok()?;
        let (mut oldest, mut newest) = (-1, -1);
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client is alive, the name is a C string for the time of the call, and so are the two numbers. It does not wait.
        let code = unsafe { native::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &raw mut oldest, &raw mut newest) };
        if RDKafkaErrorCode::from(code) == RDKafkaErrorCode::NoError { u64::try_from(newest).ok() } else { None }
    }

    /// Takes up to `rows` messages that are there; does not wait.
    pub(crate) fn take(&self, rows: usize, wanted: &Wanted) -> Taken {
        let mut taking = Taking { taken: Taken::default(), rows, wanted, client: self.consumer.client().native_ptr() };
        // SAFETY: the queue is alive; `taking` outlives the call, and nothing else uses it meanwhile.
        unsafe {
            native::rd_kafka_consume_callback_queue(self.queue, 0, Some(take_one), std::ptr::from_mut(&mut taking).cast());
        }
        taking.taken
    }
}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        // SAFETY: the queue is alive, and not used after this; no event comes once it is switched off, which takes the queue's lock.
        unsafe {
            native::rd_kafka_queue_cb_event_enable(self.queue, None, std::ptr::null_mut());
            native::rd_kafka_queue_destroy(self.queue);
        }
    }
}

unsafe extern "C" fn wake(_: *mut native::rd_kafka_t, filled: *mut c_void) {
    // SAFETY: the pointer is of the `Notify` that the queue holds while its event is on.
    unsafe { &*filled.cast::<Notify>() }.notify_one();
}

/// One call's work.
struct Taking<'a> {
    taken: Taken,
    rows: usize,
    wanted: &'a Wanted,
    client: *mut native::rd_kafka_t,
}

unsafe extern "C" fn take_one(message: *mut native::rd_kafka_message_t, taking: *mut c_void) {
    // SAFETY: both pointers are good for the time of this call; `taking` is the one that `take` gave, which nothing else uses.
    let (message, taking) = unsafe { (&*message, &mut *taking.cast::<Taking<'_>>()) };
    let taken = &mut taking.taken;
    match RDKafkaErrorCode::from(message.err) {
        RDKafkaErrorCode::NoError => {
            let start = taken.payloads.len();
            if !message.payload.is_null() {
                // SAFETY: the payload has this length and lives as long as the message.
                taken.payloads.extend_from_slice(unsafe { std::slice::from_raw_parts(message.payload.cast(), message.len) });
            }
            taken.ranges.push(start..taken.payloads.len());
            taken.offsets.push(u64::try_from(message.offset).unwrap_or_default());
            if taking.wanted.any {
                // SAFETY: the message is alive.
                unsafe { taken.beside.push(message, &taking.wanted.headers) };
            }
        }
        RDKafkaErrorCode::PartitionEOF => taken.at_end = u64::try_from(message.offset).ok(),
        code => taken.failed = Some(code),
    }
    if taken.ranges.len() >= taking.rows || taken.failed.is_some() {
        // SAFETY: the client is alive. What was not served yet goes back to the queue.
        unsafe { native::rd_kafka_yield(taking.client) };
    }
}

impl Beside {
    /// # Safety
    /// The message must be alive.
    unsafe fn push(&mut self, message: &native::rd_kafka_message_t, names: &[CString]) {
        let key = (!message.key.is_null())
            // SAFETY: the key has this length and lives as long as the message.
            .then(|| unsafe { std::slice::from_raw_parts(message.key.cast::<u8>(), message.key_len) });
        self.keys.append_option(key);
        let mut kind = native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive.
        let timestamp = unsafe { native::rd_kafka_message_timestamp(message, &raw mut kind) };
        self.timestamps.push(Some(timestamp).filter(|millis| *millis >= 0));
        if names.is_empty() {
            return;
        }
        let mut headers = std::ptr::null_mut();
        // SAFETY: the message is alive; if it has no headers, the pointer stays null.
        unsafe { native::rd_kafka_message_headers(message, &raw mut headers) };
        self.headers.resize_with(names.len(), BinaryBuilder::new);
        for (column, name) in self.headers.iter_mut().zip(names) {
            // SAFETY: the headers live as long as the message.
            column.append_option(unsafe { last_header(headers, name) });
        }
    }
}

/// # Safety
/// `headers` must be null or alive.
unsafe fn last_header<'m>(headers: *mut native::rd_kafka_headers_t, name: &CString) -> Option<&'m [u8]> {
    if headers.is_null() {
        return None;
    }
    let (mut value, mut size) = (std::ptr::null(), 0_usize);
    // SAFETY: the headers are alive, the name is a C string.
    let found = unsafe { native::rd_kafka_header_get_last(headers, name.as_ptr(), &raw mut value, &raw mut size) };
    if RDKafkaErrorCode::from(found) != RDKafkaErrorCode::NoError || value.is_null() {
        return None;
    }
    // SAFETY: the value has this size and lives as long as the headers.
    Some(unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size) })
}
