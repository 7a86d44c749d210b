//! What Kafka's error codes mean to a person: what was tried, on what, as whom, why it failed, what to do.

use crate::client::Cluster;
use crate::events::Events;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use stygian_api::ConnectorError;

/// Something that was tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried<'a> {
    /// The verb.
    pub(crate) doing: &'static str,
    /// What it was tried on: "topic `events`".
    pub(crate) what: &'a str,
    /// The operation, as access control calls it: "Read".
    pub(crate) operation: &'static str,
}

/// librdkafka's own words, as an error to be the cause of another.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);

impl Cluster {
    /// The error that a code means here.
    pub(crate) fn failed(&self, tried: Tried<'_>, code: RDKafkaErrorCode, events: Option<&Events>) -> ConnectorError {
        use RDKafkaErrorCode as Code;
        let Tried { doing, what, .. } = tried;
        let at = format!("{what} at {}", self.servers);
        let refused = |reason: String, hint: &str| ConnectorError::refused(format!("cannot {doing} {at}"), reason, hint);
        match code {
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::ClusterAuthorizationFailed => self.not_allowed(tried, code),
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                refused("there is no such topic or partition".into(), "create it, or look at `topic` and `bootstrap_servers`")
            }
            Code::InvalidTopic => refused("that is no name for a topic".into(), "look at `topic`"),
            Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => refused(
                "a message is larger than allowed".into(),
                "raise `max_message_bytes` of the sink and `max.message.bytes` of the topic, or make rows smaller before the sink",
            ),
            Code::Fenced | Code::InvalidProducerEpoch | Code::ProducerFenced => refused(
                "another process writes with this job's transactional id, so this one is out".into(),
                "let only one run; if they are different jobs, give them different names",
            ),
            Code::InvalidTransactionTimeout => refused(
                "`transaction_timeout` is longer than the broker's `transaction.max.timeout.ms`".into(),
                "lower the one or raise the other; it must be longer than checkpoints are apart",
            ),
            Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::NoOffset => refused(
                "the offset to go on from is not there: its records were deleted (retention), or the topic was made anew".into(),
                "rows are lost if that is passed over; go on from a savepoint, or start the job with `--fresh`",
            ),
            Code::SaslAuthenticationFailed => {
                refused(format!("the broker refused the login of {}{}", self.who(), words(events)), "look at `security` and [kerberos]")
            }
            _ => ConnectorError::io(doing, at, Words(format!("{code}{}", words(events)))),
        }
    }

    fn not_allowed(&self, tried: Tried<'_>, code: RDKafkaErrorCode) -> ConnectorError {
        let kind = match code {
            RDKafkaErrorCode::TopicAuthorizationFailed => "topic",
            RDKafkaErrorCode::GroupAuthorizationFailed => "group",
            RDKafkaErrorCode::TransactionalIdAuthorizationFailed => "transactional-id",
            _ => "cluster",
        };
        let Tried { doing, what, operation } = tried;
        let name = what.split('`').nth(1).unwrap_or_default();
        let user = self.who.as_deref().map_or("USER", |who| who.split(['@', '/']).next().unwrap_or(who));
        let option = if kind == "cluster" { "--cluster".to_owned() } else { format!("--{kind} {name}") };
        ConnectorError::refused(
            format!("cannot {doing} {what} at {}", self.servers),
            format!("{} is not allowed the operation {operation} on it", self.who()),
            format!("grant it: kafka-acls --add --allow-principal User:{user} --operation {operation} {option}"),
        )
    }

    /// The same of an error that librdkafka's wrapper gives.
    pub(crate) fn error(&self, tried: Tried<'_>, error: &KafkaError, events: Option<&Events>) -> ConnectorError {
        match error.rdkafka_error_code() {
            Some(code) => self.failed(tried, code, events),
            None => ConnectorError::refused(
                format!("cannot {} {} at {}", tried.doing, tried.what, self.servers),
                stygian_core::escape(&error.to_string(), 600),
                "look at the options of the node",
            ),
        }
    }
}

/// What librdkafka last complained about.
fn words(events: Option<&Events>) -> String {
    events.and_then(Events::trouble).map(|trouble| format!("; last heard: {trouble}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::Security;
    use stygian_api::{ConnectorContext, HdfsContext};

    fn cluster() -> Cluster {
        let context =
            ConnectorContext { job: "j".into(), node: "n".into(), base: ".".into(), principal: None, hdfs: HdfsContext::default() };
        let mut cluster = Cluster::new("b:9092", &Security::default(), &context, "source `n`".into()).expect("options");
        cluster.who = Some("pipe/host@REALM".into());
        cluster
    }

    fn told(code: RDKafkaErrorCode) -> (String, bool) {
        let error = cluster().failed(Tried { doing: "read", what: "topic `events`", operation: "Read" }, code, None);
        (error.to_string(), error.may_pass())
    }

    #[test]
    fn a_missing_right_is_told_with_the_one_who_lacks_it_and_the_cure() {
        let (text, may_pass) = told(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(
            text,
            "cannot read topic `events` at b:9092: `pipe/host@REALM` is not allowed the operation Read on it; grant it: kafka-acls --add \
             --allow-principal User:pipe --operation Read --topic events"
        );
        assert!(!may_pass);
    }

    #[test]
    fn only_what_is_away_may_come_back() {
        assert!(told(RDKafkaErrorCode::BrokerTransportFailure).1);
        assert!(told(RDKafkaErrorCode::OperationTimedOut).1);
        for lasting in [RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::Fenced, RDKafkaErrorCode::OffsetOutOfRange] {
            assert!(!told(lasting).1, "{lasting:?}");
        }
    }
}
