//! Each aggregate against values that pandas and numpy computed for the same rows:
//! `pd.DataFrame({"x": [3, None, -1.5, 7, 7, 0.25], "y": [1, 2, 3, 4, 5, 6.5], "n": [3, None, -1, 7, 7, 2], ...})` with `mean`,
//! `std`, `var` (`ddof=0` for the `_pop` ones), `median`, `quantile`, `corr`, `cov` and `np.polyfit(y, x, 1)`.

use crate::{Aggregate, WindowAggregator, WindowAggregatorSpec, WindowSpec};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, SchemaRef};
use std::sync::Arc;
use stygian_core::EventTime;

fn rows() -> RecordBatch {
    let price = Decimal128Array::from(vec![Some(100), None, Some(250), Some(1), Some(1), Some(3)]);
    let columns: [(&str, ArrayRef); 8] = [
        ("x", Arc::new(Float64Array::from(vec![Some(3.0), None, Some(-1.5), Some(7.0), Some(7.0), Some(0.25)]))),
        ("y", Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.5]))),
        ("n", Arc::new(Int64Array::from(vec![Some(3), None, Some(-1), Some(7), Some(7), Some(2)]))),
        ("u", Arc::new(StringArray::from(vec![Some("p"), Some("q"), Some("p"), None, Some("r"), Some("p")]))),
        ("f", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(true), Some(true)]))),
        ("price", Arc::new(price.with_precision_and_scale(10, 2).expect("fits"))),
        ("small", Arc::new(UInt32Array::from(vec![1, 2, 3, 4, 5, u32::MAX]))),
        ("time", Arc::new(TimestampMicrosecondArray::from(vec![0, 1, 2, 5, 6, 7]).with_timezone("UTC"))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("one length")
}

/// The value over all rows, by one window or by merging the panes of a sliding one.
fn value(sql: &str, rows: &RecordBatch, window: WindowSpec) -> ArrayRef {
    let input: SchemaRef = rows.schema();
    let aggregate = Aggregate::compile(sql, &input).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let expected = (aggregate.data_type().clone(), aggregate.nullable());
    let event_time = input.index_of("time").expect("a time");
    let spec = WindowAggregatorSpec {
        window,
        keys: vec![],
        event_time: Some(event_time),
        allowed_lateness: 0,
        early: false,
        aggregates: vec![("a".to_owned(), aggregate)],
        input,
    };
    let mut aggregator = WindowAggregator::new(Arc::new(spec)).expect("a window");
    for row in 0..rows.num_rows() {
        assert!(aggregator.push(&rows.slice(row, 1)).expect("pushed").is_none());
    }
    let fired = aggregator.advance(EventTime::MAX).expect("advanced");
    let whole = fired.iter().find(|b| b.column(0).as_primitive::<arrow_array::types::TimestampMicrosecondType>().value(0) == 0);
    let array = whole.expect("the window from 0").column(3).clone();
    assert_eq!(*array.data_type(), expected.0, "{sql}");
    assert!(expected.1 || array.null_count() == 0, "{sql}");
    array
}

#[track_caller]
fn is(sql: &str, expected: &str) {
    for window in [WindowSpec::tumbling(10), WindowSpec::sliding(10, 5)] {
        let array = value(sql, &rows(), window);
        let found = if array.is_null(0) { "null".to_owned() } else { array_value_to_string(&array, 0).expect("printable") };
        assert_eq!(found, expected, "{sql} by {window:?}");
    }
}

#[track_caller]
fn near(sql: &str, expected: f64, within: f64) {
    for window in [WindowSpec::tumbling(10), WindowSpec::sliding(10, 5)] {
        let found = value(sql, &rows(), window).as_primitive::<Float64Type>().value(0);
        assert!((found - expected).abs() <= within, "{sql} by {window:?}: {found}, expected {expected}");
    }
}

#[test]
fn counts_sums_and_extremes() {
    is("count(*)", "6");
    is("COUNT(x)", "5");
    is("count(distinct u)", "3");
    is("count(distinct n)", "4");
    is("count(distinct x)", "4");
    is("count(distinct price)", "4");
    is("count(*) filter (where u = 'p' and n > 0)", "2");
    is("sum(x) filter (where n > 100)", "null");
    is("sum(x)", "15.75");
    is("sum(n)", "18");
    is("sum(distinct n)", "11");
    is("sum(price)", "3.55");
    is("sum(small)", "4294967310");
    is("sum(n * 2 + 1)", "41");
    is("min(x)", "-1.5");
    is("max(x)", "7.0");
    is("min(u)", "p");
    is("max(u)", "r");
    is("max(time)", "1970-01-01T00:00:00.000007Z");
    is("min(price)", "0.01");
    is("bool_and(f)", "false");
    is("bool_or(f)", "true");
    is("bit_and(n)", "2");
    is("bit_or(n)", "-1");
    is("bit_xor(n)", "-2");
}

