//! What a team writes by hand against librdkafka: a consumer that polls row by row, JSON by serde, a producer; no checkpoints, no
//! guarantees. The peer of `bench-kafka`.
//!
//! `kafka-by-hand SERVERS FROM TO a|b|c ROWS`: `a` sends every row on, `b` one in 123, `c` counts and averages by auction in windows of 10 s.

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Message};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

#[derive(Deserialize, Serialize)]
struct Bid {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: String,
    url: String,
    at: String,
    extra: String,
}

#[derive(Serialize)]
struct Window {
    auction: i64,
    window_start: i64,
    bids: u64,
    average: f64,
}

struct Out {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
}

impl Out {
    fn send(&self, row: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(row)?;
        let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&self.topic).payload(&text);
        while let Err((error, back)) = self.producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                bail!("{error}");
            }
            std::thread::sleep(Duration::from_millis(1));
            record = back;
        }
        Ok(())
    }
}

/// Windows of 10 s, closed when every partition has gone beyond them.
#[derive(Default)]
struct Windows {
    open: HashMap<(i64, i64), (u64, i64)>,
    largest: HashMap<i32, i64>,
    closed: i64,
}

impl Windows {
    const SIZE: i64 = 10_000;

    fn add(&mut self, partition: i32, bid: &Bid, partitions: usize, out: &Out) -> Result<()> {
        let since = humantime::parse_rfc3339(&bid.at)?.duration_since(std::time::UNIX_EPOCH)?;
        let at = i64::try_from(since.as_millis())?;
        let window = self.open.entry((at - at.rem_euclid(Self::SIZE), bid.auction)).or_default();
        *window = (window.0 + 1, window.1 + bid.price);
        let largest = self.largest.entry(partition).or_insert(at);
        *largest = at.max(*largest);
        let least = self.largest.values().min().copied().unwrap_or_default() - 1_000;
        if self.largest.len() == partitions && least - least.rem_euclid(Self::SIZE) > self.closed {
            self.closed = least - least.rem_euclid(Self::SIZE);
            self.close(out)?;
        }
        Ok(())
    }

    fn close(&mut self, out: &Out) -> Result<()> {
        let before = self.closed;
        let ready: Vec<_> = self.open.extract_if(|(start, _), _| start + Self::SIZE <= before).collect();
        for ((window_start, auction), (bids, sum)) in ready {
            #[allow(clippy::cast_precision_loss)]
            out.send(&Window { auction, window_start, bids, average: sum as f64 / bids as f64 })?;
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [servers, from, to, kind, rows] = args.as_slice() else { bail!("kafka-by-hand SERVERS FROM TO a|b|c ROWS") };
    let rows: u64 = rows.parse().context("a number of rows")?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", format!("by-hand-{}", std::process::id()))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "2")
        .create()?;
    let producer = ClientConfig::new().set("bootstrap.servers", servers).set("compression.type", "lz4").set("linger.ms", "5").create()?;
    let out = Out { producer, topic: to.clone() };
    let metadata = consumer.fetch_metadata(Some(from), Duration::from_secs(30))?;
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    consumer.subscribe(&[from])?;
    let (mut read, mut windows) = (0, Windows::default());
    while read < rows {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        read += 1;
        let Ok(bid) = serde_json::from_slice::<Bid>(message.payload().unwrap_or_default()) else { continue };
        match kind.as_str() {
            "a" => out.send(&bid)?,
            "b" if bid.auction % 123 == 0 => out.send(&bid)?,
            "b" => {}
            _ => windows.add(message.partition(), &bid, partitions, &out)?,
        }
    }
    windows.closed = i64::MAX;
    windows.close(&out)?;
    out.producer.flush(Duration::from_secs(60))?;
    Ok(())
}
