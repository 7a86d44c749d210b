//! Why a guest call failed: the situation, the rows of the call, and what to do. A failed call has changed nothing.

use crate::LogLine;
use std::fmt;
use std::ops::Range;
use stygian_core::{ByteSize, Span};

/// A call that failed. Its instance is gone; the next call gets a fresh one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{subject}, {during}: {situation}; {hint}", subject = Subject(self), during = During(self), hint = self.hint())]
pub struct CallError {
    /// The plugin's name and version.
    pub plugin: String,
    /// The node of the pipeline; empty where a plugin is described outside of one.
    pub operator: String,
    /// The rows of the call that failed, within the batch; nothing is known of the rows behind them.
    pub rows: Range<usize>,
    /// Which of the plugin's functions failed.
    pub step: Step,
    /// What was migrated, if that failed.
    pub migrating: Option<Migrating>,
    /// What happened.
    pub situation: Situation,
    /// What the plugin had to say before.
    pub logs: Vec<LogLine>,
}

/// Values that were to be migrated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrating {
    /// Their slot.
    pub slot: String,
    /// The version that they were written in.
    pub from_version: u32,
    /// The slot's present version.
    pub to_version: u32,
    /// How many they were, of one key or several.
    pub values: usize,
}

/// A function of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Making an instance: memory, start functions.
    Instantiate,
    /// `metadata.describe`
    Describe,
    /// `operator.open`
    Open,
    /// `operator.process` or `keyed-operator.process`
    Process,
    /// `keyed-operator.on-timers`
    OnTimers,
    /// `aggregate.accumulate`
    Accumulate,
    /// `aggregate.merge`
    Merge,
    /// `aggregate.finish`
    Finish,
    /// `migration.reads`
    Reads,
    /// `migration.migrate`
    Migrate,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instantiate => "making an instance",
            Self::Describe => "`describe`",
            Self::Open => "`open`",
            Self::Process => "`process`",
            Self::OnTimers => "`on-timers`",
            Self::Accumulate => "`accumulate`",
            Self::Merge => "`merge`",
            Self::Finish => "`finish`",
            Self::Reads => "`reads`",
            Self::Migrate => "`migrate`",
        })
    }
}

struct Subject<'a>(&'a CallError);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallError { plugin, operator, .. } = self.0;
        if operator.is_empty() { write!(f, "plugin {plugin}") } else { write!(f, "operator `{operator}` (plugin {plugin})") }
    }
}

struct During<'a>(&'a CallError);

impl fmt::Display for During<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.0.rows;
        if let Some(Migrating { slot, from_version, to_version, values }) = &self.0.migrating {
            let plural = if *values == 1 { "" } else { "s" };
            return write!(f, "`migrate` of {values} value{plural} of slot `{slot}` from version {from_version} to {to_version}");
        }
        match self.0.step {
            Step::Process if start + 1 == end => write!(f, "`process` of row {start}"),
            Step::Process => write!(f, "`process` of rows {start} to {last}", last = end.saturating_sub(1)),
            // Where in a batch a slice of rows begins is the business of who keeps the accumulators.
            Step::Accumulate if start + 1 == end => write!(f, "`accumulate` of row {start} of the call"),
            Step::Accumulate => write!(f, "`accumulate` of rows {start} to {last} of the call", last = end.saturating_sub(1)),
            Step::OnTimers => count(f, self.0.step, end.saturating_sub(start), "timer"),
            Step::Merge | Step::Finish => count(f, self.0.step, end.saturating_sub(start), "accumulator"),
            other => other.fmt(f),
        }
    }
}

fn count(f: &mut fmt::Formatter<'_>, step: Step, count: usize, what: &str) -> fmt::Result {
    let plural = if count == 1 { "" } else { "s" };
    write!(f, "{step} of {count} {what}{plural}")
}

