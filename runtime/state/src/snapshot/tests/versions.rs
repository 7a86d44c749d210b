//! Values keep the version that they were written in.

use super::*;
use crate::{OtherVersion, VersionCount};

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
