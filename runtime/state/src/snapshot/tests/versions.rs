//! Values keep the version that they were written in.

use super::*;
use crate::{Migrate, OtherVersion, StateError, VersionCount};

fn newer() -> Vec<Slot> {
    slots().into_iter().map(|slot| Slot { version: 4, ..slot }).collect()
}

/// A state of old versions under new declarations.
fn restored() -> Box<KeyedState> {
    let mut restored = state_of(newer(), StateLimits::default());
    snapshot(&mut filled(), true).iter().for_each(|section| restored.restore(section).expect("of the same slots"));
    restored
}

fn counts(state: &KeyedState) -> Vec<(String, u32, u64)> {
    state.versions().into_iter().map(|VersionCount { slot, version, values }| (slot, version, values)).collect()
}

#[test]
fn a_call_knows_which_of_its_values_are_of_another_version() {
    let mut call = begin(restored(), &["b", "a"], 5);
    assert_eq!(call.loaded().other_versions(), [OtherVersion { slot: VALUE, key: 1, version: 1 }]);
    put(&mut call, 1, Some("y"));
    let state = call.commit().expect("within limits");
    assert_eq!(begin(state, &["b", "a"], 5).loaded().other_versions(), []);
}

#[test]
fn reads_of_lists_and_maps_tell_other_versions() {
    let mut call = begin(restored(), &["a"], 5);
    call.append(LIST, 0, &strings(&["n"])).expect("small");
    call.put(MAP, 0, &strings(&["k"]), &strings(&["new"])).expect("small");
    let versions = call.scan_with_versions(LIST, 0, None, 99).map(|(_, versions)| versions);
    assert_eq!(versions, Ok(vec![(0, 1), (1, 1)]));
    let map = |call: &mut StateCall| call.scan_with_versions(MAP, 0, None, 99).map(|(_, versions)| versions);
    assert_eq!(map(&mut call), Ok(vec![(1, 3)]));
    let got = call.get_with_versions(MAP, 0, &strings(&["m", "k", "none", "m"]), 99).map(|(_, versions)| versions);
    assert_eq!(got, Ok(vec![(0, 3), (3, 3)]));
    let mut call = begin(call.commit().expect("within limits"), &["a"], 5);
    assert_eq!(map(&mut call), Ok(vec![(1, 3)]));
    assert_eq!(call.scan_with_versions(LIST, 0, None, 99).map(|(entries, versions)| (entries.values.len(), versions.len())), Ok((3, 2)));
}

#[test]
fn values_are_counted_by_the_version_they_were_written_in() {
    let count = |slot: &str, version, values| (slot.to_owned(), version, values);
    assert_eq!(counts(&filled()), [count("last", 1, 1), count("seen", 1, 4), count("totals", 3, 4)]);
    assert_eq!(counts(&restored()), counts(&filled()));
    let mut call = begin(restored(), &["a", "b"], 5);
    put(&mut call, 0, Some("new"));
    call.append(LIST, 0, &strings(&["n"])).expect("small");
    call.remove(LIST, 1, None);
    call.put(MAP, 0, &strings(&["k"]), &strings(&["new"])).expect("small");
    call.remove(MAP, 1, Some(&strings(&["m"])));
    let mut state = call.commit().expect("within limits");
    let expected = [count("last", 4, 1), count("seen", 1, 2), count("seen", 4, 1), count("totals", 3, 2), count("totals", 4, 1)];
    assert_eq!(counts(&state), expected);
    let mut again = state_of(newer(), StateLimits::default());
    snapshot(&mut state, true).iter().for_each(|section| again.restore(section).expect("of the same slots"));
    assert_eq!(counts(&again), expected);
}

/// Repeats every value as often as its slot's version has gone up; refuses those that hold a `!`.
struct Repeat(Vec<(SlotId, u32, usize)>);

impl Migrate for Repeat {
    type Error = StateError;

    fn migrate(&mut self, slot: SlotId, from_version: u32, values: &VarBytes) -> Result<VarBytes, StateError> {
        self.0.push((slot, from_version, values.len()));
        if values.iter().any(|value| value.contains(&b'!')) {
            return Err(StateError::GroupTooLarge);
        }
        let repeated: Vec<Vec<u8>> = values.iter().map(|value| value.repeat(5 - from_version as usize)).collect();
        Ok(repeated.iter().map(Vec::as_slice).collect())
    }

    fn refused(&mut self, _: SlotId, _: u32, error: StateError) -> StateError {
        error
    }
}

type Strings = Vec<Vec<u8>>;

/// What a call sees of a key, migrated: its value, its list and the values of its map.
fn seen(call: &mut StateCall, key: u32, by: &mut Repeat) -> (Option<Vec<u8>>, Strings, Strings) {
    let entries = |page: crate::Entries| page.values.iter().map(<[u8]>::to_vec).collect();
    let list = call.scan_migrated(LIST, key, None, 99, by).expect("a list");
    let map = call.scan_migrated(MAP, key, None, 99, by).expect("a map");
    (call.values()[0].get(key as usize).map(<[u8]>::to_vec), entries(list), entries(map))
}

