//! What expressions yield. Expected values are PostgreSQL's, written by hand.

use super::{rows, schema};
use crate::{Expression, MAX_RESULT_BYTES, Predicate};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use std::sync::Arc;

fn texts(array: &ArrayRef) -> Vec<String> {
    let one = |row| if array.is_null(row) { "null".to_owned() } else { array_value_to_string(array, row).expect("printable") };
    (0..array.len()).map(one).collect()
}

fn evaluate(sql: &str, rows: &RecordBatch) -> Vec<String> {
    let expression = Expression::compile(sql, rows.schema_ref()).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let array = expression.evaluate(rows).unwrap_or_else(|e| panic!("{sql}: {e}"));
    assert_eq!(array.data_type(), expression.data_type(), "{sql}");
    assert!(expression.nullable() || array.null_count() == 0, "{sql}");
    texts(&array)
}

const TABLE: &[(&str, [&str; 3])] = &[
    ("amount", ["1.5", "null", "-2.0"]),
    ("\"Weird Name\" + 1", ["2", "3", "4"]),
    ("amount * 2 + n", ["10.0", "null", "-7.0"]),
    ("n / 2", ["3", "null", "-1"]),
    ("n % 2", ["1", "null", "-1"]),
    ("-n", ["-7", "null", "3"]),
    ("price * 2", ["246.90", "null", "-1.00"]),
    ("price > 1", ["true", "null", "false"]),
    ("n > 0 and flag", ["true", "null", "false"]),
    ("not flag or kind = 'buy'", ["false", "true", "true"]),
    ("amount is null", ["false", "true", "false"]),
    ("amount is distinct from 1.5", ["false", "true", "true"]),
    ("n between -3 and 3", ["false", "null", "true"]),
    ("kind in ('click', 'view')", ["true", "false", "true"]),
    ("kind like 'cl%'", ["true", "false", "true"]),
    ("user ilike 'B_B'", ["false", "null", "true"]),
    ("kind ~ '^b'", ["false", "true", "false"]),
    ("case when n > 0 then 'up' when n < 0 then 'down' else 'none' end", ["up", "none", "down"]),
    ("case kind when 'buy' then 1 end", ["null", "1", "null"]),
    ("coalesce(user, kind)", ["Ärger", "buy", "bob"]),
    ("nullif(kind, 'buy')", ["click", "null", "click"]),
    ("greatest(n, 0)", ["7", "0", "0"]),
    ("upper(user)", ["ÄRGER", "null", "BOB"]),
    ("LOWER(user)", ["ärger", "null", "bob"]),
    ("length(user)", ["5", "null", "3"]),
    ("substring(kind from 2 for 2)", ["li", "uy", "li"]),
    ("substr(user, 1, 1)", ["Ä", "null", "b"]),
    ("left(kind, 2) || '-' || right(kind, 1)", ["cl-k", "bu-y", "cl-k"]),
    ("user || '!'", ["Ärger!", "null", "bob!"]),
    ("n || ''", ["7", "null", "-3"]),
    ("null || kind", ["null", "null", "null"]),
    ("concat(user, '!')", ["Ärger!", "!", "bob!"]),
    ("concat_ws('-', kind, user)", ["click-Ärger", "buy", "click-bob"]),
    ("trim(both 'c' from kind)", ["lick", "buy", "lick"]),
    ("replace(kind, 'c', 'kk')", ["kklikkk", "buy", "kklikkk"]),
    ("repeat(kind, 2)", ["clickclick", "buybuy", "clickclick"]),
    ("lpad(kind, 6, '*')", ["*click", "***buy", "*click"]),
    ("lpad(kind, n - 1, '*')", ["*click", "null", ""]),
    ("split_part('a,b,c', ',', 2)", ["b", "b", "b"]),
    ("position('i' in kind)", ["3", "0", "3"]),
    ("overlay(kind placing 'XX' from 2)", ["cXXck", "bXX", "cXXck"]),
    ("starts_with(kind, 'cl')", ["true", "false", "true"]),
    ("regexp_replace(kind, '[aeiou](.)', '<\\1>')", ["cl<c>k", "b<y>", "cl<c>k"]),
    ("regexp_like(kind, 'c+k')", ["true", "false", "true"]),
    ("abs(n)", ["7", "null", "3"]),
    ("round(amount)", ["2.0", "null", "-2.0"]),
    ("floor(amount)", ["1.0", "null", "-2.0"]),
    ("power(2, n + 3)", ["1024.0", "null", "1.0"]),
    ("sqrt(n * n)", ["7.0", "null", "3.0"]),
    ("cast(n as text)", ["7", "null", "-3"]),
    ("n::float64", ["7.0", "null", "-3.0"]),
    ("cast(amount as decimal(6, 1))", ["1.5", "null", "-2.0"]),
    ("try_cast(kind as int64)", ["null", "null", "null"]),
    ("cast('5' as int8)", ["5", "5", "5"]),
    ("cast(kind as binary) is null", ["false", "false", "false"]),
    ("at > '2024-02-29'", ["true", "false", "false"]),
    ("at = '1970-01-01T00:00:00Z'", ["false", "true", "false"]),
    ("at < timestamp '1970-01-01 00:00:00'", ["false", "false", "true"]),
    ("local >= '1970-01-01 00:00:01'", ["true", "null", "false"]),
    ("day = '2024-02-29'", ["true", "null", "false"]),
    ("day = date '1969-12-31'", ["false", "null", "true"]),
    ("date_trunc('hour', at)", ["2024-02-29T12:00:00Z", "1970-01-01T00:00:00Z", "1969-12-31T23:00:00Z"]),
    ("date_part('year', at)", ["2024", "1970", "1969"]),
    ("extract(dow from at)", ["4", "4", "3"]),
    ("to_char(at, '%Y-%m-%d %H:%M')", ["2024-02-29 12:34", "1970-01-01 00:00", "1969-12-31 23:59"]),
    ("at + interval '1 day'", ["2024-03-01T12:34:56.789012Z", "1970-01-02T00:00:00Z", "1970-01-01T23:59:59.999999Z"]),
    ("at - interval '1 month'", ["2024-01-29T12:34:56.789012Z", "1969-12-01T00:00:00Z", "1969-11-30T23:59:59.999999Z"]),
    ("date_bin(interval '15 minutes', at)", ["2024-02-29T12:30:00Z", "1970-01-01T00:00:00Z", "1969-12-31T23:45:00Z"]),
    ("cast(at as date)", ["2024-02-29", "1970-01-01", "1969-12-31"]),
    ("to_timestamp('2024-02-29T00:00:00.5')", ["2024-02-29T00:00:00.500", "2024-02-29T00:00:00.500", "2024-02-29T00:00:00.500"]),
    ("address.city", ["Graz", "null", "Wien"]),
    ("address['city']", ["Graz", "null", "Wien"]),
    ("true", ["true", "true", "true"]),
    ("1 = 1 -- a comment", ["true", "true", "true"]),
];

