//! Keyed state: what an operator remembers of each key, filed by key group, and the timers it has set.
//!
//! The sandbox is stateless; this is where the state is instead. A call of an operator takes three steps: the distinct keys of its rows are
//! looked up once ([`KeyedState::begin`]), the call reads and writes through a [`StateCall`], which buffers every write and shows it to later
//! reads of the same call, and [`StateCall::commit`] applies the writes when the call went well. A call that is dropped has changed nothing.
//!
//! For a checkpoint, [`KeyedState::snapshot`] writes each key group into sections, all of it or what has changed since the last snapshot;
//! [`KeyedState::restore`] takes them in, in whichever subtask the group has come to, and [`KeyedState::mark_unsaved`] takes back those of a
//! checkpoint that has failed. The bytes are told in `section`.
//!
//! Keys are bytes ([`KeyCodec`]), values are bytes of the plugin's own making with the version of their slot beside them; those of older
//! versions are migrated when a call comes by them ([`Migrate`]). A
//! [`StateBackend`] stores them; every backend must pass the suite in [`conformance`]. Watermarks come from the caller: nothing here
//! knows a clock or a stream.

mod backend;
mod call;
mod cell;
pub mod conformance;
mod disk;
mod distinct;
mod error;
mod key;
mod keyed;
mod limits;
mod memory;
mod section;
mod seed;
mod slot;
mod snapshot;
mod timers;
mod touched;
mod values;
mod varint;
mod versions;
mod writes;

pub use backend::{ListPage, MapPage, StateBackend, StateSize};
pub use call::{Entries, Migrate, OtherVersions, StateCall, StoredValue, Written};
pub use cell::Cell;
pub use disk::{DiskBackend, DiskPlace};
pub use distinct::DistinctKeys;
pub use error::StateError;
pub use key::{KeyBatch, KeyCodec, KeyCodecError};
pub use keyed::{KeyedState, Loaded};
pub use limits::StateLimits;
pub use memory::MemoryBackend;
pub use section::{Entry, SectionWriter, Table};
pub use slot::{Slot, SlotId};
pub use snapshot::VersionCount;
pub use timers::{FiredTimer, Timer, TimerStore};
pub use values::{Values, VarBytes};
pub use writes::{CallWrites, Change, Life, ListWrites, MapWrites, OtherVersion, Stored};
