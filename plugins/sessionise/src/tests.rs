use super::*;
use stygian_testing::{Harness, KeyedHarness, Value, json};

fn sessionise() -> KeyedHarness<Sessionise> {
    Harness::keyed(json!({ "gap": "10m" }), &["user"]).unwrap()
}

fn event(user: &str, minute: u32) -> Value {
    json!({ "user": user, "at": format!("2026-01-01T00:{minute:02}:00Z") })
}

fn session(user: &str, start: u32, end: u32, events: u32) -> Value {
    json!({ "user": user, "start": event("", start)["at"], "end": event("", end)["at"], "events": events })
}

#[test]
fn a_session_goes_out_when_the_watermark_has_passed_the_gap() {
    let stream = sessionise().stream().rows([event("ann", 0), event("bob", 1), event("ann", 9)]).watermark("2026-01-01T00:18:59Z");
    let run = stream.run().unwrap();
    assert_eq!(run.main(), [session("bob", 1, 1, 1)]);
    assert_eq!((run.values, run.timers.len()), (1, 1));
}

#[test]
fn rows_a_gap_apart_are_of_two_sessions_and_nothing_is_left_at_the_end() {
    let run = sessionise().run([event("ann", 0), event("ann", 9), event("ann", 19), event("ann", 20)]).unwrap();
    assert_eq!(run.main(), [session("ann", 0, 9, 2), session("ann", 19, 20, 2)]);
    assert_eq!((run.values, run.timers.len()), (0, 0));
}

#[test]
fn rows_out_of_order_join_sessions_and_begin_earlier_ones() {
    let run = sessionise().run([40, 9, 0, 20, 14].map(|minute| event("ann", minute))).unwrap();
    assert_eq!(run.main(), [session("ann", 0, 20, 4), session("ann", 40, 40, 1)]);
}

#[test]
fn a_row_whose_session_is_closed_is_late() {
    let stream = sessionise().stream().rows([event("ann", 0)]).watermark("2026-01-01T00:20:00Z");
    let run = stream.rows([event("ann", 10), event("ann", 11)]).end().run().unwrap();
    assert_eq!(run.dead_reasons(), [(1, "late: its session is closed")]);
    assert_eq!(run.main(), [session("ann", 0, 0, 1), session("ann", 11, 11, 1)]);
}

#[test]
fn wants_a_gap() {
    let refused = |config| Harness::keyed::<Sessionise>(config, &["user"]).unwrap_err().to_string();
    assert!(refused(json!({ "gap": "0s" })).contains("longer than nothing"));
    assert!(refused(json!({ "gap": "ten" })).contains("no span of time"));
}
