//! Sections meet an operator that declares other things than the one that wrote them.

use super::*;

/// The sections of a filled state, restored into another.
fn restored_into(mut other: Box<KeyedState>) -> Result<Box<KeyedState>, String> {
    for section in snapshot(&mut filled(), true) {
        other.restore(&section).map_err(|error| error.to_string())?;
    }
    Ok(other)
}

fn refused(other: Box<KeyedState>) -> String {
    restored_into(other).expect_err("something else is declared")
}

#[test]
fn slots_are_found_by_their_names() {
    let mut other = slots();
    other.reverse();
    other.insert(0, slot("new", SlotKind::Value));
    let restored = restored_into(state_of(other, StateLimits::default())).expect("all slots are declared");
    let mut call = begin(restored, &["a"], 5);
    assert_eq!([call.values()[0].get(0), call.values()[3].get(0)], [None, Some(&b"x"[..])]);
    assert_eq!(call.scan(SlotId(2), 0, None, 99).expect("a list").values, strings(&["l", ""]));
    assert_eq!(call.scan(SlotId(1), 0, None, 99).expect("a map").values, strings(&["v", "w"]));
}

#[test]
fn a_slot_that_is_not_declared_is_an_error() {
    let other = state_of(slots().split_off(1), StateLimits::default());
    let expected = "there is saved state of slot `last`, which the operator does not declare (it declares `seen`, `totals`); declare it, \
                    or drop the operator's state (`--drop-state`)";
    assert_eq!(refused(other), expected);
}

#[test]
fn a_slot_of_another_kind_is_an_error() {
    let mut other = slots();
    other[1].kind = SlotKind::Map;
    let expected = "slot `seen` was saved as `list` and is declared as `map`; declare it as it was and give the new one another name, or drop \
                    the operator's state (`--drop-state`)";
    assert_eq!(refused(state_of(other, StateLimits::default())), expected);
}

#[test]
fn timers_are_found_by_name_and_have_a_clock() {
    let with = |clocks: &[TimerClock], names: &[&str]| {
        let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::new(1).expect("one"));
        Box::new(KeyedState::in_memory(codec, slots(), clocks.to_vec(), StateLimits::default()).with_timer_names(names.iter().copied()))
    };
    let (event, processing) = (TimerClock::EventTime, TimerClock::ProcessingTime);
    let state = restored_into(with(&[processing, event, event], &["later", "new", "soon"])).expect("all timers are declared");
    let timers = [event, processing].map(|clock| state.timers().iter(clock).map(|timer| (timer.timer, timer.at)).collect::<Vec<_>>());
    assert_eq!(timers, [vec![(2, 7)], vec![(0, 7)]]);
    assert!(
        refused(with(&[], &[])).starts_with("there is saved state of timer `soon`, which the operator does not declare (it declares none)")
    );
    let error = refused(with(&[event, event], &["soon", "later"]));
    assert!(error.starts_with("timer `later` was saved as `processing time` and is declared as `event time`"), "{error}");
}

#[test]
fn another_key_is_an_error() {
    let with = |columns: Vec<ColumnType>, groups| {
        let codec = KeyCodec::new(columns, MaxParallelism::new(groups).expect("some"));
        Box::new(KeyedState::in_memory(codec, slots(), [], StateLimits::default()))
    };
    let error = refused(with(vec![ColumnType::Text, ColumnType::Int8], 1));
    assert!(error.starts_with("the state was saved by a key of (text), and the key is (text, int8) now"), "{error}");
    let error = refused(with(vec![ColumnType::Text], 7));
    assert!(error.starts_with("the state was saved with 1 key groups, and `max_parallelism` is 7 now"), "{error}");
}

#[test]
fn times_of_another_clock_are_an_error_where_something_expires() {
    let by_the_clock = |slots| Box::new(state_of(slots, StateLimits::default()).living_by(TimerClock::ProcessingTime));
    let error = refused(by_the_clock(slots()));
    assert!(
        error.starts_with("the values of slot `last`, which expire, were dated by event time and would be judged by processing time"),
        "{error}"
    );
    let mut for_ever = slots();
    for_ever[0].ttl_micros = None;
    restored_into(by_the_clock(for_ever)).expect("nothing expires");
}

#[test]
fn values_without_a_time_are_dated_by_the_snapshot_and_times_that_are_not_wanted_are_dropped() {
    let mut for_ever = slots();
    for_ever[0].ttl_micros = None;
    let mut state = restored_into(state_of(for_ever, StateLimits::default())).expect("the slot may live longer");
    // It goes through a state that knows no times, and has seen 20.
    state = begin(state, &["b"], 20).abort();
    let mut again = super::state();
    for section in snapshot(&mut state, true) {
        again.restore(&section).expect("the slot may expire again");
    }
    for (at, value) in [(119, Some(&b"x"[..])), (120, None)] {
        let call = begin(again, &["a"], at);
        assert_eq!(call.values()[0].get(0), value, "at {at}");
        again = call.abort();
    }
}

#[test]
fn a_later_format_is_an_error() {
    let mut section = snapshot(&mut filled(), true).remove(0);
    section.bytes[4] = 2;
    let error = state().restore(&section).expect_err("not known yet").to_string();
    assert_eq!(
        error,
        "saved keyed state is in format 2, and this version reads 1; restore it with the version that wrote it, or a later one"
    );
}
