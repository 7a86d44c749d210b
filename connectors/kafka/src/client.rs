//! What all clients of a cluster have in common.

use crate::events::Events;
use crate::security::Security;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use stygian_api::{ConnectorContext, Options, Problem};

/// How long a question to the cluster may take: metadata, offsets, the start of transactions.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long one try of it may take.
const ONE_TRY: Duration = Duration::from_secs(3);

/// A problem with one option.
#[derive(Debug)]
pub(crate) struct OptionError(pub(crate) &'static str, pub(crate) String);

impl OptionError {
    pub(crate) fn at(self, options: &Options) -> Problem {
        options.problem(self.0, self.1)
    }
}

/// A cluster, and who we are to it.
pub(crate) struct Cluster {
    /// Where it was said to be.
    pub(crate) servers: String,
    /// Who we are, where that is known.
    pub(crate) who: Option<String>,
    /// What the node is called in messages: "source `events`".
    pub(crate) node: String,
    config: ClientConfig,
}

impl Cluster {
    pub(crate) fn new(servers: &str, security: &Security, context: &ConnectorContext, node: String) -> Result<Self, OptionError> {
        check_servers(servers)?;
        // Whoever is first decides that OpenSSL is not cleaned up when the process ends: librdkafka's threads may be in the middle of it then.
        openssl_sys::init();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", servers)
            .set("client.id", format!("stygian-{}", context.job))
            .set("socket.keepalive.enable", "true")
            .set("log.connection.close", "false")
            .set("reconnect.backoff.max.ms", "2000")
            .set("allow.auto.create.topics", "false");
        security.apply(&context.base, &mut config)?;
        let who = if security.is_kerberos() { context.principal.clone() } else { security.username.clone() };
        if security.is_kerberos() && who.is_none() {
            let message = "a login by Kerberos needs [kerberos] with `principal` and `keytab` in the pipeline file";
            return Err(OptionError("security", message.into()));
        }
        Ok(Self { servers: servers.to_owned(), who, node, config })
    }

    /// The settings to begin with.
    pub(crate) fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    /// How we are known there.
    pub(crate) fn who(&self) -> String {
        match &self.who {
            Some(who) => format!("`{who}`"),
            None => "this client".to_owned(),
        }
    }
}

fn check_servers(servers: &str) -> Result<(), OptionError> {
    let wrong = |server: &str| {
        let message = format!("`{server}` is no broker's address; write host:port, several with commas between them");
        Err(OptionError("bootstrap_servers", message))
    };
    for server in servers.split(',') {
        let Some((host, port)) = server.trim().rsplit_once(':') else { return wrong(server) };
        if host.is_empty() || host.contains(char::is_whitespace) || port.parse::<u16>().is_err() {
            return wrong(server);
        }
    }
    Ok(())
}

/// Asks the cluster something with a time limit, again while the answer is that it is not ready (it is electing, loading, or about to be told of
/// something) or none comes, unless what librdkafka complains of meanwhile will not pass.
pub(crate) fn patiently<T>(events: &Events, ask: impl FnMut(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
    patiently_for(PATIENCE, events, ask)
}

/// The same for so long; a call that is made again goes on with what it began.
pub(crate) fn patiently_for<T>(long: Duration, events: &Events, mut ask: impl FnMut(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
    let until = Instant::now() + long;
    loop {
        let answer = ask(ONE_TRY);
        let code = answer.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        if code.is_some_and(is_silence)
            && let Some(lasting) = events.lasting()
        {
            return Err(KafkaError::Global(lasting));
        }
        if !code.is_some_and(is_passing) || Instant::now() >= until {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Makes a call that librdkafka may never end, on a thread of its own, and waits for it no longer than that, or until it is of no use; the
/// thread is then left behind, with what it holds.
pub(crate) fn within<T: Send + 'static>(
    limit: Duration,
    is_of_no_use: impl Fn() -> bool,
    call: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    let (tell, told) = mpsc::channel();
    let make = move || {
        // Nobody may be waiting any more.
        let _ = tell.send(call());
    };
    let made = std::thread::Builder::new().name("kafka-call".into()).spawn(make);
    made.map_err(|_| KafkaError::Global(RDKafkaErrorCode::CriticalSystemResource))?;
    let until = Instant::now() + limit;
    loop {
        match told.recv_timeout(Duration::from_secs(1)) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if Instant::now() < until && !is_of_no_use() => {}
            Err(_) => return Err(KafkaError::Global(RDKafkaErrorCode::OperationTimedOut)),
        }
    }
}

/// There was no answer; why not, comes by itself.
fn is_silence(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::OperationTimedOut | Code::BrokerTransportFailure | Code::AllBrokersDown)
}

fn is_passing(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    is_silence(code)
        || matches!(
            code,
            Code::NotCoordinator
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::WaitingForCoordinator
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::UnstableOffsetCommit
                | Code::BrokerNotAvailable
                | Code::ConcurrentTransactions
        )
}
