//! One run of a stream through a keyed operator: what the host does between calls.
//!
//! Rows go to the operator with the state of their keys; a timer fires as soon as its clock has reached it, in order of time, before anything
//! else; a call's writes and timers are applied when it has succeeded.

use crate::cell;
use crate::columns;
use crate::error::TestError;
use crate::keyed::{Before, KeyedHarness, Step};
use crate::keyed_host::{Asked, KeyedRecorder, Pending, Reader, states};
use crate::run::{KeyedRun, PendingTimer};
use crate::store::{Store, Write};
use serde_json::{Map as Object, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use stygian_sdk::contract::{CallContext, Clock, Field, FiredTimer};
use stygian_sdk::{Input, InputRow, Keyed, KeyedOperator, KeyedRows, Keys, log};

type Row = Object<String, Value>;

/// Timers that may fire in a row without a row or a watermark in between: an operator that sets timers which are due always is wrong.
const MOST_FIRINGS: usize = 100_000;

/// How calls are cut, and instances made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// All that is there at once, on one instance.
    Used,
    /// The same, each call on an instance of its own.
    Fresh,
    /// A row or a timer a call, each on an instance of its own.
    OneByOne,
}

/// The world around an operator.
pub(crate) struct Simulation<'h, K: Keyed> {
    harness: &'h KeyedHarness<K>,
    cut: Cut,
    used: KeyedOperator<K>,
    key_fields: Vec<Field>,
    /// All keys there were, by their text, and in the order they came.
    key_index: BTreeMap<String, usize>,
    keys: Vec<Row>,
    store: Rc<RefCell<Store>>,
    timers: BTreeSet<Pending>,
    watermark: Option<i64>,
    processing_time: i64,
    /// The latest event time of a row.
    latest: Option<i64>,
    rows_before: usize,
    run: KeyedRun,
}

/// The keys of a call.
#[derive(Default)]
struct CallKeys {
    /// Of the whole run.
    keys: Vec<usize>,
    /// The latest time of what the call brings for each, by the clock that state lives by.
    times: Vec<Option<i64>>,
    /// The key of each row or timer.
    index: Vec<u32>,
}

impl CallKeys {
    fn add(&mut self, key: usize, time: Option<i64>) {
        let at = self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.keys.push(key);
            self.times.push(None);
            self.keys.len() - 1
        });
        self.times[at] = self.times[at].max(time);
        self.index.push(u32::try_from(at).unwrap_or(u32::MAX));
    }
}

impl<'h, K: Keyed> Simulation<'h, K> {
    pub(crate) fn new(harness: &'h KeyedHarness<K>, cut: Cut, stored: &[Before]) -> Result<Self, TestError> {
        let mut simulation = Self {
            harness,
            cut,
            used: open(harness)?,
            key_fields: key_fields::<K>(&harness.key_by)?,
            key_index: BTreeMap::new(),
            keys: Vec::new(),
            store: Rc::new(RefCell::new(Store::new(harness.description.slots.clone()))),
            timers: BTreeSet::new(),
            watermark: None,
            processing_time: 0,
            latest: None,
            rows_before: 0,
            run: KeyedRun::default(),
        };
        simulation.store.borrow_mut().now = harness.event_time.is_none().then_some(0);
        simulation.run.outputs = harness.description.outputs.iter().map(|output| (output.name.clone(), Vec::new())).collect();
        for before in stored {
            let row = harness.key_by.iter().cloned().zip(before.key.iter().cloned()).collect();
            let key = simulation.key_of(&row);
            let write = Write::Set { slot: before.slot, key, map_key: Vec::new(), bytes: Some(before.bytes.clone()) };
            simulation.store.borrow_mut().apply(write, None);
        }
        Ok(simulation)
    }

    pub(crate) fn play(mut self, steps: &[Step]) -> Result<KeyedRun, TestError> {
        for step in steps {
            match step {
                Step::Rows(rows) => self.rows(rows)?,
                Step::Watermark(at) => self.watermark = self.watermark.max(Some(*at)),
                Step::ProcessingTime(at) => self.processing_time = self.processing_time.max(*at),
            }
            self.judge_by(None);
            self.fire()?;
        }
        self.run.values = self.store.borrow().count();
        self.run.timers = self.timers.iter().map(|timer| self.pending(*timer)).collect();
        Ok(self.run)
    }

