//! The inside of a component: what the generated exports of `export!` call. Natively only its types are checked.
//!
//! A component is one thread, and its instance is opened once. A panic leaves its message with the host, then aborts: the call traps.

use crate::aggregate::{Aggregate, AggregateOperator};
use crate::bindings::stygian::plugin::log::panicked;
use crate::contract::{Batch, CallContext, Description, FiredTimers, KeySet, KeyedBatch, SlotStates};
use crate::host::Imports;
use crate::input::Input;
use crate::keyed::{Keyed, KeyedOperator, KeyedRows, Keys};
use crate::operator::{self, Operator};
use std::cell::RefCell;
use std::rc::Rc;

/// Where a component keeps its opened operator.
#[derive(Debug)]
pub struct Instance<O>(RefCell<Option<O>>);

impl<O> Instance<O> {
    /// Not opened yet.
    pub const fn closed() -> Self {
        Self(RefCell::new(None))
    }

    fn put(&self, opened: Result<O, String>) -> Result<(), String> {
        *self.0.borrow_mut() = Some(opened?);
        Ok(())
    }

    fn with<T>(&self, work: impl FnOnce(&O) -> Result<T, String>) -> Result<T, String> {
        self.0.borrow().as_ref().map_or_else(|| Err("it was called before `open`".to_owned()), work)
    }
}

impl<O: Operator> Instance<O> {
    /// `operator.open`
    pub fn open(&self, config: &str) -> Result<(), String> {
        report_panics();
        self.put(operator::open(config))
    }

    /// `operator.process`
    ///
    /// # Safety
    /// The rows come from the host.
    #[allow(unsafe_code)]
    pub unsafe fn process(&self, input: &Batch) -> Result<(), String> {
        // SAFETY: the caller's.
        self.with(|operator| operator.process(unsafe { Input::from_host(input) }, &mut Imports))
    }
}

impl<K: Keyed> Instance<KeyedOperator<K>> {
    /// `keyed-operator.open`
    pub fn open_keyed(&self, config: &str) -> Result<(), String> {
        report_panics();
        self.put(KeyedOperator::open(config))
    }

    /// `keyed-operator.process`
    ///
    /// # Safety
    /// Rows and keys come from the host.
    #[allow(unsafe_code)]
    pub unsafe fn process_keyed(&self, context: CallContext, input: u32, batch: KeyedBatch) -> Result<(), String> {
        if input != 0 {
            return Err(format!("there is no input {input}"));
        }
        let KeyedBatch { rows, key_set, key_of_row } = batch;
        let KeySet { keys, states } = key_set;
        // SAFETY: the caller's.
        let (rows, keys) = unsafe { (Input::from_host(&rows), Input::from_host(&keys)) };
        let keys = Keys { context, keys, states, reader: Rc::new(Imports) };
        self.with(|operator| operator.process(keys, KeyedRows { rows, key_of_row: &key_of_row }, &mut Imports))
    }

    /// `keyed-operator.on-timers`
    ///
    /// # Safety
    /// The keys come from the host.
    #[allow(unsafe_code)]
    pub unsafe fn on_timers(&self, context: CallContext, fired: FiredTimers) -> Result<(), String> {
        let FiredTimers { key_set: KeySet { keys, states }, timers } = fired;
        // SAFETY: the caller's.
        let keys = Keys { context, keys: unsafe { Input::from_host(&keys) }, states, reader: Rc::new(Imports) };
        self.with(|operator| operator.on_timers(keys, &timers, &mut Imports))
    }
}

impl<A: Aggregate> Instance<AggregateOperator<A>> {
    /// `aggregate.open`
    pub fn open_aggregate(&self, config: &str) -> Result<(), String> {
        report_panics();
        self.put(AggregateOperator::open(config))
    }

    /// `aggregate.accumulate`
    ///
    /// # Safety
    /// The rows come from the host.
    #[allow(unsafe_code)]
    pub unsafe fn accumulate(&self, accumulators: &SlotStates, rows: &Batch, group_of_row: &[u32]) -> Result<SlotStates, String> {
        // SAFETY: the caller's.
        self.with(|aggregate| aggregate.accumulate(accumulators, unsafe { Input::from_host(rows) }, group_of_row))
    }

    /// `aggregate.merge`
    pub fn merge(&self, into: &SlotStates, from: &SlotStates) -> Result<SlotStates, String> {
        self.with(|aggregate| aggregate.merge(into, from))
    }

    /// `aggregate.finish`
    pub fn finish(&self, accumulators: &SlotStates) -> Result<Batch, String> {
        self.with(|aggregate| aggregate.finish(accumulators))
    }
}

/// `metadata.describe` of a keyed operator
pub fn describe_keyed<K: Keyed>(name: &str, version: &str, config: &str) -> Result<Description, String> {
    report_panics();
    KeyedOperator::<K>::describe(name, version, config)
}

/// `metadata.describe` of an aggregate
pub fn describe_aggregate<A: Aggregate>(name: &str, version: &str, config: &str) -> Result<Description, String> {
    report_panics();
    AggregateOperator::<A>::describe(name, version, config)
}

/// `metadata.describe`
pub fn describe<O: Operator>(name: &str, version: &str, config: &str) -> Result<Description, String> {
    report_panics();
    operator::describe::<O>(name, version, config)
}

fn report_panics() {
    std::panic::set_hook(Box::new(|info| panicked(&info.to_string())));
}
