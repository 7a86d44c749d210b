//! SQL expressions, predicates and window aggregates over columns. The only crate that names DataFusion.
//!
//! SQL text is parsed, checked against an allow-list, planned and compiled once ([`Expression`], [`Predicate`], [`Aggregate`]) and
//! then evaluated a batch at a time. [`WindowAggregator`] keeps the open windows of a keyed stream, [`Top`] the first rows of each. What is allowed is
//! deterministic: the same rows give the same result on every replay. What windows hold can be written by key group and taken back, at any
//! parallelism (`snapshot`, `restore` and `restore_watermark` of each). Streams, watermarks and routing are the engine's.

mod accumulators;
mod aggregate;
mod aggregator;
mod capped;
mod check;
mod compile;
mod concat;
mod dedup;
mod diagnose;
mod dialect;
mod error;
mod expression;
mod external;
mod functions;
mod keys;
mod output;
mod pane;
mod panes;
mod parse;
mod parts;
mod planners;
mod predicate;
mod sessions;
mod span;
mod stored;
mod suggest;
mod top;
mod window;

pub use aggregate::Aggregate;
pub use aggregator::WindowAggregator;
pub use capped::MAX_RESULT_BYTES;
pub use dedup::{Dedup, DedupSpec, Deduplicated};
pub use error::ExprError;
pub use expression::Expression;
pub use external::{Accumulators as ExternalAccumulators, ExternalAggregate, ExternalError, ExternalFunction, MAX_CALL_ROWS};
pub use functions::{aggregate_names, function_names};
pub use output::MAX_OUTPUT_ROWS;
pub use parse::{MAX_DEPTH, MAX_SQL_BYTES, MAX_TOKENS};
pub use predicate::Predicate;
pub use stored::accumulators_version;
pub use top::{MAX_TOP, OrderBy, Top, TopSpec, TopWindows};
pub use window::{MAX_WINDOW_MICROS, WindowAggregatorSpec, WindowKind, WindowSpec};

#[cfg(test)]
mod tests;
