//! What librdkafka has to say by itself: log lines, and errors that belong to no call.
//!
//! Such an error rarely ends anything: librdkafka goes on trying. What it last complained about is kept, to be told beside a call that timed
//! out.

use crate::parcel::Parcel;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use stygian_core::escape;

/// The longest text of librdkafka's that is shown.
const SHOWN: usize = 600;
/// The same trouble is told again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Trouble older than this is past.
const LASTS: Duration = Duration::from_secs(30);

/// See the module's text. One a client.
#[derive(Debug)]
pub(crate) struct Events {
    node: String,
    last: Mutex<Option<Trouble>>,
}

#[derive(Clone, Debug)]
struct Trouble {
    text: String,
    at: Instant,
    told: Instant,
}

impl Events {
    pub(crate) fn new(node: String) -> Arc<Self> {
        Arc::new(Self { node, last: Mutex::new(None) })
    }

    /// What went wrong in the last half minute, if anything did.
    pub(crate) fn trouble(&self) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|trouble| trouble.at.elapsed() < LASTS).map(|trouble| trouble.text.clone())
    }

    fn took(&self, text: String) {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let told = match &mut *last {
            Some(trouble) if trouble.text == text && now.duration_since(trouble.told) < AGAIN_AFTER => {
                trouble.at = now;
                return;
            }
            _ => now,
        };
        tracing::warn!(node = %self.node, "kafka: {text}");
        *last = Some(Trouble { text, at: now, told });
    }
}

/// The client's part of it.
#[derive(Clone)]
pub(crate) struct Watch(pub(crate) Arc<Events>);

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let (node, text) = (&self.0.node, escape(message, SHOWN));
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(%node, facility, "librdkafka: {text}");
            }
            // Whatever matters comes as an error, too.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
                tracing::info!(%node, facility, "librdkafka: {text}")
            }
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(%node, facility, "librdkafka: {text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = escape(reason, SHOWN);
        // The broker's own complaint comes first; that all are down is only its sum.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) && self.0.trouble().is_some() {
            return;
        }
        self.0.took(reason);
    }
}

impl ConsumerContext for Watch {}

impl ProducerContext for Watch {
    type DeliveryOpaque = Arc<Parcel>;

    fn delivery(&self, result: &DeliveryResult<'_>, parcel: Arc<Parcel>) {
        parcel.delivered(result.as_ref().err().map(|(error, _)| error));
    }
}
