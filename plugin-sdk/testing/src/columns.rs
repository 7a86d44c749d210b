//! JSON rows <-> columns of the contract.

use crate::cell;
use crate::error::TestError;
use serde_json::{Map as Object, Value};
use stygian_sdk::contract::{Batch, Column, ColumnType, Field, Values};
use stygian_sdk::{ColumnBuilder, Date, Decimal, Timestamp, TimestampUtc, WriteValue};

type Row = Object<String, Value>;

/// Rows as the columns that an operator reads.
pub(crate) fn batch(fields: &[Field], rows: &[Row]) -> Result<Batch, TestError> {
    let columns = fields.iter().map(|field| column(field, rows)).collect::<Result<_, _>>()?;
    let rows = u32::try_from(rows.len()).map_err(|_| TestError::Row { row: rows.len(), problem: "too many rows".to_owned() })?;
    Ok(Batch { rows, columns })
}

fn column(field: &Field, rows: &[Row]) -> Result<Column, TestError> {
    match field.column_type {
        ColumnType::Boolean => build(field, rows, Value::as_bool),
        ColumnType::Int8 => build(field, rows, cell::integer::<i8>),
        ColumnType::Int16 => build(field, rows, cell::integer::<i16>),
        ColumnType::Int32 => build(field, rows, cell::integer::<i32>),
        ColumnType::Int64 => build(field, rows, cell::integer::<i64>),
        ColumnType::Uint8 => build(field, rows, cell::integer::<u8>),
        ColumnType::Uint16 => build(field, rows, cell::integer::<u16>),
        ColumnType::Uint32 => build(field, rows, cell::integer::<u32>),
        ColumnType::Uint64 => build(field, rows, cell::integer::<u64>),
        ColumnType::Float32 => build(field, rows, cell::float32),
        ColumnType::Float64 => build(field, rows, cell::float64),
        ColumnType::Text => build(field, rows, Value::as_str),
        ColumnType::Binary => build(field, rows, cell::bytes),
        ColumnType::Date => build(field, rows, |value| cell::date(value).map(Date)),
        ColumnType::Timestamp => build(field, rows, |value| cell::timestamp(value, "").map(Timestamp)),
        ColumnType::TimestampUtc => build(field, rows, |value| cell::timestamp(value, "Z").map(TimestampUtc)),
        ColumnType::Decimal(decimal) => build(field, rows, |value| cell::decimal(value, decimal).map(Decimal::<38, 0>)),
    }
}

fn build<'a, T: WriteValue>(field: &Field, rows: &'a [Row], read: impl Fn(&'a Value) -> Option<T>) -> Result<Column, TestError> {
    let mut builder = <Option<T> as WriteValue>::Builder::with_capacity(rows.len());
    for (row, values) in rows.iter().enumerate() {
        let problem = |problem: String| TestError::Row { row, problem: format!("column `{}` {problem}", field.name) };
        let value = match values.get(&field.name) {
            None | Some(Value::Null) if field.nullable => None,
            None | Some(Value::Null) => return Err(problem("is absent; the operator reads it as not nullable".to_owned())),
            Some(value) => Some(read(value).ok_or_else(|| problem(format!("cannot be {value}: it is a {:?}", field.column_type)))?),
        };
        value.write(&mut builder);
    }
    Ok(builder.finish())
}

/// The rows of columns that an operator made, which must fit what it declares.
pub(crate) fn rows(fields: &[Field], batch: &Batch) -> Result<Vec<Row>, String> {
    if fields.len() != batch.columns.len() {
        return Err(format!("{} columns, but {} are declared", batch.columns.len(), fields.len()));
    }
    for (field, column) in fields.iter().zip(&batch.columns) {
        check(field, column, batch.rows as usize).map_err(|problem| format!("column `{}` {problem}", field.name))?;
    }
    let columns = || fields.iter().zip(&batch.columns);
    (0..batch.rows as usize)
        .map(|row| columns().map(|(field, column)| Ok((field.name.clone(), value(field, column, row)?))).collect())
        .collect()
}

fn check(field: &Field, column: &Column, rows: usize) -> Result<(), String> {
    let length = cell::length(&column.values, field.column_type).ok_or("is not of the declared type")?;
    let expected = if matches!(column.values, Values::Boolean(_)) { rows.div_ceil(8) } else { rows };
    if length != expected || column.validity.as_ref().is_some_and(|bits| bits.len() != rows.div_ceil(8)) {
        return Err(format!("is not as long as its batch, which has {rows} rows"));
    }
    if !field.nullable && (0..rows).any(|row| is_null(column, row)) {
        return Err("has nulls but is declared as not nullable".to_owned());
    }
    Ok(())
}

fn is_null(column: &Column, row: usize) -> bool {
    column.validity.as_ref().is_some_and(|bits| !cell::bit(bits, row))
}

fn value(field: &Field, column: &Column, row: usize) -> Result<Value, String> {
    if is_null(column, row) {
        return Ok(Value::Null);
    }
    cell::value(&column.values, field.column_type, row)
        .ok_or_else(|| format!("column `{}` has a value at row {row} that cannot be", field.name))
}
