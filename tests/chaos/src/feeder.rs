//! Writes rows at a steady rate for as long as it is let, in transactions of its own.
//!
//! No row is ever sent again, by whatever its transaction ended: the next one has new numbers. So nothing can be in the topic twice, and
//! what is in it is the truth that the job is measured by. Now and then a transaction is given up on purpose, whose rows nobody may see.

use crate::pipeline::PARTITIONS;
use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use stygian_cluster::{Access, Cluster};

/// Rows of a transaction, and the time from one to the next.
const ROWS: u64 = 20;
const EVERY: Duration = Duration::from_millis(100);
/// One transaction of so many is given up on purpose.
const GIVEN_UP: u64 = 16;
/// One row of so many is none.
const BROKEN: u64 = 37;
/// Event time of the first row, and from one row to the next, in milliseconds: no time has a zero at its end, which is not written.
const FIRST: u64 = 3;
const STEP: u64 = 5;
/// Whose rows they are.
const USERS: u64 = 11;

/// One call to the broker, and all tries of one thing.
const CALL: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(180);

type Inner = ThreadedProducer<DefaultProducerContext>;

/// What was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fed {
    /// Numbers of rows whose transactions the broker has said to be committed.
    pub(crate) acknowledged: Vec<u64>,
    /// Transactions that were given up, on purpose or not, or whose end is not known.
    pub(crate) given_up: u64,
}

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Feeder {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Fed>>>,
}

impl Feeder {
    /// Begins.
    pub(crate) fn start(cluster: &Cluster, topic: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        for (name, value) in cluster.client_settings(&Access::password("admin"))? {
            config.set(name, value);
        }
        config.set("transactional.id", "feeder").set("transaction.timeout.ms", "60000").set("linger.ms", "2");
        config.set("reconnect.backoff.max.ms", "1000");
        let over = Arc::new(AtomicBool::new(false));
        let mut feeding = Feeding { config, topic: topic.to_owned(), producer: None, next: 0, transactions: 0, fed: Fed::default() };
        let asked = over.clone();
        let thread = std::thread::Builder::new().name("feeder".into()).spawn(move || feeding.run(&asked))?;
        Ok(Self { over, thread: Some(thread) })
    }

    /// Ends it, and says what it has written. Nothing of it is open after that.
    pub(crate) fn finish(mut self) -> Result<Fed> {
        self.over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the feeder has ended")?;
        thread.join().unwrap_or_else(|_| bail!("the feeder panicked"))
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

struct Feeding {
    config: ClientConfig,
    topic: String,
    producer: Option<Inner>,
    next: u64,
    transactions: u64,
    fed: Fed,
}

impl Feeding {
    fn run(&mut self, over: &AtomicBool) -> Result<Fed> {
        while !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            match self.transaction() {
                Ok(numbers) => self.fed.acknowledged.extend(numbers),
                Err(_) => {
                    // The broker is away, or the transaction was ended by it: a new producer ends whatever is open.
                    (self.producer, self.fed.given_up) = (None, self.fed.given_up + 1);
                }
            }
            std::thread::sleep(EVERY.saturating_sub(began.elapsed()));
        }
        // An open transaction would keep readers from all that comes after it.
        self.producer = None;
        let deadline = Instant::now() + LIMIT;
        while let Err(error) = self.connect() {
            if Instant::now() >= deadline {
                bail!("the feeder cannot end its last transaction within {LIMIT:?}: {error}");
            }
        }
        Ok(std::mem::take(&mut self.fed))
    }

    fn connect(&mut self) -> KafkaResult<()> {
        let producer: Inner = self.config.create_with_context(DefaultProducerContext)?;
        producer.init_transactions(CALL)?;
        self.producer = Some(producer);
        Ok(())
    }

    /// Writes some rows; which, if they are committed.
    fn transaction(&mut self) -> KafkaResult<Vec<u64>> {
        if self.producer.is_none() {
            self.connect()?;
        }
        let Some(producer) = &self.producer else { return Ok(Vec::new()) };
        let numbers: Vec<u64> = (self.next..self.next + ROWS).collect();
        self.next += ROWS;
        self.transactions += 1;
        producer.begin_transaction()?;
        for number in &numbers {
            let (key, text) = row(*number);
            let partition = i32::from(u16::try_from(number % u64::from(PARTITIONS)).unwrap_or_default());
            let record = BaseRecord::to(&self.topic).key(key.as_bytes()).payload(text.as_bytes()).partition(partition);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        if self.transactions.is_multiple_of(GIVEN_UP) {
            // They have to be there, to be passed over.
            producer.flush(CALL)?;
            producer.abort_transaction(CALL)?;
            self.fed.given_up += 1;
            return Ok(Vec::new());
        }
        commit(producer)?;
        Ok(numbers)
    }
}

fn commit(producer: &Inner) -> KafkaResult<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match producer.commit_transaction(CALL) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && !error.is_fatal() && Instant::now() < deadline => {}
            other => return other,
        }
    }
}

/// A row's key and text. Amounts are such that sums of them are exact.
fn row(number: u64) -> (String, String) {
    let user = format!("u{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % USERS);
    if number % BROKEN == BROKEN - 1 {
        return (user.clone(), format!("{{\"id\": {number}, \"user\": \"{user}\", \"amount\": "));
    }
    let (quarters, at) = (number % 400, FIRST + number * STEP);
    let text = format!("{{\"id\":{number},\"user\":\"{user}\",\"amount\":{},\"at\":\"{}\"}}", quarters as f64 / 4.0, time(at));
    (user, text)
}

/// Milliseconds since the beginning of 2026 in RFC 3339, for that January.
fn time(millis: u64) -> String {
    let (ms, s) = (millis % 1000, millis / 1000);
    let (day, hour, minute, second) = (1 + s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60);
    format!("2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbered_and_some_are_broken() {
        let row = |number| row(number).1;
        assert_eq!(row(3), r#"{"id":3,"user":"u2","amount":0.75,"at":"2026-01-01T00:00:00.018Z"}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&row(36)).is_err());
        assert_eq!(time(90_061_007), "2026-01-02T01:01:01.007Z");
    }
}
