//! Columns out of the guest: what it handed over becomes Arrow arrays, or an error that says what exactly is wrong.
//!
//! Everything here is a stranger's: nothing is believed, nothing panics. The lists were copied out of the guest's memory before, so they do
//! not change while they are checked. No `unsafe`: Arrow checks once more what is checked here.

use crate::wire::{OutBatch, OutColumn, OutValues, OutVarValues};
use crate::{BadOutput, ColumnFault};
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, PrimitiveArray, RecordBatch, RecordBatchOptions, StringArray, types,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::SchemaRef;
use std::sync::Arc;
use stygian_core::{ColumnType, Field};

/// An output's columns, as declared.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// The output's name, escaped.
    pub(crate) output: String,
    /// Its columns.
    pub(crate) fields: Vec<Field>,
    /// The same in Arrow's words.
    pub(crate) schema: SchemaRef,
}

impl Declared {
    /// Prepares an output's columns.
    pub(crate) fn new(output: &str, fields: &[Field]) -> Self {
        let schema = arrow_schema::Schema::new(fields.iter().map(Field::arrow).collect::<Vec<_>>());
        Self { output: output.to_owned(), fields: fields.to_vec(), schema: Arc::new(schema) }
    }

    /// Turns what a guest emitted into a batch of these columns.
    ///
    /// # Errors
    /// Whenever it is not exactly what was declared.
    pub(crate) fn check(&self, batch: OutBatch) -> Result<RecordBatch, BadOutput> {
        let (expected, found) = (self.fields.len(), batch.columns.len());
        if expected != found {
            return Err(BadOutput::ColumnCount { output: self.output.clone(), expected, found });
        }
        let rows = batch.rows as usize;
        let columns = self.fields.iter().zip(batch.columns).map(|(field, column)| {
            let fault = |fault| BadOutput::Column { column: stygian_core::escape(&field.name, 64), fault };
            array(field, rows, column).map_err(fault)
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        // Types, lengths and nulls are those of the schema by now; should a rule be missing above, Arrow's words will do.
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(|e| BadOutput::Malformed(e.to_string()))
    }
}

/// What a column occupies, for the limit of bytes.
pub(crate) fn bytes_of(column: &OutColumn) -> usize {
    let values = match &column.values {
        OutValues::Boolean(v) | OutValues::UInt8(v) => v.len(),
        OutValues::Int8(v) => v.len(),
        OutValues::Int16(v) => v.len() * 2,
        OutValues::UInt16(v) => v.len() * 2,
        OutValues::Int32(v) | OutValues::Date(v) => v.len() * 4,
        OutValues::UInt32(v) => v.len() * 4,
        OutValues::Float32(v) => v.len() * 4,
        OutValues::Int64(v) | OutValues::Timestamp(v) => v.len() * 8,
        OutValues::UInt64(v) | OutValues::Decimal(v) => v.len() * 8,
        OutValues::Float64(v) => v.len() * 8,
        OutValues::Text(v) | OutValues::Binary(v) => v.bytes.len() + v.offsets.len() * 4,
    };
    values + column.validity.as_ref().map_or(0, Vec::len)
}

fn array(field: &Field, rows: usize, column: OutColumn) -> Result<ArrayRef, ColumnFault> {
    let nulls = nulls(field, rows, column.validity)?;
    Ok(match (field.column_type, column.values) {
        (ColumnType::Bool, OutValues::Boolean(v)) => Arc::new(BooleanArray::new(bitmap("bytes of a bitmap", rows, v)?, nulls)),
        (ColumnType::Int8, OutValues::Int8(v)) => primitive::<types::Int8Type>(rows, v, nulls)?,
        (ColumnType::Int16, OutValues::Int16(v)) => primitive::<types::Int16Type>(rows, v, nulls)?,
        (ColumnType::Int32, OutValues::Int32(v)) => primitive::<types::Int32Type>(rows, v, nulls)?,
        (ColumnType::Int64, OutValues::Int64(v)) => primitive::<types::Int64Type>(rows, v, nulls)?,
        (ColumnType::UInt8, OutValues::UInt8(v)) => primitive::<types::UInt8Type>(rows, v, nulls)?,
        (ColumnType::UInt16, OutValues::UInt16(v)) => primitive::<types::UInt16Type>(rows, v, nulls)?,
        (ColumnType::UInt32, OutValues::UInt32(v)) => primitive::<types::UInt32Type>(rows, v, nulls)?,
        (ColumnType::UInt64, OutValues::UInt64(v)) => primitive::<types::UInt64Type>(rows, v, nulls)?,
        (ColumnType::Float32, OutValues::Float32(v)) => primitive::<types::Float32Type>(rows, v, nulls)?,
        (ColumnType::Float64, OutValues::Float64(v)) => primitive::<types::Float64Type>(rows, v, nulls)?,
        (ColumnType::Date, OutValues::Date(v)) => primitive::<types::Date32Type>(rows, v, nulls)?,
        (ColumnType::Timestamp, OutValues::Timestamp(v)) => primitive::<types::TimestampMicrosecondType>(rows, v, nulls)?,
        (ColumnType::TimestampUtc, OutValues::Timestamp(v)) => {
            let (values, nulls) = (counted("values", rows, v)?, nulls);
            Arc::new(PrimitiveArray::<types::TimestampMicrosecondType>::new(values.into(), nulls).with_timezone("UTC"))
        }
        (ColumnType::Decimal { precision, scale }, OutValues::Decimal(v)) => decimal(precision, scale, rows, &v, nulls)?,
        (ColumnType::Text, OutValues::Text(v)) => text(rows, v, nulls)?,
        (ColumnType::Binary, OutValues::Binary(v)) => {
            let offsets = offsets(rows, v.offsets, v.bytes.len())?;
            Arc::new(BinaryArray::new(offsets, Buffer::from_vec(v.bytes), nulls))
        }
        (expected, found) => return Err(ColumnFault::Type { expected: expected.to_string(), found: name(&found) }),
    })
}

fn nulls(field: &Field, rows: usize, validity: Option<Vec<u8>>) -> Result<Option<NullBuffer>, ColumnFault> {
    let Some(bytes) = validity else { return Ok(None) };
    let nulls = NullBuffer::new(bitmap("bytes of validity", rows, bytes)?);
    match nulls.null_count() {
        0 => Ok(None),
        _ if field.nullable => Ok(Some(nulls)),
        _ => Err(ColumnFault::Null { row: nulls.iter().position(|valid| !valid).unwrap_or(0) }),
    }
}

fn bitmap(what: &'static str, rows: usize, bytes: Vec<u8>) -> Result<BooleanBuffer, ColumnFault> {
    let bytes = counted(what, rows.div_ceil(8), bytes)?;
    Ok(BooleanBuffer::new(Buffer::from_vec(bytes), 0, rows))
}

fn counted<T>(what: &'static str, expected: usize, values: Vec<T>) -> Result<Vec<T>, ColumnFault> {
    match values.len() {
        found if found == expected => Ok(values),
        found => Err(ColumnFault::Length { what, expected, found }),
    }
}

fn primitive<T: ArrowPrimitiveType>(rows: usize, values: Vec<T::Native>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ColumnFault> {
    Ok(Arc::new(PrimitiveArray::<T>::new(counted("values", rows, values)?.into(), nulls)))
}

/// The highest 64 bits carry the sign.
fn decimal(precision: u8, scale: u8, rows: usize, halves: &[u64], nulls: Option<NullBuffer>) -> Result<ArrayRef, ColumnFault> {
    let (pairs, _) = halves.as_chunks::<2>();
    if halves.len() != rows.saturating_mul(2) {
        return Err(ColumnFault::Length { what: "halves of decimals", expected: rows.saturating_mul(2), found: halves.len() });
    }
    let values: ScalarBuffer<i128> = pairs.iter().map(|[low, high]| (u128::from(*high) << 64 | u128::from(*low)).cast_signed()).collect();
    let array = Decimal128Array::new(values, nulls);
    let limit = 10_u128.checked_pow(u32::from(precision)).unwrap_or(u128::MAX);
    let too_long = |row: usize| array.is_valid(row) && array.value(row).unsigned_abs() >= limit;
    if array.values().iter().any(|value| value.unsigned_abs() >= limit)
        && let Some(row) = (0..rows).find(|row| too_long(*row))
    {
        return Err(ColumnFault::TooManyDigits { row, precision });
    }
    let array = array.with_data_type(ColumnType::Decimal { precision, scale }.arrow());
    Ok(Arc::new(array))
}

/// Offsets that ascend from 0 or later to no further than the bytes.
fn offsets(rows: usize, offsets: Vec<i32>, bytes: usize) -> Result<OffsetBuffer<i32>, ColumnFault> {
    let offsets = counted("offsets", rows.saturating_add(1), offsets)?;
    let most = i32::try_from(bytes).unwrap_or(i32::MAX);
    let ascending = offsets.is_sorted() && offsets[0] >= 0 && offsets[rows] <= most;
    if !ascending {
        let mut least = 0;
        for (index, offset) in offsets.iter().copied().enumerate() {
            if offset < least || offset > most {
                return Err(ColumnFault::Offset { index, offset, least, most: bytes });
            }
            least = offset;
        }
    }
    Ok(OffsetBuffer::new(offsets.into()))
}

fn text(rows: usize, values: OutVarValues, nulls: Option<NullBuffer>) -> Result<ArrayRef, ColumnFault> {
    let offsets = offsets(rows, values.offsets, values.bytes.len())?;
    let bytes = Buffer::from_vec(values.bytes);
    // One look at all bytes is the fast way; it is too strict for null rows and for bytes that no row points to.
    match StringArray::try_new(offsets.clone(), bytes.clone(), nulls.clone()) {
        Ok(array) => Ok(Arc::new(array)),
        Err(_) => text_by_rows(&offsets, &bytes, nulls),
    }
}

fn text_by_rows(offsets: &OffsetBuffer<i32>, bytes: &[u8], nulls: Option<NullBuffer>) -> Result<ArrayRef, ColumnFault> {
    let (mut ends, mut kept) = (vec![0_i32], Vec::with_capacity(bytes.len()));
    for (row, pair) in offsets.windows(2).enumerate() {
        if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
            let value = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok()).and_then(|(start, end)| bytes.get(start..end));
            let value = value.and_then(|value| std::str::from_utf8(value).ok()).ok_or(ColumnFault::NotUtf8 { row })?;
            kept.extend_from_slice(value.as_bytes());
        }
        ends.push(i32::try_from(kept.len()).map_err(|_| ColumnFault::NotUtf8 { row })?);
    }
    let array = StringArray::try_new(OffsetBuffer::new(ends.into()), Buffer::from_vec(kept), nulls);
    array.map(|array| Arc::new(array) as ArrayRef).map_err(|_| ColumnFault::NotUtf8 { row: 0 })
}

fn name(values: &OutValues) -> &'static str {
    match values {
        OutValues::Boolean(_) => "bool",
        OutValues::Int8(_) => "int8",
        OutValues::Int16(_) => "int16",
        OutValues::Int32(_) => "int32",
        OutValues::Int64(_) => "int64",
        OutValues::UInt8(_) => "uint8",
        OutValues::UInt16(_) => "uint16",
        OutValues::UInt32(_) => "uint32",
        OutValues::UInt64(_) => "uint64",
        OutValues::Float32(_) => "float32",
        OutValues::Float64(_) => "float64",
        OutValues::Text(_) => "text",
        OutValues::Binary(_) => "binary",
        OutValues::Date(_) => "date",
        OutValues::Timestamp(_) => "timestamp",
        OutValues::Decimal(_) => "decimal",
    }
}
