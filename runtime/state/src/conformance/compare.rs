//! Compares what is stored with what should be.

use crate::conformance::migrating::{Marking, all_bare, bare};
use crate::conformance::random::Random;
use crate::conformance::reference::Reference;
use crate::conformance::{CLOCKS, LIST, MAP, MORTAL, VALUE};
use crate::{KeyedState, SlotId, StateCall, Values, VarBytes};

/// Compares the timers that wait.
pub(super) fn compare_timers(state: &KeyedState, reference: &Reference) -> Result<(), String> {
    for (timer, clock) in (0..).zip(CLOCKS) {
        let found: Vec<(i64, &[u8])> = state.timers().iter(clock).map(|timer| (timer.at, &*timer.key)).collect();
        let expected: Vec<(i64, &[u8])> = reference.timers(timer).collect();
        if found != expected || state.timers().next(clock) != expected.first().map(|(at, _)| *at) {
            return Err(format!("the timers of {clock} are {found:?}, not {expected:?}"));
        }
    }
    Ok(())
}

/// Compares what a call sees with what it should.
pub(super) fn compare(call: &mut StateCall, reference: &Reference, watermark: i64, random: &mut Random) -> Result<(), String> {
    for index in 0..call.keys().len() {
        let key = call.keys().keys().get(index);
        for slot in [VALUE, MORTAL] {
            let (found, expected) = (call.values()[slot.0].get(index), reference.value(slot, key, watermark));
            if found.map(bare) != expected.map(bare) {
                return Err(format!("value slot {} of key {index} is {found:?}, not {expected:?}", slot.0));
            }
        }
    }
    compare_collections(call, reference, watermark, random)
}

/// Compares the lists and maps that a call sees.
pub(super) fn compare_collections(call: &mut StateCall, reference: &Reference, watermark: i64, random: &mut Random) -> Result<(), String> {
    for index in 0..call.keys().len() {
        let key = call.keys().keys().get(index).to_vec();
        let most = random.index(40);
        let migrating = random.below(2) == 0;
        let (_, list) = scan_all(call, LIST, index, most, migrating)?;
        let expected: Strings = reference.list(&key, watermark).iter().map(|entry| bare(entry)).collect();
        if list != expected {
            return Err(format!("the list of key {index} is {list:?}, not {expected:?}"));
        }
        let (keys, values) = scan_all(call, MAP, index, most, migrating)?;
        let map: Vec<_> = keys.into_iter().zip(values).collect();
        let expected: Vec<_> = reference.map(&key, watermark).into_iter().map(|(map_key, value)| (map_key, bare(&value))).collect();
        if map != expected {
            return Err(format!("the map of key {index} is {map:?}, not {expected:?}"));
        }
        let asked: VarBytes = expected.iter().map(|(map_key, _)| map_key.as_slice()).chain([&b"no such key"[..]]).collect();
        let key = u32::try_from(index).unwrap_or(0);
        let answers = match migrating {
            true => call.get_migrated(MAP, key, &asked, usize::MAX, &mut marking(call)),
            false => call.get(MAP, key, &asked, usize::MAX),
        };
        let answers = answers.map_err(|error| error.to_string())?;
        let wanted: Values = expected.iter().map(|(_, value)| Some(value.as_slice())).chain([None]).collect();
        if all_bare(&answers) != all_bare(&wanted) {
            return Err(format!("entries of key {index} are {answers:?}, not {wanted:?}"));
        }
    }
    Ok(())
}

type Strings = Vec<Vec<u8>>;

/// Whoever migrates to the version of the call's slots.
fn marking(call: &StateCall) -> Marking {
    Marking(call.slots().first().map_or(1, |slot| slot.version))
}

fn scan_all(call: &mut StateCall, slot: SlotId, key: usize, most: usize, migrating: bool) -> Result<(Strings, Strings), String> {
    let (mut keys, mut values, mut from) = (Vec::new(), Vec::new(), None);
    let (key, mut by) = (u32::try_from(key).unwrap_or(0), marking(call));
    for _ in 0..10_000 {
        let page = if migrating { call.scan_migrated(slot, key, from, most, &mut by) } else { call.scan(slot, key, from, most) };
        let page = page.map_err(|error| error.to_string())?;
        keys.extend(page.keys.iter().map(<[u8]>::to_vec));
        values.extend(page.values.iter().map(bare));
        from = page.next;
        if from.is_none() {
            return Ok((keys, values));
        }
    }
    Err(format!("a scan of slot {} does not end", slot.0))
}
