//! Columns of files with a schema of their own, as columns of ours: each in the one physical type of its kind.

use crate::FormatError;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;
use stygian_core::ColumnType;

/// The names of all columns, for messages.
pub(crate) fn names(schema: &SchemaRef) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    stygian_core::escape(&names.join(", "), 200)
}

/// The rows as columns of `schema`, found by name and cast where they are of another type.
pub(crate) fn fit(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, FormatError> {
    let column = |field: &Arc<Field>| -> Result<ArrayRef, FormatError> {
        let name = field.name();
        let found = rows.column_by_name(name).ok_or_else(|| FormatError::Header(format!("has no column `{name}`")))?;
        if found.data_type() == field.data_type() {
            return Ok(found.clone());
        }
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(found, field.data_type(), &options).map_err(|e| FormatError::Corrupt(format!("column `{name}`: {e}")))
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), columns).map_err(|e| FormatError::Corrupt(e.to_string()))
}

/// The schema with one physical type for every kind of column.
pub(crate) fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    let plain = |field: &Arc<Field>| Field::new(field.name(), plain_type(field.data_type()), field.is_nullable());
    Arc::new(Schema::new(schema.fields().iter().map(plain).collect::<Vec<_>>()))
}

fn plain_type(found: &DataType) -> DataType {
    match found {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Date64 => DataType::Date32,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        other => other.clone(),
    }
}

/// Where each column of `wanted` stands in a file of the columns `found`; both have plain types.
///
/// # Errors
/// When the file lacks one, or has it as another kind of value: numbers may be wider or narrower (a value that does not fit is found when
/// it is read), but text is no number.
pub(crate) fn places(found: &SchemaRef, wanted: &SchemaRef) -> Result<Vec<usize>, FormatError> {
    let place = |field: &Arc<Field>| {
        let name = field.name();
        let place = found.index_of(name).map_err(|_| FormatError::Header(format!("has no column `{name}`; it has {}", names(found))))?;
        let (found, wanted) = (found.field(place).data_type(), field.data_type());
        if same_kind(found, wanted) {
            return Ok(place);
        }
        Err(FormatError::Mismatch { column: name.clone(), found: shown(found), wanted: shown(wanted) })
    };
    wanted.fields().iter().map(place).collect()
}

fn same_kind(found: &DataType, wanted: &DataType) -> bool {
    let whole = |kind: &DataType| kind.is_integer() || matches!(kind, DataType::Decimal128(_, 0));
    found == wanted
        || *found == DataType::Null
        || (whole(found) && (whole(wanted) || wanted.is_floating()))
        || (found.is_floating() && wanted.is_floating())
        || matches!((found, wanted), (DataType::Decimal128(..), DataType::Decimal128(..)))
}

fn shown(kind: &DataType) -> String {
    ColumnType::of(kind).map_or_else(|| stygian_core::escape(&kind.to_string(), 100), |plain| plain.to_string())
}
