//! Rows come out as they should, whatever the parallelism.

use crate::parts::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use stygian_engine::operators::{Branch, Filter, Select, Union, Window};
use stygian_engine::{Partitioning, Target, TaskSpec};
use stygian_expr::{Aggregate, Expression, Predicate, WindowAggregatorSpec, WindowSpec};

fn window_spec(size: i64) -> Arc<WindowAggregatorSpec> {
    let total = Aggregate::compile("sum(n)", &schema()).expect("an aggregate");
    Arc::new(WindowAggregatorSpec {
        window: WindowSpec::tumbling(size),
        keys: vec![0],
        event_time: Some(2),
        allowed_lateness: 0,
        early: false,
        aggregates: vec![("total".to_owned(), total)],
        input: schema(),
    })
}

/// events -> key exchange -> window -> results and late rows
pub(crate) fn windowed(parallelism: u16, fixed: Fixed, size: i64, results: &Collect, late: &Collect) -> Vec<TaskSpec> {
    let spec = window_spec(size);
    let outputs = vec![vec![Target::Outlet(0)], vec![Target::Outlet(1)]];
    let window = stage("totals", outputs, move |context| Window::new(spec.clone(), None, context));
    vec![
        task("events", parallelism, source(fixed, vec![Target::Outlet(0)]), vec![], vec![to(1, Partitioning::Hash(vec![0]))]),
        task("totals", parallelism, stygian_engine::Head::Exchange, vec![window], vec![sink("results", results), sink("late", late)]),
    ]
}

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Against a slow reference: sums by key and window of ordered splits, at parallelism 1 to 4, none late, none lost.
    #[test]
    fn windows_by_key_do_not_depend_on_parallelism(
        splits in prop::collection::vec(prop::collection::vec((0_usize..5, -50_i64..50, 0_i64..4), 0..40), 1..4),
        parallelism in 1_u16..5, cut in 1_usize..10,
    ) {
        let mut expected: BTreeMap<(String, i64), i64> = BTreeMap::new();
        let ordered = |split: &Vec<(usize, i64, i64)>| {
            let mut now = 0;
            let rows: Vec<Row> = split.iter().map(|(key, n, step)| { now += step; (KEYS[*key], *n, now) }).collect();
            rows
        };
        let splits: Vec<Vec<Row>> = splits.iter().map(ordered).collect();
        for (key, n, at) in splits.iter().flatten() {
            *expected.entry(((*key).to_owned(), at.div_euclid(10))).or_default() += n;
        }
        let (results, late) = (Collect::default(), Collect::default());
        let fixed = Fixed::of(splits.iter().map(|rows| rows.chunks(cut).map(batch).collect()).collect());
        run(job(windowed(parallelism, fixed, 10, &results, &late))).expect("runs");
        let mut found = BTreeMap::new();
        for batch in results.rows() {
            let keys = keyed_numbers(std::slice::from_ref(&batch), "key", "total");
            prop_assert_eq!(keys.len(), batch.num_rows());
            let starts = times(std::slice::from_ref(&batch), "window_start");
            let key = |row: usize| arrow_array::cast::AsArray::as_string::<i32>(batch.column_by_name("key").expect("a key")).value(row).to_owned();
            let total = |row: usize| arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(batch.column_by_name("total").expect("a total")).value(row);
            for (row, start) in starts.iter().enumerate() {
                prop_assert_eq!(found.insert((key(row), start / 10), total(row)), None, "one result a key and window");
            }
        }
        prop_assert_eq!(found, expected);
        prop_assert!(late.rows().is_empty());
    }
}

#[test]
fn filters_and_selects_in_one_chain() {
    let out = Collect::default();
    let predicate = Predicate::compile("n % 2 = 0", &schema()).expect("a predicate");
    let (key, double) =
        (Expression::compile("key", &schema()).expect("a column"), Expression::compile("n * 2", &schema()).expect("a number"));
    let fields = vec![schema().field(0).clone(), arrow_schema::Field::new("n", double.data_type().clone(), double.nullable())];
    let selected = Arc::new(arrow_schema::Schema::new(fields));
    let even = stage("even", vec![vec![Target::Stage(1)]], move |_| Ok(Filter(predicate.clone())));
    let doubled =
        stage("doubled", vec![vec![Target::Outlet(0)]], move |_| Ok(Select::new(selected.clone(), vec![key.clone(), double.clone()])));
    let fixed = Fixed::of(vec![vec![batch(&[("a", 1, 0), ("b", 2, 1), ("c", 4, 2)])]]);
    run(job(vec![task("all", 1, source(fixed, vec![Target::Stage(0)]), vec![even, doubled], vec![sink("out", &out)])])).expect("runs");
    assert_eq!(keyed_numbers(&out.rows(), "key", "n"), [("b".to_owned(), 4), ("c".to_owned(), 8)]);
}

#[test]
fn branches_go_apart_and_unions_together() {
    let (small, all) = (Collect::default(), Collect::default());
    let predicates = ["n < 2", "n < 10"].map(|sql| Predicate::compile(sql, &schema()).expect("a predicate"));
    let outputs = vec![vec![Target::Outlet(0), Target::Outlet(1)], vec![Target::Outlet(1)], vec![]];
    let branch = stage("branch", outputs, move |_| Ok(Branch(predicates.to_vec())));
    let union = stage("union", vec![vec![Target::Outlet(0)]], |_| Ok(Union(schema())));
    let fixed = |rows: &[Row]| Fixed::of(vec![vec![batch(rows)]]);
    let first = fixed(&[("a", 1, 0), ("b", 5, 1), ("c", 50, 2)]);
    run(job(vec![
        task("branch", 2, source(first, vec![Target::Stage(0)]), vec![branch], vec![sink("small", &small), to(2, Partitioning::Forward)]),
        task("more", 2, source(fixed(&[("z", 7, 0)]), vec![Target::Outlet(0)]), vec![], vec![to(2, Partitioning::Forward)]),
        task("union", 2, stygian_engine::Head::Exchange, vec![union], vec![sink("all", &all)]),
    ]))
    .expect("runs");
    assert_eq!(keyed_numbers(&small.rows(), "key", "n"), [("a".to_owned(), 1)]);
    assert_eq!(keyed_numbers(&all.rows(), "key", "n"), [("a".to_owned(), 1), ("b".to_owned(), 5), ("z".to_owned(), 7)]);
}

#[test]
fn late_rows_go_to_their_output_and_are_counted() {
    let (results, late) = (Collect::default(), Collect::default());
    let fixed = Fixed::of(vec![vec![batch(&[("a", 1, 5)]), batch(&[("a", 2, 25)]), batch(&[("a", 4, 9), ("a", 8, 21)])]]);
    let mut counted = 0;
    let stop = stygian_engine::Stop::default();
    let spec = job(windowed(1, fixed, 10, &results, &late));
    run_with(spec, &stop, |metrics| async move {
        while !metrics.snapshot().iter().any(|node| node.late_rows > 0) {
            tokio::task::yield_now().await;
        }
    })
    .expect("runs");
    counted += late.rows().iter().map(arrow_array::RecordBatch::num_rows).sum::<usize>();
    assert_eq!(counted, 1);
    assert_eq!(keyed_numbers(&late.rows(), "key", "n"), [("a".to_owned(), 4)]);
    assert_eq!(keyed_numbers(&results.rows(), "key", "total"), [("a".to_owned(), 1), ("a".to_owned(), 10)]);
}
