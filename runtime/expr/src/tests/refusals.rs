//! What is refused, with which words, and which part of the text is underlined.

use super::schema;
use crate::{Aggregate, ExprError, Expression, Predicate, WindowAggregatorSpec, WindowSpec};

/// The message, and the part of the text that is at fault.
fn fault(sql: &str) -> (String, Option<String>) {
    let error = Expression::compile(sql, &schema()).expect_err(sql);
    assert_eq!(error.sql(), Some(sql));
    (error.to_string(), error.at().map(|at| sql[at].to_owned()))
}

fn aggregate_fault(sql: &str) -> (String, Option<String>) {
    let error = Aggregate::compile(sql, &schema()).expect_err(sql);
    (error.to_string(), error.at().map(|at| sql[at].to_owned()))
}

#[test]
fn unknown_names_come_with_a_suggestion() {
    let (message, at) = fault("1 + Amount");
    assert!(message.starts_with("there is no column `Amount`; did you mean `amount`? The columns are amount, n, user,"), "{message}");
    assert_eq!(at.as_deref(), Some("Amount"));
    let (message, at) = fault("n +\n uper(kind)");
    assert!(message.starts_with("there is no function `uper`; did you mean `upper`? The functions are abs,"), "{message}");
    assert_eq!(at.as_deref(), Some("uper"));
    let (message, _) = fault("zzzzzz");
    assert!(message.starts_with("there is no column `zzzzzz`; the columns are "), "{message}");
    let (message, at) = aggregate_fault("averge(n)");
    assert!(message.contains("`averge`"), "{message}");
    assert_eq!(at.as_deref(), Some("averge"));
    let (_, at) = aggregate_fault("avg(Amount)");
    assert_eq!(at.as_deref(), Some("Amount"));
}

#[test]
fn what_would_break_replay_or_reach_outside_is_refused() {
    for (sql, word) in [
        ("now()", "now"),
        ("NOW()", "NOW"),
        ("\"now\"()", "\"now\""),
        ("current_timestamp", "current_timestamp"),
        ("current_date", "current_date"),
        ("current_time()", "current_time"),
        ("today()", "today"),
        ("random() < 0.5", "random"),
        ("uuid()", "uuid"),
        ("version()", "version"),
        ("input_file_name()", "input_file_name"),
        ("first_value(n)", "first_value"),
        ("avg(n)", "avg"),
        ("1 + sum(n)", "sum"),
        ("count(*)", "count"),
        ("(select 1)", ""),
        ("n in (select 1)", ""),
        ("exists (select 1)", ""),
        ("sum(n) over (partition by kind)", ""),
        ("upper(kind) over ()", ""),
        ("$1 + n", "$1"),
        ("? + n", "?"),
        ("@x", ""),
        ("*", ""),
        ("upper(*)", ""),
        ("[1, 2]", ""),
        ("array[1, 2]", ""),
        ("(1, 2)", ""),
        ("struct(1)", ""),
        ("{'a': 1}", ""),
        ("kind.x", "kind.x"),
        ("a.b.c.d.e.f", "a"),
    ] {
        let (message, at) = fault(sql);
        let known = ["cannot be used here", "there is no", "no SQL expression"];
        assert!(known.iter().any(|known| message.contains(known)), "{sql}: {message}");
        if !word.is_empty() {
            assert_eq!(at.as_deref(), Some(word), "{sql}: {message}");
        }
    }
    assert!(fault("now()").0.contains("use the event time column"));
    assert!(fault("avg(n)").0.contains("use it in a window's `aggregate`"));
}

