//! Keyed operators: state and timers by key.

use crate::contract::{CallContext, Description, FiredTimer, InputSpec, RequestedLimits, SlotStates};
use crate::host::{KeyedHost, StateReader};
use crate::input::Input;
use crate::operator::{self, INPUT};
use crate::output::{NO_ROW, Outputs};
use crate::reject::Reject;
use crate::row::InputRow;
use crate::state::{State, StateCall};
use crate::timers::{TimerCalls, Timers};
use crate::types::TimestampUtc;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// Works on rows with the state of their key. The pipeline says by which columns (`key_by`); rows of one key come in the order of the stream.
pub trait Keyed: Sized + 'static {
    /// What the pipeline's `config` table holds; [`crate::NoConfig`] for nothing.
    type Config: DeserializeOwned;

    /// The key: the value of one column (`&'a str`, `i64` ...), or a struct with `#[derive(Row)]` and a field for each column of `key_by`, in that
    /// order, under any name.
    type Key<'a>: InputRow<'a>
    where
        Self: 'a;

    /// The columns that are read.
    type Row<'a>: InputRow<'a>
    where
        Self: 'a;

    /// What is kept for a key: a struct with `#[derive(State)]`, or [`crate::NoState`].
    type State: State;

    /// The timers of a key: an enum with `#[derive(Timers)]`, or [`crate::NoTimers`].
    type Timers: Timers;

    /// The outputs: one, or a struct with `#[derive(Outputs)]`. Rows may borrow from key, row and operator.
    type Outputs<'a>: Outputs
    where
        Self: 'a;

    /// Makes an instance. An error says what is wrong with the configuration.
    fn open(config: Self::Config) -> Result<Self, String>;

    /// Works on one row. A [`Reject`] sends it to the dead letters and takes back all it did: to state, timers and outputs.
    fn row<'a>(&'a self, row: Self::Row<'a>, cx: &mut Context<'a, Self>) -> Result<(), Reject>;

    /// Works on a timer that has fired, `at` being the time it was set for. No row belongs to it: outputs take new rows only ([`crate::Output`]).
    /// An error fails the call. Operators that set timers have to say what they are for; without that the first one fails the call.
    fn timer<'a>(&'a self, timer: Self::Timers, at: TimestampUtc, cx: &mut Context<'a, Self>) -> Result<(), String> {
        let _ = (at, cx);
        let specs = Self::Timers::specs();
        let name = usize::try_from(timer.index()).ok().and_then(|index| specs.get(index)).map_or("", |spec| spec.name.as_str());
        Err(format!("the timer `{name}` has fired, but the operator has no method `timer`"))
    }
}

/// What a row, or a timer, is worked on with.
pub struct Context<'a, K: Keyed> {
    /// The key.
    pub key: K::Key<'a>,
    /// What is kept for the key.
    pub state: K::State,
    /// Sets and clears timers of the key.
    pub timers: TimerCalls<K::Timers>,
    /// Where rows go.
    pub out: K::Outputs<'a>,
    /// No row earlier than this event time is expected any more; none before the first watermark.
    pub watermark: Option<TimestampUtc>,
    /// The same for all rows of a call.
    pub processing_time: TimestampUtc,
}

impl<K: Keyed> fmt::Debug for Context<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("watermark", &self.watermark)
            .field("processing_time", &self.processing_time)
            .finish_non_exhaustive()
    }
}

impl<K: Keyed> Context<'_, K> {
    #[inline]
    fn begin_row(&mut self, key: u32, row: u32) {
        self.state.begin_row(key);
        self.timers.begin_row(key);
        self.out.begin_row(row);
    }

    #[cold]
    fn undo_row(&mut self) {
        self.state.undo_row();
        self.timers.undo_row();
        self.out.undo_row();
    }
}

/// The keys of a call with what comes with them.
pub struct Keys<'a> {
    /// Watermark and processing time.
    pub context: CallContext,
    /// The key columns, one row a distinct key.
    pub keys: Input<'a>,
    /// The state of each key, a value slot after the other.
    pub states: Vec<SlotStates>,
    /// Reads list and map slots.
    pub reader: Rc<dyn StateReader>,
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("context", &self.context).field("keys", &self.keys.rows()).finish_non_exhaustive()
    }
}

/// The rows of a call.
#[derive(Clone, Copy, Debug)]
pub struct KeyedRows<'a> {
    /// Their columns.
    pub rows: Input<'a>,
    /// The key index of each.
    pub key_of_row: &'a [u32],
}

