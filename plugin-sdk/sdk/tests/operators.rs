//! What operators ask of their host, call by call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)] // helpers of tests

use serde::Deserialize;
use stygian_sdk::contract::{Batch, Column, Level, OutputShape, StreamKind, Values, VarValues};
use stygian_sdk::prelude::*;
use stygian_sdk::{FilterOperator, FlatMapOperator, Host, Input, MapOperator, Operator, describe, open};

/// What was asked.
#[derive(Debug, PartialEq)]
enum Asked {
    Select(u32, Vec<u32>),
    Emit(u32, Batch, Option<Vec<u32>>),
    Dead(u32, String),
}

#[derive(Default)]
struct Recorder(Vec<Asked>);

impl Host for Recorder {
    fn select(&mut self, output: u32, rows: &[u32]) {
        self.0.push(Asked::Select(output, rows.to_vec()));
    }

    fn emit(&mut self, output: u32, rows: &Batch, parents: Option<&[u32]>) {
        self.0.push(Asked::Emit(output, rows.clone(), parents.map(<[u32]>::to_vec)));
    }

    fn dead_letter(&mut self, row: u32, reason: &str) {
        self.0.push(Asked::Dead(row, reason.to_owned()));
    }
}

fn asked<O: Operator>(config: &str, numbers: &[i64]) -> Vec<Asked> {
    let mut host = Recorder::default();
    open::<O>(config).unwrap().process(Input::checked(&batch(Values::Int64(numbers.to_vec()), numbers.len())), &mut host).unwrap();
    host.0
}

fn batch(values: Values, rows: usize) -> Batch {
    Batch { rows: rows as u32, columns: vec![Column { validity: None, values }] }
}

fn numbers(numbers: &[i64]) -> Batch {
    batch(Values::Int64(numbers.to_vec()), numbers.len())
}

#[derive(Row, Debug)]
struct Number {
    number: i64,
}

/// Refuses 13 and doubles, keeps or parts the rest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Above {
    least: i64,
}

fn lucky(number: i64) -> Result<i64, Reject> {
    if number == 13 { Err("13 is unlucky".into()) } else { Ok(number) }
}

fn positive(config: Above) -> Result<Above, String> {
    if config.least < 0 { Err("`least` is below 0".to_owned()) } else { Ok(config) }
}

impl Filter for Above {
    type Config = Self;
    type Row<'a> = Number;

    fn open(config: Self) -> Result<Self, String> {
        positive(config)
    }

    fn keep(&self, row: Number) -> Result<bool, Reject> {
        Ok(lucky(row.number)? >= self.least)
    }
}

