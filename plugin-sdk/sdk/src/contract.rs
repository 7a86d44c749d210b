//! The contract's types under one roof: what crosses between host and plugin. Authors of operators seldom need them.

pub use crate::bindings::exports::stygian::plugin::metadata::{
    Clock, Description, InputSpec, OutputShape, OutputSpec, RequestedLimits, SlotKind, StateSlot, StreamKind, TimerSpec,
};
pub use crate::bindings::exports::stygian::plugin::migration::ReadableVersions;
pub use crate::bindings::stygian::plugin::log::Level;
pub use crate::bindings::stygian::plugin::state_access::Entries;
pub use crate::bindings::stygian::plugin::types::{
    Batch, CallContext, Column, ColumnType, DecimalType, Field, FiredTimer, FiredTimers, KeySet, KeyedBatch, SlotStates, Values, VarValues,
};