/// A keyed operator over batches.
pub struct KeyedOperator<K: Keyed> {
    operator: K,
    /// Buffers, kept from call to call; what is in them is not.
    state: RefCell<K::State>,
}

impl<K: Keyed> fmt::Debug for KeyedOperator<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedOperator").finish_non_exhaustive()
    }
}

impl<K: Keyed> KeyedOperator<K> {
    /// Makes an instance from a configuration as JSON.
    pub fn open(config: &str) -> Result<Self, String> {
        let operator = K::open(operator::parse_config(config)?)?;
        Ok(Self { operator, state: RefCell::new(K::State::closed()) })
    }

    /// What the operator is under a configuration, which is tried by opening an instance.
    pub fn describe(name: &str, version: &str, config: &str) -> Result<Description, String> {
        Self::open(config)?;
        Ok(Description {
            name: name.to_owned(),
            version: version.to_owned(),
            inputs: vec![InputSpec { name: INPUT.to_owned(), columns: K::Row::fields(), key: K::Key::fields() }],
            outputs: <K::Outputs<'static>>::specs(),
            slots: K::State::slots(),
            timers: K::Timers::specs(),
            limits: RequestedLimits { memory_bytes: None, call_cpu_millis: None },
        })
    }

    /// Works on a call's rows. An error fails the call; of such a call nothing is applied. A call without rows checks key and columns only.
    pub fn process<'a>(&'a self, keys: Keys<'a>, input: KeyedRows<'a>, host: &mut dyn KeyedHost) -> Result<(), String> {
        let rows = input.rows.rows();
        let columns = K::Row::bind(input.rows)?;
        let key_columns = bind_keys::<K>(keys.keys)?;
        let key_of_row = input.key_of_row.get(..rows as usize).ok_or("fewer key indices than rows were passed")?;
        let Some(first) = key_of_row.first() else { return Ok(()) };
        let mut cx = self.begin(keys, K::Key::read(&key_columns, *first as usize), rows)?;
        // One place that calls the author's code, so that the compiler puts it here.
        for (row, key) in (0..rows).zip(key_of_row.iter().copied()) {
            cx.key = K::Key::read(&key_columns, key as usize);
            cx.begin_row(key, row);
            if let Err(reject) = self.operator.row(K::Row::read(&columns, row as usize), &mut cx) {
                cx.undo_row();
                host.dead_letter(row, reject.reason());
            }
        }
        self.end(cx, rows, host)
    }

    /// Works on timers that are due, ascending by time.
    pub fn on_timers<'a>(&'a self, keys: Keys<'a>, fired: &[FiredTimer], host: &mut dyn KeyedHost) -> Result<(), String> {
        let key_columns = bind_keys::<K>(keys.keys)?;
        let Some(first) = fired.first() else { return Ok(()) };
        let context = keys.context;
        let mut cx = self.begin(keys, K::Key::read(&key_columns, first.key as usize), 0)?;
        cx.timers.begin_firing(fired, &context);
        while let Some(timer) = cx.timers.next_due() {
            let name = K::Timers::from_index(timer.timer).ok_or_else(|| format!("there is no timer {}", timer.timer))?;
            cx.key = K::Key::read(&key_columns, timer.key as usize);
            cx.begin_row(timer.key, NO_ROW);
            self.operator.timer(name, TimestampUtc(timer.at), &mut cx)?;
        }
        self.end(cx, 0, host)
    }

    fn begin<'a>(&'a self, keys: Keys<'a>, key: K::Key<'a>, rows: u32) -> Result<Context<'a, K>, String> {
        let mut state = self.state.replace(K::State::closed());
        state.begin(&mut StateCall::new(keys.keys.rows() as usize, keys.states, keys.reader))?;
        Ok(Context {
            key,
            state,
            timers: TimerCalls::new(),
            out: <K::Outputs<'a>>::with_capacity(rows as usize),
            watermark: keys.context.watermark.map(TimestampUtc),
            processing_time: TimestampUtc(keys.context.processing_time),
        })
    }

    fn end(&self, mut cx: Context<'_, K>, rows: u32, host: &mut dyn KeyedHost) -> Result<(), String> {
        cx.state.flush(host)?;
        cx.timers.flush(host);
        cx.out.flush(rows, host)?;
        self.state.replace(cx.state);
        Ok(())
    }
}

/// Says of a column that it is one of the key: the pipeline's `key_by` does not fit.
fn bind_keys<'a, K: Keyed + 'a>(keys: Input<'a>) -> Result<<K::Key<'a> as InputRow<'a>>::Columns, String> {
    K::Key::bind(keys).map_err(|problem| format!("the key does not fit `key_by`: {problem}"))
}
