//! What calls give back: slices, merging, row indices, logs, dead letters.

use crate::guests::{Guest, fields};
use crate::host::{CONTEXT, load, operator, rows};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{RecordBatch, UInt32Array};
use stygian_core::OutputShape;
use stygian_sandbox::{CallOutput, DeadRow, Limits, LogLevel, LogLine, Piece, Plugin};

/// Selects every other row of each call, sends row 1 of each call to the dead letters, and says so.
const EVEN: &str = r#"
  (func $process (param $rows i32) (param $columns i32) (param $count i32)
    (local $list i32) (local $n i32)
    (local.set $list (call $alloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.mul (local.get $rows) (i32.const 4))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (i32.shl (local.get $n) (i32.const 1)) (local.get $rows)))
        (i32.store (i32.add (local.get $list) (i32.shl (local.get $n) (i32.const 2))) (i32.shl (local.get $n) (i32.const 1)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (call $select (i32.const 0) (local.get $list) (local.get $n))
    (call $dead_letter (i32.const 1) (i32.const 256) (i32.const 4))
    (call $log (i32.const 2) (i32.const 256) (i32.const 17)))
"#;

/// Emits all input columns as they are, without parents.
pub(crate) const ECHO: &str = r#"
  (func $process (param $rows i32) (param $columns i32) (param $count i32)
    (call $emit (i32.const 0) (local.get $rows) (local.get $columns) (local.get $count) (i32.const 0) (i32.const 0) (i32.const 0)))
"#;

/// Emits the first row of each call twice, as children of rows 2 and 0.
const PARENTS: &str = r#"
  (func $process (param $rows i32) (param $columns i32) (param $count i32)
    (i32.store (i32.const 64) (i32.const 2))
    (i32.store (i32.const 68) (i32.const 0))
    (i32.store (i32.add (local.get $columns) (i32.const 20)) (i32.const 2))
    (call $emit (i32.const 0) (i32.const 2) (local.get $columns) (i32.const 1) (i32.const 1) (i32.const 64) (i32.const 2)))
"#;

/// Selects the first n rows in the instance's n-th call.
const COUNTS: &str = r#"
  (global $calls (mut i32) (i32.const 0))
  (func $process (param $rows i32) (param $columns i32) (param $count i32)
    (local $n i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $n) (global.get $calls)))
        (i32.store (i32.add (i32.const 64) (i32.shl (local.get $n) (i32.const 2))) (local.get $n))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (call $select (i32.const 0) (i32.const 64) (local.get $n)))
"#;

fn small(plugin: &Plugin, rows_per_call: u32) -> Plugin {
    plugin.with_limits(Limits { rows_per_call, ..Limits::default() })
}

#[test]
fn merges_slices_as_if_they_were_one_call() {
    let plugin = load("even", &Guest::default().build(EVEN)).expect("a plugin");
    let batch = rows(25);
    let output = operator(&small(&plugin, 10), &batch).process(CONTEXT, &batch).expect("output");
    let selected: Vec<u32> = (0..25).step_by(2).collect();
    let dead = [1, 11, 21].map(|row| DeadRow { row, reason: "said".into() });
    let line = LogLine { level: LogLevel::Warn, message: "said by the guest".into() };
    let expected = CallOutput {
        outputs: vec![vec![Piece::Selected(UInt32Array::from(selected))], vec![], vec![]],
        dead_letters: dead.to_vec(),
        logs: vec![line; 3],
    };
    assert_eq!(output, expected);
}