#[test]
fn aggregates_that_depend_on_order_or_do_not_stand_alone_are_refused() {
    for (sql, says) in [
        ("first_value(n)", "order in which rows arrive"),
        ("array_agg(n)", "order in which rows arrive"),
        ("string_agg(kind, ',')", "order in which rows arrive"),
        ("sum(n) / count(*)", "stands alone"),
        ("n", "stands alone"),
        ("upper(kind)", "stands alone"),
        ("sum(avg(n))", "aggregate over many rows"),
        ("sum(n order by n)", "does not depend on the order"),
        ("sum(*)", "only `count(*)`"),
        ("sum(n) over ()", "window operator"),
        ("count(random())", "random"),
        ("avg(kind)", "does not take text"),
        ("quantile(amount)", "expects 2 arguments"),
        ("quantile(amount, 1.5)", ""),
        ("quantile(amount, n)", ""),
        ("sum(n", "no SQL expression"),
    ] {
        let (message, _) = aggregate_fault(sql);
        assert!(message.contains(says), "{sql}: {message}");
    }
}

#[test]
fn syntax_errors_point_at_the_place() {
    for (sql, word) in [("n + ", Some("")), ("n n", Some("n")), ("(n", Some("")), ("n = 'abc", Some("'")), ("", None), (" \n ", None)] {
        let (message, at) = fault(sql);
        assert!(message.starts_with("no SQL expression: "), "{message}");
        assert_eq!(at.as_deref(), word, "{sql}: {message}");
    }
}

/// Every message with the part of the text that it is about.
#[test]
fn wrong_types_are_told_in_words_of_pipeline_files() {
    for (sql, message, part) in SCALAR_FAULTS {
        assert_eq!(fault(sql), (message.to_owned(), Some(part.to_owned())), "{sql}");
    }
    for (sql, message, part) in AGGREGATE_FAULTS {
        assert_eq!(aggregate_fault(sql), (message.to_owned(), Some(part.to_owned())), "{sql}");
    }
}

const SCALAR_FAULTS: [(&str, &str, &str); 19] = [
    ("kind + 1 > flag", "`+` does not work on text and int64; convert with `cast(kind as float64)`", "kind + 1"),
    (
        "1 + (kind || 'x' and flag)",
        "`and` does not work on text and bool; convert with `cast(kind || 'x' as bool)`",
        "kind || 'x' and flag",
    ),
    ("flag + n", "`+` does not work on bool and int64; convert with `cast(flag as float64)`", "flag + n"),
    ("-kind", "`-` does not work on text; convert with `cast(kind as float64)`", "kind"),
    ("n and flag", "`and` does not work on int64 and bool; convert with `cast(n as bool)`", "n and flag"),
    ("upper(n, n)", "`upper` takes at most 1 argument, here are 2", "upper(n, n)"),
    ("coalesce(n, abs(kind)) * 2", "`abs` does not take text; convert with `cast(kind as float64)`", "kind"),
    ("repeat(kind, kind)", "`repeat` does not take text and text; convert with `cast(kind as int64)`", "kind"),
    ("date_trunc(at, 'hour')", "`date_trunc` does not take timestamp_utc and text", "date_trunc(at, 'hour')"),
    ("substr(kind, 'x')", "`substr` does not take text and text", "kind, 'x'"),
    ("amount > 'x'", "'x' is no float64", "'x'"),
    ("at > 'no time'", "'no time' is no timestamp_utc", "'no time'"),
    ("at between 'a' and 'b'", "'a' is no timestamp_utc", "'a'"),
    ("n in (1, 'two')", "'two' is no int64", "'two'"),
    ("n like 'a%'", "`like` does not take int64 and text; convert with `cast(n as text)`", "n like 'a%'"),
    ("at + 1", "`+` does not work on timestamp_utc and int64; a span of time is written as in `interval '1 second'`", "at + 1"),
    (
        "cast(n as nonsense)",
        "there is no type `nonsense`; use one of bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, text, binary, date, timestamp, timestamp_utc, decimal(precision, scale)",
        "nonsense",
    ),
    ("cast(address as bigint)", "`address` is Struct(\"city\": Utf8), which cannot be cast to bigint", "address"),
    ("cast('x' as float64)", "'x' is no float64", "'x'"),
];

