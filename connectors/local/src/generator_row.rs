//! Row n of made-up user behaviour: a function of the seed and n alone, so that reading can begin anywhere.

use crate::GeneratorOptions;
use arrow_array::RecordBatch;
use arrow_array::builder::{Float64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use rand::{Rng, RngCore};
use rand_distr::{Distribution, Exp, Zipf};
use std::fmt::Write;
use std::sync::Arc;
use stygian_core::{ColumnType, Field};

/// Robots there are.
const ROBOTS: u64 = 20;
/// Mean seconds that people spend on a page.
const SECONDS_ON_PAGE: f64 = 30.0;
/// A user has one session in each of these spans of event time, in microseconds.
const SESSION: i64 = 1_800_000_000;
/// Where people come to an item's page from; most of them search.
const CAME_FROM: [&str; 8] = ["search", "search", "search", "home", "home", "mail", "partner", "item"];

/// Makes rows.
#[derive(Clone, Debug)]
pub(crate) struct RowMaker {
    seed: u64,
    users: Zipf<f64>,
    items: Zipf<f64>,
    seconds: Exp<f64>,
    purchases: f64,
    robots: f64,
    bad: f64,
    /// Microseconds.
    start: i64,
    step: i64,
    disorder: i64,
    schema: SchemaRef,
}

impl RowMaker {
    /// Checks the options; an `Err` is an option's name and what is wrong with it.
    pub(crate) fn new(options: &GeneratorOptions) -> Result<Self, (&'static str, String)> {
        let share = |name, value: f64| match value {
            0.0..=1.0 => Ok(value),
            _ => Err((name, format!("{value} is no share; write a number from 0 to 1"))),
        };
        let (purchases, robots) = (share("purchases", options.purchases)?, share("robots", options.robots)?);
        if purchases + robots > 1.0 {
            return Err(("robots", "the shares of purchases and robots are more than 1 together".into()));
        }
        let start = arrow_cast::parse::string_to_timestamp_nanos(&options.start);
        let start = start.map_err(|_| ("start", format!("`{}` is no time; write \"2026-01-01T00:00:00Z\"", options.start)))?;
        Ok(Self {
            seed: options.seed,
            users: zipf("users", options.users, options.skew)?,
            items: zipf("items", options.items, options.skew)?,
            seconds: Exp::new(1.0 / SECONDS_ON_PAGE).map_err(|e| ("skew", e.to_string()))?,
            purchases,
            robots,
            bad: share("bad", options.bad)?,
            start: start / 1_000,
            step: options.step.micros(),
            disorder: options.disorder.micros(),
            schema: schema(),
        })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of these numbers.
    pub(crate) fn rows(&self, numbers: impl Iterator<Item = u64>, count: usize) -> Result<RecordBatch, ArrowError> {
        let mut rows = Builders::new(count);
        for n in numbers.take(count) {
            self.push(n, &mut rows).map_err(|e| ArrowError::ComputeError(e.to_string()))?;
        }
        rows.finish(self.schema.clone())
    }

    fn push(&self, n: u64, rows: &mut Builders) -> std::fmt::Result {
        let mut chance = Chance::new(self.seed, n);
        // Of its own, so that the columns above stay what they were before there were these.
        let mut aside = Chance::new(self.seed.rotate_left(32), n);
        let what: f64 = chance.random();
        let item = whole(self.items.sample(&mut chance));
        let is_robot = what >= self.purchases && what < self.purchases + self.robots;
        let (name, number) =
            if is_robot { ("robot", 1 + chance.random_range(0..ROBOTS)) } else { ("user", whole(self.users.sample(&mut chance))) };
        let (mut kind, mut amount) = if what < self.purchases {
            ("purchase", self.price(item) * f64::from(chance.random_range(1..=3_u8)))
        } else if is_robot {
            ("click", chance.random::<f64>() / 2.0)
        } else {
            ("click", self.seconds.sample(&mut chance))
        };
        if chance.random::<f64>() < self.bad {
            if chance.random() { amount = -1.0 - amount } else { kind = "clack" }
        }
        write!(rows.user, "{name}-{number}")?;
        rows.user.append_value("");
        write!(rows.item, "item-{item}")?;
        rows.item.append_value("");
        rows.kind.append_value(kind);
        rows.amount.append_value((amount * 100.0).round() / 100.0);
        let at = self.time(n) - chance.random_range(0..=self.disorder);
        rows.at.append_value(at);
        write!(rows.session, "{:012x}", self.session(is_robot, number, at))?;
        rows.session.append_value("");
        write!(rows.page, "/items/{item}?from={}", CAME_FROM[aside.random_range(0..CAME_FROM.len())])?;
        rows.page.append_value("");
        Ok(())
    }

    /// 48 bits: the same for all rows of a user within a [`SESSION`].
    fn session(&self, is_robot: bool, number: u64, at: i64) -> u64 {
        let who = (number << 1) | u64::from(is_robot);
        Chance::new(self.seed ^ who, at.div_euclid(SESSION).cast_unsigned()).next_u64() >> 16
    }

    /// The newest time there is when row `n` comes.
    fn time(&self, n: u64) -> i64 {
        self.start.saturating_add(i64::try_from(n).unwrap_or(i64::MAX).saturating_mul(self.step))
    }

    /// An item's price, 1 to 100, the same in every purchase.
    fn price(&self, item: u64) -> f64 {
        1.0 + (Chance::new(!self.seed, item).random::<f64>() * 9_900.0).round() / 100.0
    }
}

fn zipf(name: &'static str, count: u64, skew: f64) -> Result<Zipf<f64>, (&'static str, String)> {
    if !(1..=1_000_000_000).contains(&count) {
        return Err((name, format!("{count} is not in 1 to 1000000000")));
    }
    Zipf::new(count as f64, skew).map_err(|_| ("skew", format!("{skew} is no exponent; write a number that is not negative")))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number from 1 to the count, which was a u64")]
fn whole(sample: f64) -> u64 {
    sample as u64
}

fn schema() -> SchemaRef {
    let columns = [
        ("user", ColumnType::Text),
        ("item", ColumnType::Text),
        ("kind", ColumnType::Text),
        ("amount", ColumnType::Float64),
        ("at", ColumnType::TimestampUtc),
        ("session", ColumnType::Text),
        ("page", ColumnType::Text),
    ];
    let field = |(name, column_type): (&str, _)| Field { name: name.into(), column_type, nullable: false }.arrow();
    Arc::new(Schema::new(columns.map(field).to_vec()))
}

struct Builders {
    user: StringBuilder,
    item: StringBuilder,
    kind: StringBuilder,
    amount: Float64Builder,
    at: TimestampMicrosecondBuilder,
    session: StringBuilder,
    page: StringBuilder,
}

impl Builders {
    fn new(rows: usize) -> Self {
        Self {
            user: StringBuilder::with_capacity(rows, rows * 10),
            item: StringBuilder::with_capacity(rows, rows * 10),
            kind: StringBuilder::with_capacity(rows, rows * 8),
            amount: Float64Builder::with_capacity(rows),
            at: TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC"),
            session: StringBuilder::with_capacity(rows, rows * 12),
            page: StringBuilder::with_capacity(rows, rows * 22),
        }
    }

    fn finish(mut self, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<arrow_array::ArrayRef> = vec![
            Arc::new(self.user.finish()),
            Arc::new(self.item.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.amount.finish()),
            Arc::new(self.at.finish()),
            Arc::new(self.session.finish()),
            Arc::new(self.page.finish()),
        ];
        RecordBatch::try_new(schema, columns)
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014), begun anew for every row: the same on every machine and in every version.
struct Chance(u64);

impl Chance {
    fn new(seed: u64, n: u64) -> Self {
        let mut first = Self(seed);
        let base = first.next_u64();
        let mut mixed = Self(base ^ n.wrapping_mul(0xd134_2543_de82_ef95));
        Self(mixed.next_u64())
    }
}

impl RngCore for Chance {
    #[allow(clippy::cast_possible_truncation, reason = "the upper half is what is asked for")]
    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}
