//! The bytes of a section are stored: they may only change together with the number of the format.

use super::*;
use stygian_core::SectionKind;

/// The beginning of all sections here, up to the slots or timers.
fn begin_of(part: u8, kind: u8) -> Vec<u8> {
    let mut bytes = b"StyS".to_vec();
    // Format, part, kind, group, groups, one key column of type text.
    bytes.extend([1, part, kind, 0, 1, 1, 4]);
    bytes.extend(b"text");
    // Event time, and the latest of it.
    bytes.push(0);
    bytes.extend(5_i64.to_le_bytes());
    bytes
}

fn keyed_of(kind: u8) -> Vec<u8> {
    let mut bytes = begin_of(0, kind);
    bytes.push(3);
    for (name, what, expires) in [("last", 0, 1), ("seen", 1, 0), ("totals", 2, 0)] {
        bytes.push(u8::try_from(name.len()).expect("short"));
        bytes.extend(name.as_bytes());
        bytes.extend([what, expires]);
    }
    bytes
}

/// Key `a`: the null bitmap of its one column, and the text.
const A: [u8; 3] = [2, 0, b'a'];

#[test]
fn the_bytes_of_a_base_are_frozen() {
    let mut state = filled();
    let mut call = begin(state, &["b"], 5);
    call.remove(LIST, 0, None);
    call.remove(MAP, 0, None);
    state = call.commit().expect("within limits");
    let sections = snapshot(&mut state, true);
    let mut keyed = keyed_of(0);
    // Key: its value of one byte, version 1, written at 5.
    keyed.push(2);
    keyed.extend(A);
    keyed.extend([2, 1]);
    keyed.extend(5_i64.to_le_bytes());
    keyed.push(b'x');
    // List: nothing stays, five bytes: an entry of one byte and an empty one, both of version 1.
    keyed.extend([4, 1]);
    keyed.extend(A);
    keyed.extend([0, 5, 2, 1, b'l', 1, 1]);
    // Map: anew, two entries of version 3.
    keyed.extend([6, 2]);
    keyed.extend(A);
    keyed.extend([1, 2, b'k', 2, 3, b'v', 2, b'm', 2, 3, b'w', 0, 0]);
    assert_eq!(sections[0], StateSection { part: "keyed", group: KeyGroup(0), kind: SectionKind::Base, bytes: keyed });
    let mut timers = begin_of(1, 0);
    timers.extend([2, 4]);
    timers.extend(b"soon\x00\x00\x05later\x01\x00");
    for timer in [0, 1] {
        timers.extend([2, timer]);
        timers.extend(7_i64.to_le_bytes());
        timers.extend([2, 0, b'a' + timer]);
    }
    timers.push(0);
    assert_eq!(sections[1], StateSection { part: "timers", group: KeyGroup(0), kind: SectionKind::Base, bytes: timers });
    assert_eq!(sections.len(), 2);
}

#[test]
fn the_bytes_of_a_change_are_frozen() {
    let mut state = filled();
    snapshot(&mut state, true);
    let mut call = begin(state, &["a"], 5);
    put(&mut call, 0, None);
    call.append(LIST, 0, &strings(&["n"])).expect("small");
    call.put(MAP, 0, &strings(&["k"]), &strings(&["u"])).expect("small");
    call.remove(MAP, 0, Some(&strings(&["m"])));
    call.clear_timers(0, &[0], &[7]);
    state = call.commit().expect("within limits");
    let sections = snapshot(&mut state, false);
    let mut keyed = keyed_of(1);
    // No value; the five bytes of the list stay and three come; one entry is set and one is gone.
    keyed.push(2);
    keyed.extend(A);
    keyed.extend([0, 4, 1]);
    keyed.extend(A);
    keyed.extend([5, 3, 2, 1, b'n', 6, 2]);
    keyed.extend(A);
    keyed.extend([0, 2, b'k', 2, 3, b'u', 2, b'm', 0, 0, 0]);
    assert_eq!(sections[0], StateSection { part: "keyed", group: KeyGroup(0), kind: SectionKind::Change, bytes: keyed });
    let mut timers = begin_of(1, 1);
    timers.extend([2, 4]);
    timers.extend(b"soon\x00\x00\x05later\x01\x00\x03\x00");
    timers.extend(7_i64.to_le_bytes());
    timers.extend(A);
    timers.push(0);
    assert_eq!(sections[1], StateSection { part: "timers", group: KeyGroup(0), kind: SectionKind::Change, bytes: timers });
}

#[test]
fn the_bytes_of_tables_that_begin_anew_are_frozen() {
    // Never saved: a change tells all of it.
    let sections = snapshot(&mut filled(), false);
    let mut keyed = keyed_of(1);
    keyed.extend([1, 2]);
    keyed.extend(A);
    assert_eq!(sections[0].bytes[..keyed.len()], keyed);
    let after = |tag: [u8; 3]| sections[0].bytes.windows(3).any(|bytes| bytes == tag);
    assert!(after([3, 1, 4]) && after([5, 2, 6]));
    let mut timers = begin_of(1, 1);
    timers.extend([2, 4]);
    timers.extend(b"soon\x00\x00\x05later\x01\x00\x01\x02\x00");
    assert_eq!(sections[1].bytes[..timers.len()], timers);
}
