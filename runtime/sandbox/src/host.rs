//! The host's side of a call: what a guest calls by import, counted, checked and buffered until the call returns ok.
//!
//! A guest that breaks a rule leaves a [`Situation`] behind (the first one counts) and traps.

use crate::call::{DeadRow, LogLevel, LogLine, Piece};
use crate::clock::CallClock;
use crate::lift::{Declared, bytes_of};
use crate::migrate::Migrator;
use crate::wire::{Level, OutBatch};
use crate::{BadOutput, Limits, Situation};
use arrow_array::UInt32Array;
use std::sync::Arc;
use stygian_core::{ByteSize, OutputShape, OutputSpec, escape};
use stygian_state::StateCall;
use stygian_wit::interface;
use wasmtime::component::{Linker, WasmStr};
use wasmtime::{ResourceLimiter, StoreContextMut};

/// An output as declared, prepared for checks.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) kind: OutputKind,
}

#[derive(Clone, Debug)]
pub(crate) enum OutputKind {
    Selected,
    Extended(Declared),
    Own(Declared),
}

impl Output {
    pub(crate) fn new(spec: &OutputSpec) -> Self {
        let name = escape(&spec.name, 64);
        let kind = match &spec.shape {
            OutputShape::Selected => OutputKind::Selected,
            OutputShape::Extended(fields) => OutputKind::Extended(Declared::new(&name, fields)),
            OutputShape::Own(fields) => OutputKind::Own(Declared::new(&name, fields)),
        };
        Self { name, kind }
    }

    fn shape(&self) -> &'static str {
        match self.kind {
            OutputKind::Selected => "selected",
            OutputKind::Extended(_) => "extended",
            OutputKind::Own(_) => "own",
        }
    }
}

/// What a call has handed over so far.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// Per output, rows of `select`.
    pub(crate) selected: Vec<Vec<u32>>,
    /// Per output, batches of `emit`.
    pub(crate) emitted: Vec<Vec<Piece>>,
    pub(crate) dead: Vec<DeadRow>,
}

impl Handed {
    /// Nothing for so many outputs.
    fn clear(&mut self, outputs: usize) {
        self.selected.iter_mut().for_each(Vec::clear);
        self.emitted.iter_mut().for_each(Vec::clear);
        self.selected.resize_with(outputs, Vec::new);
        self.emitted.resize_with(outputs, Vec::new);
        self.dead.clear();
    }
}

/// The data of a store: limits, and the call that runs.
#[derive(Debug)]
pub(crate) struct HostState {
    pub(crate) limits: Arc<Limits>,
    outputs: Arc<[Output]>,
    /// None outside `process`.
    rows: Option<u32>,
    pub(crate) handed: Handed,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) panic: Option<String>,
    pub(crate) fault: Option<Situation>,
    pub(crate) clock: CallClock,
    /// The state of a keyed call while it runs.
    pub(crate) keyed: Option<StateCall>,
    /// Who migrates what that call reads.
    pub(crate) migrator: Option<Box<Migrator>>,
    memory: usize,
    table: usize,
    pub(crate) used: Used,
}

/// What a call has used of its limits.
#[derive(Debug, Default)]
pub(crate) struct Used {
    host_calls: u32,
    rows: u64,
    bytes: u64,
    batches: u32,
    log_lines: u32,
    pub(crate) state_bytes: u64,
    pub(crate) timers: u32,
}

pub(crate) type Checked = Result<(), Situation>;

impl HostState {
    pub(crate) fn new(limits: Arc<Limits>, outputs: Arc<[Output]>) -> Self {
        Self {
            limits,
            outputs,
            rows: None,
            handed: Handed::default(),
            logs: Vec::new(),
            panic: None,
            fault: None,
            clock: CallClock::default(),
            keyed: None,
            migrator: None,
            memory: 0,
            table: 0,
            used: Used::default(),
        }
    }

    /// Begins a call; `rows` for `process` alone.
    pub(crate) fn begin(&mut self, rows: Option<u32>) {
        self.rows = rows;
        self.handed.clear(self.outputs.len());
        (self.panic, self.fault) = (None, None);
        (self.clock, self.used) = (CallClock::default(), Used::default());
    }

    /// The first fault stays; later ones follow from it.
    pub(crate) fn refuse(&mut self, situation: Situation) -> wasmtime::Error {
        self.fault.get_or_insert(situation);
        wasmtime::Error::msg("refused by the host")
    }

    pub(crate) fn checked<T>(&mut self, result: Result<T, Situation>) -> wasmtime::Result<T> {
        result.map_err(|situation| self.refuse(situation))
    }

