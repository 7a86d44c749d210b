//! Rows into messages: payloads and keys one behind the other in one buffer.

use crate::avro::record;
use crate::options::{MessageFormat, SinkOptions};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use std::ops::Range;
use stygian_api::Encoder;
use stygian_formats::{AvroEncoder, CsvEncoder, CsvOptions, JsonEncoder};

/// Rows as messages.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    /// Where each payload lies; `None`: a null.
    pub(crate) payloads: Vec<Option<Range<usize>>>,
    /// As many as payloads, or none where there are no keys.
    pub(crate) keys: Vec<Option<Range<usize>>>,
}

/// How the payload is made.
enum Payload {
    Json(JsonEncoder),
    Csv(CsvEncoder),
    Avro(AvroEncoder),
    /// The column itself.
    Raw(usize),
}

/// Makes messages of rows of one schema.
pub(crate) struct Maker {
    payload: Payload,
    key: Option<usize>,
    /// With the headers' names.
    headers: Vec<(String, usize)>,
    timestamp: Option<usize>,
}

/// What is beside a payload of a row, for messages that are sent one by one.
pub(crate) struct Beside<'a> {
    /// Milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
}

impl Maker {
    /// A maker for a sink's options; an error names the option. `id`: of the schema, where messages are in Avro.
    pub(crate) fn new(options: &SinkOptions, schema: &SchemaRef, id: u32) -> Result<Self, (&'static str, String)> {
        let find = |option: &'static str, name: &str| {
            let found = schema.index_of(name).map_err(|_| (option, format!("there is no column `{name}`; {}", columns(schema))))?;
            Ok::<_, (&'static str, String)>((found, schema.field(found).data_type()))
        };
        let bytes = |option: &'static str, name: &str| match find(option, name)? {
            (found, DataType::Utf8 | DataType::Binary) => Ok(found),
            (_, other) => Err((option, format!("column `{name}` is {other}, and it must be text or binary; make it so with a select"))),
        };
        let key = options.key.as_ref().map(|name| bytes("key", name)).transpose()?;
        let headers = options.headers.iter().map(|(header, name)| Ok((header.clone(), bytes("headers", name)?)));
        let headers: Vec<(String, usize)> = headers.collect::<Result<_, (&'static str, String)>>()?;
        let time = |name: &String| match find("timestamp", name)? {
            (found, DataType::Timestamp(TimeUnit::Microsecond, _)) => Ok(found),
            (_, other) => Err(("timestamp", format!("column `{name}` is {other}, and no timestamp"))),
        };
        let timestamp = options.timestamp.as_ref().map(time).transpose()?;
        let taken: Vec<usize> = key.into_iter().chain(headers.iter().map(|(_, at)| *at)).chain(timestamp).collect();
        Ok(Self { payload: payload(options, schema, &taken, id)?, key, headers, timestamp })
    }

    /// Whether messages have to be sent one by one.
    pub(crate) fn has_beside(&self) -> bool {
        self.timestamp.is_some() || !self.headers.is_empty()
    }

    /// The messages of these rows.
    pub(crate) fn make(&mut self, rows: &RecordBatch) -> Result<Made, String> {
        let mut made = Made::default();
        match &mut self.payload {
            Payload::Json(encoder) => {
                encoder.encode(rows, &mut made.bytes)?;
                let mut start = 0;
                for end in memchr::memchr_iter(b'\n', &made.bytes) {
                    made.payloads.push(Some(start..end));
                    start = end + 1;
                }
            }
            Payload::Csv(encoder) => {
                for row in 0..rows.num_rows() {
                    let start = made.bytes.len();
                    encoder.encode(&rows.slice(row, 1), &mut made.bytes)?;
                    let record = made.bytes.strip_suffix(b"\n").map_or(made.bytes.len(), <[u8]>::len);
                    made.payloads.push(Some(start..record));
                }
            }
            Payload::Avro(encoder) => made.payloads = encoder.encode(rows, &mut made.bytes)?.into_iter().map(Some).collect(),
            Payload::Raw(column) => made.payloads = copied(rows.column(*column), &mut made.bytes),
        }
        if made.payloads.len() != rows.num_rows() {
            return Err(format!("{} rows became {} messages", rows.num_rows(), made.payloads.len()));
        }
        if let Some(key) = self.key {
            made.keys = copied(rows.column(key), &mut made.bytes);
        }
        Ok(made)
    }

    /// What is beside the payload of a row.
    pub(crate) fn beside<'a>(&'a self, rows: &'a RecordBatch, row: usize) -> Beside<'a> {
        let times = self.timestamp.map(|column| rows.column(column).as_primitive::<TimestampMicrosecondType>());
        let timestamp = times.filter(|times| times.is_valid(row)).map(|times| times.value(row).div_euclid(1000));
        let header = |(name, column): &'a (String, usize)| Some((name.as_str(), bytes_at(rows.column(*column), row)?));
        Beside { timestamp, headers: self.headers.iter().filter_map(header).collect() }
    }
}

fn columns(schema: &SchemaRef) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    format!("columns: {}", names.join(", "))
}

fn payload(options: &SinkOptions, schema: &SchemaRef, taken: &[usize], id: u32) -> Result<Payload, (&'static str, String)> {
    let in_format = |error: stygian_formats::FormatError| ("format", error.to_string());
    match options.format {
        MessageFormat::Json => JsonEncoder::new(schema).map(Payload::Json).map_err(in_format),
        MessageFormat::Csv => {
            let csv = CsvOptions { header: false, ..options.csv.clone().unwrap_or_default() };
            CsvEncoder::new(schema.clone(), &csv).map(Payload::Csv).map_err(in_format)
        }
        MessageFormat::Avro => AvroEncoder::new(schema, &record(options), id).map(Payload::Avro).map_err(|error| match error {
            stygian_formats::FormatError::RecordName(_) => ("record", error.to_string()),
            other => in_format(other),
        }),
        MessageFormat::Raw => {
            let left: Vec<usize> = (0..schema.fields().len()).filter(|column| !taken.contains(column)).collect();
            match left.as_slice() {
                [column] if matches!(schema.field(*column).data_type(), DataType::Utf8 | DataType::Binary) => Ok(Payload::Raw(*column)),
                _ => {
                    let message = "raw takes one column of text or binary, besides those of `key`, `headers` and `timestamp`";
                    Err(("format", format!("{message}; {}", columns(schema))))
                }
            }
        }
    }
}

/// Appends the values of a column of text or binary; a null has no range.
fn copied(column: &ArrayRef, bytes: &mut Vec<u8>) -> Vec<Option<Range<usize>>> {
    let (values, offsets) = match column.data_type() {
        DataType::Utf8 => (column.as_string::<i32>().value_data(), column.as_string::<i32>().value_offsets()),
        _ => (column.as_binary::<i32>().value_data(), column.as_binary::<i32>().value_offsets()),
    };
    let place = |offset: i32| usize::try_from(offset).unwrap_or_default();
    let (first, last) = (offsets.first().copied().map_or(0, place), offsets.last().copied().map_or(0, place));
    let base = bytes.len();
    bytes.extend_from_slice(values.get(first..last).unwrap_or_default());
    let range = |(row, pair): (usize, &[i32])| match pair {
        [start, end] if column.is_valid(row) => Some(base + place(*start) - first..base + place(*end) - first),
        _ => None,
    };
    offsets.windows(2).enumerate().map(range).collect()
}

fn bytes_at(column: &ArrayRef, row: usize) -> Option<&[u8]> {
    column.is_valid(row).then(|| match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).as_bytes(),
        _ => column.as_binary::<i32>().value(row),
    })
}