#[test]
fn a_filter_selects_in_one_call_and_says_nothing_where_nothing_is_kept() {
    type Op = FilterOperator<Above>;
    assert_eq!(asked::<Op>(r#"{"least":5}"#, &[5, 1, 7]), [Asked::Select(0, vec![0, 2])]);
    assert_eq!(asked::<Op>(r#"{"least":5}"#, &[1, 13, 9]), [Asked::Dead(1, "13 is unlucky".into()), Asked::Select(0, vec![2])]);
    assert_eq!(asked::<Op>(r#"{"least":5}"#, &[1, 2]), []);
    assert_eq!(asked::<Op>(r#"{"least":5}"#, &[]), []);
}

#[test]
fn a_filter_describes_itself() {
    let description = describe::<FilterOperator<Above>>("above", "1.2.3", r#"{"least":5}"#).unwrap();
    assert_eq!((description.name.as_str(), description.version.as_str()), ("above", "1.2.3"));
    assert_eq!(description.inputs[0].columns, <Number as stygian_sdk::InputRow<'_>>::fields());
    let [output] = description.outputs.as_slice() else { panic!("one output") };
    assert_eq!(
        (output.name.as_str(), &output.shape, output.kind, &output.event_time),
        ("main", &OutputShape::Selected, StreamKind::Append, &None)
    );
    assert!(description.slots.is_empty() && description.timers.is_empty());
}

#[test]
fn a_configuration_is_refused_with_the_key_that_is_wrong() {
    let refused = |config| describe::<FilterOperator<Above>>("above", "1.2.3", config).unwrap_err();
    assert_eq!(refused(r#"{"least":5,"most":6}"#), "unknown field `most`, expected `least`");
    assert_eq!(refused("{}"), "missing field `least`");
    assert_eq!(refused(r#"{"least":-1}"#), "`least` is below 0");
    assert_eq!(open::<FilterOperator<Above>>(r#"{"least":"x"}"#).unwrap_err(), r#"invalid type: string "x", expected i64"#);
    assert!(serde_json::from_str::<NoConfig>("{}").is_ok() && serde_json::from_str::<NoConfig>(r#"{"a":1}"#).is_err());
}

/// Doubles, with all columns or the new one alone.
struct Double<const EXTENDS: bool>;

impl<const EXTENDS: bool> Map for Double<EXTENDS> {
    type Config = NoConfig;
    type In<'a> = Number;
    type Out<'a> = Number;
    const EXTENDS: bool = EXTENDS;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn map(&self, row: Number) -> Result<Number, Reject> {
        Ok(Number { number: lucky(row.number)? * 2 })
    }
}

#[test]
fn a_map_that_extends_names_parents_only_where_rows_are_missing() {
    type Op = MapOperator<Double<true>>;
    assert_eq!(asked::<Op>("{}", &[1, 2]), [Asked::Emit(0, numbers(&[2, 4]), None)]);
    assert_eq!(
        asked::<Op>("{}", &[1, 13, 3]),
        [Asked::Dead(1, "13 is unlucky".into()), Asked::Emit(0, numbers(&[2, 6]), Some(vec![0, 2]))]
    );
    // As many rows as there are parents, but not all: the last is missing.
    assert_eq!(asked::<Op>("{}", &[1, 13])[1], Asked::Emit(0, numbers(&[2]), Some(vec![0])));
    assert_eq!(asked::<Op>("{}", &[13]).len(), 1);
    assert!(matches!(Op::outputs()[0].shape, OutputShape::Extended(_)));
}

#[test]
fn a_map_that_does_not_extend_names_no_parents() {
    type Op = MapOperator<Double<false>>;
    assert_eq!(asked::<Op>("{}", &[13, 3]), [Asked::Dead(0, "13 is unlucky".into()), Asked::Emit(0, numbers(&[6]), None)]);
    assert!(matches!(Op::outputs()[0].shape, OutputShape::Own(_)));
}

#[derive(Outputs)]
struct Parts {
    own: Output<Number>,
    #[output(name = "with all")]
    extended: ExtendedOutput<Number>,
    selected: SelectedOutput,
}

/// Pushes to all outputs, then refuses 13: what it pushed for 13 must not be seen.
struct Part;

impl FlatMap for Part {
    type Config = NoConfig;
    type Row<'a> = Number;
    type Outputs<'a> = Parts;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn flat_map(&self, row: Number, out: &mut Parts) -> Result<(), Reject> {
        for _ in 0..row.number.min(2) {
            out.own.push(Number { number: row.number });
            out.extended.push(Number { number: -row.number });
            out.selected.keep();
        }
        lucky(row.number).map(|_| log::info!("saw {}", row.number))
    }
}

#[test]
fn a_flat_map_takes_back_what_a_refused_row_pushed() {
    let expected = [
        Asked::Dead(1, "13 is unlucky".into()),
        Asked::Emit(0, numbers(&[1, 2, 2]), None),
        Asked::Emit(1, numbers(&[-1, -2, -2]), Some(vec![0, 3, 3])),
        Asked::Select(2, vec![0, 3]),
    ];
    assert_eq!(asked::<FlatMapOperator<Part>>("{}", &[1, 13, 0, 2]), expected);
    assert_eq!(asked::<FlatMapOperator<Part>>("{}", &[13, 13]).len(), 2);
}

#[test]
fn outputs_are_named_in_the_order_of_their_fields() {
    let specs = <FlatMapOperator<Part> as Operator>::outputs();
    assert_eq!(specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["own", "with all", "selected"]);
    assert!(matches!(specs[0].shape, OutputShape::Own(_)) && matches!(specs[1].shape, OutputShape::Extended(_)));
    assert_eq!(specs[2].shape, OutputShape::Selected);
}

#[test]
fn log_lines_are_captured_on_this_thread_only_while_asked_for() {
    log::warn!("lost");
    let ((), lines) = log::capture(|| {
        log::debug!("a{}", 1);
        let ((), inner) = log::capture(|| log::error!("inner"));
        assert_eq!(inner, [(Level::Error, "inner".to_owned())]);
        asked::<FlatMapOperator<Part>>("{}", &[1, 13]);
    });
    assert_eq!(lines, [(Level::Debug, "a1".to_owned()), (Level::Info, "saw 1".to_owned())]);
}

/// Passes parts of the row and of its own configuration on, without copying either before they are columns.
struct Borrow {
    label: String,
}

#[derive(Row)]
struct Word<'a> {
    word: &'a str,
}

#[derive(OutputRow)]
struct Labelled<'a> {
    first: &'a str,
    label: &'a str,
}

impl Map for Borrow {
    type Config = NoConfig;
    type In<'a> = Word<'a>;
    type Out<'a> = Labelled<'a>;
    const EXTENDS: bool = false;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self { label: "seen".to_owned() })
    }

    fn map<'a>(&'a self, row: Word<'a>) -> Result<Labelled<'a>, Reject> {
        Ok(Labelled { first: row.word.get(..1).ok_or("no first letter")?, label: &self.label })
    }
}

#[test]
fn rows_out_borrow_from_rows_in_and_from_the_operator() {
    let text = |offsets: &[i32], bytes: &str| Values::Text(VarValues { offsets: offsets.to_vec(), bytes: bytes.as_bytes().to_vec() });
    let mut host = Recorder::default();
    open::<MapOperator<Borrow>>("{}").unwrap().process(Input::checked(&batch(text(&[0, 2, 2, 5], "abcde"), 3)), &mut host).unwrap();
    let column = |values| Column { validity: None, values };
    let columns = vec![column(text(&[0, 1, 2], "ac")), column(text(&[0, 4, 8], "seenseen"))];
    assert_eq!(host.0, [Asked::Dead(1, "no first letter".into()), Asked::Emit(0, Batch { rows: 2, columns }, None)]);
}

#[test]
fn a_batch_that_does_not_fit_fails_the_call() {
    let operator = open::<FilterOperator<Above>>(r#"{"least":1}"#).unwrap();
    let error = operator.process(Input::checked(&batch(Values::Float64(vec![1.0]), 1)), &mut Recorder::default()).unwrap_err();
    assert_eq!(error, "column `number` has another type than was declared");
}
