//! Parting rows into folders by the values of columns.
//!
//! The work of a batch goes per distinct value: rows are grouped by the bytes of their partition values, and only one name is made and
//! one selection taken for each group.

use crate::partition_name::{NULL, of_column, of_value};
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, UInt32Array};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef, TimeUnit};
use arrow_select::take::take_record_batch;
use std::collections::HashMap;
use std::sync::Arc;

const MICROS_A_DAY: i64 = 86_400_000_000;

/// How rows are parted.
#[derive(Clone, Debug)]
pub(crate) struct Partitioning {
    /// Folders from the outside in.
    levels: Vec<Level>,
    /// The columns that stay in the files.
    kept: Vec<usize>,
    file_schema: SchemaRef,
}

#[derive(Clone, Debug)]
struct Level {
    /// As in the folder's name, before the `=`.
    name: String,
    column: usize,
    day: bool,
}

/// Rows for one folder.
pub(crate) struct Part {
    /// Relative to the sink's folder; empty without partitions.
    pub(crate) folder: String,
    pub(crate) rows: RecordBatch,
}

impl Partitioning {
    /// Checks the options; an `Err` is the option's name and what is wrong with it.
    pub(crate) fn new(schema: &SchemaRef, by: &[String], day: Option<&str>) -> Result<Self, (&'static str, String)> {
        let find = |option, name: &str| {
            let position = schema.index_of(name);
            position.map_err(|_| (option, format!("there is no column `{name}`; there are {}", names(schema))))
        };
        let mut levels = Vec::new();
        if let Some(name) = day {
            let column = find("partition_day", name)?;
            let found = schema.field(column).data_type();
            if !matches!(found, DataType::Timestamp(_, _) | DataType::Date32) {
                return Err(("partition_day", format!("column `{name}` is {found}, and has no day; it must be a timestamp or a date")));
            }
            levels.push(Level { name: "day".into(), column, day: true });
        }
        for name in by {
            let column = find("partition_by", name)?;
            let found = schema.field(column).data_type();
            if found.is_nested() {
                return Err(("partition_by", format!("column `{name}` is {found}, which cannot name a folder")));
            }
            let level = Level { name: of_column(name), column, day: false };
            if levels.iter().any(|other| other.name == level.name) {
                return Err(("partition_by", format!("there are two folders `{}=...`", level.name)));
            }
            levels.push(level);
        }
        let left_out = |column: &usize| levels.iter().any(|level| !level.day && level.column == *column);
        let kept: Vec<usize> = (0..schema.fields().len()).filter(|column| !left_out(column)).collect();
        if kept.is_empty() {
            return Err(("partition_by", "no column is left for the files".into()));
        }
        let fields: Vec<_> = kept.iter().map(|column| schema.fields()[*column].clone()).collect();
        Ok(Self { levels, kept, file_schema: Arc::new(Schema::new(fields)) })
    }

    /// What the files hold.
    pub(crate) fn file_schema(&self) -> &SchemaRef {
        &self.file_schema
    }

    /// Parts the rows, each in the order it has, the parts in the order of their first rows.
    pub(crate) fn part(&self, rows: &RecordBatch) -> Result<Vec<Part>, ArrowError> {
        let kept = rows.project(&self.kept)?;
        if self.levels.is_empty() {
            return Ok(vec![Part { folder: String::new(), rows: kept }]);
        }
        let values = self.levels.iter().map(|level| level.values(rows)).collect::<Result<Vec<_>, _>>()?;
        let groups = group(&values)?;
        let options = FormatOptions::default();
        let formatters = values.iter().map(|v| ArrayFormatter::try_new(v, &options)).collect::<Result<Vec<_>, _>>()?;
        let folder = |row: usize| {
            let names = self.levels.iter().zip(&values).zip(&formatters).map(|((level, values), formatter)| {
                let text = values.is_valid(row).then(|| formatter.value(row).to_string());
                format!("{}={}", level.name, text.map_or_else(|| NULL.to_owned(), |text| of_value(Some(&text))))
            });
            names.collect::<Vec<_>>().join("/")
        };
        let single = groups.len() == 1;
        let part = |group: Vec<u32>| {
            let folder = folder(group.first().map_or(0, |row| *row as usize));
            let rows = if single { kept.clone() } else { take_record_batch(&kept, &UInt32Array::from(group))? };
            Ok(Part { folder, rows })
        };
        groups.into_iter().map(part).collect()
    }
}

impl Level {
    /// The column, or its days.
    fn values(&self, rows: &RecordBatch) -> Result<ArrayRef, ArrowError> {
        let column = rows.column(self.column);
        if !self.day || *column.data_type() == DataType::Date32 {
            return Ok(column.clone());
        }
        let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        let micros: &PrimitiveArray<TimestampMicrosecondType> = arrow_array::cast::AsArray::as_primitive(&micros);
        // Towards the past, also before 1970.
        let days: PrimitiveArray<Int64Type> = micros.unary(|micros| micros.div_euclid(MICROS_A_DAY));
        cast(&cast(&days, &DataType::Int32)?, &DataType::Date32)
    }
}

/// The rows of every distinct value, in order of first rows.
fn group(values: &[ArrayRef]) -> Result<Vec<Vec<u32>>, ArrowError> {
    let fields = values.iter().map(|v| SortField::new(v.data_type().clone())).collect();
    let keys = RowConverter::new(fields)?.convert_columns(values)?;
    let (mut places, mut groups) = (HashMap::new(), Vec::<Vec<u32>>::new());
    for (row, key) in (0_u32..).zip(keys.iter()) {
        let place = *places.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(row);
    }
    Ok(groups)
}

fn names(schema: &SchemaRef) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    stygian_core::escape(&names.join(", "), 200)
}
