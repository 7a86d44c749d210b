//! The schema that an Avro message was written by, and the decoder of messages of one such schema.
//!
//! Schemas come from a registry that anybody may write to, bodies from anybody who may write to the topic. A schema is measured before
//! Arrow's decoder sees it (how large, how deep, how many parts once names are replaced by what they stand for), a body is walked over
//! (`avro_walk`): exactly one value, all lengths within it. What the decoder still refuses (a text that is none, a number that does not fit its
//! column) is found by `salvage`.

use crate::FormatError;
use crate::avro_container::uuids_as_text;
use crate::avro_frame::{avro_frame, avro_framed};
use crate::avro_shapes::{MAX_PARTS, Shapes};
use crate::plain::{places, plain_schema};
use crate::poll_decoder::{Feed, too_long};
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_avro::errors::AvroError;
use arrow_avro::reader::{Decoder as ArrowDecoder, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use serde_json::Value;
use std::sync::Arc;

/// The longest schema in bytes.
pub const MAX_SCHEMA_BYTES: usize = 1024 * 1024;
/// Values that a message may have besides those that take a byte or more.
const SPARE_VALUES: u64 = 4096;

/// A schema that messages are written by, found to be sound.
#[derive(Debug)]
pub struct WriterSchema {
    /// UUIDs in it are the texts they are written as.
    text: String,
    shapes: Shapes,
    columns: SchemaRef,
}

impl WriterSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// Why messages of it cannot be read.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_SCHEMA_BYTES {
            return Err(format!("it takes {} bytes, more than {MAX_SCHEMA_BYTES}", text.len()));
        }
        let mut schema: Value = serde_json::from_str(text).map_err(|e| format!("it is no JSON: {e}"))?;
        uuids_as_text(&mut schema);
        let shapes = Shapes::of(&schema)?;
        shapes.measure(MAX_PARTS)?;
        let text = schema.to_string();
        let columns = plain_schema(&decoder(0, &text, &Resolved::All, 1)?.schema());
        Ok(Self { text, shapes, columns })
    }

    /// Its fields as columns.
    pub fn columns(&self) -> &SchemaRef {
        &self.columns
    }
}

/// How a writer's fields become columns.
#[derive(Debug)]
enum Resolved {
    /// All of them, as they are.
    All,
    /// Those in these places; other columns are null.
    Places(Vec<usize>),
    /// By the rules of Avro, against the schema that the columns were made of.
    Against(String),
}

/// Decodes messages of one writer's schema, which were checked.
#[derive(Debug)]
pub(crate) struct MessageFeed {
    id: u32,
    writer: Arc<WriterSchema>,
    schema: SchemaRef,
    resolved: Resolved,
    max_row_bytes: usize,
}

impl MessageFeed {
    /// For messages with this id in their frames. `reader`: the schema that the columns were made of, if they were; its defaults fill what the
    /// writer did not know.
    ///
    /// # Errors
    /// Why no message of this writer is a row.
    pub(crate) fn new(
        id: u32,
        writer: Arc<WriterSchema>,
        schema: SchemaRef,
        reader: Option<&WriterSchema>,
        max_row_bytes: usize,
    ) -> Result<Self, String> {
        let resolved = match reader {
            Some(reader) if reader.text == writer.text => Resolved::All,
            Some(reader) => Resolved::Against(reader.text.clone()),
            None => Resolved::Places(found_places(&writer.columns, &schema)?),
        };
        let feed = Self { id, writer, schema, resolved, max_row_bytes };
        feed.fresh(1)?;
        Ok(feed)
    }

    /// Walks over a message's value: what is damaged never comes to the decoder, which would have to be made anew after it.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn check(&self, message: &[u8], value: &[u8]) -> Result<(), String> {
        if message.len() > self.max_row_bytes {
            return Err(too_long(self.max_row_bytes));
        }
        self.writer.shapes.walk_one(value, value.len() as u64 + SPARE_VALUES)
    }
}

/// Where the writer has the columns that it has.
fn found_places(found: &SchemaRef, schema: &SchemaRef) -> Result<Vec<usize>, String> {
    let (known, missing): (Vec<_>, Vec<_>) = schema.fields().iter().cloned().partition(|field| found.index_of(field.name()).is_ok());
    if let Some(field) = missing.iter().find(|field| !field.is_nullable()) {
        return Err(format!("its schema has no field `{}`, and the column is `not null`", stygian_core::escape(field.name(), 64)));
    }
    let known = Arc::new(Schema::new(known));
    places(found, &known).map_err(|error| match error {
        FormatError::Mismatch { column, found, wanted } => {
            format!("column `{column}` is {found} in its schema and {wanted} in the pipeline")
        }
        other => other.to_string(),
    })
}