#[test]
fn what_a_call_comes_by_is_migrated_once_and_written_when_it_succeeds() {
    let (mut by, migrated) =
        (Repeat(Vec::new()), (Some(b"xxxx".to_vec()), vec![b"llll".to_vec(), vec![]], vec![b"vv".to_vec(), b"ww".to_vec()]));
    let mut call = begin(restored(), &["a"], 5);
    call.migrate_values(&mut by).expect("migrated");
    assert_eq!(call.loaded().other_versions(), []);
    for _ in 0..2 {
        assert_eq!(seen(&mut call, 0, &mut by), migrated);
    }
    assert_eq!(by.0, [(VALUE, 1, 1), (LIST, 1, 2), (MAP, 3, 2)], "once each");
    // Dropped, it leaves the old bytes and versions.
    let state = call.abort();
    assert_eq!(counts(&state), counts(&filled()));
    let mut call = begin(state, &["a"], 5);
    assert_eq!(call.values()[0].get(0), Some(&b"x"[..]));
    call.migrate_values(&mut by).expect("migrated");
    seen(&mut call, 0, &mut by);
    call.append(LIST, 0, &strings(&["n"])).expect("small");
    call.put(MAP, 0, &strings(&["k"]), &strings(&["new"])).expect("small");
    let mut state = call.commit().expect("within limits");
    let count = |slot: &str, version, values| (slot.to_owned(), version, values);
    // Of key `b` nobody has asked.
    let expected = [count("last", 4, 1), count("seen", 1, 2), count("seen", 4, 3), count("totals", 3, 2), count("totals", 4, 2)];
    assert_eq!(counts(&state), expected);
    let mut again = state_of(newer(), StateLimits::default());
    let sections = snapshot(&mut state, false);
    snapshot(&mut filled(), true).iter().chain(&sections).for_each(|section| again.restore(section).expect("of the same slots"));
    for state in [state, again] {
        assert_eq!(counts(&state), expected);
        let mut call = begin(state, &["a"], 5);
        let (list, map) = (vec![b"llll".to_vec(), vec![], b"n".to_vec()], vec![b"new".to_vec(), b"ww".to_vec()]);
        assert_eq!(seen(&mut call, 0, &mut Repeat(Vec::new())), (Some(b"xxxx".to_vec()), list, map));
    }
}

#[test]
fn a_value_lives_no_longer_for_being_migrated() {
    let mut call = begin(restored(), &["a"], 60);
    call.migrate_values(&mut Repeat(Vec::new())).expect("migrated");
    let state = call.commit().expect("within limits");
    // It was written at 5 and lives for 100.
    let call = begin(state, &["a"], 104);
    assert_eq!(call.values()[0].get(0), Some(&b"xxxx"[..]));
    assert_eq!(begin(call.abort(), &["a"], 105).values()[0].get(0), None);
}

#[test]
fn what_the_call_writes_itself_counts() {
    for value in [Some("y"), None] {
        let mut call = begin(restored(), &["a"], 5);
        call.migrate_values(&mut Repeat(Vec::new())).expect("migrated");
        seen(&mut call, 0, &mut Repeat(Vec::new()));
        put(&mut call, 0, value);
        call.remove(LIST, 0, None);
        call.remove(MAP, 0, Some(&strings(&["k"])));
        let mut call = begin(call.commit().expect("within limits"), &["a"], 5);
        let left = (value.map(|value| value.as_bytes().to_vec()), vec![], vec![b"ww".to_vec()]);
        assert_eq!(seen(&mut call, 0, &mut Repeat(Vec::new())), left);
    }
}

#[test]
fn a_migration_that_fails_or_makes_too_much_of_a_value_leaves_it() {
    let mut call = begin(restored(), &["a"], 5);
    put(&mut call, 0, Some("!"));
    let older = |mut state: Box<KeyedState>| {
        let mut restored = state_of(
            slots().into_iter().map(|slot| Slot { version: 9, ..slot }).collect(),
            StateLimits { value_bytes: stygian_core::ByteSize(3), ..StateLimits::default() },
        );
        snapshot(&mut state, true).iter().for_each(|section| restored.restore(section).expect("of the same slots"));
        restored
    };
    let mut call = begin(older(call.commit().expect("within limits")), &["a"], 5);
    assert_eq!(call.migrate_values(&mut Repeat(Vec::new())), Err(StateError::GroupTooLarge));
    let too_large = call.scan_migrated(LIST, 0, None, 99, &mut Repeat(Vec::new())).expect_err("four bytes");
    assert!(matches!(&too_large, StateError::ValueTooLarge { slot, .. } if slot == "seen"), "{too_large}");
    assert_eq!(call.scan(LIST, 0, None, 99).map(|page| page.values), Ok(strings(&["l", ""])));
    assert_eq!(call.written(), crate::Written::default());
}
