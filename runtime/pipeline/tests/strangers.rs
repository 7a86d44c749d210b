//! Whatever is in a pipeline file, reading and rendering it ends without a panic, and every place told lies within it.
//!
//! `fuzz-corpus/` keeps files that are worth trying again, those that once made trouble among them; the fuzzer of the command line
//! starts from them too.

#![allow(clippy::expect_used, clippy::panic)] // Tests and their helpers say what they expect by failing.

use proptest::prelude::*;
use std::path::Path;
use stygian_api::{Problem, Problems};
use stygian_pipeline::{Pipeline, apply_set, render, render_warnings};

const WHOLE: &str = include_str!("../fuzz-corpus/whole.toml");

/// Reads, renders and edits; the number of problems.
fn try_out(text: &str) -> usize {
    let sets = ["settings.parallelism=3".to_owned(), "operator.clean.config.x=[".to_owned()];
    if let Ok(edited) = apply_set(text, &sets) {
        let _ = Pipeline::parse(&edited);
    }
    match Pipeline::parse(text) {
        Ok(pipeline) => {
            check_places(&pipeline.warnings, text);
            render_warnings(&pipeline.warnings, text, "x.toml", true);
            for (literal, inner) in literals(&pipeline) {
                assert_eq!(text.get(literal).map(str::is_empty), Some(false));
                assert!(text.get(inner).is_some());
            }
            0
        }
        Err(Problems(problems)) => {
            assert!(!problems.is_empty());
            check_places(&problems, text);
            let shown = render(&Problems(problems.clone()), text, "x.toml", false);
            assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
            problems.len()
        }
    }
}

fn sql_of(aggregate: &stygian_pipeline::NamedAggregate) -> Option<stygian_pipeline::Literal> {
    match &aggregate.by {
        stygian_pipeline::AggregateBy::Sql(sql) => Some(sql.clone()),
        stygian_pipeline::AggregateBy::Plugin(_) => None,
    }
}

fn literals(pipeline: &Pipeline) -> Vec<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    use stygian_pipeline::OperatorKind::{Branch, Filter, Select, Window};
    let of = |operator: &stygian_pipeline::OperatorNode| match &operator.kind {
        Filter(sql) => vec![sql.clone()],
        Select(select) => select.columns.iter().map(|column| column.sql.clone()).collect(),
        Branch(branches) => branches.iter().map(|branch| branch.sql.clone()).collect(),
        Window(window) => window.aggregates.iter().filter_map(sql_of).collect(),
        _ => Vec::new(),
    };
    let all = pipeline.operators.iter().flat_map(of);
    all.map(|sql| (sql.at.clone(), sql.part(0..sql.text.len()))).collect()
}

fn check_places(problems: &[Problem], text: &str) {
    for at in problems.iter().filter_map(|problem| problem.at.clone()) {
        assert!(at.start <= at.end && at.end <= text.len(), "{at:?} is not in a text of {}", text.len());
    }
}

#[test]
fn corpus_is_read_without_a_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        try_out(&String::from_utf8_lossy(&bytes));
        files += 1;
    }
    assert!(files >= 10, "only {files} files");
    assert_eq!(try_out(WHOLE), 0);
}

/// What fuzzing has found to reach new code; one file a line, in hexadecimal digits.
#[test]
fn found_files_are_read_without_a_panic() {
    for line in include_str!("../fuzz-corpus/found.hex").lines() {
        let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("two digits");
        let bytes: Vec<u8> = (0..line.len()).step_by(2).map(byte).collect();
        try_out(&String::from_utf8_lossy(&bytes));
    }
}

#[derive(Clone, Debug)]
enum Change {
    Cut(usize, usize),
    Insert(usize, String),
    Copy(usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let place = 0..WHOLE.len();
    let piece = prop_oneof![
        "[\\[\\]{}=.,#\"'\n \\\\a-z0-9_-]{1,4}",
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "[operator.f]\n",
            "\"\"\"",
            "'''",
            "[[",
            "input = \"hourly\"\n",
            "nan",
            "\\u0000",
            "1979-05-27T07:32:00Z",
            "\r\n"
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        (place.clone(), 0_usize..40).prop_map(|(at, length)| Change::Cut(at, length)),
        (place.clone(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (place.clone(), 0_usize..200, place).prop_map(|(from, length, to)| Change::Copy(from, length, to)),
    ]
}

fn apply(text: &str, change: &Change) -> String {
    let place = |at: usize| text.floor_char_boundary(at.min(text.len()));
    match change {
        Change::Cut(at, length) => [&text[..place(*at)], &text[place(at + length)..]].concat(),
        Change::Insert(at, piece) => [&text[..place(*at)], piece, &text[place(*at)..]].concat(),
        Change::Copy(from, length, to) => [&text[..place(*to)], &text[place(*from)..place(from + length)], &text[place(*to)..]].concat(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn twisted_files_are_read_without_a_panic(changes in prop::collection::vec(change(), 1..6)) {
        try_out(&changes.iter().fold(WHOLE.to_owned(), |text, change| apply(&text, change)));
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        try_out(&text);
    }

    #[test]
    fn values_of_wrong_types_are_told_at_their_place(
        line in prop::sample::select(WHOLE.lines().enumerate().filter(|(_, l)| l.contains(" = ")).map(|(n, _)| n).collect::<Vec<_>>()),
        value in prop::sample::select(vec!["1", "-1.5", "true", "[]", "{}", "[[1]]", "''", "{ a = { b = 1 } }", "2024-01-01"]),
    ) {
        let lines = WHOLE.lines().enumerate().map(|(n, text)| {
            let key = text.split(" = ").next().unwrap_or_default();
            if n == line { format!("{key} = {value}") } else { text.to_owned() }
        });
        try_out(&lines.collect::<Vec<_>>().join("\n"));
    }
}
