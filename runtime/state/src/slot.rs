//! Declared pieces of state.

use stygian_core::{EventTime, SlotKind, StateSlot};

/// The index of a slot in the order of declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub usize);

/// A slot as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name, for messages.
    pub name: String,
    /// What it holds for each key.
    pub kind: SlotKind,
    /// The version that values are written in, from 1.
    pub version: u32,
    /// How long a value lives after its last write, in microseconds of event time; `None`: for ever.
    pub ttl_micros: Option<i64>,
}

impl From<&StateSlot> for Slot {
    fn from(slot: &StateSlot) -> Self {
        let micros = |millis: u64| i64::try_from(millis.saturating_mul(1000)).unwrap_or(i64::MAX);
        Self { name: slot.name.clone(), kind: slot.kind, version: slot.version, ttl_micros: slot.ttl_millis.map(micros) }
    }
}

impl Slot {
    /// Whether it holds one value a key.
    #[inline]
    pub(crate) fn is_value(&self) -> bool {
        self.kind == SlotKind::Value
    }

    /// Whether a value of this slot is gone: the watermark is at or past its last write plus its time to live.
    pub fn is_expired(&self, written: i64, watermark: EventTime) -> bool {
        self.ttl_micros.is_some_and(|ttl| watermark.micros() >= written.saturating_add(ttl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lives_until_the_watermark_reaches_its_end() {
        let slot = Slot { name: "last".into(), kind: SlotKind::Value, version: 1, ttl_micros: Some(10) };
        assert!(!slot.is_expired(5, EventTime::MIN) && !slot.is_expired(5, EventTime::from_micros(14)));
        assert!(slot.is_expired(5, EventTime::from_micros(15)));
        let for_ever = Slot { ttl_micros: None, ..slot };
        assert!(!for_ever.is_expired(5, EventTime::MAX));
    }
}
