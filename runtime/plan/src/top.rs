//! `top`: whose windows, and which columns.

use crate::columns;
use crate::logical::{Graph, Input};
use crate::operators::{Checked, WINDOW_TIME, key_columns, main_output, window_spec};
use crate::plan::{NodeKind, PlanOutput};
use std::sync::Arc;
use stygian_api::suggest;
use stygian_core::{Span, StreamSchema};
use stygian_expr::{OrderBy, TopSpec, TopWindows, WindowKind};
use stygian_pipeline::{LATE, OrderUse, TopUse};

pub(crate) fn check(graph: &mut Graph<'_>, top: &TopUse, input: &Input<'_>) -> Option<Checked> {
    let schema = input.schema.columns();
    let windows = match &top.windows {
        Some((shape, at)) => {
            let event_time = input.schema.event_time();
            if event_time.is_none() {
                let message = format!("windows need an event time, and `{}` has none", input.reference);
                let hint = "name its column as `event_time` of the source, and keep it under its name in every `select` on the way";
                graph.problem(at.clone(), message, hint);
            }
            event_time.map(|event_time| TopWindows::Over { window: window_spec(*shape), event_time })
        }
        None => given(graph, top, input),
    };
    let keys = key_columns(graph, &top.key_by, schema, "top");
    let by: Vec<Option<OrderBy>> = top.by.iter().map(|by| order(graph, by, input)).collect();
    let (windows, keys, by) = (windows?, keys?, by.into_iter().collect::<Option<Vec<_>>>()?);
    let spec = TopSpec { windows, keys: keys.clone(), by, n: top.n, input: schema.clone() };
    if let Err(error) = spec.check() {
        graph.problem(top.at.clone(), error.to_string(), "");
        return None;
    }
    let (time, key) = match windows {
        TopWindows::Over { .. } => (Some(WINDOW_TIME), keys),
        // All rows of a window must meet, but each window can do so elsewhere.
        TopWindows::Given { start, .. } if keys.is_empty() => (input.schema.event_time_name(), vec![start]),
        TopWindows::Given { .. } => (input.schema.event_time_name(), keys),
    };
    let rows = StreamSchema::append(spec.output_schema());
    let rows = time.and_then(|time| rows.clone().with_event_time(time).ok()).unwrap_or(rows);
    let outputs = vec![main_output(rows), PlanOutput { name: Some(LATE.to_owned()), schema: input.schema.clone() }];
    Some(Checked { kind: NodeKind::Top(Arc::new(spec)), outputs, key: Some(key) })
}

/// The windows that rows are results of.
fn given(graph: &mut Graph<'_>, top: &TopUse, input: &Input<'_>) -> Option<TopWindows> {
    let schema = input.schema.columns();
    let place = |name: &str| schema.column_with_name(name).map(|(place, _)| place);
    let (Some(start), Some(end), Some(WINDOW_TIME)) = (place("window_start"), place("window_end"), input.schema.event_time_name()) else {
        let message = format!("`top` needs windows, and the rows of `{}` are not results of some by event time", input.reference);
        let hint = "give it a `window`, or let it read a window whose `window_start`, `window_end` and `window_time` are kept";
        graph.problem(top.at.clone(), message, hint);
        return None;
    };
    if place("revision").is_some() {
        let message = format!("results of `{}` are replaced later, and `top` gives out each window once", input.reference);
        graph.problem(top.at.clone(), message, "leave `early` and `allowed_lateness` out of that window");
        return None;
    }
    Some(TopWindows::Given { start, end })
}

fn order(graph: &mut Graph<'_>, by: &OrderUse, input: &Input<'_>) -> Option<OrderBy> {
    let schema = input.schema.columns();
    match schema.column_with_name(&by.column) {
        Some((column, _)) => Some(OrderBy { column, descending: by.descending }),
        None => {
            graph.problem(by.at.clone(), format!("there is no column `{}`", by.column), suggest(&by.column, &columns::names(schema)));
            None
        }
    }
}

/// What it does, for people.
pub(crate) fn words(spec: &TopSpec) -> String {
    let name = |column: &usize| spec.input.field(*column).name().as_str();
    let by = spec.by.iter().map(|by| format!("{} {}", name(&by.column), if by.descending { "desc" } else { "asc" }));
    let of = match spec.keys.as_slice() {
        [] => "the window".to_owned(),
        keys => keys.iter().map(name).collect::<Vec<_>>().join(", "),
    };
    let span = |micros: i64| Span(std::time::Duration::from_micros(micros.unsigned_abs()));
    let windows = match spec.windows {
        TopWindows::Given { .. } => "windows as they come".to_owned(),
        TopWindows::Over { window, .. } => match window.kind {
            WindowKind::Sliding { size, slide } => format!("sliding {} every {}", span(size), span(slide)),
            _ => format!("tumbling {}", span(window.size())),
        },
    };
    format!("{windows}; {} of {of} by {}", spec.n, by.collect::<Vec<_>>().join(", "))
}
