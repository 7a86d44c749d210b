//! What the state of one subtask may take.

use crate::backend::StateSize;
use crate::writes::Change;
use crate::{KeyedState, StateError};
use schemars::JsonSchema;
use serde::Deserialize;
use stygian_core::ByteSize;

/// What the state of one subtask may take. Past a limit the job fails with a message that names slot and number of keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateLimits {
    /// Bytes of all keys, values and waiting timers of a subtask: 1 GiB by default, 64 GiB where state is on disk. There keys, map keys and
    /// values count as they are, with 16 to 32 bytes for each; what the files take beside that is not counted.
    pub bytes: ByteSize,
    /// Keys of a subtask, 50,000,000 by default.
    pub keys: u64,
    /// Bytes of one value, list entry or map entry, 1 MiB by default. Larger things belong into maps, entry by entry.
    pub value_bytes: ByteSize,
    /// Timers of a subtask that wait, 10,000,000 by default.
    pub timers: u64,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { bytes: ByteSize::mib(1024), keys: 50_000_000, value_bytes: ByteSize::mib(1), timers: 10_000_000 }
    }
}

impl StateLimits {
    /// What state may take by default where it is on disk.
    pub const BYTES_ON_DISK: ByteSize = ByteSize::mib(64 * 1024);
}

impl KeyedState {
    /// Whether all is within the limits.
    pub(crate) fn check_limits(&self) -> Result<(), StateError> {
        let (StateSize { keys, bytes: size }, limits) = (self.size(), &self.limits);
        if size > limits.bytes {
            return Err(StateError::TooManyBytes { slot: self.written_last(), keys, size, limit: limits.bytes });
        }
        if keys > limits.keys {
            return Err(StateError::TooManyKeys { slot: self.written_last(), keys, limit: limits.keys });
        }
        match self.timers.len() as u64 {
            timers if timers > limits.timers => Err(StateError::TooManyTimers { timers, limit: limits.timers }),
            _ => Ok(()),
        }
    }

    /// The slot that the last call wrote to last; the first one where there was no call.
    fn written_last(&self) -> String {
        let key = self.writes.changed().last().unwrap_or(0);
        let touched = (0..self.slots.len()).find(|slot| self.writes.value(*slot, key) != Change::Keep);
        let touched = touched.or_else(|| self.writes.lists(key).map(|(slot, _)| slot).next());
        let touched = touched.or_else(|| self.writes.maps(key).map(|(slot, _)| slot).next()).unwrap_or(0);
        self.slots.get(touched).map(|slot| slot.name.clone()).unwrap_or_default()
    }
}