/// Arrow's decoder, with room for so many rows.
fn decoder(id: u32, writer: &str, resolved: &Resolved, room: usize) -> Result<ArrowDecoder, String> {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(id), AvroSchema::new(writer.to_owned())).map_err(|e| told(&e))?;
    let builder = ReaderBuilder::new().with_batch_size(room).with_writer_schema_store(store);
    let builder = match resolved {
        Resolved::All => builder,
        Resolved::Places(places) => builder.with_projection(places.clone()),
        Resolved::Against(reader) => builder.with_reader_schema(AvroSchema::new(reader.clone())),
    };
    builder.build_decoder().map_err(|e| told(&e))
}

/// A decoder with what it was fed.
pub(crate) struct Fed {
    /// `None`: no column is wanted that the writer has.
    arrow: Option<ArrowDecoder>,
    rows: usize,
}

impl Feed for MessageFeed {
    type Decoder = Fed;

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn max_row_bytes(&self) -> usize {
        self.max_row_bytes
    }

    fn fresh(&self, room: usize) -> Result<Fed, String> {
        let is_wanted = !matches!(&self.resolved, Resolved::Places(places) if places.is_empty());
        let arrow = is_wanted.then(|| decoder(self.id, &self.writer.text, &self.resolved, room)).transpose()?;
        Ok(Fed { arrow, rows: 0 })
    }

    fn feed(&self, decoder: &mut Fed, rows: usize, message: &[u8]) -> Result<(), String> {
        let (_, body) = avro_framed(message)?;
        if let Some(arrow) = &mut decoder.arrow {
            let room = arrow.capacity();
            let read = arrow.decode(message).map_err(|e| avro_told(&e))?;
            if body.is_empty() {
                // It takes a value of no bytes only when a byte follows, of which it then takes nothing.
                arrow.decode(&avro_frame(self.id)[..1]).map_err(|e| avro_told(&e))?;
            }
            if read != message.len() || arrow.capacity() + 1 != room {
                return Err(format!(
                    "its value is damaged: {} of {} bytes are one",
                    read.saturating_sub(message.len() - body.len()),
                    body.len()
                ));
            }
        }
        decoder.rows = rows + 1;
        Ok(())
    }

    fn flush(&self, decoder: &mut Fed) -> Result<Option<RecordBatch>, String> {
        let rows = std::mem::take(&mut decoder.rows);
        if rows == 0 {
            return Ok(None);
        }
        let decoded = match &mut decoder.arrow {
            Some(arrow) => arrow.flush().map_err(|e| avro_told(&e))?,
            None => None,
        };
        let columns = self.schema.fields().iter().map(|field| column(decoded.as_ref(), field, rows));
        let columns = columns.collect::<Result<Vec<_>, String>>()?;
        RecordBatch::try_new(self.schema.clone(), columns).map(Some).map_err(|e| told(&e))
    }

    fn explain(&self, _: &[u8], reason: String) -> String {
        reason
    }
}

/// A column of what was decoded, in its own type; of nulls where the writer has none.
fn column(decoded: Option<&RecordBatch>, field: &Field, rows: usize) -> Result<ArrayRef, String> {
    let name = field.name();
    let Some(found) = decoded.and_then(|decoded| decoded.column_by_name(name)) else {
        return Ok(new_null_array(field.data_type(), rows));
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let fitted = match found.data_type() == field.data_type() {
        true => found.clone(),
        false => cast_with_options(found, field.data_type(), &options).map_err(|e| format!("column `{name}`: {}", told(&e)))?,
    };
    if !field.is_nullable() && fitted.null_count() > 0 {
        return Err(format!("column `{name}` has no value, and is `not null`"));
    }
    Ok(fitted)
}

/// An Arrow error without the name of its kind.
fn told(error: &ArrowError) -> String {
    match error {
        ArrowError::AvroError(text) | ArrowError::ParseError(text) | ArrowError::SchemaError(text) | ArrowError::CastError(text) => {
            text.clone()
        }
        other => other.to_string(),
    }
}

fn avro_told(error: &AvroError) -> String {
    match error {
        AvroError::General(text) | AvroError::ParseError(text) | AvroError::SchemaError(text) => text.clone(),
        AvroError::ArrowError(error) => told(error),
        other => other.to_string(),
    }
}