#[test]
fn yields_what_sql_says() {
    let mut wrong = Vec::new();
    for (sql, expected) in TABLE {
        let found = std::panic::catch_unwind(|| evaluate(sql, &rows()));
        match found {
            Ok(found) if found == *expected => {}
            Ok(found) => wrong.push(format!("{sql}: {found:?}, expected {expected:?}")),
            Err(_) => wrong.push(format!("{sql}: failed")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn yields_the_same_for_slices() {
    for (sql, expected) in TABLE {
        assert_eq!(evaluate(sql, &rows().slice(1, 2)), expected[1..], "{sql}");
        assert_eq!(evaluate(sql, &rows().slice(0, 0)), [""; 0], "{sql}");
    }
}

#[test]
fn texts_and_times_have_one_physical_type() {
    for (sql, expected) in [
        ("upper(kind)", DataType::Utf8),
        ("substr(kind, 2)", DataType::Utf8),
        ("split_part(kind, 'c', 1)", DataType::Utf8),
        ("concat(kind, kind)", DataType::Utf8),
        ("kind || kind", DataType::Utf8),
        ("arrow_typeof(n)", DataType::Utf8),
        ("regexp_replace(kind, 'c', '')", DataType::Utf8),
        ("to_timestamp(n)", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("timestamp '2024-01-01'", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("cast(local as timestamp_utc)", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ("cast(n as uint8)", DataType::UInt8),
        ("cast(n as int8)", DataType::Int8),
        ("cast(n as bigint)", DataType::Int64),
    ] {
        let expression = Expression::compile(sql, &schema()).unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(*expression.data_type(), expected, "{sql}");
        assert_eq!(*expression.evaluate(&rows().slice(0, 1)).expect("a value").data_type(), expected, "{sql}");
    }
}

#[test]
fn knows_plain_columns_and_nullability() {
    let compile = |sql| Expression::compile(sql, &schema()).expect("an expression");
    assert_eq!(compile("\"Weird Name\"").column_name(), Some("Weird Name"));
    assert_eq!(compile("(kind)").column_name(), Some("kind"));
    assert_eq!(compile("upper(kind)").column_name(), None);
    assert!(!compile("kind").nullable());
    assert!(compile("user").nullable());
    assert!(!compile("user is null").nullable());
}

#[test]
fn evaluates_over_rows_without_columns() {
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(2));
    let none = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).expect("no columns");
    assert_eq!(evaluate("1 + 1", &none), ["2", "2"]);
}

#[test]
fn selects_where_the_condition_is_true_and_not_null() {
    let select = |sql| Predicate::compile(sql, &schema()).expect("a condition").select(&rows()).expect("rows").num_rows();
    assert_eq!(select("flag"), 1);
    assert_eq!(select("not flag"), 1);
    assert_eq!(select("flag is null or true"), 3);
    assert_eq!(select("n > 100"), 0);
    let mask = Predicate::compile("flag", &schema()).expect("a condition").evaluate(&rows()).expect("a mask");
    assert_eq!(mask.null_count(), 0);
    let kept = Predicate::compile("kind = 'click'", &schema()).expect("a condition").select(&rows().slice(1, 2)).expect("rows");
    assert_eq!(kept, rows().slice(2, 1));
}

#[test]
fn a_row_without_a_value_is_an_error_not_a_panic() {
    for (sql, message) in [("1 / (n - n)", "Divide by zero"), ("cast(kind as int64)", "Cannot cast"), ("sqrt(n)", "square root")] {
        let expression = Expression::compile(sql, &schema()).expect("an expression");
        let error = expression.evaluate(&rows()).expect_err(sql).to_string();
        assert!(error.contains(message), "{sql}: {error}");
        assert!(error.contains(sql), "{error}");
    }
}

#[test]
fn rows_of_another_schema_are_refused() {
    let expression = Expression::compile("n + 1", &schema()).expect("an expression");
    let other = Arc::new(Schema::new(vec![Field::new("amount", DataType::Utf8, true)]));
    let error = expression.evaluate(&RecordBatch::new_empty(other)).expect_err("wrong rows");
    assert_eq!(error.to_string(), "column amount is Utf8, the expression was compiled for Float64");
}

fn wide(rows: usize, length: usize) -> RecordBatch {
    let text = StringArray::from(vec!["x".repeat(length); rows]);
    RecordBatch::try_from_iter([("t", Arc::new(text) as ArrayRef)]).expect("a column")
}

#[test]
fn growing_functions_stop_at_the_cap() {
    for sql in [
        "repeat(t, 100000000)",
        "repeat(t, 9223372036854775807)",
        "repeat(repeat(repeat(t, 1000), 1000), 1000)",
        "lpad(t, 2000000000, 'ab')",
        "rpad(t, 100000000)",
        "replace(t, 'x', repeat('y', 1000000))",
        "replace(t, '', repeat('y', 1000000))",
        "regexp_replace(t, 'x', repeat('y', 1000000), 'g')",
        "concat(repeat(t, 60000), repeat(t, 60000))",
        "repeat(t, 60000) || repeat(t, 60000)",
        "concat_ws(repeat('-', 60000000), t, t)",
    ] {
        let expression = Expression::compile(sql, wide(1, 1).schema_ref()).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let error = expression.evaluate(&wide(10, 100)).expect_err(sql).to_string();
        assert!(error.contains(&format!("at most {MAX_RESULT_BYTES} are allowed")), "{sql}: {error}");
    }
}

#[test]
fn growing_functions_work_below_the_cap_even_where_the_bound_is_above() {
    // The bound is 8,192 * 3,000 * 4 bytes, the result a quarter of it.
    let padded = Expression::compile("rpad(t, 3000)", wide(1, 1).schema_ref()).expect("an expression");
    let array = padded.evaluate(&wide(8192, 10)).expect("below the cap");
    let lengths: Vec<_> = array.as_any().downcast_ref::<StringArray>().expect("text").iter().map(|t| t.map(str::len)).collect();
    assert_eq!(lengths, [Some(3000); 8192]);
}

#[test]
fn far_times_compare_without_overflow() {
    let far = TimestampMicrosecondArray::from(vec![253_402_300_800_000_000_i64]).with_timezone("UTC");
    let rows = RecordBatch::try_from_iter([("at", Arc::new(far) as ArrayRef)]).expect("a column");
    assert_eq!(evaluate("at > '2024-01-01'", &rows), ["true"]);
    assert_eq!(evaluate("at > timestamp '2024-01-01 00:00:00'", &rows), ["true"]);
}