    pub(crate) fn count_call(&mut self) -> Checked {
        let limit = self.limits.host_calls;
        self.used.host_calls += 1;
        if self.used.host_calls > limit { Err(Situation::TooManyHostCalls { limit }) } else { Ok(()) }
    }

    fn count_bytes(&mut self, bytes: usize) -> Checked {
        let limit = self.limits.output_bytes;
        self.used.bytes = self.used.bytes.saturating_add(bytes as u64);
        if self.used.bytes > limit.0 { Err(Situation::TooManyBytes { limit }) } else { Ok(()) }
    }

    fn count_rows(&mut self, rows: usize) -> Checked {
        let limit = self.limits.output_rows;
        self.used.rows = self.used.rows.saturating_add(rows as u64);
        if self.used.rows > limit { Err(Situation::TooManyRows { limit }) } else { Ok(()) }
    }

    fn count_batch(&mut self) -> Checked {
        let limit = self.limits.output_batches;
        self.used.batches += 1;
        if self.used.batches > limit { Err(Situation::TooManyBatches { limit }) } else { Ok(()) }
    }

    fn rows(&self, function: &'static str) -> Result<u32, BadOutput> {
        self.rows.ok_or(BadOutput::OutsideProcess { function })
    }

    fn output(&self, index: u32) -> Result<(usize, &Output), BadOutput> {
        let missing = BadOutput::NoSuchOutput { index, declared: self.outputs.len() };
        let index = index as usize;
        self.outputs.get(index).map(|output| (index, output)).ok_or(missing)
    }

    fn select(&mut self, output: u32, rows: Vec<u32>) -> Checked {
        const FUNCTION: &str = "select";
        self.count_call()?;
        let most = self.rows(FUNCTION)?;
        let (index, output) = self.output(output)?;
        if !matches!(output.kind, OutputKind::Selected) {
            return Err(BadOutput::WrongShape { function: FUNCTION, output: output.name.clone(), shape: output.shape() }.into());
        }
        self.count_batch()?;
        self.count_rows(rows.len())?;
        self.count_bytes(size_of_val(rows.as_slice()))?;
        let Some(selected) = self.handed.selected.get_mut(index) else { return Ok(()) };
        check_ascending(FUNCTION, most, selected.last().copied(), &rows)?;
        if selected.is_empty() {
            *selected = rows;
        } else {
            selected.extend(rows);
        }
        Ok(())
    }

    fn emit(&mut self, output: u32, batch: OutBatch, parents: Option<Vec<u32>>) -> Checked {
        const FUNCTION: &str = "emit";
        self.count_call()?;
        let most = self.rows(FUNCTION)?;
        self.count_batch()?;
        self.count_rows(batch.rows as usize)?;
        let parent_bytes = parents.as_deref().map_or(0, size_of_val);
        self.count_bytes(batch.columns.iter().map(bytes_of).sum::<usize>() + parent_bytes)?;
        let (index, output) = self.output(output)?;
        let rows = match &output.kind {
            OutputKind::Selected => {
                return Err(BadOutput::WrongShape { function: FUNCTION, output: output.name.clone(), shape: output.shape() }.into());
            }
            OutputKind::Extended(declared) => {
                check_parents(output, most, batch.rows, parents.as_deref())?;
                declared.check(batch)?
            }
            OutputKind::Own(_) if parents.is_some() => return Err(BadOutput::NeedlessParents { output: output.name.clone() }.into()),
            OutputKind::Own(declared) => declared.check(batch)?,
        };
        let piece = Piece::Emitted { rows, parents: parents.map(UInt32Array::from) };
        if let Some(emitted) = self.handed.emitted.get_mut(index) {
            emitted.push(piece);
        }
        Ok(())
    }

    fn dead_letter(&mut self, row: u32, reason: &str) -> Checked {
        const FUNCTION: &str = "dead-letter";
        self.count_call()?;
        let rows = self.rows(FUNCTION)?;
        self.count_bytes(reason.len())?;
        let limit = self.limits.dead_letters;
        if self.handed.dead.len() >= limit as usize {
            return Err(Situation::TooManyDeadLetters { limit });
        }
        if row >= rows {
            return Err(BadOutput::NoSuchRow { function: FUNCTION, row, rows }.into());
        }
        let reason = cut(reason, self.limits.reason_bytes);
        self.handed.dead.push(DeadRow { row, reason });
        Ok(())
    }

