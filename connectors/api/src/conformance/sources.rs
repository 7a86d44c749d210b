//! What a source must do: give every row once, from any offset it has handed out.

use super::{Finding, check, joined};
use crate::{Fetched, Source, SplitReader};
use arrow_array::RecordBatch;
use stygian_core::{Offset, SplitId};

/// A bounded source, small enough to be read from every offset, and what is in it.
pub struct SourceCase<'a> {
    /// The source.
    pub source: &'a dyn Source,
    /// All good rows, split by split in the order of the splits.
    pub rows: &'a RecordBatch,
    /// How many bad rows there are besides.
    pub bad: usize,
    /// Whether opening beyond the end is an error; not every source can know.
    pub knows_its_end: bool,
}

/// Reads the source whole, in small pieces, and from every offset it hands out.
///
/// # Errors
/// What is wrong.
pub async fn source_keeps_its_word(case: SourceCase<'_>) -> Result<(), Finding> {
    let SourceCase { source, rows, bad, .. } = case;
    check(source.bounded(), || "the source says that it does not end".into())?;
    check(source.schema() == rows.schema(), || format!("the schema is {:?}", source.schema()))?;
    let splits = source.splits().await.map_err(|e| told(&e))?;
    check(source.splits().await.map_err(|e| told(&e))? == splits, || "the splits are others the second time".into())?;
    for limit in [usize::MAX, 7, 3, 1] {
        let mut found = (Vec::new(), 0);
        for split in &splits {
            let pieces = read_split(source, &split.id, Offset(0), limit).await?;
            found.1 += pieces.iter().map(|piece| piece.bad).sum::<usize>();
            found.0.extend(pieces.into_iter().map(|piece| piece.rows));
        }
        let all = joined(&source.schema(), &found.0)?;
        check(all == *rows, || format!("{limit} rows at a time, other rows came:\n{all:?}"))?;
        check(found.1 == bad, || format!("{limit} rows at a time, {} rows were bad instead of {bad}", found.1))?;
    }
    for split in &splits {
        goes_on_anywhere(source, &split.id).await?;
    }
    refuses_what_is_not_there(&case, &splits.first().map_or_else(|| SplitId::new("none"), |split| split.id.clone())).await
}

/// All good rows of a source, split by split.
///
/// # Errors
/// When it fails.
pub async fn read_all(source: &dyn Source) -> Result<RecordBatch, Finding> {
    let mut batches = Vec::new();
    for split in source.splits().await.map_err(|e| told(&e))? {
        batches.extend(read_split(source, &split.id, Offset(0), usize::MAX).await?.into_iter().map(|piece| piece.rows));
    }
    joined(&source.schema(), &batches)
}

struct Piece {
    rows: RecordBatch,
    bad: usize,
    next: Offset,
}

async fn goes_on_anywhere(source: &dyn Source, split: &SplitId) -> Result<(), Finding> {
    let pieces = read_split(source, split, Offset(0), 1).await?;
    for (at, piece) in pieces.iter().enumerate() {
        let rest = read_split(source, split, piece.next, usize::MAX).await?;
        let found = joined(&source.schema(), rest.iter().map(|piece| &piece.rows))?;
        let expected = joined(&source.schema(), pieces[at + 1..].iter().map(|piece| &piece.rows))?;
        check(found == expected, || format!("split {split} read from {} gives other rows than before:\n{found:?}", piece.next))?;
    }
    Ok(())
}

async fn refuses_what_is_not_there(case: &SourceCase<'_>, split: &SplitId) -> Result<(), Finding> {
    let unknown = case.source.open(&SplitId::new("no such split"), Offset(0)).await;
    check(unknown.is_err(), || "a split that is not there was opened".into())?;
    if case.knows_its_end {
        let beyond = case.source.open(split, Offset(u64::MAX / 4)).await;
        check(beyond.is_err(), || format!("split {split} was opened beyond its end"))?;
    }
    Ok(())
}

async fn read_split(source: &dyn Source, split: &SplitId, from: Offset, limit: usize) -> Result<Vec<Piece>, Finding> {
    let mut reader = source.open(split, from).await.map_err(|e| told(&e))?;
    let mut decoder = source.decoder();
    let (mut pieces, mut at) = (Vec::new(), from);
    loop {
        let (rows, bad, next) = match reader.fetch(limit).await.map_err(|e| told(&e))? {
            Fetched::Nothing | Fetched::Watermark(_) | Fetched::Mark(_) => continue,
            Fetched::End => break,
            Fetched::Rows { rows, next } => (rows, 0, next),
            Fetched::Messages { messages, next } => {
                check(messages.offsets.len() == messages.len(), || "there are not as many offsets as messages".into())?;
                let ascending = messages.offsets.windows(2).all(|pair| pair[0] < pair[1]);
                let within = messages.offsets.iter().all(|offset| (at.0..next.0).contains(offset));
                check(ascending && within, || format!("messages between {at} and {next} have the offsets {:?}", messages.offsets))?;
                let decoder = decoder.as_mut().ok_or("the source has messages and no decoder")?;
                let decoded = decoder.decode(&messages);
                (decoded.rows, decoded.bad.len(), next)
            }
        };
        let count = rows.num_rows() + bad;
        check(count > 0 && count <= limit, || format!("{count} rows came where 1 to {limit} were wanted"))?;
        check(next > at, || format!("after {at} comes {next}"))?;
        pieces.push(Piece { rows, bad, next });
        at = next;
    }
    stays_at_its_end(&mut *reader).await?;
    Ok(pieces)
}

async fn stays_at_its_end(reader: &mut dyn SplitReader) -> Result<(), Finding> {
    for _ in 0..2 {
        let again = reader.fetch(8).await.map_err(|e| told(&e))?;
        check(matches!(again, Fetched::End), || format!("after the end came {again:?}"))?;
    }
    Ok(())
}

/// An error with its causes.
pub(super) fn told(error: &dyn std::error::Error) -> Finding {
    match error.source() {
        Some(cause) => format!("{error}: {}", told(cause)),
        None => error.to_string(),
    }
}
