//! Avro messages into columns: each message names the schema it was written by in its frame (`avro_frame`).
//!
//! A poll is sorted by schema, each schema's messages are checked and decoded at once (`avro_message`), and the rows are put back in order. Decoders of the
//! schemas seen are kept. Where schemas come from is left to the connector ([`WriterSchemas`]), which has them before messages are handed on:
//! nothing is waited for here.

use crate::avro_frame::avro_framed;
use crate::avro_message::{MessageFeed, WriterSchema};
use crate::poll_decoder::PollDecoder;
use crate::salvage::all_bad;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave_record_batch;
use std::collections::HashMap;
use std::sync::Arc;
use stygian_api::{BadRow, Decoded, Decoder, Messages};

/// Decoders that are kept.
const KEPT: usize = 32;
/// The longest reason for a whole schema's messages.
const REASON_LIMIT: usize = 300;

/// The schemas that messages were written by, by their ids.
pub trait WriterSchemas: Send + Sync {
    /// The schema of an id. Called once a poll for each id in it, and must not block.
    ///
    /// # Errors
    /// Why its messages are no rows.
    fn writer(&self, id: u32) -> Result<Arc<WriterSchema>, String>;
}

/// Decodes framed Avro messages.
pub struct AvroDecoder {
    schema: SchemaRef,
    reader: Option<Arc<WriterSchema>>,
    writers: Arc<dyn WriterSchemas>,
    max_row_bytes: usize,
    /// By id; or why no message of that schema is a row.
    kept: HashMap<u32, Result<PollDecoder<MessageFeed>, String>>,
}

/// The messages of a poll that have one id.
struct Group {
    id: u32,
    messages: Vec<usize>,
}

impl AvroDecoder {
    /// A decoder into these columns; `reader` is the schema that they were made of, if they were.
    pub fn new(schema: SchemaRef, reader: Option<Arc<WriterSchema>>, writers: Arc<dyn WriterSchemas>, max_row_bytes: usize) -> Self {
        Self { schema, reader, writers, max_row_bytes, kept: HashMap::new() }
    }

    fn keep(&mut self, id: u32) -> Result<&mut PollDecoder<MessageFeed>, String> {
        if !self.kept.contains_key(&id) {
            // An id that is not known now may be later.
            let writer = self.writers.writer(id)?;
            if self.kept.len() >= KEPT {
                self.kept.clear();
            }
            let feed = MessageFeed::new(id, writer, self.schema.clone(), self.reader.as_deref(), self.max_row_bytes);
            let reason = |reason: String| stygian_core::escape(&format!("schema {id}: {reason}"), REASON_LIMIT);
            self.kept.insert(id, feed.map(PollDecoder::new).map_err(reason));
        }
        match self.kept.get_mut(&id) {
            Some(Ok(decoder)) => Ok(decoder),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err(format!("schema {id} is not known")),
        }
    }

    /// Decodes messages of one id. `places`: where they are in the poll; those that are bad go to `bad`, and those of the rows are left.
    fn decode_group(&mut self, id: u32, messages: &Messages, places: &mut Vec<usize>, bad: &mut Vec<BadRow>) -> RecordBatch {
        let decoder = match self.keep(id) {
            Ok(decoder) => decoder,
            Err(reason) => {
                bad.extend(places.drain(..).map(|message| BadRow { message, reason: reason.clone() }));
                return RecordBatch::new_empty(self.schema.clone());
            }
        };
        places.retain(|message| {
            let bytes = &messages.buffer[messages.ranges[*message].clone()];
            let checked = avro_framed(bytes).and_then(|(_, value)| decoder.feed().check(bytes, value));
            bad.extend(checked.as_ref().err().map(|reason| BadRow { message: *message, reason: reason.clone() }));
            checked.is_ok()
        });
        let mut decoded = match places.len() == messages.len() {
            true => decoder.decode(messages),
            false => decoder.decode(&picked(messages, places)),
        };
        decoded.bad.iter_mut().for_each(|refused| refused.message = places[refused.message]);
        let mut refused = decoded.bad.iter().map(|refused| refused.message).peekable();
        places.retain(|message| refused.next_if_eq(message).is_none());
        bad.extend(decoded.bad);
        decoded.rows
    }
}

/// Messages by id, in order of their first; and those that have none.
fn groups(messages: &Messages) -> (Vec<Group>, Vec<BadRow>) {
    let (mut groups, mut bad) = (Vec::<Group>::new(), Vec::new());
    let (mut by_id, mut last) = (HashMap::new(), 0);
    for (message, bytes) in messages.iter().enumerate() {
        let id = match avro_framed(bytes) {
            Ok((id, _)) => id,
            Err(reason) => {
                bad.push(BadRow { message, reason });
                continue;
            }
        };
        if groups.get(last).is_none_or(|group| group.id != id) {
            last = *by_id.entry(id).or_insert_with(|| {
                groups.push(Group { id, messages: Vec::new() });
                groups.len() - 1
            });
        }
        groups[last].messages.push(message);
    }
    (groups, bad)
}

/// The messages in these places.
fn picked(messages: &Messages, places: &[usize]) -> Messages {
    let ranges = places.iter().map(|place| messages.ranges[*place].clone()).collect();
    Messages { buffer: messages.buffer.clone(), ranges, offsets: Vec::new(), beside: None }
}

impl Decoder for AvroDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, messages: &Messages) -> Decoded {
        let (mut groups, mut bad) = groups(messages);
        let mut batches = Vec::new();
        for Group { id, messages: places } in &mut groups {
            batches.push(self.decode_group(*id, messages, places, &mut bad));
        }
        bad.sort_by_key(|bad| bad.message);
        match in_order(&self.schema, &groups, &batches) {
            Ok(rows) => Decoded { rows, bad },
            Err(reason) => all_bad(&self.schema, messages, &reason),
        }
    }
}

/// The rows of all groups, whose messages are those of their rows.
fn in_order(schema: &SchemaRef, groups: &[Group], batches: &[RecordBatch]) -> Result<RecordBatch, String> {
    match batches {
        [] => return Ok(RecordBatch::new_empty(schema.clone())),
        [only] => return Ok(only.clone()),
        _ => {}
    }
    let of_group = |(group, Group { messages, .. }): (usize, &Group)| {
        messages.iter().enumerate().map(move |(row, message)| (*message, (group, row))).collect::<Vec<_>>()
    };
    let mut places: Vec<(usize, (usize, usize))> = groups.iter().enumerate().flat_map(of_group).collect();
    places.sort_unstable_by_key(|(message, _)| *message);
    let places: Vec<(usize, usize)> = places.into_iter().map(|(_, place)| place).collect();
    interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &places).map_err(|e| e.to_string())
}
