//! What a snapshot writes: by what has changed, not by what is held.

use super::*;

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("user-{number:08}")).collect()
}

/// Sets a value of 100 bytes for each key.
fn write(state: Box<KeyedState>, names: &[String], byte: u8) -> Box<KeyedState> {
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut call = begin(state, &keys, 5);
    let values = vec![byte; 100];
    let all: Vec<u32> = (0..u32::try_from(keys.len()).expect("few")).collect();
    call.put_values(VALUE, &all, keys.iter().map(|_| Some(values.as_slice())).collect()).expect("small");
    call.commit().expect("within limits")
}

#[test]
fn a_snapshot_after_one_percent_has_changed_writes_less_than_three_percent() {
    let mut state = write(state(), &names(0..20_000), 1);
    let base = bytes(&snapshot(&mut state, true));
    assert!(base > 20_000 * 100);
    state = write(state, &names(500..700), 2);
    let change = bytes(&snapshot(&mut state, false));
    assert!(change * 100 < base * 3 / 2, "{change} of {base}");
    assert_eq!(snapshot(&mut state, false), []);
}

#[test]
fn a_map_writes_its_changed_entries_and_a_list_what_was_appended() {
    let all: Vec<String> = names(0..10_000);
    let entries: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut call = begin(state(), &["a"], 5);
    call.put(MAP, 0, &strings(&entries), &strings(&entries)).expect("small");
    call.append(LIST, 0, &strings(&entries)).expect("small");
    let mut state = call.commit().expect("within limits");
    let base = bytes(&snapshot(&mut state, true));
    call = begin(state, &["a"], 6);
    call.put(MAP, 0, &strings(&entries[7..107]), &strings(&entries[..100])).expect("small");
    call.append(LIST, 0, &strings(&entries[..100])).expect("small");
    state = call.commit().expect("within limits");
    let change = bytes(&snapshot(&mut state, false));
    assert!(change * 100 < base * 3 / 2, "{change} of {base}");
}

#[test]
fn timers_write_what_was_set_or_cleared() {
    let mut call = begin(state(), &["a"], 5);
    (0..10_000).for_each(|at| call.set_timers(0, &[0], &[at]));
    let mut state = call.commit().expect("within limits");
    let base = bytes(&snapshot(&mut state, true));
    call = begin(state, &["a"], 6);
    (0..50).for_each(|at| call.clear_timers(0, &[0], &[at]));
    (10_000..10_050).for_each(|at| call.set_timers(0, &[0], &[at]));
    state = call.commit().expect("within limits");
    let change = bytes(&snapshot(&mut state, false));
    assert!(change * 100 < base * 2, "{change} of {base}");
}

#[test]
fn a_table_whose_keys_nearly_all_go_is_written_whole() {
    let mut state = write(state(), &names(0..20_000), 1);
    snapshot(&mut state, true);
    let gone = names(1..20_000);
    let keys: Vec<&str> = gone.iter().map(String::as_str).collect();
    let mut call = begin(state, &keys, 5);
    let all: Vec<u32> = (0..u32::try_from(keys.len()).expect("few")).collect();
    call.put_values(VALUE, &all, keys.iter().map(|_| None).collect()).expect("small");
    state = call.commit().expect("within limits");
    let sections = snapshot(&mut state, false);
    assert!(bytes(&sections) < 1000, "{}", bytes(&sections));
    let mut restored = super::state();
    restored.restore(&sections[0]).expect("all of it");
    assert_eq!(restored.size().keys, 1);
}
