//! What every backend must do, as a suite that tests call: seeded random calls against a slow reference.
//!
//! The reference is a map of maps that knows nothing of places, records and pages; it dates every value and forgets what has expired when it
//! is read. Half of the calls are dropped, which must leave no trace.

use crate::{KeyBatch, KeyCodec, KeyedState, Slot, SlotId, StateBackend, StateCall, StateLimits, Values, VarBytes};
use arrow_array::{ArrayRef, StringArray};
use std::collections::BTreeMap;
use std::sync::Arc;
use stygian_core::{ColumnType, EventTime, MaxParallelism, SlotKind};

const VALUE: SlotId = SlotId(0);
const MORTAL: SlotId = SlotId(1);
const LIST: SlotId = SlotId(2);
const MAP: SlotId = SlotId(3);
/// Of all slots but the first.
const TTL: i64 = 20;

/// The slots that the suite makes a backend for.
pub fn slots() -> Arc<[Slot]> {
    let slot = |name: &str, kind, ttl_micros| Slot { name: name.into(), kind, version: 1, ttl_micros };
    [
        slot("value", SlotKind::Value, None),
        slot("mortal", SlotKind::Value, Some(TTL)),
        slot("list", SlotKind::List, Some(TTL)),
        slot("map", SlotKind::Map, Some(TTL)),
    ]
    .into()
}

/// Runs so many random calls.
///
/// # Errors
/// The first difference to the reference.
pub fn check(make: impl FnOnce(Arc<[Slot]>) -> Box<dyn StateBackend>, seed: u64, calls: usize) -> Result<(), String> {
    let slots = slots();
    // Few groups, so that keys meet in them.
    let groups = MaxParallelism::new(3).unwrap_or(MaxParallelism::DEFAULT);
    let codec = KeyCodec::new(vec![ColumnType::Text], groups);
    let mut state = Box::new(KeyedState::new(codec, make(slots.clone()), slots, Arc::new([]), StateLimits::default()));
    let (mut random, mut reference) = (Random(seed | 1), Reference::default());
    let mut watermark = 0_i64;
    for number in 0..calls {
        watermark += random.below(4);
        let names: Vec<String> = (0..=random.below(8)).map(|_| format!("key-{}", random.below(12))).collect();
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(&names));
        let mut keys = KeyBatch::default();
        state.keys_of(&[column], names.len(), &mut keys).map_err(|error| error.to_string())?;
        let now = EventTime::from_micros(watermark);
        let written = watermark + 3;
        let mut call = state.begin(&keys, 0..names.len(), now, |_| written).map_err(|error| error.to_string())?;
        let mut after = reference.clone();
        let context = |what: &str| format!("seed {seed}, call {number}: {what}");
        compare(&mut call, &after, watermark, &mut random).map_err(|what| context(&what))?;
        for _ in 0..random.below(12) {
            write(&mut call, &mut after, (watermark, written), &mut random)?;
        }
        // Reads see the call's own writes to lists and maps; values are those that came with the call.
        compare_collections(&mut call, &after, watermark, &mut random).map_err(|what| context(&what))?;
        if random.below(2) == 0 {
            state = call.abort();
        } else {
            state = call.commit().map_err(|error| error.to_string())?;
            reference = after;
        }
        if random.below(3) == 0 {
            state.sweep(now);
        }
    }
    Ok(())
}

/// xorshift64*: enough to mix operations, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        i64::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap_or(0) % i64::try_from(bound).unwrap_or(1)
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = if self.below(20) == 0 { 300 } else { self.index(6) };
        (0..length).map(|_| u8::try_from(self.below(256)).unwrap_or(0)).collect()
    }
}

type Key = Vec<u8>;
type Dated<T> = (i64, T);

#[derive(Clone, Default)]
struct Reference {
    values: BTreeMap<(usize, Key), Dated<Vec<u8>>>,
    lists: BTreeMap<Key, Dated<Vec<Vec<u8>>>>,
    maps: BTreeMap<(Key, Vec<u8>), Dated<Vec<u8>>>,
}

fn alive(written: i64, watermark: i64) -> bool {
    watermark < written + TTL
}

impl Reference {
    fn value(&self, slot: SlotId, key: &[u8], watermark: i64) -> Option<&[u8]> {
        let (written, value) = self.values.get(&(slot.0, key.to_vec()))?;
        (slot == VALUE || alive(*written, watermark)).then_some(value.as_slice())
    }

    fn list(&self, key: &[u8], watermark: i64) -> Vec<Vec<u8>> {
        self.lists.get(key).filter(|(written, _)| alive(*written, watermark)).map(|(_, list)| list.clone()).unwrap_or_default()
    }

