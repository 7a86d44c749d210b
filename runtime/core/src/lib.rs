//! The words every other crate speaks: batches and stream elements, schemas and column types, key groups, ids, offsets, units.
//!
//! This is the leaf of the ladder: no runtime, no sandbox, no I/O. What is here is expensive to change later, because stored
//! state, checkpoints and plugins speak of it; the key hash is frozen by a golden test.

mod column_type;
mod dead_letter;
mod element;
mod ids;
mod key_group;
pub mod kill_point;
mod plugin;
mod schema;
mod section;
pub mod short;
mod split;
mod text;
mod time;
mod units;

pub use column_type::{ColumnType, ColumnTypeError, Field, type_name};
pub use dead_letter::{DeadLetter, DeadLetters, RAW_LIMIT};
pub use element::StreamElement;
pub use ids::{CheckpointId, OperatorId, Parallelism, ParallelismError, SubtaskId};
pub use key_group::{KeyGroup, KeyGroupRange, KeyHashError, KeyHasher, MaxParallelism};
pub use plugin::{
    InputSpec, OutputShape, OutputSpec, PluginDescription, PluginInterfaces, PluginRef, PluginRefError, RequestedLimits, SlotKind,
    StateSlot, TimerClock, TimerSpec,
};
pub use schema::{OPERATION_COLUMN, SchemaError, StreamKind, StreamSchema};
pub use section::{SavedSection, SectionKind, StateSection};
pub use split::{Offset, SplitId};
pub use text::{escape, escape_bytes};
pub use time::EventTime;
pub use units::{ByteSize, Span, UnitError};
