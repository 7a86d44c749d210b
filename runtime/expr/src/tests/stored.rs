//! Sections that are of something else, or damaged.

use super::snapshots::{Step, batch, groups, schema, snapshot, spec, streams};
use super::snapshots_of_rows::{bounded, top};
use crate::stored::{DATAFUSION, Layout, storable};
use crate::{Aggregate, Dedup, DedupSpec, ExprError, Top, WindowAggregator, WindowAggregatorSpec, WindowSpec, aggregate_names};
use proptest::prelude::*;
use std::sync::Arc;
use stygian_core::{EventTime, KeyGroup, StateSection};

const AGGREGATES: [&str; 5] = ["count(*)", "sum(value)", "max(text)", "median(value)", "approx_distinct(text)"];

/// What the windows of this spec hold in the middle of a stream.
fn held(spec: &Arc<WindowAggregatorSpec>, steps: &[Step]) -> Vec<StateSection> {
    let mut windows = WindowAggregator::new(spec.clone()).expect("windows");
    for step in steps.iter().filter(|step| !matches!(step, Step::Watermark(i64::MAX))) {
        match step {
            Step::Rows(rows) => drop(windows.push(&batch(0, rows)).expect("pushed")),
            Step::Watermark(time) => drop(windows.advance(EventTime::from_micros(*time)).expect("advanced")),
            Step::Early => drop(windows.early().expect("given")),
        }
    }
    snapshot(&mut [windows])
}

fn some_rows() -> Vec<Step> {
    vec![Step::Rows(vec![(Some(3), Some(1), 5), (Some(4), None, 6), (Some(25), Some(2), 7)]), Step::Early, Step::Watermark(11)]
}

fn refusal(spec: &Arc<WindowAggregatorSpec>, section: &StateSection) -> ExprError {
    WindowAggregator::new(spec.clone()).expect("windows").restore(section).expect_err("a refusal")
}

#[test]
fn state_of_something_else_is_refused_by_name() {
    let tumbling = WindowSpec::tumbling(10);
    let of = |window, keys, revises, sql: &[&str]| spec(window, keys, revises, false, sql);
    let section = held(&of(tumbling, vec![2], (20, true), &AGGREGATES), &some_rows()).remove(0);
    for (spec, says) in [
        (
            of(WindowSpec::tumbling(11), vec![2], (20, true), &AGGREGATES),
            "another window: it was `tumbling, 10 us`, now it is `tumbling, 11 us`",
        ),
        (of(WindowSpec::sliding(10, 5), vec![2], (20, true), &AGGREGATES), "now it is `sliding, 10 us every 5 us`"),
        (of(tumbling, vec![2], (21, true), &AGGREGATES), "another allowed lateness: it was `20 us`, now it is `21 us`"),
        (of(tumbling, vec![2], (20, false), &AGGREGATES), "another choice of early results"),
        (of(tumbling, vec![2, 3], (20, true), &AGGREGATES), "another key: it was `text Utf8`, now it is `text Utf8, float Float64`"),
        (of(tumbling, vec![2], (20, true), &AGGREGATES[1..]), "another list of aggregates: it was `count(*) [Int64]; sum(value)"),
        (spec(WindowSpec::session(10), vec![2], (0, false), false, &AGGREGATES), "another window"),
        (spec(tumbling, vec![2], (0, true), true, &AGGREGATES), "another time"),
    ] {
        let message = refusal(&spec, &section).to_string();
        assert!(message.contains(says) && message.contains("--drop-state"), "{message}");
    }
    let top = Top::new(top(vec![2], 1, None)).expect("a spec").restore(&section).expect_err("a refusal").to_string();
    assert!(top.contains("another kind of operator: it was `window`, now it is `top`"), "{top}");
}

#[test]
fn state_of_other_versions_is_refused() {
    let spec = spec(WindowSpec::session(10), vec![2], (0, false), false, &AGGREGATES);
    let section = held(&spec, &some_rows()).remove(0);
    let changed = |from: &[u8], to: &[u8]| {
        let at = section.bytes.windows(from.len()).position(|bytes| bytes == from).expect("it is there");
        let mut changed = section.clone();
        changed.bytes[at..at + to.len()].copy_from_slice(to);
        refusal(&spec, &changed).to_string()
    };
    let datafusion = changed(DATAFUSION.as_bytes(), b"54.0.0");
    assert!(datafusion.contains("another version of DataFusion: it was `54.0.0`"), "{datafusion}");
    let format = changed(b"stygexpr\x01", b"stygexpr\x02");
    assert!(format.contains("is in format 2, this Stygian reads 1"), "{format}");
    assert!(changed(b"stygexpr", b"stygexps").contains("is damaged: it is no state of a window"));
    let other = StateSection { group: KeyGroup((section.group.0 + 1) % groups().get()), ..section.clone() };
    assert!(refusal(&spec, &other).to_string().contains("it is of another group"));
}

