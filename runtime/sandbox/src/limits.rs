//! Every limit of a plugin, with meaning, unit and default. A guest that reaches one gets the error that names it.
//!
//! Limits are of one guest call unless they say otherwise; a batch is cut into slices of `rows_per_call` and `bytes_per_call`, one call each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stygian_core::{ByteSize, Span};

/// What a plugin may use. Unknown keys are refused when it is read from a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Rows handed to one guest call; 4,096 by default. More cost cache misses; of fewer each pays more of the price of a call, and keys that come
    /// again are looked up again.
    pub rows_per_call: u32,
    /// Bytes of the columns handed to one guest call, 256 KiB by default. One row that is larger makes a call of its own.
    pub bytes_per_call: ByteSize,
    /// Linear memory of an instance, 64 MiB by default. Raise it for plugins with large tables in memory.
    pub memory: ByteSize,
    /// Elements of all function tables of an instance, 20,000 by default. Large interpreters may need more.
    pub table_elements: u32,
    /// CPU time of one call, 1 second by default; measured every 10 ms. The migrations of a call share as much again.
    pub call_cpu: Span,
    /// Time of one call by the wall clock, 10 seconds by default: only reached where the machine is so loaded that the call hardly ran.
    pub call_wall: Span,
    /// Calls of imported functions in one call, 10,000 by default.
    pub host_calls: u32,
    /// Rows emitted and selected in one call, 1,000,000 by default. Raise it for flat-maps that multiply rows.
    pub output_rows: u64,
    /// Bytes handed over in one call (columns, selections, reasons and log lines), 16 MiB by default.
    pub output_bytes: ByteSize,
    /// Batches emitted in one call, 1,000 by default; also of selections. Empty ones count.
    pub output_batches: u32,
    /// Rows sent to the dead letters in one call, 4,096 by default.
    pub dead_letters: u32,
    /// Bytes of state read through the host and written in one call, 16 MiB by default, the key of each timer that is set included; what
    /// comes with the call does not count. What the migrations of a call make may be as much again.
    pub state_bytes: ByteSize,
    /// Timers set and cleared in one call, 100,000 by default.
    pub timers: u32,
    /// Bytes kept of one dead letter's reason, 1 KiB by default; the rest is cut.
    pub reason_bytes: ByteSize,
    /// Log lines of one call, 100 by default.
    pub log_lines: u32,
    /// Bytes kept of one log line, panic or error message, 4 KiB by default; the rest is cut.
    pub log_line_bytes: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows_per_call: 4096,
            bytes_per_call: ByteSize::kib(256),
            memory: ByteSize::mib(64),
            table_elements: 20_000,
            call_cpu: Span::secs(1),
            call_wall: Span::secs(10),
            host_calls: 10_000,
            output_rows: 1_000_000,
            output_bytes: ByteSize::mib(16),
            output_batches: 1000,
            dead_letters: 4096,
            state_bytes: ByteSize::mib(16),
            timers: 100_000,
            reason_bytes: ByteSize::kib(1),
            log_lines: 100,
            log_line_bytes: ByteSize::kib(4),
        }
    }
}

impl Limits {
    /// The smaller one of each limit.
    #[must_use]
    pub(crate) fn capped(self, most: &Self) -> Self {
        Self {
            rows_per_call: self.rows_per_call.min(most.rows_per_call),
            bytes_per_call: self.bytes_per_call.min(most.bytes_per_call),
            memory: self.memory.min(most.memory),
            table_elements: self.table_elements.min(most.table_elements),
            call_cpu: self.call_cpu.min(most.call_cpu),
            call_wall: self.call_wall.min(most.call_wall),
            host_calls: self.host_calls.min(most.host_calls),
            output_rows: self.output_rows.min(most.output_rows),
            output_bytes: self.output_bytes.min(most.output_bytes),
            output_batches: self.output_batches.min(most.output_batches),
            dead_letters: self.dead_letters.min(most.dead_letters),
            state_bytes: self.state_bytes.min(most.state_bytes),
            timers: self.timers.min(most.timers),
            reason_bytes: self.reason_bytes.min(most.reason_bytes),
            log_lines: self.log_lines.min(most.log_lines),
            log_line_bytes: self.log_line_bytes.min(most.log_line_bytes),
        }
    }
}

/// What compiling a component may use; of the process that compiles, not of ours.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompileLimits {
    /// Size of a component's file, 32 MiB by default.
    pub component: ByteSize,
    /// Address space of the compiler, 1 GiB by default.
    pub memory: ByteSize,
    /// Time the compiler may take, of the CPU and by the wall clock, 60 seconds by default.
    pub time: Span,
    /// Size of the compiled code, 256 MiB by default.
    pub compiled: ByteSize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { component: ByteSize::mib(32), memory: ByteSize::mib(1024), time: Span::secs(60), compiled: ByteSize::mib(256) }
    }
}

/// What all plugins of a sandbox share; fixed when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolLimits {
    /// Instances that may be alive at once, 128 by default: one each subtask of a plugin operator, another one while
    /// it migrates state, and one while a plugin is described.
    /// Each reserves 4 GiB of address space (not of memory).
    pub instances: u32,
    /// The most memory that [`Limits::memory`] may grant an instance, 1 GiB by default.
    pub memory: ByteSize,
    /// Stack of a guest call, 512 KiB by default; must fit the stack of the calling thread (2 MiB) twice.
    pub stack: ByteSize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { instances: 128, memory: ByteSize::mib(1024), stack: ByteSize::kib(512) }
    }
}

/// The most columns a schema of a plugin may have.
pub const MAX_COLUMNS: usize = 1000;

/// The most bytes a name of a plugin's columns, inputs and outputs may have.
pub const MAX_NAME_BYTES: usize = 256;