    /// Moves the time that state is judged by; at the end of the input it is that of the timers that fire.
    fn judge_by(&self, timer: Option<i64>) {
        let now = &mut self.store.borrow_mut().now;
        *now = match (&self.harness.event_time, self.watermark) {
            (None, _) => Some(self.processing_time),
            (Some(_), Some(i64::MAX)) => timer.max(*now),
            (Some(_), watermark) => watermark,
        };
    }

    fn pending(&self, (at, timer, key): Pending) -> PendingTimer {
        let name = self.harness.description.timers.get(timer as usize).map(|spec| spec.name.clone()).unwrap_or_default();
        PendingTimer { name, key: Value::Object(self.keys[key].clone()), at }
    }

    fn key_of(&mut self, row: &Row) -> usize {
        let columns = self.harness.key_by.iter();
        let key: Row = columns.map(|column| (column.clone(), row.get(column).cloned().unwrap_or(Value::Null))).collect();
        let next = self.keys.len();
        let text = Value::Object(key.clone()).to_string();
        let index = *self.key_index.entry(text).or_insert(next);
        if index == next {
            self.keys.push(key);
        }
        index
    }

    /// By the clock that state lives by.
    fn time_of(&self, row: &Row) -> Option<i64> {
        let Some(column) = &self.harness.event_time else { return Some(self.processing_time) };
        let value = row.get(column)?;
        cell::timestamp(value, "Z").or_else(|| cell::timestamp(value, ""))
    }

    /// When what a timer writes is written, by the clock that state lives by: of the other clock the timer says nothing.
    fn time_of_timer(&self, (at, timer, _): Pending) -> Option<i64> {
        let by_clock = self.clock_of(timer) == Some(Clock::ProcessingTime);
        match (&self.harness.event_time, by_clock) {
            (Some(_), false) | (None, true) => Some(at),
            (Some(_), true) => self.latest.max(self.watermark.filter(|watermark| *watermark != i64::MAX)),
            (None, false) => Some(self.processing_time),
        }
    }

    fn clock_of(&self, timer: u32) -> Option<Clock> {
        self.harness.description.timers.get(timer as usize).map(|spec| spec.clock)
    }

    fn rows(&mut self, rows: &[Row]) -> Result<(), TestError> {
        let size = if self.cut == Cut::OneByOne { 1 } else { rows.len().max(1) };
        for rows in rows.chunks(size) {
            self.call_rows(rows).map_err(|error| error.later_by(self.rows_before))?;
            self.rows_before += rows.len();
            self.fire()?;
        }
        Ok(())
    }

    fn call_rows(&mut self, rows: &[Row]) -> Result<(), TestError> {
        let mut keys = CallKeys::default();
        for row in rows {
            let (key, time) = (self.key_of(row), self.time_of(row));
            self.latest = self.latest.max(time);
            keys.add(key, time);
        }
        let batch = columns::batch(&K::Row::fields(), rows)?;
        let index = keys.index.clone();
        self.call(&keys, rows, |operator, call, host| {
            operator.process(call, KeyedRows { rows: Input::checked(&batch), key_of_row: &index }, host)
        })
    }

    /// Fires timers until none is due.
    fn fire(&mut self) -> Result<(), TestError> {
        let mut fired = 0;
        loop {
            let due = self.due();
            if due.is_empty() {
                return Ok(());
            }
            fired += due.len();
            if fired > MOST_FIRINGS {
                return Err(TestError::Failed("its timers always set timers that are due".to_owned()));
            }
            self.call_timers(&due)?;
        }
    }

