//! Sections of a [`crate::WindowAggregator`].

use super::{DATAFUSION, Header, Layout, Stream, storable};
use crate::{Aggregate, ExprError, WindowAggregatorSpec, WindowKind, WindowSpec};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use std::sync::Arc;

/// The part of an operator's state.
const PART: &str = "windows";

/// The streams of windows of a fixed size: what panes hold, and what windows have given out.
pub(crate) const PANES: usize = 0;
pub(crate) const REVISED: usize = 1;
/// The stream of sessions.
pub(crate) const SESSIONS: usize = 0;

impl Layout {
    /// Of the windows of this spec.
    pub(crate) fn of_windows(spec: &WindowAggregatorSpec) -> Result<Self, ExprError> {
        let keys: Vec<FieldRef> = spec.keys.iter().filter_map(|key| spec.input.fields().get(*key)).cloned().collect();
        let time = spec.event_time.and_then(|column| spec.input.fields().get(column));
        let time = time.map_or("processing time".to_owned(), |field| format!("event time `{}` {}", field.name(), field.data_type()));
        let header = Header::new("window")
            .with("version of DataFusion", DATAFUSION.to_owned())
            .with("window", words(&spec.window))
            .with("time", time)
            .with("allowed lateness", format!("{} us", spec.allowed_lateness))
            .with("choice of early results", if spec.early { "early results" } else { "no early results" }.to_owned())
            .with("key", columns(keys.iter()))
            .with("list of aggregates", aggregates(spec)?);
        let mut states = Vec::new();
        for (place, (_, aggregate)) in spec.aggregates.iter().enumerate() {
            for (column, data_type) in aggregate.state_types()?.into_iter().enumerate() {
                if !storable(&data_type) {
                    return Err(ExprError::Unstorable { reason: format!("`{}` keeps {data_type}", aggregate.sql()) });
                }
                states.push(Arc::new(Field::new(format!("state {place}.{column}"), data_type, true)));
            }
        }
        let streams = match spec.window.kind {
            WindowKind::Session { .. } => vec![Stream::new(&SESSION_COLUMNS, &keys, states)],
            WindowKind::Tumbling { .. } | WindowKind::Sliding { .. } => {
                vec![Stream::new(&PANE_COLUMNS, &keys, states), Stream::new(&REVISED_COLUMNS, &keys, Vec::new())]
            }
        };
        Ok(Self { part: PART, header, streams })
    }
}

/// The start of the pane; the part of it; the place of the key in that; whether the group has changed since results were last given out.
const PANE_COLUMNS: [(&str, DataType); 4] =
    [("pane", DataType::Int64), ("part", DataType::UInt32), ("place", DataType::UInt32), ("level", DataType::UInt8)];
/// The start of the window; whether the watermark has passed its end; the place of the key; how many results it has had.
const REVISED_COLUMNS: [(&str, DataType); 4] =
    [("window", DataType::Int64), ("fired", DataType::Boolean), ("place", DataType::UInt32), ("results", DataType::UInt32)];
/// Event times of the first and the last row; the place among sessions that began at the same time; rows. A session may have several.
const SESSION_COLUMNS: [(&str, DataType); 4] =
    [("start", DataType::Int64), ("last", DataType::Int64), ("born", DataType::UInt32), ("rows", DataType::UInt32)];

/// A window in words.
pub(crate) fn words(window: &WindowSpec) -> String {
    let offset = if window.offset == 0 { String::new() } else { format!(", offset {} us", window.offset) };
    match window.kind {
        WindowKind::Tumbling { size } => format!("tumbling, {size} us{offset}"),
        WindowKind::Sliding { size, slide } => format!("sliding, {size} us every {slide} us{offset}"),
        WindowKind::Session { gap } => format!("session, {gap} us"),
    }
}

/// Columns with their names and types.
pub(crate) fn columns<'a>(fields: impl Iterator<Item = &'a FieldRef>) -> String {
    let fields: Vec<String> = fields.map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    if fields.is_empty() { "none".to_owned() } else { fields.join(", ") }
}

/// All aggregates with what their accumulators hold.
fn aggregates(spec: &WindowAggregatorSpec) -> Result<String, ExprError> {
    let one = |(_, aggregate): &(String, Aggregate)| {
        let states: Vec<String> = aggregate.state_types()?.iter().map(ToString::to_string).collect();
        // Which columns a user's own aggregate reads is not in its text.
        let of = if aggregate.is_external() { format!(" of {}", arguments(aggregate, &spec.input)) } else { String::new() };
        Ok(format!("{}{of} [{}]", aggregate.sql(), states.join(", ")))
    };
    spec.aggregates.iter().map(one).collect::<Result<Vec<_>, ExprError>>().map(|all| all.join("; "))
}

fn arguments(aggregate: &Aggregate, input: &Schema) -> String {
    columns(aggregate.columns().iter().filter_map(|column| input.fields().get(*column)))
}
