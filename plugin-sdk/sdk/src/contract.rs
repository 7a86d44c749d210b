//! The contract's types under one roof: what crosses between host and plugin. Authors of operators seldom need them.

pub use crate::bindings::exports::stygian::plugin::metadata::{
    Description, InputSpec, OutputShape, OutputSpec, RequestedLimits, StreamKind,
};
pub use crate::bindings::stygian::plugin::log::Level;
pub use crate::bindings::stygian::plugin::types::{Batch, CallContext, Column, ColumnType, DecimalType, Field, Values, VarValues};