const AGGREGATE_FAULTS: [(&str, &str, &str); 8] = [
    ("sum(kind)", "`sum` does not take text; convert with `cast(kind as float64)`", "kind"),
    ("avg(upper(kind))", "`avg` does not take text; convert with `cast(upper(kind) as float64)`", "upper(kind)"),
    ("sum(n + (flag + 1))", "`+` does not work on bool and int64; convert with `cast(flag as float64)`", "flag + 1"),
    ("median(kind)", "`median` does not take text; convert with `cast(kind as float64)`", "kind"),
    ("quantile(amount, 1.5)", "percentile value must be between 0.0 and 1.0 inclusive, 1.5 is invalid", "quantile(amount, 1.5)"),
    ("quantile(kind, 0.5)", "`quantile` does not take text and float64; convert with `cast(kind as float64)`", "kind"),
    ("bool_and(kind)", "`bool_and` does not take text; convert with `cast(kind as bool)`", "kind"),
    ("sum(n, n)", "`sum` takes at most 1 argument, here are 2", "sum(n, n)"),
];

#[test]
fn types_that_do_not_fit_are_explained() {
    for sql in ["kind + 1 > flag", "upper(n, n)", "abs(kind)", "n and flag", "at > 'no time'", "cast(n as nonsense)"] {
        let error = Expression::compile(sql, &schema()).and_then(|e| e.evaluate(&super::rows()));
        assert!(matches!(error, Err(ExprError::Plan { .. } | ExprError::Evaluate { .. })), "{sql}: {error:?}");
    }
    let error = Predicate::compile("n + 1", &schema()).expect_err("a number");
    assert_eq!(error.to_string(), "a condition must be true or false, this is int64; compare it with something");
}

#[test]
fn impossible_windows_are_refused() {
    for (window, says) in [
        (WindowSpec::tumbling(0), "longer than nothing"),
        (WindowSpec::sliding(10, -5), "longer than nothing"),
        (WindowSpec::sliding(10, 3), "must divide"),
        (WindowSpec::sliding(10, 20), "would be lost"),
        (WindowSpec::tumbling(i64::MAX), "make it shorter"),
        (WindowSpec::sliding(1_000_000_000, 1), "at most 100000"),
    ] {
        let message = window.check().expect_err("no window").to_string();
        assert!(message.contains(says), "{window:?}: {message}");
    }
}

#[test]
fn impossible_aggregations_are_refused() {
    let count = Aggregate::compile("count(*)", &schema()).expect("an aggregate");
    let good = WindowAggregatorSpec {
        window: WindowSpec::tumbling(10),
        keys: vec![3],
        event_time: Some(4),
        allowed_lateness: 0,
        early: false,
        aggregates: vec![("n".to_owned(), count.clone())],
        input: schema(),
    };
    assert!(good.check().is_ok());
    for (spec, says) in [
        (WindowAggregatorSpec { event_time: Some(1), ..good.clone() }, "must be a timestamp"),
        (WindowAggregatorSpec { allowed_lateness: 1, event_time: None, ..good.clone() }, "no row is late"),
        (WindowAggregatorSpec { allowed_lateness: -1, ..good.clone() }, "is not between 0"),
        (WindowAggregatorSpec { window: WindowSpec::session(5), allowed_lateness: 1, ..good.clone() }, "a session that goes on"),
        (WindowAggregatorSpec { window: WindowSpec::session(5), early: true, ..good.clone() }, "a session that goes on"),
        (WindowAggregatorSpec { window: WindowSpec::session(0), ..good.clone() }, "longer than nothing"),
        (WindowAggregatorSpec { keys: vec![99], ..good.clone() }, "no column with the number 99"),
        (WindowAggregatorSpec { keys: vec![10], ..good.clone() }, "cannot be a key"),
        (WindowAggregatorSpec { aggregates: vec![("kind".to_owned(), count.clone())], ..good.clone() }, "called `kind`"),
        (WindowAggregatorSpec { aggregates: vec![("window_end".to_owned(), count)], ..good }, "called `window_end`"),
    ] {
        let message = spec.check().expect_err(says).to_string();
        assert!(message.contains(says), "{message}");
    }
}
