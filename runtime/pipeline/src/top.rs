//! `top = {...}`: the first rows of each window, in which order and how many.

use crate::keys::TopKeys;
use crate::nodes::{OrderUse, TopUse};
use crate::reader::Reading;
use crate::window::{WindowShape, WindowTime, Windows};
use std::ops::Range;
use stygian_core::Span;
use toml::Spanned;

/// The most rows of a group.
const MOST: i64 = 10_000;
const HINT: &str = "write `{ by = \"total desc\", n = 3 }`";

pub(crate) fn check(
    keys: Spanned<TopKeys>,
    windows: Option<(Windows, Range<usize>)>,
    key_by: Vec<Spanned<String>>,
    reading: &mut Reading<'_>,
) -> Option<TopUse> {
    let at = keys.span();
    let TopKeys { by, n } = keys.into_inner();
    let before = reading.problems.len();
    let by = match by {
        None => {
            reading.problem(at.clone(), "`top` needs `by`: the columns that order rows", Some(HINT.into()));
            Vec::new()
        }
        Some(by) => order(by, reading),
    };
    let n = match n {
        None => {
            reading.problem(at.clone(), "`top` needs `n`: how many rows", Some(HINT.into()));
            0
        }
        Some(n) if !(1..=MOST).contains(n.get_ref()) => {
            reading.problem(n.span(), format!("`n` is {}, it must be 1 to {MOST}", n.get_ref()), None);
            0
        }
        Some(n) => usize::try_from(n.into_inner()).unwrap_or_default(),
    };
    let windows = windows.map(|(windows, at)| (checked(windows, at.clone(), reading), at));
    (reading.problems.len() == before).then_some(TopUse { windows, key_by, by, n, at })
}

/// Windows that are given out once, by event time, and hold rows of many keys.
fn checked(windows: Windows, at: Range<usize>, reading: &mut Reading<'_>) -> WindowShape {
    if let WindowShape::Session { .. } = windows.shape {
        let hint = "a session is of one key; write `{ tumbling = \"1h\" }`";
        reading.problem(at.clone(), "`top` does not go with `session`", Some(hint.into()));
    }
    let once = "the first rows of a window are given out once, when it ends";
    let keys = [
        (windows.time == WindowTime::Processing).then_some(("time = \"processing\"", "windows of `top` are of event time")),
        windows.early.map(|_| ("early", once)),
        (windows.allowed_lateness != Span::millis(0)).then_some(("allowed_lateness", once)),
    ];
    for (key, hint) in keys.into_iter().flatten() {
        reading.problem(at.clone(), format!("`{key}` does not go with `top`"), Some(hint.into()));
    }
    windows.shape
}

/// "total desc", or several.
fn order(by: Spanned<toml::Value>, reading: &mut Reading<'_>) -> Vec<OrderUse> {
    let at = by.span();
    let items = match by.into_inner() {
        toml::Value::Array(items) if !items.is_empty() => items,
        one => vec![one],
    };
    let mut order: Vec<OrderUse> = Vec::new();
    for item in items {
        let text = item.as_str().unwrap_or_default();
        let parted = text.trim().rsplit_once(char::is_whitespace).map(|(column, word)| (column.trim_end(), word));
        let (column, descending) = match parted {
            Some((column, word)) if word.eq_ignore_ascii_case("desc") => (column, true),
            Some((column, word)) if word.eq_ignore_ascii_case("asc") => (column, false),
            _ => {
                let hint = "write \"total desc\" for the greatest first, \"total asc\" for the least, or a list of such texts";
                reading.problem(at.clone(), format!("{item} is no column with its direction"), Some(hint.into()));
                continue;
            }
        };
        if order.iter().any(|known| known.column == column) {
            reading.problem(at.clone(), format!("`{column}` is named twice"), None);
        }
        order.push(OrderUse { column: column.to_owned(), descending, at: at.clone() });
    }
    order
}