    fn map(&self, key: &[u8], watermark: i64) -> Vec<(Vec<u8>, Vec<u8>)> {
        let of_key = self.maps.iter().filter(|((of, _), (written, _))| of == key && alive(*written, watermark));
        of_key.map(|((_, map_key), (_, value))| (map_key.clone(), value.clone())).collect()
    }
}

fn write(call: &mut StateCall, reference: &mut Reference, (watermark, written): (i64, i64), random: &mut Random) -> Result<(), String> {
    let index = random.index(call.keys().len());
    let (key, number) = (call.keys().keys().get(index).to_vec(), u32::try_from(index).unwrap_or(0));
    let value = random.bytes();
    let map_key = random.bytes();
    let failed = |error: crate::StateError| error.to_string();
    match random.below(8) {
        0..=2 => {
            let slot = if random.below(2) == 0 { VALUE } else { MORTAL };
            let value = (random.below(4) > 0).then_some(value);
            call.put_values(slot, &[number], Values::from_iter([value.as_deref()])).map_err(failed)?;
            match value {
                Some(value) => reference.values.insert((slot.0, key), (written, value)),
                None => reference.values.remove(&(slot.0, key)),
            };
        }
        3 => {
            call.append(LIST, number, &VarBytes::from_iter([value.as_slice(), b"x"])).map_err(failed)?;
            let mut list = reference.list(&key, watermark);
            list.extend([value, b"x".to_vec()]);
            reference.lists.insert(key, (written, list));
        }
        4 | 5 => {
            call.put(MAP, number, &VarBytes::from_iter([map_key.as_slice()]), &VarBytes::from_iter([value.as_slice()])).map_err(failed)?;
            reference.maps.insert((key, map_key), (written, value));
        }
        6 => {
            let known = reference.map(&key, watermark).first().map_or(map_key, |(map_key, _)| map_key.clone());
            call.remove(MAP, number, Some(&VarBytes::from_iter([known.as_slice()])));
            reference.maps.remove(&(key, known));
        }
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

fn compare(call: &mut StateCall, reference: &Reference, watermark: i64, random: &mut Random) -> Result<(), String> {
    for index in 0..call.keys().len() {
        let key = call.keys().keys().get(index);
        for slot in [VALUE, MORTAL] {
            let (found, expected) = (call.values()[slot.0].get(index), reference.value(slot, key, watermark));
            if found != expected {
                return Err(format!("value slot {} of key {index} is {found:?}, not {expected:?}", slot.0));
            }
        }
    }
    compare_collections(call, reference, watermark, random)
}

fn compare_collections(call: &mut StateCall, reference: &Reference, watermark: i64, random: &mut Random) -> Result<(), String> {
    for index in 0..call.keys().len() {
        let key = call.keys().keys().get(index).to_vec();
        let most = random.index(40);
        let (_, list) = scan_all(call, LIST, index, most)?;
        let expected = reference.list(&key, watermark);
        if list != expected {
            return Err(format!("the list of key {index} is {list:?}, not {expected:?}"));
        }
        let (keys, values) = scan_all(call, MAP, index, most)?;
        let (map, expected): (Vec<_>, _) = (keys.into_iter().zip(values).collect(), reference.map(&key, watermark));
        if map != expected {
            return Err(format!("the map of key {index} is {map:?}, not {expected:?}"));
        }
        let asked: VarBytes = expected.iter().map(|(map_key, _)| map_key.as_slice()).chain([&b"no such key"[..]]).collect();
        let answers = call.get(MAP, u32::try_from(index).unwrap_or(0), &asked, usize::MAX).map_err(|error| error.to_string())?;
        let wanted: Values = expected.iter().map(|(_, value)| Some(value.as_slice())).chain([None]).collect();
        if answers != wanted {
            return Err(format!("entries of key {index} are {answers:?}, not {wanted:?}"));
        }
    }
    Ok(())
}

type Strings = Vec<Vec<u8>>;

fn scan_all(call: &mut StateCall, slot: SlotId, key: usize, most: usize) -> Result<(Strings, Strings), String> {
    let (mut keys, mut values, mut from) = (Vec::new(), Vec::new(), None);
    for _ in 0..10_000 {
        let page = call.scan(slot, u32::try_from(key).unwrap_or(0), from, most).map_err(|error| error.to_string())?;
        keys.extend(page.keys.iter().map(<[u8]>::to_vec));
        values.extend(page.values.iter().map(<[u8]>::to_vec));
        from = page.next;
        if from.is_none() {
            return Ok((keys, values));
        }
    }
    Err(format!("a scan of slot {} does not end", slot.0))
}
