//! A keyed operator under a configuration, and streams for it: rows, watermarks and processing time in an order that the test gives.

use crate::cell;
use crate::error::TestError;
use crate::harness::{Harness, object};
use crate::run::{KeyedRun, Run};
use crate::simulation::{Cut, Simulation};
use serde_json::{Map as Object, Value};
use std::fmt;
use std::marker::PhantomData;
use stygian_sdk::contract::Description;
use stygian_sdk::{Keyed, KeyedOperator, State, Stored};

/// Runs a keyed operator as the host does.
pub struct KeyedHarness<K> {
    pub(crate) config: String,
    pub(crate) description: Description,
    pub(crate) key_by: Vec<String>,
    pub(crate) event_time: Option<String>,
    operator: PhantomData<fn() -> K>,
}

impl<K> fmt::Debug for KeyedHarness<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedHarness").field("config", &self.config).field("key_by", &self.key_by).finish_non_exhaustive()
    }
}

// Derived, it would ask the same of the operator.
impl<K> Clone for KeyedHarness<K> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            description: self.description.clone(),
            key_by: self.key_by.clone(),
            event_time: self.event_time.clone(),
            operator: PhantomData,
        }
    }
}

impl Harness<()> {
    /// A keyed operator under a configuration, its rows keyed by these columns.
    #[allow(clippy::needless_pass_by_value)] // so that `json!({...})` reads well
    pub fn keyed<K: Keyed>(config: Value, key_by: &[&str]) -> Result<KeyedHarness<K>, TestError> {
        let config = config.to_string();
        let description = KeyedOperator::<K>::describe("tested", "0.0.0", &config).map_err(TestError::Config)?;
        let key_by = key_by.iter().map(|&column| column.to_owned()).collect();
        Ok(KeyedHarness { config, description, key_by, event_time: None, operator: PhantomData })
    }
}

impl<K: Keyed> KeyedHarness<K> {
    /// Says which column is the event time, from which values with a time to live count. Without one they live by processing time.
    #[must_use]
    pub fn event_time(self, column: &str) -> Self {
        Self { event_time: Some(column.to_owned()), ..self }
    }

    /// What the operator says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// A stream, to which things are added before it is run.
    pub fn stream(&self) -> Stream<K> {
        Stream { harness: self.clone(), steps: Vec::new(), stored: Vec::new(), problem: None }
    }

    /// What comes of a stream of these rows that then ends.
    pub fn run(&self, rows: impl IntoIterator<Item = Value>) -> Result<KeyedRun, TestError> {
        self.stream().rows(rows).end().run()
    }
}

/// A thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Rows(Vec<Object<String, Value>>),
    Watermark(i64),
    ProcessingTime(i64),
}

/// A value that is there before the stream begins.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    pub(crate) slot: u32,
    pub(crate) key: Vec<Value>,
    /// In the slot's present version.
    pub(crate) bytes: Vec<u8>,
}

/// What happens, in order.
#[derive(Debug)]
pub struct Stream<K> {
    harness: KeyedHarness<K>,
    steps: Vec<Step>,
    stored: Vec<Before>,
    problem: Option<TestError>,
}

impl<K: Keyed> Stream<K> {
    /// Rows arrive.
    #[must_use]
    pub fn rows(self, rows: impl IntoIterator<Item = Value>) -> Self {
        let rows = rows.into_iter().enumerate().map(object).collect::<Result<Vec<_>, _>>();
        self.step(rows.map(Step::Rows))
    }

    /// The watermark moves to this time (`"2026-01-01T00:00:00Z"`, or microseconds); event-time timers up to it fire. It never goes back.
    #[must_use]
    pub fn watermark(self, at: impl Into<Value>) -> Self {
        self.step(time(&at.into()).map(Step::Watermark))
    }

    /// Processing time moves to this time; processing-time timers up to it fire. It starts with 0 and never goes back.
    #[must_use]
    pub fn processing_time(self, at: impl Into<Value>) -> Self {
        self.step(time(&at.into()).map(Step::ProcessingTime))
    }

    /// The input ends: the last watermark, before which all event-time timers fire.
    #[must_use]
    pub fn end(self) -> Self {
        self.step(Ok(Step::Watermark(i64::MAX)))
    }

    /// The value slot of a key had this value, written by this version of the slot, before the stream begins. An older one is migrated.
    #[must_use]
    pub fn stored(mut self, key: impl IntoIterator<Item = Value>, slot: &str, version: u32, value: &impl Stored) -> Self {
        match self.migrated(key.into_iter().collect(), slot, version, value) {
            Ok(before) => self.stored.push(before),
            Err(problem) => self.refuse(problem),
        }
        self
    }

    /// Keeps the first mistake of the test for `run`.
    fn refuse(&mut self, problem: TestError) {
        self.problem.get_or_insert(problem);
    }

    fn migrated(&self, key: Vec<Value>, slot: &str, version: u32, value: &impl Stored) -> Result<Before, TestError> {
        let slots = &self.harness.description.slots;
        let found = (0_u32..).zip(slots).find(|(_, spec)| spec.name == slot);
        let (slot, spec) = found.ok_or_else(|| TestError::Config(format!("there is no slot `{slot}`")))?;
        let mut bytes = Vec::new();
        value.write(&mut bytes).map_err(TestError::Failed)?;
        if version != spec.version {
            let mut present = Vec::new();
            K::State::migrate(slot, version, &bytes, &mut present).map_err(TestError::Failed)?;
            bytes = present;
        }
        Ok(Before { slot, key, bytes })
    }

    fn step(mut self, step: Result<Step, TestError>) -> Self {
        match step {
            Ok(step) => self.steps.push(step),
            Err(problem) => self.refuse(problem),
        }
        self
    }

    /// What comes of it.
    pub fn run(self) -> Result<KeyedRun, TestError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let play = |cut| Simulation::new(&self.harness, cut, &self.stored)?.play(&self.steps);
        let run = play(Cut::Used)?;
        if !same_in_any_order(&play(Cut::Fresh)?, &run) {
            return Err(TestError::Impure { when: "on an instance that was used before" });
        }
        if !same_in_any_order(&play(Cut::OneByOne)?, &run) {
            return Err(TestError::Impure { when: "when rows and timers come one at a time" });
        }
        Ok(run)
    }
}

fn time(value: &Value) -> Result<i64, TestError> {
    let problem = || TestError::Config(format!("{value} is no time like \"2026-01-01T00:00:00Z\", and no number of microseconds"));
    cell::timestamp(value, "Z").ok_or_else(problem)
}

/// Timers of several keys may fire in another order when calls are cut in another way; all else is the same.
fn same_in_any_order(one: &KeyedRun, other: &KeyedRun) -> bool {
    let sorted = |run: &Run| {
        let texts = |rows: &[Value]| {
            let mut texts: Vec<String> = rows.iter().map(Value::to_string).collect();
            texts.sort_unstable();
            texts
        };
        run.outputs.iter().map(|(_, rows)| texts(rows)).collect::<Vec<_>>()
    };
    sorted(one) == sorted(other) && one.dead_letters == other.dead_letters && one.timers == other.timers && one.values == other.values
}
