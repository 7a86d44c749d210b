//! The pipeline file: TOML as typed, then checked.
//!
//! [`Pipeline::parse`] finds every problem of a file at once, each with the place of the faulty text and a hint; [`render`] shows them.
//! A checked pipeline names nodes that exist, joined without a cycle, each with exactly one kind. What a connector's own keys mean,
//! which columns a stream has and whether an expression compiles is left to the connectors and the planner: they get the text and
//! its place. [`apply_set`] edits the text by `--set`, and [`json_schema`] describes the file to editors.

mod aggregates;
mod captures;
mod checkpoint;
mod dedup;
mod graph;
mod hdfs;
mod json_schema;
mod kerberos;
mod keys;
mod literal;
mod nodes;
mod parse;
mod parse_operator;
mod pipeline;
mod reader;
mod render;
mod restart;
mod set;
mod settings;
mod state;
mod top;
mod window;

pub use captures::Captures;
pub use checkpoint::{Checkpoint, Mode};
pub use hdfs::Hdfs;
pub use json_schema::{ConnectorDoc, json_schema};
pub use kerberos::Kerberos;
pub use literal::Literal;
pub use nodes::{
    AggregateBy, DedupUse, InputRef, Instances, NamedAggregate, NamedSql, OnError, OperatorKind, OperatorNode, OrderUse, PluginUse,
    SelectUse, SinkNode, SourceNode, TopUse, WindowUse,
};
pub use pipeline::{DEAD_LETTERS, LATE, MAX_FILE_BYTES, OTHER, Pipeline};
pub use render::{Severity, render, render_warnings};
pub use restart::{Restart, RestartStrategy};
pub use set::apply_set;
pub use settings::Settings;
pub use state::{State, StateBackend};
pub use toml::Spanned;
pub use window::{WindowShape, WindowTime, Windows};