    /// Takes the timers that are due.
    fn due(&mut self) -> Vec<Pending> {
        let watermark = self.watermark;
        let is_due = |(at, timer, _): &Pending| match self.clock_of(*timer) {
            Some(Clock::ProcessingTime) => *at <= self.processing_time,
            _ => watermark.is_some_and(|watermark| *at <= watermark),
        };
        let most = if self.cut == Cut::OneByOne { 1 } else { usize::MAX };
        let due: Vec<Pending> = self.timers.iter().filter(|timer| is_due(timer)).take(most).copied().collect();
        self.timers.retain(|timer| !due.contains(timer));
        due
    }

    fn call_timers(&mut self, due: &[Pending]) -> Result<(), TestError> {
        let mut keys = CallKeys::default();
        due.iter().for_each(|timer| keys.add(timer.2, self.time_of_timer(*timer)));
        self.judge_by(due.last().and_then(|timer| self.time_of_timer(*timer)));
        let fired: Vec<_> =
            due.iter().zip(&keys.index).map(|((at, timer, _), key)| FiredTimer { timer: *timer, key: *key, at: *at }).collect();
        self.call(&keys, &[], |operator, call, host| operator.on_timers(call, &fired, host))
    }

    fn call(
        &mut self,
        keys: &CallKeys,
        rows: &[Row],
        work: impl FnOnce(&KeyedOperator<K>, Keys<'_>, &mut KeyedRecorder<'_>) -> Result<(), String>,
    ) -> Result<(), TestError> {
        let key_rows: Vec<Row> = keys.keys.iter().map(|key| self.keys[*key].clone()).collect();
        let key_columns = columns::batch(&self.key_fields, &key_rows)?;
        let reader = Reader { store: Rc::clone(&self.store), keys: keys.keys.clone() };
        let call = Keys {
            context: CallContext { watermark: self.watermark, processing_time: self.processing_time },
            keys: Input::checked(&key_columns),
            states: self.states(keys),
            reader: Rc::new(reader),
        };
        let description = &self.harness.description;
        let mut host = KeyedRecorder::new(&description.outputs, &description.timers, Rc::clone(&self.store), &keys.keys, rows);
        let fresh;
        let operator = if self.cut == Cut::Used {
            &self.used
        } else {
            fresh = open(self.harness)?;
            &fresh
        };
        let (result, logs) = log::capture(|| work(operator, call, &mut host));
        result.map_err(TestError::Failed)?;
        let (run, asked) = host.finish(logs)?;
        self.run.run.append(run, self.rows_before);
        self.apply(keys, asked);
        Ok(())
    }

    fn states(&self, keys: &CallKeys) -> Vec<stygian_sdk::contract::SlotStates> {
        let store = self.store.borrow();
        let of_slot = |slot| keys.keys.iter().map(|key| store.get(slot, *key, &[])).collect::<Vec<_>>();
        store.value_slots().map(|slot| states(&of_slot(slot))).collect()
    }

    fn apply(&mut self, keys: &CallKeys, asked: Asked) {
        let time = |key: usize| keys.keys.iter().position(|known| *known == key).and_then(|at| keys.times[at]);
        for write in asked.writes {
            let (Write::Set { key, .. } | Write::Append { key, .. } | Write::Clear { key, .. }) = &write;
            let at = time(*key);
            self.store.borrow_mut().apply(write, at);
        }
        for (set, timer) in asked.timers {
            if set {
                self.timers.insert(timer)
            } else {
                self.timers.remove(&timer)
            };
        }
    }
}

fn open<K: Keyed>(harness: &KeyedHarness<K>) -> Result<KeyedOperator<K>, TestError> {
    KeyedOperator::open(&harness.config).map_err(TestError::Config)
}

/// The key's columns under the names that the test's rows have.
fn key_fields<K: Keyed>(key_by: &[String]) -> Result<Vec<Field>, TestError> {
    let fields = <K::Key<'static> as InputRow<'static>>::fields();
    if fields.len() != key_by.len() {
        return Err(TestError::Config(format!("the key has {} columns, but {} are given", fields.len(), key_by.len())));
    }
    let named = |(field, name): (Field, &String)| Field { name: name.clone(), ..field };
    Ok(fields.into_iter().zip(key_by).map(named).collect())
}
