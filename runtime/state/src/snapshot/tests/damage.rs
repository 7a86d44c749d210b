//! Bytes that are not what was written: an error or some state, never a panic.

use super::*;
use crate::StateError;
use proptest::prelude::*;

/// Sections of every kind of entry, bases and changes.
fn sections() -> Vec<StateSection> {
    let mut state = filled();
    let mut sections = snapshot(&mut state, false);
    sections.extend(snapshot(&mut state, true));
    let mut call = begin(state, &["a", "c"], 5);
    put(&mut call, 0, None);
    put(&mut call, 1, Some("a long value that is new"));
    call.append(LIST, 0, &strings(&["n"])).expect("small");
    call.remove(LIST, 1, None);
    call.remove(MAP, 0, None);
    call.put(MAP, 1, &strings(&["k"]), &strings(&["u"])).expect("small");
    call.set_timers(1, &[0], &[9]);
    call.clear_timers(0, &[0], &[7]);
    state = call.commit().expect("within limits");
    sections.extend(snapshot(&mut state, false));
    sections
}

/// A state that has the base before a section.
fn with_base(all: &[StateSection], at: usize) -> Box<KeyedState> {
    let mut restored = state();
    let before = all[..at].iter().rev().find(|other| other.part == all[at].part);
    before.into_iter().for_each(|base| restored.restore(base).expect("not damaged"));
    restored
}

/// Reads all there is of some keys.
fn read(state: Box<KeyedState>) {
    let mut call = begin(state, &["a", "b", "c"], 5);
    for (slot, key) in [LIST, MAP].into_iter().flat_map(|slot| [0, 1, 2].map(|key| (slot, key))) {
        call.scan(slot, key, None, usize::MAX).expect("what is there can be read");
    }
}

proptest! {
    #[test]
    fn damaged_sections_are_an_error_or_a_state(
        which in any::<prop::sample::Index>(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..4),
    ) {
        let all = sections();
        let at = which.index(all.len());
        let mut damaged = all[at].clone();
        for (place, byte, how) in changes {
            let place = place.index(damaged.bytes.len().max(1));
            match how {
                0 if place < damaged.bytes.len() => damaged.bytes[place] = byte,
                1 => damaged.bytes.truncate(place),
                _ => damaged.bytes.insert(place, byte),
            }
        }
        let mut restored = with_base(&all, at);
        let mut marked = state();
        let _ = marked.mark_unsaved(&damaged);
        snapshot(&mut marked, false);
        if restored.restore(&damaged).is_ok() {
            snapshot(&mut restored, false);
            snapshot(&mut restored, true);
            read(restored);
        }
    }
}

#[test]
fn a_section_that_is_cut_is_an_error_and_so_is_one_with_more_behind_it() {
    let all = sections();
    for (at, section) in all.iter().enumerate() {
        for end in 0..section.bytes.len() {
            let cut = StateSection { bytes: section.bytes[..end].to_vec(), ..section.clone() };
            let error = with_base(&all, at).restore(&cut).expect_err("too short");
            assert!(matches!(error, StateError::DamagedSection { .. }), "{end}: {error}");
        }
        let mut longer = section.clone();
        longer.bytes.push(0);
        let error = with_base(&all, at).restore(&longer).expect_err("too long");
        let expected = format!("the saved {} state of key group 0 is damaged at byte {}", section.part, section.bytes.len());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn lengths_are_not_believed() {
    let section = &sections()[2];
    assert_eq!(section.part, "keyed");
    for at in 0..section.bytes.len() {
        let mut huge = section.clone();
        // A length of about 2^63 where some byte was.
        huge.bytes.splice(at..=at, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]);
        let _ = state().restore(&huge);
    }
}

#[test]
fn a_section_under_another_group_kind_or_part_is_an_error() {
    let section = sections().remove(2);
    let others = [
        StateSection { group: KeyGroup(1), ..section.clone() },
        StateSection { kind: stygian_core::SectionKind::Change, ..section.clone() },
        StateSection { part: "timers", ..section.clone() },
    ];
    for other in others {
        let error = state().restore(&other).expect_err("filed wrongly");
        assert!(matches!(error, StateError::DamagedSection { .. }), "{error}");
    }
    let windows = StateSection { part: "windows", ..section };
    assert_eq!(state().restore(&windows), Err(StateError::UnknownPart { part: "windows" }));
}

#[test]
fn a_list_that_goes_on_from_what_is_not_there_is_an_error() {
    let mut state = filled();
    snapshot(&mut state, true);
    let mut call = begin(state, &["a"], 5);
    call.append(LIST, 0, &strings(&["n"])).expect("small");
    state = call.commit().expect("within limits");
    let change = snapshot(&mut state, false).remove(0);
    let error = super::state().restore(&change).expect_err("no base");
    assert_eq!(error.to_string(), "the state of slot `seen` is damaged: a change of a list begins where none of its entries ends");
}
