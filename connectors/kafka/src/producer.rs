//! Giving messages to librdkafka: thousands in one call, without copying their payloads.
//!
//! One of the two files with `unsafe`. What it relies on: librdkafka reads a payload until it has reported on its message, and every message
//! that it took is reported on once, with the pointer that came with it (or, if the client is destroyed first, never; the parcel then stays in memory). That pointer is a count of the
//! parcel's `Arc`, so the bytes live until the last report.

#![allow(unsafe_code, reason = "the wrapper sends one message a call, and copies it")]

use crate::client::{Cluster, patiently};
use crate::error::Tried;
use crate::events::{Events, Watch};
use crate::message::Made;
use crate::parcel::Parcel;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use rdkafka_sys as native;
use std::ffi::{CStr, CString, c_int};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use stygian_api::ConnectorError;

/// "Any partition", as librdkafka calls it.
const UNASSIGNED: i32 = -1;
/// Messages given to librdkafka in one call.
const AT_ONCE: usize = 4096;

/// A producer; its thread takes in reports.
pub(crate) struct Producer {
    inner: ThreadedProducer<Watch>,
    pub(crate) events: Arc<Events>,
    /// A transaction was begun and not ended.
    begun: Mutex<bool>,
}

impl Producer {
    pub(crate) fn new(cluster: &Cluster, config: &ClientConfig) -> Result<Self, ConnectorError> {
        let events = Events::new(cluster.node.clone());
        let tried = Tried { doing: "connect to", what: "the cluster", operation: "Describe" };
        let inner = config.create_with_context(Watch(events.clone())).map_err(|error| cluster.error(tried, &error, None))?;
        Ok(Self { inner, events, begun: Mutex::new(false) })
    }

    /// The producer itself, for transactions.
    pub(crate) fn inner(&self) -> &ThreadedProducer<Watch> {
        &self.inner
    }

    /// Why it can write nothing any more. Calls and messages that fail for it say no more than that it was fatal, or that they were
    /// thrown away.
    pub(crate) fn fatal(&self) -> Option<RDKafkaErrorCode> {
        self.inner.client().fatal_error().map(|(code, _)| code)
    }

    /// Begins a transaction if there is none.
    pub(crate) fn begin(&self) -> Result<(), KafkaError> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if !*begun {
            self.inner.begin_transaction()?;
            *begun = true;
        }
        Ok(())
    }

    /// The transaction is over.
    pub(crate) fn ended(&self) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// How many partitions a topic has. Blocks.
    pub(crate) fn partitions(&self, cluster: &Cluster, topic: &str) -> Result<i32, ConnectorError> {
        let what = format!("topic `{topic}`");
        let tried = Tried { doing: "look for the partitions of", what: &what, operation: "Describe" };
        let asked = patiently(&self.events, |within| self.inner.client().fetch_metadata(Some(topic), within));
        let metadata = asked.map_err(|error| cluster.error(tried, &error, Some(&self.events)))?;
        let found = metadata.topics().first();
        let code = found.map_or(Some(RDKafkaErrorCode::UnknownTopicOrPartition), |topic| topic.error().map(RDKafkaErrorCode::from));
        match (code, found) {
            (None, Some(found)) => Ok(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)),
            (code, _) => Err(cluster.failed(tried, code.unwrap_or(RDKafkaErrorCode::UnknownTopic), Some(&self.events))),
        }
    }

    /// Sends one message, with what is beside it; it is copied.
    pub(crate) fn send(&self, topic: &Topic, one: &One<'_>, parcel: &Arc<Parcel>) -> Result<(), RDKafkaErrorCode> {
        let mut record: BaseRecord<'_, [u8], [u8], Arc<Parcel>> = BaseRecord::with_opaque_to(topic.name(), parcel.clone());
        record.payload = one.payload;
        record.key = one.key;
        record.timestamp = one.timestamp;
        if !one.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(one.headers.len());
            let with = |headers: OwnedHeaders, (key, value): &(&str, &[u8])| headers.insert(Header { key, value: Some(*value) });
            record.headers = Some(one.headers.iter().fold(headers, with));
        }
        self.inner.send(record).map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))
    }
}

/// A message that is sent by itself.
pub(crate) struct One<'a> {
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
}

/// librdkafka's settings of a topic, by name.
pub(crate) type TopicSettings = [(&'static str, &'static str); 2];

/// A topic as one producer knows it, with its own settings.
pub(crate) struct Topic {
    native: *mut native::rd_kafka_topic_t,
    name: CString,
    producer: Arc<Producer>,
}

// SAFETY: librdkafka's topics may be used from any thread, from several at once.
unsafe impl Send for Topic {}
// SAFETY: as above.
unsafe impl Sync for Topic {}

