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
use stygian_kerberos::KerberosError;

/// The longest text of librdkafka's that is shown.
const SHOWN: usize = 600;
/// The same trouble is told again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Trouble older than this is past.
const LASTS: Duration = Duration::from_secs(30);

/// The facility of librdkafka's log lines about a transaction that cannot go on.
const TRANSACTION_FAILED: &str = "TXNERR";

/// See the module's text. One a client.
#[derive(Debug)]
pub(crate) struct Events {
    node: String,
    /// librdkafka looks for the coordinator of a group that nothing is asked of: it may be denied.
    has_group: bool,
    last: Mutex<Option<Trouble>>,
}

#[derive(Clone, Debug)]
struct Trouble {
    code: Option<RDKafkaErrorCode>,
    text: String,
    at: Instant,
    told: Instant,
}

impl Events {
    pub(crate) fn new(node: String) -> Arc<Self> {
        Arc::new(Self { node, has_group: true, last: Mutex::new(None) })
    }

    /// Those of a consumer that only has a group because librdkafka wants one.
    pub(crate) fn without_group(node: String) -> Arc<Self> {
        Arc::new(Self { node, has_group: false, last: Mutex::new(None) })
    }

    /// What went wrong in the last half minute, if anything did.
    pub(crate) fn trouble(&self) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|trouble| trouble.at.elapsed() < LASTS).map(|trouble| trouble.text.clone())
    }

    /// What keeps anything from going well, if something does: it stays as it is until somebody changes it.
    pub(crate) fn lasting(&self) -> Option<RDKafkaErrorCode> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|trouble| trouble.at.elapsed() < LASTS)?.code.filter(|code| is_lasting(*code))
    }

    fn took(&self, code: Option<RDKafkaErrorCode>, text: String) {
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
        *last = Some(Trouble { code, text, at: now, told });
    }
}

/// A complaint, with the cause of Kerberos' that it stems from and what to do.
fn named(reason: &str) -> String {
    let text = escape(reason, SHOWN);
    match KerberosError::from_text(reason) {
        Some(cause) => format!("{cause} ({text}); {}", cause.hint()),
        None => text,
    }
}

fn is_lasting(code: RDKafkaErrorCode) -> bool {
    LASTING.into_iter().any(|(_, lasting)| lasting == code)
}

/// What stays until somebody changes it (or a KDC comes back), with librdkafka's names.
const LASTING: [(&str, RDKafkaErrorCode); 7] = [
    ("_SSL", RDKafkaErrorCode::SSL),
    ("_AUTHENTICATION", RDKafkaErrorCode::Authentication),
    ("GROUP_AUTHORIZATION_FAILED", RDKafkaErrorCode::GroupAuthorizationFailed),
    ("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", RDKafkaErrorCode::TransactionalIdAuthorizationFailed),
    ("CLUSTER_AUTHORIZATION_FAILED", RDKafkaErrorCode::ClusterAuthorizationFailed),
    ("TOPIC_AUTHORIZATION_FAILED", RDKafkaErrorCode::TopicAuthorizationFailed),
    ("SASL_AUTHENTICATION_FAILED", RDKafkaErrorCode::SaslAuthenticationFailed),
];

/// The client's part of it.
#[derive(Clone)]
pub(crate) struct Watch(pub(crate) Arc<Events>);

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let (node, text) = (&self.0.node, escape(message, SHOWN));
        if facility == TRANSACTION_FAILED {
            // It comes as no error, and all that follows says only that messages were thrown away.
            self.0.took(LASTING.into_iter().find(|(name, _)| message.contains(name)).map(|(_, code)| code), text);
            return;
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(%node, facility, "librdkafka: {text}");
            }
            // Whatever matters comes as an error, too.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
                tracing::info!(%node, facility, "librdkafka: {text}");
            }
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(%node, facility, "librdkafka: {text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = named(reason);
        // The broker's own complaint comes first; that all are down is only its sum.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) && self.0.trouble().is_some() {
            return;
        }
        let code = error.rdkafka_error_code();
        if self.0.has_group || code != Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
            self.0.took(code, reason);
        }
    }
}

impl ConsumerContext for Watch {}

impl ProducerContext for Watch {
    type DeliveryOpaque = Arc<Parcel>;

    fn delivery(&self, result: &DeliveryResult<'_>, parcel: Arc<Parcel>) {
        parcel.delivered(result.as_ref().err().map(|(error, _)| error));
    }
}