/// What went wrong in a guest.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Situation {
    /// The guest trapped: a panic, a division by zero, an access out of bounds.
    #[error("the plugin trapped: {message}{}", panic.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Trap {
        /// The trap in wasm's words.
        message: String,
        /// What the guest left to say by `log.panicked`.
        panic: Option<String>,
    },
    /// It recursed too deep.
    #[error("the plugin's call stack outgrew {limit}")]
    StackOverflow {
        /// `stack`
        limit: ByteSize,
    },
    /// It took too long.
    #[error("the plugin used {cpu} of CPU in {wall}, more than its limit ({limit})")]
    Timeout {
        /// CPU time until it was stopped.
        cpu: Span,
        /// Time by the wall clock until it was stopped.
        wall: Span,
        /// The limit that was reached.
        limit: TimeLimit,
    },
    /// It wanted more memory.
    #[error("the plugin wanted {wanted} of memory, its limit is {limit}")]
    OutOfMemory {
        /// All memories of the instance together.
        wanted: ByteSize,
        /// `memory`
        limit: ByteSize,
    },
    /// It wanted larger tables.
    #[error("the plugin wanted {wanted} table elements, its limit is {limit}")]
    TableTooLarge {
        /// All tables of the instance together.
        wanted: u64,
        /// `table_elements`
        limit: u32,
    },
    /// All instances of the pool are in use.
    #[error("all {limit} instances of the sandbox are in use")]
    TooManyInstances {
        /// `instances`
        limit: u32,
    },
    /// It put out too many rows.
    #[error("the plugin put out more than {limit} rows in one call")]
    TooManyRows {
        /// `output_rows`
        limit: u64,
    },
    /// It put out too many bytes.
    #[error("the plugin put out more than {limit} in one call")]
    TooManyBytes {
        /// `output_bytes`
        limit: ByteSize,
    },
    /// It put out too many batches.
    #[error("the plugin put out more than {limit} batches in one call")]
    TooManyBatches {
        /// `output_batches`
        limit: u32,
    },
    /// It logged too much.
    #[error("the plugin wrote more than {limit} log lines in one call")]
    TooManyLogs {
        /// `log_lines`
        limit: u32,
    },
    /// It called the host too often.
    #[error("the plugin called imported functions more than {limit} times in one call")]
    TooManyHostCalls {
        /// `host_calls`
        limit: u32,
    },
    /// It refused too many rows.
    #[error("the plugin sent more than {limit} rows to the dead letters in one call")]
    TooManyDeadLetters {
        /// `dead_letters`
        limit: u32,
    },
    /// It read or wrote too much state.
    #[error("the plugin read and wrote more than {limit} of state in one call")]
    TooMuchState {
        /// `state_bytes`
        limit: ByteSize,
    },
    /// It set or cleared too many timers.
    #[error("the plugin set and cleared more than {limit} timers in one call")]
    TooManyTimers {
        /// `timers`
        limit: u32,
    },
    /// The state refused what it read or wrote.
    #[error("the state refused it: {0}")]
    State(stygian_state::StateError),
    /// What it handed over breaks the contract.
    #[error("the plugin handed over what breaks the contract: {0}")]
    BadOutput(BadOutput),
    /// It returned an error.
    #[error("the plugin says: {0}")]
    GuestError(String),
    /// The batch is not of the schema the operator was made for: a fault of the caller.
    #[error("the batch does not have the schema the operator was made for: {0}")]
    WrongInput(String),
    /// The host could not do its part.
    #[error("the sandbox failed: {0}")]
    Host(String),
}

/// Which limit of time a call reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// `call_cpu`
    Cpu(Span),
    /// `call_wall`
    Wall(Span),
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(span) => write!(f, "call_cpu = {span}"),
            Self::Wall(span) => write!(f, "call_wall = {span}"),
        }
    }
}

impl From<stygian_state::StateError> for Situation {
    fn from(error: stygian_state::StateError) -> Self {
        Self::State(error)
    }
}

