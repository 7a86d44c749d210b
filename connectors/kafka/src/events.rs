//! What librdkafka has to say by itself: log lines, and errors that belong to no call.
//!
//! Such an error rarely ends anything: librdkafka goes on trying, and complains each time, of each broker. What it last complained about is
//! kept, to be told beside a call that timed out; the same complaint is told once a minute.

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
/// So many complaints are known as told.
const KNOWN: usize = 32;
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
    heard: Mutex<Heard>,
}

#[derive(Clone, Debug)]
struct Trouble {
    code: Option<RDKafkaErrorCode>,
    text: String,
    at: Instant,
}

#[derive(Debug, Default)]
struct Heard {
    last: Option<Trouble>,
    /// What was told when.
    told: Vec<(String, Instant)>,
}

impl Heard {
    /// Takes in a complaint; whether it is to be told.
    fn takes(&mut self, code: Option<RDKafkaErrorCode>, text: &str, now: Instant) -> bool {
        self.last = Some(Trouble { code, text: text.to_owned(), at: now });
        // How long it took, and how often it came, is different each time.
        let (same, _) = text.split_once(" (after ").unwrap_or((text, ""));
        self.told.retain(|(_, at)| now.duration_since(*at) < AGAIN_AFTER);
        if self.told.len() >= KNOWN || self.told.iter().any(|(told, _)| told == same) {
            return false;
        }
        self.told.push((same.to_owned(), now));
        true
    }
}

impl Events {
    pub(crate) fn new(node: String) -> Arc<Self> {
        Arc::new(Self { node, has_group: true, heard: Mutex::default() })
    }

    /// Those of a consumer that only has a group because librdkafka wants one.
    pub(crate) fn without_group(node: String) -> Arc<Self> {
        Arc::new(Self { node, has_group: false, heard: Mutex::default() })
    }

    /// What went wrong in the last half minute, if anything did.
    pub(crate) fn trouble(&self) -> Option<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.last.as_ref().filter(|trouble| trouble.at.elapsed() < LASTS).map(|trouble| trouble.text.clone())
    }

    /// What keeps anything from going well, if something does: it stays as it is until somebody changes it.
    pub(crate) fn lasting(&self) -> Option<RDKafkaErrorCode> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.last.as_ref().filter(|trouble| trouble.at.elapsed() < LASTS)?.code.filter(|code| is_lasting(*code))
    }

    fn took(&self, code: Option<RDKafkaErrorCode>, text: &str) {
        if self.heard.lock().unwrap_or_else(PoisonError::into_inner).takes(code, text, Instant::now()) {
            tracing::warn!(node = %self.node, "kafka: {text}");
        }
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
            self.0.took(LASTING.into_iter().find(|(name, _)| message.contains(name)).map(|(_, code)| code), &text);
            return;
        }
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(%node, facility, "librdkafka: {text}"),
            // Whatever matters comes as an error, too.
            _ => tracing::info!(%node, facility, "librdkafka: {text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        // The broker's own complaint comes first; that all are down is only its sum.
        let is_sum = code == Some(RDKafkaErrorCode::AllBrokersDown) && self.0.trouble().is_some();
        let is_of_no_group = code == Some(RDKafkaErrorCode::GroupAuthorizationFailed) && !self.0.has_group;
        if !is_sum && !is_of_no_group {
            self.0.took(code, &named(reason));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_complaint_is_told_once_a_minute() {
        let (mut heard, now) = (Heard::default(), Instant::now());
        assert!(heard.takes(None, "b:1: refused (after 0ms in state CONNECT)", now));
        assert!(heard.takes(None, "b:2: refused (after 0ms in state CONNECT)", now));
        assert!(!heard.takes(None, "b:1: refused (after 1ms in state CONNECT, 3 identical error(s) suppressed)", now));
        assert!(heard.takes(None, "b:1: refused (after 1ms in state CONNECT)", now + AGAIN_AFTER));
    }
}