    fn log(&mut self, level: Level, message: &str) -> Checked {
        self.count_call()?;
        self.count_bytes(message.len())?;
        let limit = self.limits.log_lines;
        self.used.log_lines += 1;
        if self.used.log_lines > limit {
            return Err(Situation::TooManyLogs { limit });
        }
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        let message = cut(message, self.limits.log_line_bytes);
        self.logs.push(LogLine { level, message });
        Ok(())
    }

    fn panicked(&mut self, message: &str) -> Checked {
        self.count_call()?;
        self.count_bytes(message.len())?;
        self.panic = Some(cut(message, self.limits.log_line_bytes));
        Ok(())
    }
}

impl From<BadOutput> for Situation {
    fn from(bad: BadOutput) -> Self {
        Self::BadOutput(bad)
    }
}

/// The first bytes of a guest's text, escaped.
pub(crate) fn cut(text: &str, limit: ByteSize) -> String {
    let end = text.floor_char_boundary(limit.as_usize());
    let mut out = escape(&text[..end], usize::MAX);
    if end < text.len() {
        out.push_str("...");
    }
    out
}

fn check_ascending(function: &'static str, most: u32, mut previous: Option<u32>, rows: &[u32]) -> Result<(), BadOutput> {
    for row in rows.iter().copied() {
        if let Some(previous) = previous
            && previous >= row
        {
            return Err(BadOutput::NotAscending { function, previous, row });
        }
        previous = Some(row);
    }
    // The last is the greatest.
    match rows.last() {
        Some(last) if *last >= most => {
            let row = rows.iter().copied().find(|row| *row >= most).unwrap_or(*last);
            Err(BadOutput::NoSuchRow { function, row, rows: most })
        }
        _ => Ok(()),
    }
}

fn check_parents(output: &Output, most: u32, rows: u32, parents: Option<&[u32]>) -> Result<(), BadOutput> {
    let count = parents.map_or(most as usize, <[u32]>::len);
    if count != rows as usize {
        return Err(BadOutput::ParentCount { output: output.name.clone(), parents: count, rows });
    }
    match parents.and_then(|parents| parents.iter().copied().find(|row| *row >= most)) {
        Some(row) => Err(BadOutput::NoSuchRow { function: "emit", row, rows: most }),
        None => Ok(()),
    }
}

impl ResourceLimiter for HostState {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        if wanted > self.limits.memory.as_usize() {
            // A trap at once, rather than a failed `memory.grow`: what guests make of that is seldom clear.
            return Err(self.refuse(Situation::OutOfMemory { wanted: ByteSize(wanted as u64), limit: self.limits.memory }));
        }
        self.memory = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.table.saturating_add(desired.saturating_sub(current));
        if wanted > self.limits.table_elements as usize {
            return Err(self.refuse(Situation::TableTooLarge { wanted: wanted as u64, limit: self.limits.table_elements }));
        }
        self.table = wanted;
        Ok(true)
    }
}

pub(crate) type Context<'a> = StoreContextMut<'a, HostState>;

/// Gives a linker the imports of operators.
pub(crate) fn add_imports(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut output = linker.instance(&interface("output"))?;
    output.func_wrap("select", |mut cx: Context<'_>, (output, rows): (u32, Vec<u32>)| {
        let result = cx.data_mut().select(output, rows);
        cx.data_mut().checked(result)
    })?;
    output.func_wrap("emit", |mut cx: Context<'_>, (output, batch, parents): (u32, OutBatch, Option<Vec<u32>>)| {
        let result = cx.data_mut().emit(output, batch, parents);
        cx.data_mut().checked(result)
    })?;
    output.func_wrap("dead-letter", |cx: Context<'_>, (row, reason): (u32, WasmStr)| {
        with_text(cx, &reason, |host, reason| host.dead_letter(row, reason))
    })?;
    let mut log = linker.instance(&interface("log"))?;
    log.func_wrap("write", |cx: Context<'_>, (level, message): (Level, WasmStr)| {
        with_text(cx, &message, |host, message| host.log(level, message))
    })?;
    log.func_wrap("panicked", |cx: Context<'_>, (message,): (WasmStr,)| with_text(cx, &message, HostState::panicked))
}

fn with_text(mut cx: Context<'_>, text: &WasmStr, act: impl FnOnce(&mut HostState, &str) -> Checked) -> wasmtime::Result<()> {
    let text = match text.to_str(&cx) {
        Ok(text) => text.into_owned(),
        Err(error) => {
            let bad = BadOutput::Malformed(format!("a text that is not one: {error}"));
            return Err(cx.data_mut().refuse(bad.into()));
        }
    };
    let result = act(cx.data_mut(), &text);
    cx.data_mut().checked(result)
}