impl CallError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        let aggregates = matches!(self.step, Step::Accumulate | Step::Merge | Step::Finish);
        match &self.situation {
            Situation::Trap { panic: Some(_), .. } if aggregates => {
                "the plugin panicked: fix it, or keep such rows from it by a `filter` before the window"
            }
            Situation::GuestError(_) if aggregates => "the plugin refused it; keep such rows from it by a `filter` before the window",
            situation => situation.hint(),
        }
    }
}

impl Situation {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Trap { panic: Some(_), .. } => "the plugin panicked: fix it, or let it send such rows to the dead letters",
            Self::Trap { panic: None, .. } => "a fault of the plugin; `stygian plugin test` runs it on a file of rows",
            Self::StackOverflow { .. } => "the plugin recurses without end or too deep for the sandbox",
            Self::Timeout { .. } => "the plugin loops or is slow; where it needs the time, raise `call_cpu` or lower `rows_per_call`",
            Self::OutOfMemory { .. } => "the plugin leaks or keeps a lot; where it needs the memory, raise `memory`",
            Self::TableTooLarge { .. } => "raise `table_elements`",
            Self::TooManyInstances { .. } => "raise `instances` of the sandbox, or lower the parallelism",
            Self::TooManyRows { .. } => "where it multiplies rows that much, raise `output_rows` or lower `rows_per_call`",
            Self::TooManyBytes { .. } => "where it makes that much, raise `output_bytes` or lower `rows_per_call`",
            Self::TooManyBatches { .. } => "the plugin should emit one batch a call and output",
            Self::TooManyLogs { .. } => "the plugin should log once a call, not once a row",
            Self::TooManyHostCalls { .. } => "the plugin should hand over whole columns, not rows",
            Self::TooManyDeadLetters { .. } => "raise `dead_letters` if so many rows may be bad",
            Self::TooMuchState { .. } => "where it needs that much, raise `state_bytes` or lower `rows_per_call`; scan in pages",
            Self::TooManyTimers { .. } => "one timer a key is most often enough; else raise `timers` or lower `rows_per_call`",
            Self::State(_) => "see the reason",
            Self::BadOutput(_) => "a fault of the plugin or of the SDK it was built with: build it anew with the present SDK",
            Self::GuestError(_) => "the plugin refused the whole call; its author knows what the text means",
            Self::WrongInput(_) => "a fault of the host: please report it",
            Self::Host(_) => "see the reason; if there is none to see, please report it",
        }
    }
}

