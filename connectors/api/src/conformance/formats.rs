//! What a format must do: give back what was written, and find every bad message without losing another.

use super::{Finding, check, joined};
use crate::{Decoder, Encoder, Messages};
use arrow_array::RecordBatch;
use bytes::Bytes;

/// Encodes the rows (all at once, and one by one), cuts the bytes into messages and decodes them: the same rows come back.
///
/// # Errors
/// What is wrong.
pub fn round_trip(
    encoder: &mut dyn Encoder,
    decoder: &mut dyn Decoder,
    split: &dyn Fn(Bytes) -> Messages,
    rows: &RecordBatch,
) -> Result<(), Finding> {
    let mut whole = Vec::new();
    encoder.encode(rows, &mut whole)?;
    let mut single = Vec::new();
    (0..rows.num_rows()).try_for_each(|row| encoder.encode(&rows.slice(row, 1), &mut single))?;
    check(whole == single, || "rows encoded one by one give other bytes".into())?;
    let messages = split(whole.into());
    check(messages.len() == rows.num_rows(), || format!("{} rows became {} messages", rows.num_rows(), messages.len()))?;
    let decoded = decoder.decode(&messages);
    check(decoded.bad.is_empty(), || format!("what was encoded is bad: {:?}", decoded.bad.first()))?;
    check(decoded.rows == *rows, || format!("other rows came back:\n{:?}\ninstead of\n{rows:?}", decoded.rows))
}

/// Decodes good messages with bad ones at every place among them: the good rows come out in order, and every bad message is told by
/// its place with a reason. `decoder` is used for all polls, so a bad one must leave nothing behind.
///
/// # Errors
/// What is wrong.
pub fn bad_rows_are_found(decoder: &mut dyn Decoder, good: &[&[u8]], bad: &[&[u8]]) -> Result<(), Finding> {
    let alone = decode(decoder, good)?;
    check(alone.bad.is_empty() && alone.rows.num_rows() == good.len(), || format!("good messages are bad: {:?}", alone.bad.first()))?;
    for bad in bad {
        for place in 0..=good.len() {
            let (before, after) = good.split_at(place);
            mixed(decoder, &alone.rows, &[before, &[*bad], after].concat(), &[place])?;
        }
        mixed(decoder, &alone.rows.slice(0, 0), &[*bad, *bad, *bad], &[0, 1, 2])?;
    }
    many(decoder, &alone.rows, good, bad)
}

/// A long poll with bad messages strewn in.
fn many(decoder: &mut dyn Decoder, rows: &RecordBatch, good: &[&[u8]], bad: &[&[u8]]) -> Result<(), Finding> {
    if good.is_empty() || bad.is_empty() {
        return Ok(());
    }
    let (mut messages, mut places, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..2_000_usize {
        // Sparse in the first half, dense in the second.
        if n % 97 == 0 || (n > 1_000 && n % 3 == 0) {
            places.push(n);
            messages.push(bad[n % bad.len()]);
        } else {
            messages.push(good[n % good.len()]);
            expected.push(rows.slice(n % good.len(), 1));
        }
    }
    let expected = joined(decoder.schema(), &expected)?;
    mixed(decoder, &expected, &messages, &places)
}

fn mixed(decoder: &mut dyn Decoder, expected: &RecordBatch, messages: &[&[u8]], places: &[usize]) -> Result<(), Finding> {
    let decoded = decode(decoder, messages)?;
    let found: Vec<usize> = decoded.bad.iter().map(|bad| bad.message).collect();
    let shown = || places.first().and_then(|at| messages.get(*at)).map(|bad| stygian_core::escape_bytes(bad, 100)).unwrap_or_default();
    check(found == places, || format!("with `{}` among them, the messages {found:?} are bad instead of {places:?}", shown()))?;
    check(decoded.bad.iter().all(|bad| !bad.reason.is_empty()), || "a bad row has no reason".into())?;
    check(decoded.rows == *expected, || format!("with `{}` among them, other rows came out:\n{:?}", shown(), decoded.rows))
}

fn decode(decoder: &mut dyn Decoder, texts: &[&[u8]]) -> Result<crate::Decoded, Finding> {
    let mut messages = Messages { buffer: texts.concat().into(), ..Messages::default() };
    let mut start = 0;
    for text in texts {
        messages.ranges.push(start..start + text.len());
        messages.offsets.push(start as u64);
        start += text.len();
    }
    let decoded = decoder.decode(&messages);
    check(decoded.rows.schema() == *decoder.schema(), || "the rows are of another schema than the decoder says".into())?;
    let total = decoded.rows.num_rows() + decoded.bad.len();
    check(total == texts.len(), || format!("{} messages became {total} rows and bad rows", texts.len()))?;
    Ok(decoded)
}
