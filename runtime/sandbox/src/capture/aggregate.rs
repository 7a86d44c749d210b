//! What a call of an aggregate had beside its rows: accumulators, and which of them each row goes to.

use super::{CaptureError, rows};
use crate::AggregateCall;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use stygian_core::ColumnType;

/// The inputs of an aggregate's call that are no rows.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateInputs {
    /// The accumulators, and beside them those that are merged into them; null: they have seen nothing.
    pub accumulators: RecordBatch,
    /// For each row, the accumulator that it is added to.
    pub groups: RecordBatch,
}

/// The function that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AggregateFunction {
    /// `accumulate`
    Accumulate,
    /// `merge`
    Merge,
    /// `finish`
    Finish,
}

pub(super) fn accumulators_schema() -> SchemaRef {
    rows::schema_of([("accumulator", ColumnType::Binary, true), ("merged", ColumnType::Binary, true)])
}

pub(super) fn groups_schema() -> SchemaRef {
    rows::schema_of([("group", ColumnType::UInt32, false)])
}

/// A call in parts: its function, its columns, and the rest.
pub(crate) fn take(call: &AggregateCall) -> Result<(AggregateFunction, Vec<ArrayRef>, AggregateInputs), CaptureError> {
    let (function, rows, groups, into, from) = match call.clone() {
        AggregateCall::Accumulate { accumulators, rows, groups } => (AggregateFunction::Accumulate, rows, groups, accumulators, None),
        AggregateCall::Merge { into, from } => (AggregateFunction::Merge, Vec::new(), Vec::new(), into, Some(from)),
        AggregateCall::Finish { accumulators } => (AggregateFunction::Finish, Vec::new(), Vec::new(), accumulators, None),
    };
    let (count, of_rows) = (into.len(), groups.len());
    let from = from.unwrap_or_else(|| BinaryArray::new_null(count));
    let accumulators = rows::batch(&accumulators_schema(), vec![Arc::new(into), Arc::new(from)], count)?;
    let groups = rows::batch(&groups_schema(), vec![Arc::new(UInt32Array::from(groups))], of_rows)?;
    Ok((function, rows, AggregateInputs { accumulators, groups }))
}

impl AggregateInputs {
    /// What does not fit together in a file that may be anybody's.
    pub(super) fn check(&self, function: AggregateFunction, rows: usize) -> Result<(), &'static str> {
        let groups = self.groups.column(0).as_primitive::<UInt32Type>();
        let of_rows = if function == AggregateFunction::Accumulate { groups.len() } else { 0 };
        if rows != of_rows || groups.len() != of_rows {
            return Err("it has not an accumulator for each row");
        }
        let count = self.accumulators.num_rows();
        if groups.values().iter().any(|group| *group as usize >= count) {
            Err("it has rows of accumulators that are not there")
        } else {
            Ok(())
        }
    }

    /// The call that these were taken of, on these rows.
    pub(super) fn call(&self, function: AggregateFunction, rows: &RecordBatch) -> AggregateCall {
        let accumulators = |column: usize| self.accumulators.column(column).as_binary::<i32>().clone();
        match function {
            AggregateFunction::Accumulate => {
                let groups = self.groups.column(0).as_primitive::<UInt32Type>().values().to_vec();
                AggregateCall::Accumulate { accumulators: accumulators(0), rows: rows.columns().to_vec(), groups }
            }
            AggregateFunction::Merge => AggregateCall::Merge { into: accumulators(0), from: accumulators(1) },
            AggregateFunction::Finish => AggregateCall::Finish { accumulators: accumulators(0) },
        }
    }
}