#[test]
fn means_and_spreads() {
    near("avg(x)", 3.15, 1e-12);
    near("mean(x)", 3.15, 1e-12);
    near("avg(n)", 3.6, 1e-12);
    is("avg(price)", "0.710000");
    near("stddev(x)", 3.863_288_754_416_372, 1e-12);
    near("stddev_samp(x)", 3.863_288_754_416_372, 1e-12);
    near("stddev_pop(x)", 3.455_430_508_634_199_4, 1e-12);
    near("var(x)", 14.925, 1e-12);
    near("var_pop(x)", 11.94, 1e-12);
    near("corr(x, y)", 0.053_051_483_451_277_144, 1e-12);
    near("covar_samp(x, y)", 0.425, 1e-12);
    near("covar_pop(x, y)", 0.34, 1e-12);
    near("regr_slope(x, y)", 0.098_837_209_302_324_97, 1e-12);
    near("regr_intercept(x, y)", 2.764_534_883_720_932_3, 1e-12);
    near("regr_r2(x, y)", 0.002_814_459_896_381_132_6, 1e-12);
    near("regr_avgx(x, y)", 3.9, 1e-12);
    near("regr_avgy(x, y)", 3.15, 1e-12);
    is("regr_count(x, y)", "5");
}

#[test]
fn quantiles() {
    near("median(x)", 3.0, 0.0);
    near("percentile_cont(x, 0.25)", 0.25, 1e-12);
    near("percentile_cont(0.9) within group (order by x)", 7.0, 1e-12);
    near("quantile_cont(x, 0.5)", 3.0, 1e-12);
    is("approx_distinct(u)", "3");
    near("approx_median(y)", 3.5, 0.5);
}

/// pandas: `pd.Series(np.arange(10001) / 10).quantile([0.95, 0.5, 0.01])`, here in another order.
#[test]
fn quantiles_of_many_rows() {
    let values: Vec<f64> = (0..10_001_u32).map(|n| f64::from(n * 7_919 % 10_001) / 10.0).collect();
    let time = TimestampMicrosecondArray::from_iter_values((0..10_001).map(|n| n % 10)).with_timezone("UTC");
    let x: ArrayRef = Arc::new(Float64Array::from(values));
    let rows = RecordBatch::try_from_iter([("x", x), ("time", Arc::new(time) as ArrayRef)]).expect("one length");
    for (sql, expected) in [("quantile(x, 0.95)", 950.0), ("approx_percentile_cont(x, 0.5)", 500.0), ("quantile(x, 0.01)", 10.0)] {
        for window in [WindowSpec::tumbling(10), WindowSpec::sliding(10, 5)] {
            let found = value(sql, &rows, window).as_primitive::<Float64Type>().value(0);
            let near = if sql.starts_with("approx") { 5.0 } else { 1e-9 };
            assert!((found - expected).abs() < near, "{sql} by {window:?}: {found}");
        }
    }
}

#[test]
fn integer_sums_wrap_around() {
    let n: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 1]));
    let time = TimestampMicrosecondArray::from(vec![0, 1]);
    let rows = RecordBatch::try_from_iter([("n", n), ("time", Arc::new(time) as ArrayRef)]).expect("one length");
    let found = value("sum(n)", &rows, WindowSpec::tumbling(10));
    assert_eq!(found.as_primitive::<arrow_array::types::Int64Type>().value(0), i64::MIN);
}

#[test]
fn knows_its_type_and_columns() {
    let schema = rows().schema();
    let compile = |sql| Aggregate::compile(sql, &schema).expect("an aggregate");
    let sum = compile("sum(x * y) filter (where u = 'p' and x > 0)");
    assert_eq!((sum.data_type(), sum.nullable(), sum.columns()), (&DataType::Float64, true, vec![0, 1, 3]));
    let count = compile("count(*)");
    assert_eq!((count.data_type(), count.nullable(), count.columns()), (&DataType::Int64, false, vec![]));
}

/// No aggregate on the list fails for the types it takes.
#[test]
fn every_aggregate_runs_over_every_type_it_takes() {
    let mut ran = 0;
    for name in crate::aggregate_names() {
        for column in ["x", "n", "u", "f", "price", "small", "time"] {
            for sql in [
                format!("{name}({column})"),
                format!("{name}(distinct {column})"),
                format!("{name}({column}, y)"),
                format!("{name}({column}, 0.5)"),
                format!("{name}({column}, n, 0.5)"),
            ] {
                if Aggregate::compile(&sql, &rows().schema()).is_ok() {
                    for window in [WindowSpec::tumbling(10), WindowSpec::sliding(10, 5)] {
                        assert_eq!(value(&sql, &rows(), window).len(), 1, "{sql}");
                    }
                    ran += 1;
                }
            }
        }
    }
    assert!(ran > 150, "{ran}");
}