#[test]
fn the_version_is_that_of_the_lock_file() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).expect("a lock file");
    assert!(lock.contains(&format!("name = \"datafusion-functions-aggregate\"\nversion = \"{DATAFUSION}\"")), "{DATAFUSION}");
}

#[test]
fn an_empty_section_holds_nothing() {
    let spec = spec(WindowSpec::tumbling(10), vec![2], (0, false), false, &AGGREGATES);
    let mut section = held(&spec, &some_rows()).remove(0);
    section.bytes.clear();
    let mut windows = WindowAggregator::new(spec).expect("windows");
    windows.restore(&section).expect("restored");
    assert_eq!((windows.open_windows(), snapshot(&mut [windows])), (0, Vec::new()));
}

/// Every aggregate there is, over every column that it takes, can be stored, and its state is of the columns that it says.
#[test]
fn every_aggregate_can_be_stored() {
    let mut stored = 0;
    for name in aggregate_names() {
        for arguments in
            ["*", "value", "float", "text", "flag", "distinct value", "distinct text", "float, value", "float, 0.5", "float, 0.5, 10"]
        {
            let sql = format!("{name}({arguments})");
            if Aggregate::compile(&sql, &schema()).is_err() {
                continue;
            }
            for window in [WindowSpec::sliding(10, 5), WindowSpec::session(10)] {
                let spec = spec(window, vec![2], (0, false), false, &[&sql]);
                let layout = Layout::of_windows(&spec).expect("a layout");
                assert!(layout.streams.iter().flat_map(|stream| stream.schema.fields()).all(|field| storable(field.data_type())));
                let mut windows = WindowAggregator::new(spec.clone()).expect("windows");
                held(&spec, &some_rows())
                    .iter()
                    .for_each(|section| windows.restore(section).unwrap_or_else(|error| panic!("{sql}: {error}")));
                windows.advance(EventTime::MAX).unwrap_or_else(|error| panic!("{sql}: {error}"));
                stored += 1;
            }
        }
    }
    assert!(stored > 100, "{stored}");
}

fn changed(section: &StateSection, changes: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) -> StateSection {
    let mut section = section.clone();
    for (place, byte) in changes {
        let at = place.index(section.bytes.len());
        section.bytes[at] = *byte;
    }
    if let Some(cut) = cut {
        section.bytes.truncate(cut.index(section.bytes.len()));
    }
    section
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    /// Whatever happened to a section, it is refused, or one can go on from it.
    #[test]
    fn changed_sections_never_panic(
        session in any::<bool>(), steps in streams(), which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x80)]), 0..5),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let (window, revises) = if session { (WindowSpec::session(10), (0, false)) } else { (WindowSpec::sliding(10, 5), (30, true)) };
        let spec = spec(window, vec![2], revises, false, &AGGREGATES);
        let sections = held(&spec, &steps);
        prop_assume!(!sections.is_empty());
        let section = changed(&sections[which.index(sections.len())], &changes, cut);
        let mut windows = WindowAggregator::new(spec).expect("windows");
        if windows.restore(&section).is_ok() {
            let rows = batch(0, &[(Some(3), Some(1), 5), (Some(-100), None, 6)]);
            let _ = windows.early().and_then(|_| windows.push(&rows)).and_then(|_| windows.snapshot(groups()));
            let _ = windows.advance(EventTime::MAX);
        }
    }

    #[test]
    fn changed_sections_of_rows_never_panic(
        rows in prop::collection::vec((prop::option::weighted(0.9, -50_i64..50), prop::option::of(0_u8..7), -9_i64..9), 1..30),
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x80)]), 0..5),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let of_dedup = Arc::new(DedupSpec { keys: vec![2], event_time: 1, within: 20, input: schema() });
        let mut dedup = Dedup::new(of_dedup.clone()).expect("a spec");
        dedup.push(&batch(0, &rows)).expect("pushed");
        let sections = dedup.snapshot(groups()).expect("a snapshot");
        prop_assume!(!sections.is_empty());
        let mut dedup = Dedup::new(of_dedup).expect("a spec");
        let _ = dedup.restore(&changed(&sections[which.index(sections.len())], &changes, cut));
        let _ = dedup.push(&batch(0, &rows));
        dedup.advance(EventTime::MAX);
        let of_top = top(vec![2], 2, (changes.len() % 2 == 0).then_some((12, 4)));
        let mut first = Top::new(of_top.clone()).expect("a spec");
        first.push(&bounded(0, &rows)).expect("pushed");
        let sections = first.snapshot(groups()).expect("a snapshot");
        prop_assume!(!sections.is_empty());
        let mut first = Top::new(of_top).expect("a spec");
        if first.restore(&changed(&sections[which.index(sections.len())], &changes, cut)).is_ok() {
            let _ = first.push(&bounded(0, &rows));
            let _ = first.advance(EventTime::MAX);
        }
    }
}
