//! What should be stored, kept in the slowest way there is.

use crate::conformance::random::Random;
use crate::conformance::{LIST, MAP, MORTAL, TTL, VALUE};
use crate::{SlotId, StateCall, Values, VarBytes};
use std::collections::{BTreeMap, BTreeSet};

type Key = Vec<u8>;
type Dated<T> = (i64, T);

/// What should be stored.
#[derive(Clone, Default)]
pub(super) struct Reference {
    values: BTreeMap<(usize, Key), Dated<Vec<u8>>>,
    lists: BTreeMap<Key, Dated<Vec<Vec<u8>>>>,
    maps: BTreeMap<(Key, Vec<u8>), Dated<Vec<u8>>>,
    /// Index of the name, time and key.
    timers: BTreeSet<(u32, i64, Key)>,
}

fn alive(written: i64, watermark: i64) -> bool {
    watermark < written + TTL
}

/// A time that a write takes: that of its call, or the one that was there if it is later.
fn later<T>(written: i64, stored: Option<&Dated<T>>) -> i64 {
    stored.map_or(written, |(stored, _)| written.max(*stored))
}

impl Reference {
    /// What of it belongs to some keys.
    pub(super) fn of(&self, keys: impl Fn(&[u8]) -> bool) -> Self {
        let mut part = self.clone();
        part.values.retain(|(_, key), _| keys(key));
        part.lists.retain(|key, _| keys(key));
        part.maps.retain(|(key, _), _| keys(key));
        part.timers.retain(|(_, _, key)| keys(key));
        part
    }

    pub(super) fn fire(&mut self, timer: u32, at: i64, key: &[u8]) {
        self.timers.remove(&(timer, at, key.to_vec()));
    }

    pub(super) fn timers(&self, timer: u32) -> impl Iterator<Item = (i64, &[u8])> {
        self.timers.iter().filter(move |(of, _, _)| *of == timer).map(|(_, at, key)| (*at, key.as_slice()))
    }

    pub(super) fn value(&self, slot: SlotId, key: &[u8], watermark: i64) -> Option<&[u8]> {
        let (written, value) = self.values.get(&(slot.0, key.to_vec()))?;
        (slot == VALUE || alive(*written, watermark)).then_some(value.as_slice())
    }

    pub(super) fn list(&self, key: &[u8], watermark: i64) -> Vec<Vec<u8>> {
        self.lists.get(key).filter(|(written, _)| alive(*written, watermark)).map(|(_, list)| list.clone()).unwrap_or_default()
    }

    pub(super) fn map(&self, key: &[u8], watermark: i64) -> Vec<(Vec<u8>, Vec<u8>)> {
        let of_key = self.maps.iter().filter(|((of, _), (written, _))| of == key && alive(*written, watermark));
        of_key.map(|((_, map_key), (_, value))| (map_key.clone(), value.clone())).collect()
    }
}

/// Writes something to both.
pub(super) fn write(
    call: &mut StateCall,
    reference: &mut Reference,
    (watermark, written): (i64, i64),
    random: &mut Random,
) -> Result<(), String> {
    let index = random.index(call.keys().len());
    let (key, number) = (call.keys().keys().get(index).to_vec(), u32::try_from(index).unwrap_or(0));
    let value = random.bytes();
    // Few, so that they meet.
    let map_key = if random.below(8) == 0 { random.bytes() } else { vec![b'a'; random.index(4)] };
    let failed = |error: crate::StateError| error.to_string();
    match random.below(9) {
        0..=2 => {
            let slot = if random.below(2) == 0 { VALUE } else { MORTAL };
            let value = (random.below(4) > 0).then_some(value);
            call.put_values(slot, &[number], Values::from_iter([value.as_deref()])).map_err(failed)?;
            match value {
                Some(value) => {
                    let written = later(written, reference.values.get(&(slot.0, key.clone())));
                    reference.values.insert((slot.0, key), (written, value))
                }
                None => reference.values.remove(&(slot.0, key)),
            };
        }
        3 => {
            call.append(LIST, number, &VarBytes::from_iter([value.as_slice(), b"x"])).map_err(failed)?;
            let mut list = reference.list(&key, watermark);
            list.extend([value, b"x".to_vec()]);
            let written = later(written, reference.lists.get(&key));
            reference.lists.insert(key, (written, list));
        }
        4 | 5 => {
            call.put(MAP, number, &VarBytes::from_iter([map_key.as_slice()]), &VarBytes::from_iter([value.as_slice()])).map_err(failed)?;
            let written = later(written, reference.maps.get(&(key.clone(), map_key.clone())));
            reference.maps.insert((key, map_key), (written, value));
        }
        6 => {
            let known = reference.map(&key, watermark).first().map_or(map_key, |(map_key, _)| map_key.clone());
            call.remove(MAP, number, Some(&VarBytes::from_iter([known.as_slice()])));
            reference.maps.remove(&(key, known));
        }
        7 => write_timer(call, reference, (key, number), watermark, random),
        _ if random.below(2) == 0 => {
            call.remove(LIST, number, None);
            reference.lists.remove(&key);
        }
        _ => {
            call.remove(MAP, number, None);
            reference.maps.retain(|(of, _), _| *of != key);
        }
    }
    Ok(())
}

fn write_timer(call: &mut StateCall, reference: &mut Reference, (key, number): (Key, u32), watermark: i64, random: &mut Random) {
    let (timer, at) = (u32::try_from(random.below(2)).unwrap_or(0), watermark + random.below(10));
    if random.below(3) > 0 {
        call.set_timers(timer, &[number], &[at]);
        reference.timers.insert((timer, at, key));
    } else {
        call.clear_timers(timer, &[number], &[at]);
        reference.timers.remove(&(timer, at, key));
    }
}
