//! Sections of a [`crate::WindowAggregator`].

use super::{DATAFUSION, Header, Layout, Stored, Stream, damaged, storable};
use crate::external::Accumulators;
use crate::{Aggregate, ExprError, ExternalFunction, MAX_CALL_ROWS, WindowAggregatorSpec, WindowKind, WindowSpec};
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use arrow_select::concat::concat;
use datafusion_common::DataFusionError;
use std::sync::Arc;
use stygian_core::KeyGroup;

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
            .with("list of aggregates", aggregates(spec)?)
            .with_versions(&externals(spec).map(|(_, function)| function.accumulators().version).collect::<Vec<_>>());
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
        // Of a user's own aggregate the version, which may be in its text, does not matter, and the columns that it reads do.
        let text = match aggregate.accumulators() {
            Some(accumulators) => format!("{} of {}", accumulators.function, arguments(aggregate, &spec.input)),
            None => aggregate.sql().to_owned(),
        };
        Ok(format!("{text} [{}]", states.join(", ")))
    };
    spec.aggregates.iter().map(one).collect::<Result<Vec<_>, ExprError>>().map(|all| all.join("; "))
}

/// The user-defined aggregates, each with its place among the columns of states.
fn externals(spec: &WindowAggregatorSpec) -> impl Iterator<Item = (&Aggregate, &Arc<dyn ExternalFunction>)> {
    spec.aggregates.iter().filter_map(|(_, aggregate)| Some((aggregate, aggregate.external_function()?)))
}

/// Migrates the accumulators of user-defined aggregates that were stored in older versions, in the stream that has states.
pub(crate) fn migrate(spec: &WindowAggregatorSpec, layout: &Layout, group: KeyGroup, stored: &mut Stored) -> Result<(), ExprError> {
    let (mut versions, mut column) = (stored.versions.iter(), layout.streams.first().map_or(0, |stream| stream.others));
    for (_, aggregate) in &spec.aggregates {
        if let Some(function) = aggregate.external_function() {
            let version = versions.next().copied().ok_or_else(|| damaged(group, "too few versions of accumulators"))?;
            if version != function.accumulators().version {
                // A stream of states is the first one of windows of every kind.
                let batches = stored.streams.first_mut().into_iter().flatten();
                batches.into_iter().try_for_each(|batch| migrate_column(aggregate, function, version, column, batch))?;
            }
        }
        column += aggregate.state_types()?.len();
    }
    Ok(())
}

fn migrate_column(
    aggregate: &Aggregate,
    function: &Arc<dyn ExternalFunction>,
    version: u32,
    column: usize,
    batch: &mut RecordBatch,
) -> Result<(), ExprError> {
    let failed = |error| aggregate.failed(&DataFusionError::External(error));
    let Accumulators { function: name, version: own, .. } = function.accumulators();
    if !function.accumulators().reads.contains(&version) {
        let (stored, now) = (format!("version {version}"), format!("version {own}, and `{name}` does not migrate it"));
        return Err(ExprError::OtherState { what: "version of accumulators", stored, now });
    }
    let mut instance = function.open().map_err(failed)?;
    let mut columns = batch.columns().to_vec();
    let Some(states) = columns.get_mut(column) else { return Ok(()) };
    let old = states.as_binary_opt::<i32>().ok_or_else(|| ExprError::window("accumulators that are no bytes"))?;
    let mut parts = Vec::new();
    for from in (0..old.len()).step_by(MAX_CALL_ROWS) {
        let part = old.slice(from, MAX_CALL_ROWS.min(old.len() - from));
        let new = instance.migrate(version, &part).map_err(failed)?;
        if new.len() != part.len() {
            return Err(failed(format!("it migrated {} accumulators to {}", part.len(), new.len()).into()));
        }
        parts.push(new);
    }
    let fault = |error| ExprError::arrow(aggregate.sql(), &error);
    if !parts.is_empty() {
        *states = concat(&parts.iter().map(|part| part as &dyn Array).collect::<Vec<_>>()).map_err(fault)?;
    }
    *batch = RecordBatch::try_new(batch.schema(), columns).map_err(fault)?;
    Ok(())
}

fn arguments(aggregate: &Aggregate, input: &Schema) -> String {
    columns(aggregate.columns().iter().filter_map(|column| input.fields().get(*column)))
}
