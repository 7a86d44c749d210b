//! A sandbox for the tests, and batches for the guests.

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use stygian_core::Span;
use stygian_sandbox::{CallContext, Compiler, Limits, Operator, Plugin, Sandbox, SandboxConfig, SandboxError};
use tempfile::TempDir;

pub(crate) static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// One for all tests, as in a process of ours.
pub(crate) static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(config()).expect("a sandbox"));

pub(crate) const CONTEXT: CallContext = CallContext { watermark: Some(5), processing_time: 7 };

pub(crate) fn compiler() -> Compiler {
    Compiler::Child { program: env!("CARGO_BIN_EXE_stygian-compile").into(), args: Vec::new() }
}

/// The defaults, with less patience.
pub(crate) fn config() -> SandboxConfig {
    let mut config = SandboxConfig::new(FOLDER.path().join("cache"), compiler());
    config.limits = Limits { call_cpu: Span::millis(100), ..Limits::default() };
    config.pool.instances = 32;
    config
}

pub(crate) fn file(name: &str, component: &[u8]) -> PathBuf {
    static TURN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let turn = TURN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = FOLDER.path().join(format!("{name}-{turn}.wasm"));
    std::fs::write(&path, component).expect("written");
    path
}

pub(crate) fn load(name: &str, component: &[u8]) -> Result<Plugin, SandboxError> {
    SANDBOX.load(&file(name, component))
}

/// Rows for guests that read `n` and `text`.
pub(crate) fn rows(count: usize) -> RecordBatch {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values((0..count).map(|n| n as i64)));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|n| format!("text {n}"))));
    RecordBatch::try_from_iter([("n", n), ("text", text)]).expect("a batch")
}

pub(crate) fn operator(plugin: &Plugin, rows: &RecordBatch) -> Operator {
    plugin.operator("node", "{}", &rows.schema()).expect("an operator")
}
