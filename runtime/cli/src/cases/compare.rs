//! Expected rows against found ones.

use serde_json::{Map, Value};

/// How a stream differs from what was expected.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// Expected, but not found.
    pub(crate) missing: Vec<Map<String, Value>>,
    /// Found, but not expected.
    pub(crate) unexpected: Vec<Map<String, Value>>,
    /// All rows are there; from this one on (counted from 0) they are in another order.
    pub(crate) disorder: Option<usize>,
}

/// What differs, if anything. Rows are compared in any order, unless `ordered`; numbers that are not whole may differ by `tolerance`,
/// absolutely or of the larger of them.
pub(crate) fn compare(expected: &[Map<String, Value>], found: &[Map<String, Value>], ordered: bool, tolerance: f64) -> Option<Difference> {
    let mut unexpected: Vec<&Map<String, Value>> = found.iter().collect();
    let mut missing = Vec::new();
    for row in expected {
        match unexpected.iter().position(|other| same(row, other, tolerance)) {
            Some(place) => drop(unexpected.swap_remove(place)),
            None => missing.push(row.clone()),
        }
    }
    if !missing.is_empty() || !unexpected.is_empty() {
        // In an order of their own, not that of subtasks.
        let mut unexpected: Vec<_> = unexpected.into_iter().cloned().collect();
        unexpected.sort_by_cached_key(|row| serde_json::to_string(row).unwrap_or_default());
        return Some(Difference { missing, unexpected, disorder: None });
    }
    let disorder = expected.iter().zip(found).position(|(a, b)| !same(a, b, tolerance)).filter(|_| ordered)?;
    Some(Difference { missing: vec![expected[disorder].clone()], unexpected: vec![found[disorder].clone()], disorder: Some(disorder) })
}

/// Null and absent are the same.
fn same(a: &Map<String, Value>, b: &Map<String, Value>, tolerance: f64) -> bool {
    let within = |one: &Map<String, Value>, other: &Map<String, Value>| {
        one.iter().all(|(key, value)| equal(value, other.get(key).unwrap_or(&Value::Null), tolerance))
    };
    within(a, b) && b.iter().all(|(key, value)| a.contains_key(key) || value.is_null())
}

fn equal(a: &Value, b: &Value, tolerance: f64) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) if x.is_f64() || y.is_f64() => match (x.as_f64(), y.as_f64()) {
            (Some(x), Some(y)) => (x - y).abs() <= tolerance * x.abs().max(y.abs()).max(1.0),
            _ => false,
        },
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y, tolerance)),
        (Value::Object(x), Value::Object(y)) => same(x, y, tolerance),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str) -> Vec<Map<String, Value>> {
        serde_json::from_str(text).expect("a list of objects")
    }

    #[test]
    fn rows_may_come_in_any_order_unless_told_otherwise() {
        let (expected, found) = (rows(r#"[{"n":1},{"n":2},{"n":2}]"#), rows(r#"[{"n":2},{"n":1},{"n":2}]"#));
        assert_eq!(compare(&expected, &found, false, 0.0), None);
        let difference = compare(&expected, &found, true, 0.0).expect("another order");
        assert_eq!((difference.missing, difference.unexpected, difference.disorder), (rows(r#"[{"n":1}]"#), rows(r#"[{"n":2}]"#), Some(0)));
        assert_eq!(compare(&found, &found, true, 0.0), None);
    }

    #[test]
    fn every_row_counts() {
        let difference = compare(&rows(r#"[{"n":1},{"n":1},{"n":3}]"#), &rows(r#"[{"n":1},{"n":2}]"#), false, 0.0).expect("differences");
        assert_eq!((difference.missing, difference.unexpected), (rows(r#"[{"n":1},{"n":3}]"#), rows(r#"[{"n":2}]"#)));
    }

    #[test]
    fn tolerance_is_for_numbers_that_are_not_whole() {
        let same = |a: &str, b: &str| compare(&rows(a), &rows(b), false, 0.01).is_none();
        assert!(same(r#"[{"x":1.0}]"#, r#"[{"x":1.009}]"#) && same(r#"[{"x":1000.5}]"#, r#"[{"x":1009.5}]"#));
        assert!(!same(r#"[{"x":1.0}]"#, r#"[{"x":1.02}]"#) && !same(r#"[{"x":1000}]"#, r#"[{"x":1001}]"#));
        assert!(same(r#"[{"x":null}]"#, "[{}]") && !same(r#"[{"x":0.0}]"#, "[{}]"));
    }

    proptest! {
        /// Against sorting both sides: without tolerance, rows are equal as multisets.
        #[test]
        fn is_a_comparison_of_multisets(a in prop::collection::vec(0_u8..4, 0..8), b in prop::collection::vec(0_u8..4, 0..8)) {
            let rows = |numbers: &[u8]| numbers.iter().map(|n| Map::from_iter([("n".to_owned(), Value::from(*n))])).collect::<Vec<_>>();
            let (mut sorted_a, mut sorted_b) = (a.clone(), b.clone());
            sorted_a.sort_unstable();
            sorted_b.sort_unstable();
            let difference = compare(&rows(&a), &rows(&b), false, 0.0);
            prop_assert_eq!(difference.is_none(), sorted_a == sorted_b);
            if let Some(difference) = difference {
                prop_assert_eq!(a.len() + difference.unexpected.len(), b.len() + difference.missing.len());
            }
        }
    }
}
