//! The nodes of a checked pipeline.

use crate::literal::Literal;
use crate::window::{WindowShape, Windows};
use serde_json::{Map, Value};
use std::fmt;
use std::ops::Range;
use std::time::Duration;
use stygian_api::Options;
use stygian_core::{PluginRef, Span};
use toml::Spanned;

pub use crate::keys::{Instances, OnError};

/// `[source.NAME]`
#[derive(Clone, Debug)]
pub struct SourceNode {
    /// The node's name and where it stands.
    pub name: Spanned<String>,
    /// The name of the connector.
    pub connector: Spanned<String>,
    /// The event time column.
    pub event_time: Option<Spanned<String>>,
    /// How far event times may lie behind the largest one of their split.
    pub watermark_delay: Duration,
    /// After how long without rows a split no longer holds the watermark back; `None`: never.
    pub idle_after: Option<Duration>,
    /// The connector's own keys.
    pub options: Options,
}

/// `[operator.NAME]`
#[derive(Clone, Debug)]
pub struct OperatorNode {
    /// The node's name and where it stands.
    pub name: Spanned<String>,
    /// What it reads; exactly one but for [`OperatorKind::Union`].
    pub inputs: Vec<InputRef>,
    /// What it does.
    pub kind: OperatorKind,
}

/// `[sink.NAME]`
#[derive(Clone, Debug)]
pub struct SinkNode {
    /// The node's name and where it stands.
    pub name: Spanned<String>,
    /// What it writes.
    pub input: InputRef,
    /// The name of the connector.
    pub connector: Spanned<String>,
    /// The connector's own keys.
    pub options: Options,
}

/// A stream as an input names it: `node` or `node.output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRef {
    /// The source or operator.
    pub node: String,
    /// Which of its outputs; `None`: the main one.
    pub output: Option<String>,
    /// Where the reference stands in the file.
    pub at: Range<usize>,
}

impl fmt::Display for InputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.node)?;
        self.output.as_ref().map_or(Ok(()), |output| write!(f, ".{output}"))
    }
}

/// What an operator does.
#[derive(Clone, Debug)]
pub enum OperatorKind {
    /// Calls a plugin.
    Plugin(PluginUse),
    /// Passes the rows on for which the expression is true.
    Filter(Literal),
    /// Makes new rows.
    Select(SelectUse),
    /// Passes on the rows of all inputs.
    Union,
    /// Passes every row to the first output whose condition is true, else to [`crate::OTHER`].
    Branch(Vec<NamedSql>),
    /// Drops repetitions.
    Dedup(DedupUse),
    /// Aggregates by window and key.
    Window(WindowUse),
    /// Passes on the first rows of each window.
    Top(TopUse),
}

/// A plugin and how it is used.
#[derive(Clone, Debug)]
pub struct PluginUse {
    /// Which plugin.
    pub plugin: PluginRef,
    /// Where that is said.
    pub plugin_at: Range<usize>,
    /// Its configuration.
    pub config: Map<String, Value>,
    /// Where that is said; where it is not, the place of the plugin.
    pub config_at: Range<usize>,
    /// Limits that differ from the pipeline's; the sandbox knows the keys.
    pub limits: Option<Options>,
    /// How long instances live.
    pub instances: Instances,
    /// The columns whose equal values share state.
    pub key_by: Vec<Spanned<String>>,
    /// Where that is said.
    pub key_by_at: Option<Range<usize>>,
    /// Limits of its state; the store knows the keys.
    pub state: Option<Options>,
    /// What becomes of rows on which it fails.
    pub on_error: OnError,
    /// The largest share of rows that may be given up so, 0 to 1.
    pub max_poison_rate: f64,
}

/// A name and an expression.
#[derive(Clone, Debug)]
pub struct NamedSql {
    /// The name and where it stands.
    pub name: Spanned<String>,
    /// The expression.
    pub sql: Literal,
}

/// A name and what is computed under it.
#[derive(Clone, Debug)]
pub struct NamedAggregate {
    /// The name and where it stands.
    pub name: Spanned<String>,
    /// The aggregate.
    pub by: AggregateBy,
}

/// How rows are aggregated.
#[derive(Clone, Debug)]
pub enum AggregateBy {
    /// By an SQL aggregate.
    Sql(Literal),
    /// By a plugin.
    Plugin(Box<PluginUse>),
}

/// New rows of expressions.
#[derive(Clone, Debug)]
pub struct SelectUse {
    /// The columns, in order; at least one.
    pub columns: Vec<NamedSql>,
    /// The column that is the event time; `None`: the input's, if it is selected under its name.
    pub event_time: Option<Spanned<String>>,
}

/// Which rows are repetitions.
#[derive(Clone, Debug)]
pub struct DedupUse {
    /// The columns whose equal values make one; at least one.
    pub by: Vec<Spanned<String>>,
    /// How near in event time.
    pub within: Span,
    /// Where that is said.
    pub at: Range<usize>,
}

/// A window aggregate.
#[derive(Clone, Debug)]
pub struct WindowUse {
    /// The windows.
    pub windows: Windows,
    /// Where they are described.
    pub windows_at: Range<usize>,
    /// The key columns; none: one group.
    pub key_by: Vec<Spanned<String>>,
    /// The aggregates, in order; at least one.
    pub aggregates: Vec<NamedAggregate>,
}

/// Which rows of a window are the first ones.
#[derive(Clone, Debug)]
pub struct TopUse {
    /// The windows and where they are described; `None`: those that the rows are results of.
    pub windows: Option<(WindowShape, Range<usize>)>,
    /// The columns that group the rows of a window; none: one group.
    pub key_by: Vec<Spanned<String>>,
    /// What orders them, the most important first; at least one.
    pub by: Vec<OrderUse>,
    /// How many of a group.
    pub n: usize,
    /// Where that is said.
    pub at: Range<usize>,
}

/// A column to order by.
#[derive(Clone, Debug)]
pub struct OrderUse {
    /// Its name.
    pub column: String,
    /// The greatest first.
    pub descending: bool,
    /// Where that is said.
    pub at: Range<usize>,
}
