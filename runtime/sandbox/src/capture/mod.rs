//! A failed call as a file: all that it takes to make it again, on another machine too.
//!
//! A call is its inputs, so these are in it: the component, its configuration, the limits, the circumstances, and the columns of the rows
//! that went into the sandbox (the others never were part of the call), beside what the failure was. Secrets are not: a plugin never gets
//! any. What is in a capture is users' data, so [`Captures`] keeps them in a folder of ours alone. Reading one is reading a stranger's
//! file: `format` (the container) and `rows` (the columns) believe nothing.

pub(crate) mod aggregate;
mod format;
pub(crate) mod keyed;
mod replay;
mod rows;
mod store;

pub use aggregate::{AggregateFunction, AggregateInputs};
pub use format::MAX_CAPTURE_BYTES;
pub use keyed::{KeyedInputs, KeyedRecord, SlotRecord};
pub use replay::{Replay, Verdict};
pub use store::{CaptureLimits, Captures};

use crate::{CallContext, CallError, FolderError, Limits, Plugin};
use arrow_array::{ArrayRef, RecordBatch};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use stygian_core::{ByteSize, ColumnType, Field};

/// A call that failed, with its inputs.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Everything but the plugin and the rows.
    pub record: CallRecord,
    /// The component.
    pub component: Arc<[u8]>,
    /// The columns that the plugin reads, in its order.
    pub rows: RecordBatch,
    /// What else went into a call with state by key; there if and only if [`CallRecord::keyed`] is.
    pub keyed: Option<KeyedInputs>,
    /// What else went into a call of an aggregate; there if and only if [`CallRecord::aggregate`] is.
    pub aggregate: Option<AggregateInputs>,
}

/// What a call was, beside its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRecord {
    /// The version of Stygian that made the call.
    pub stygian: String,
    /// The plugin's name and version.
    pub plugin: String,
    /// SHA-256 of the component, as hexadecimal digits.
    pub sha256: String,
    /// The node of the pipeline.
    pub operator: String,
    /// The configuration, JSON.
    pub config: String,
    /// What the call might use.
    pub limits: Limits,
    /// The operator's watermark, in microseconds of event time; none before the first.
    pub watermark: Option<i64>,
    /// Processing time, in microseconds since 1970-01-01T00:00:00Z.
    pub processing_time: i64,
    /// The columns of the rows.
    pub columns: Vec<ColumnRecord>,
    /// Of a call with state by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<KeyedRecord>,
    /// Of a call of an aggregate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<AggregateFunction>,
    /// How it failed.
    pub failure: FailureRecord,
}

/// A column's name and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRecord {
    /// Its name.
    pub name: String,
    /// Its type, as a pipeline writes it.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether a row may lack a value.
    pub nullable: bool,
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureRecord {
    /// The plugin's function.
    pub step: String,
    /// The situation in a word.
    pub kind: String,
    /// The situation in full, escaped.
    pub message: String,
}

impl From<&CallError> for FailureRecord {
    fn from(error: &CallError) -> Self {
        let (step, situation) = (error.step.to_string(), &error.situation);
        Self { step, kind: situation.kind().to_owned(), message: situation.to_string() }
    }
}

/// Why a call could not be captured, or a capture not be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Arrow or JSON refuses to write something down.
    #[error("the input of the call cannot be written down: {0}")]
    Input(String),
    /// It would be too large.
    #[error("the capture has {bytes}, more than {limit}; raise `max_bytes` of `[captures]`")]
    TooLarge {
        /// Of the capture.
        bytes: ByteSize,
        /// `max_bytes`
        limit: ByteSize,
    },
    /// The folder is not safe, or cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file is something else.
    #[error("it is no capture of a call; Stygian writes them where a plugin fails, with names that end in `.capture`")]
    NotOne,
    /// The file is of another version of the format.
    #[error("it is of version {found} of the format, this program reads version {known}; use the version of Stygian that wrote it")]
    Version {
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The file was changed or cut, or somebody made it to do harm.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl Capture {
    /// A call of `plugin` that failed with `error`; `columns` are those of its rows alone.
    pub(crate) fn new(
        plugin: &Plugin,
        config: &str,
        context: CallContext,
        fields: Vec<Field>,
        columns: impl Iterator<Item = (ColumnType, ArrayRef)>,
        rows: usize,
        error: &CallError,
    ) -> Result<Self, CaptureError> {
        let schema = rows::schema(&fields);
        let columns = columns.map(|(column_type, array)| rows::physical(column_type, array)).collect();
        let record = CallRecord {
            stygian: env!("CARGO_PKG_VERSION").to_owned(),
            plugin: error.plugin.clone(),
            sha256: plugin.digest().to_owned(),
            operator: error.operator.clone(),
            config: config.to_owned(),
            limits: plugin.limits().clone(),
            watermark: context.watermark,
            processing_time: context.processing_time,
            columns: fields.into_iter().map(ColumnRecord::from).collect(),
            keyed: None,
            aggregate: None,
            failure: error.into(),
        };
        Ok(Self { record, component: plugin.component(), rows: rows::batch(&schema, columns, rows)?, keyed: None, aggregate: None })
    }

    /// The same call with state by key.
    pub(crate) fn with_keyed(mut self, (record, inputs): (KeyedRecord, KeyedInputs)) -> Self {
        (self.record.keyed, self.keyed) = (Some(record), Some(inputs));
        self
    }

    /// The same call of an aggregate.
    pub(crate) fn with_aggregate(mut self, function: AggregateFunction, inputs: AggregateInputs) -> Self {
        (self.record.aggregate, self.aggregate) = (Some(function), Some(inputs));
        self
    }

    /// The circumstances of the call.
    pub fn context(&self) -> CallContext {
        CallContext { watermark: self.record.watermark, processing_time: self.record.processing_time }
    }
}

impl From<Field> for ColumnRecord {
    fn from(field: Field) -> Self {
        Self { name: field.name, column_type: field.column_type, nullable: field.nullable }
    }
}

impl From<&ColumnRecord> for Field {
    fn from(column: &ColumnRecord) -> Self {
        Self { name: column.name.clone(), column_type: column.column_type, nullable: column.nullable }
    }
}