/// How many of the messages were taken, and why the next one was not.
pub(crate) struct Given {
    pub(crate) taken: usize,
    pub(crate) refused: Option<RDKafkaErrorCode>,
}

impl Topic {
    /// A topic with settings of its own beside the client's, if it is the first of its name; an error is librdkafka's text.
    pub(crate) fn new(producer: Arc<Producer>, name: &str, settings: &[(&str, &str)]) -> Result<Self, String> {
        let topic = CString::new(name).map_err(|_| "a topic's name has no NUL in it".to_owned())?;
        let client = producer.inner.client().native_ptr();
        // SAFETY: the client is alive; the copy is ours until it is given to the topic.
        let conf = unsafe { native::rd_kafka_default_topic_conf_dup(client) };
        let mut text = [0; 512];
        for (key, value) in settings {
            let (Ok(key), Ok(value)) = (CString::new(*key), CString::new(*value)) else { continue };
            // SAFETY: all pointers are of C strings, or of a buffer with the length given.
            let set = unsafe { native::rd_kafka_topic_conf_set(conf, key.as_ptr(), value.as_ptr(), text.as_mut_ptr(), text.len()) };
            if set != native::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                // SAFETY: the copy is ours, and not used after this; the text was ended by a NUL.
                unsafe {
                    native::rd_kafka_topic_conf_destroy(conf);
                    return Err(CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned());
                }
            }
        }
        // SAFETY: the client is alive, the name is a C string, the settings are given away.
        let native = unsafe { native::rd_kafka_topic_new(client, topic.as_ptr(), conf) };
        if native.is_null() {
            // SAFETY: it asks for this thread's last error.
            let code = RDKafkaErrorCode::from(unsafe { native::rd_kafka_last_error() });
            return Err(code.to_string());
        }
        Ok(Self { native, name: topic, producer })
    }

    pub(crate) fn name(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }

    pub(crate) fn producer(&self) -> &Arc<Producer> {
        &self.producer
    }

    /// Gives the messages from `from` on, as many as there is room for, to one partition, or to those of their keys.
    pub(crate) fn give(&self, partition: Option<i32>, made: &Ranges, parcel: &Arc<Parcel>, from: usize) -> Given {
        let partition = partition.unwrap_or(UNASSIGNED);
        let last = made.payloads.len().min(from + AT_ONCE);
        let mut messages: Vec<native::rd_kafka_message_t> = (from..last).map(|at| message(made, parcel, at)).collect();
        let count = c_int::try_from(messages.len()).unwrap_or(c_int::MAX);
        // SAFETY: the topic is alive; payloads live as the file's text says, keys for the time of the call, in which they are copied.
        unsafe { native::rd_kafka_produce_batch(self.native, partition, 0, messages.as_mut_ptr(), count) };
        let (mut taken, mut refused) = (0, None);
        for message in &messages {
            match RDKafkaErrorCode::from(message.err) {
                RDKafkaErrorCode::NoError => taken += 1,
                code => {
                    refused.get_or_insert(code);
                    // SAFETY: it was made by `message`, and librdkafka did not take it.
                    drop(unsafe { Arc::from_raw(message._private.cast_const().cast::<Parcel>()) });
                }
            }
        }
        Given { taken, refused }
    }
}

/// Where messages lie in a parcel.
pub(crate) struct Ranges {
    pub(crate) payloads: Vec<Option<Range<usize>>>,
    pub(crate) keys: Vec<Option<Range<usize>>>,
}

impl Ranges {
    /// The parts of what was made: the bytes, and where messages lie in them.
    pub(crate) fn of(made: Made) -> (Vec<u8>, Self) {
        (made.bytes, Self { payloads: made.payloads, keys: made.keys })
    }
}

fn message(made: &Ranges, parcel: &Arc<Parcel>, at: usize) -> native::rd_kafka_message_t {
    let part = |range: Option<&Option<Range<usize>>>| range.and_then(|range| parcel.bytes.get(range.clone()?));
    let pointer = |part: Option<&[u8]>| part.map_or((std::ptr::null_mut(), 0), |part| (part.as_ptr().cast_mut().cast(), part.len()));
    let (payload, len) = pointer(part(made.payloads.get(at)));
    let (key, key_len) = pointer(part(made.keys.get(at)));
    native::rd_kafka_message_t {
        err: native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
        rkt: std::ptr::null_mut(),
        partition: UNASSIGNED,
        payload,
        len,
        key,
        key_len,
        offset: 0,
        _private: Arc::into_raw(parcel.clone()).cast_mut().cast(),
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: it was made by `new`, and is not used after this; the client lives as long as `producer`, which goes later.
        unsafe { native::rd_kafka_topic_destroy(self.native) };
    }
}
