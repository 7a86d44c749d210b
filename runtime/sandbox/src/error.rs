//! Why a plugin could not be loaded, described or wired.

use crate::CallError;
use std::path::PathBuf;
use stygian_core::{ByteSize, Span};

/// What can go wrong before rows flow.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// wasmtime refused the configuration, most often for want of address space.
    #[error("cannot set up the sandbox: {0}; lower `instances` where address space is limited (`ulimit -v`)")]
    Setup(String),
    /// A plugin's file cannot be read.
    #[error("cannot read plugin {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A plugin's file is too large.
    #[error("plugin {} is larger than {limit}; build it in release mode and strip it, or raise `component`", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// `component`
        limit: ByteSize,
    },
    /// The file is no component.
    #[error("plugin {} is not a component: {reason}; build it with `stygian plugin build`", path.display())]
    NotAComponent {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// The component wants something that no plugin gets.
    #[error("plugin {} imports `{import}`, which no plugin gets: {hint}", path.display())]
    ForeignImport {
        /// The file.
        path: PathBuf,
        /// The import's full name.
        import: String,
        /// What to do.
        hint: &'static str,
    },
    /// The component speaks another version of the contract, or breaks it.
    #[error("plugin {} does not keep the contract stygian:plugin@{version}: {reason}; build it with an SDK of that version", path.display(), version = stygian_wit::VERSION)]
    Contract {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The folder of compiled code is not safe.
    #[error("the cache folder {} is not safe: {reason}", path.display())]
    UnsafeCache {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The folder of compiled code cannot be used.
    #[error("cannot use the cache folder {} ({doing})", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The compiling process cannot be run.
    #[error("cannot run the compiler {}", program.display())]
    Compiler {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The component needs too much memory to compile.
    #[error("plugin {} needs more than {limit} of memory to compile; make its functions smaller, or raise the compiler's `memory`", path.display())]
    CompileMemory {
        /// The file.
        path: PathBuf,
        /// `memory`
        limit: ByteSize,
    },
    /// The component takes too long to compile.
    #[error("plugin {} needs more than {limit} to compile; make its functions smaller, or raise the compiler's `time`", path.display())]
    CompileTime {
        /// The file.
        path: PathBuf,
        /// `time`
        limit: Span,
    },
    /// The compiled code is too large.
    #[error("plugin {} compiles to more than {limit} of code; make it smaller, or raise `compiled`", path.display())]
    CompiledSize {
        /// The file.
        path: PathBuf,
        /// `compiled`
        limit: ByteSize,
    },
    /// The component is not valid, or uses a feature of wasm that is off.
    #[error("plugin {} cannot be compiled: {reason}; build it for wasm32-unknown-unknown without extra target features", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The compiler's words.
        reason: String,
    },
    /// What the compiler made cannot be loaded.
    #[error("the compiled code of plugin {} cannot be loaded: {reason}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// wasmtime's words.
        reason: String,
    },
    /// The plugin refuses its configuration.
    #[error("plugin {} refuses its configuration: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Its words.
        reason: String,
    },
    /// What the plugin says of itself makes no sense.
    #[error("plugin {} describes itself wrongly: {reason}; its author has to mend that", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The plugin is of another kind than filters, maps and flat-maps.
    #[error("plugin {} is no filter, map or flat-map: it exports {exports}", path.display())]
    NoOperator {
        /// The file.
        path: PathBuf,
        /// What it exports instead.
        exports: String,
    },
    /// The plugin is of another kind than keyed process plugins.
    #[error("plugin {} keeps no state by key: it exports {exports}; leave `key_by` out to use it", path.display())]
    NoKeyedOperator {
        /// The file.
        path: PathBuf,
        /// What it exports instead.
        exports: String,
    },
    /// The plugin is of another kind than aggregates.
    #[error("plugin {} is no aggregate: it exports {exports}", path.display())]
    NoAggregate {
        /// The file.
        path: PathBuf,
        /// What it exports instead.
        exports: String,
    },
    /// The input lacks what the plugin reads.
    #[error("operator `{operator}`: the input does not have what plugin {plugin} reads: {}", mismatches.join("; "))]
    Input {
        /// The node of the pipeline.
        operator: String,
        /// The plugin's name and version.
        plugin: String,
        /// Every column that does not fit, with what to do.
        mismatches: Vec<String>,
    },
    /// The plugin failed while it was described or opened.
    #[error(transparent)]
    Call(#[from] Box<CallError>),
}
