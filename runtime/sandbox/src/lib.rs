//! Plugins in wasmtime: compile and cache, pool, limits, columns in and out. Knows nothing of streams.
//!
//! [`Sandbox::load`] makes a [`Plugin`] of a file, [`Plugin::operator`] an [`Operator`] for one subtask, and [`Operator::process`] calls the
//! guest with slices of a batch. A guest can do nothing but compute and answer: what it hands over is checked before use, what it
//! takes is limited, and a call that fails has changed nothing. Two files hold `unsafe`: `wire.rs` (types as wasmtime moves them) and
//! `compiled.rs` (loading code that our own compiler made).

mod aggregate;
mod blame;
mod cache;
mod call;
mod call_error;
mod capture;
mod clock;
mod compile;
mod compiled;
mod description;
mod engine;
mod error;
mod folder;
#[doc(hidden)]
pub mod fuzzing;
#[doc(hidden)]
pub mod fuzzing_state;
mod host;
mod host_keyed;
mod inspect;
mod instance;
mod keyed;
mod lift;
mod limits;
mod lower;
mod merge;
mod migrate;
mod operator;
mod plugin;
mod sandbox;
mod seat;
mod wire;
mod wiring;

pub use aggregate::{AggregateCall, AggregateOperator};
pub use blame::Blame;
pub use call::{CallContext, CallOutput, DeadRow, LogLevel, LogLine, Piece};
pub use call_error::{BadOutput, CallError, ColumnFault, Migrating, Situation, Step, TimeLimit};
pub use capture::{
    AggregateFunction, AggregateInputs, CallRecord, Capture, CaptureError, CaptureLimits, Captures, FailureRecord, KeyedInputs,
    KeyedRecord, MAX_CAPTURE_BYTES, Replay, SlotRecord, Verdict,
};
pub use clock::thread_cpu;
pub use compile::{Compiler, compile_worker};
pub use error::SandboxError;
pub use folder::FolderError;
pub use keyed::{KeyedCall, KeyedOperator};
pub use limits::{CompileLimits, Limits, MAX_COLUMNS, MAX_NAME_BYTES, PoolLimits};
pub use merge::Merge;
pub use operator::{CallInput, Operator};
pub use plugin::Plugin;
pub use sandbox::{Sandbox, SandboxConfig};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandboxes_are_shared_and_operators_move_between_threads() {
        fn shared<T: Send + Sync + Clone>() {}
        fn moved<T: Send>() {}
        shared::<Sandbox>();
        shared::<Plugin>();
        moved::<Operator>();
        moved::<KeyedOperator>();
    }
}