/// What exactly is wrong with something a guest handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOutput {
    /// There is no such output.
    #[error("output {index} does not exist, `describe` declared {declared}")]
    NoSuchOutput {
        /// The index it used.
        index: u32,
        /// How many there are.
        declared: usize,
    },
    /// `select` on an output that is not `selected`, or `emit` on one that is.
    #[error("`{function}` was called for output `{output}`, which `describe` declared as {shape}")]
    WrongShape {
        /// The imported function.
        function: &'static str,
        /// The output's name.
        output: String,
        /// Its shape.
        shape: &'static str,
    },
    /// Not as many columns as declared.
    #[error("output `{output}` has {expected} columns, a batch with {found} was emitted")]
    ColumnCount {
        /// The output's name.
        output: String,
        /// As declared.
        expected: usize,
        /// As emitted.
        found: usize,
    },
    /// Something about one column.
    #[error("column `{column}`: {fault}")]
    Column {
        /// The column's name.
        column: String,
        /// What about it.
        fault: ColumnFault,
    },
    /// A row index that is no row of the call.
    #[error("row {row} in `{function}` does not exist, the call has {rows} rows")]
    NoSuchRow {
        /// The imported function.
        function: &'static str,
        /// The index.
        row: u32,
        /// How many rows the call has.
        rows: u32,
    },
    /// Indices that go back or repeat.
    #[error("row {row} follows row {previous} in `{function}`: rows must be strictly ascending within a call")]
    NotAscending {
        /// The imported function.
        function: &'static str,
        /// The index before.
        previous: u32,
        /// The index.
        row: u32,
    },
    /// A row was refused twice.
    #[error("row {row} was sent to the dead letters twice")]
    DeadTwice {
        /// The index.
        row: u32,
    },
    /// Parents that do not fit the rows.
    #[error("{parents} parents were given for {rows} rows of output `{output}`")]
    ParentCount {
        /// The output's name.
        output: String,
        /// How many parents (the call's rows where none were given).
        parents: usize,
        /// How many rows.
        rows: u32,
    },
    /// Parents where there are none.
    #[error("parents were given for output `{output}`, whose rows have none (its shape is own)")]
    NeedlessParents {
        /// The output's name.
        output: String,
    },
    /// There is no such slot.
    #[error("slot {index} in `{function}` does not exist, `describe` declared {declared}")]
    NoSuchSlot {
        /// The imported function.
        function: &'static str,
        /// The index it used.
        index: u32,
        /// How many there are.
        declared: usize,
    },
    /// A function that a slot of this kind does not have.
    #[error("`{function}` was called for slot `{slot}`, which `describe` declared as a {kind}")]
    WrongSlot {
        /// The imported function.
        function: &'static str,
        /// The slot's name.
        slot: String,
        /// Its kind.
        kind: &'static str,
    },
    /// A key index that is no key of the call.
    #[error("key {key} in `{function}` does not exist, the call has {keys} keys")]
    NoSuchKey {
        /// The imported function.
        function: &'static str,
        /// The index.
        key: u32,
        /// How many keys the call has.
        keys: usize,
    },
    /// Lists that should be of one length.
    #[error("`{function}` was given {found} values for {expected} keys")]
    ValueCount {
        /// The imported function.
        function: &'static str,
        /// As due.
        expected: usize,
        /// As given.
        found: usize,
    },
    /// `migrate` gave more or fewer values than it got.
    #[error("`migrate` returned {found} values for {expected}")]
    MigratedCount {
        /// As due.
        expected: usize,
        /// As returned.
        found: usize,
    },
    /// There is no such timer.
    #[error("timer {index} does not exist, `describe` declared {declared}")]
    NoSuchTimer {
        /// The index it used.
        index: u32,
        /// How many there are.
        declared: usize,
    },
    /// `emit`, `select`, `dead-letter` or a function of state outside of a call on rows or timers.
    #[error("`{function}` was called outside `process`")]
    OutsideProcess {
        /// The imported function.
        function: &'static str,
    },
    /// A text that is not UTF-8 or not within the guest's memory, a list that is not, an unknown variant.
    #[error("{0}")]
    Malformed(String),
}

/// What is wrong with a column a guest handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnFault {
    /// Values of another type.
    #[error("declared as {expected}, but its values are {found}")]
    Type {
        /// As declared.
        expected: String,
        /// As handed over.
        found: &'static str,
    },
    /// Too few or too many values, bytes of a bitmap, or offsets.
    #[error("{expected} {what} were due, {found} were given")]
    Length {
        /// Of what.
        what: &'static str,
        /// As due.
        expected: usize,
        /// As given.
        found: usize,
    },
    /// Offsets that go back, are negative, or end behind the bytes.
    #[error("offset {index} is {offset}, outside of {least} to {most}")]
    Offset {
        /// Which offset.
        index: usize,
        /// The offset.
        offset: i32,
        /// The offset before it, or 0.
        least: i32,
        /// The number of bytes.
        most: usize,
    },
    /// Text that is not UTF-8.
    #[error("row {row} is not UTF-8")]
    NotUtf8 {
        /// The row within the emitted batch.
        row: usize,
    },
    /// A null where there may be none.
    #[error("row {row} is null, but the column is declared as `not null`")]
    Null {
        /// The row within the emitted batch.
        row: usize,
    },
    /// A decimal with too many digits.
    #[error("row {row} has more than {precision} digits")]
    TooManyDigits {
        /// The row within the emitted batch.
        row: usize,
        /// As declared.
        precision: u8,
    },
}