#[test]
fn fresh_instances_are_called_once() {
    let plugin = small(&load("counts", &Guest::default().build(COUNTS)).expect("a plugin"), 10);
    let batch = rows(30);
    let selected = |fresh: bool| {
        let mut operator = operator(&plugin, &batch).with_fresh_instances(fresh);
        [(); 2].map(|()| match &operator.process(CONTEXT, &batch).expect("output").outputs[0][..] {
            [Piece::Selected(rows)] => rows.values().to_vec(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(selected(true), [[0, 10, 20], [0, 10, 20]]);
    assert_eq!(selected(false)[0], [0, 10, 11, 20, 21, 22], "one that is kept counts on");
}

fn echo(shape: OutputShape) -> Plugin {
    let guest = Guest::default().reads(fields(&["n int64"])).outputs(vec![("out", shape)]);
    load("echo", &guest.build(ECHO)).expect("a plugin")
}

fn numbers(rows: &RecordBatch) -> Vec<i64> {
    rows.column(0).as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn a_map_over_several_slices_is_one_batch_row_for_row() {
    let (plugin, batch) = (echo(OutputShape::Extended(fields(&["m int64"]))), rows(25));
    let output = operator(&small(&plugin, 10), &batch).process(CONTEXT, &batch).expect("output");
    let [Piece::Emitted { rows, parents: None }] = &output.outputs[0][..] else { panic!("{output:?}") };
    assert_eq!(numbers(rows), (0..25).collect::<Vec<_>>());
    assert_eq!(rows.schema().field(0).name(), "m");
}

#[test]
fn own_rows_of_several_slices_come_in_order() {
    let (plugin, batch) = (echo(OutputShape::Own(fields(&["m int64"]))), rows(25));
    let output = operator(&small(&plugin, 10), &batch).process(CONTEXT, &batch).expect("output");
    let pieces: Vec<i64> = output.outputs[0]
        .iter()
        .flat_map(|piece| match piece {
            Piece::Emitted { rows, parents: None } => numbers(rows),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(pieces, (0..25).collect::<Vec<_>>());
}

#[test]
fn parents_count_the_rows_of_the_whole_batch() {
    let guest = Guest::default().reads(fields(&["n int64"])).outputs(vec![("out", OutputShape::Extended(fields(&["m int64"])))]);
    let plugin = load("parents", &guest.build(PARENTS)).expect("a plugin");
    let batch = rows(20);
    let output = operator(&small(&plugin, 10), &batch).process(CONTEXT, &batch).expect("output");
    let parents: Vec<Vec<u32>> = output.outputs[0]
        .iter()
        .map(|piece| match piece {
            Piece::Emitted { parents: Some(parents), .. } => parents.values().to_vec(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(parents, [[2, 0], [12, 10]]);
}

#[test]
fn an_empty_batch_needs_no_call() {
    let (plugin, batch) = (echo(OutputShape::Own(fields(&["m int64"]))), rows(0));
    let output = operator(&plugin, &batch).process(CONTEXT, &batch).expect("output");
    assert_eq!(output.outputs, [vec![]]);
}

/// Emits all input columns as they are, without parents; nothing at all where the first row is 10 or more.
const ECHO_FIRST: &str = r#"
  (func $process (param $rows i32) (param $columns i32) (param $count i32)
    (if (i64.ge_s (i64.load (i32.load (i32.add (local.get $columns) (i32.const 16)))) (i64.const 10)) (then (return)))
    (call $emit (i32.const 0) (local.get $rows) (local.get $columns) (local.get $count) (i32.const 0) (i32.const 0) (i32.const 0)))
"#;

#[test]
fn a_map_whose_last_call_emits_nothing_names_the_parents_of_the_rest() {
    let guest = Guest::default().reads(fields(&["n int64"])).outputs(vec![("out", OutputShape::Extended(fields(&["m int64"])))]);
    let (plugin, batch) = (load("first", &guest.build(ECHO_FIRST)).expect("a plugin"), rows(15));
    let output = operator(&small(&plugin, 10), &batch).process(CONTEXT, &batch).expect("output");
    let [Piece::Emitted { rows, parents: Some(parents) }] = &output.outputs[0][..] else { panic!("{output:?}") };
    assert_eq!(numbers(rows), (0..10).collect::<Vec<_>>());
    assert_eq!(parents.values().to_vec(), (0..10).collect::<Vec<_>>());
}

#[test]
fn rows_that_no_call_went_well_with_are_missing_and_the_rest_keeps_its_parents() {
    let (plugin, batch) = (echo(OutputShape::Extended(fields(&["m int64"]))), rows(10));
    let mut operator = operator(&plugin, &batch);
    let input = operator.input(&batch).expect("its schema");
    let mut merge = operator.merge(&input);
    for slice in [0..3, 4..5, 5..8] {
        merge.add(operator.call(CONTEXT, &input, &slice).expect("output"), &slice);
    }
    let output = operator.finish(merge).expect("output");
    let parents: Vec<u32> = output.outputs[0]
        .iter()
        .flat_map(|piece| match piece {
            Piece::Emitted { rows, parents: Some(parents) } => {
                let of: Vec<i64> = parents.values().iter().map(|row| i64::from(*row)).collect();
                assert_eq!(numbers(rows), of);
                parents.values().to_vec()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(parents, [0, 1, 2, 4, 5, 6, 7]);
}
