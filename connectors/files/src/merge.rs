//! Merging files into one: the bytes of text, the rows of what has no text, in the order of the files.
//!
//! What is read is made sure of first (length and checksum), so that damage is not written down as if it were right. Memory is that of one piece
//! of text or one batch of rows, and what the sink's own writer takes.

use crate::bytes::FileBytes;
use crate::committer::now;
use crate::in_progress::{Owner, merged_name};
use crate::output::{Names, Output, Writing};
use crate::pending_file::{Look, PendingFile, inside, refused};
use crate::row_split::{RowFile, named};
use crate::text_input::{Chosen, Inflating, open_text};
use crate::writer::WriterSpec;
use ::bytes::Bytes;
use std::path::Path;
use std::time::Instant;
use stygian_api::{ConnectorError, with_causes};
use stygian_core::kill_point::kill_point;
use stygian_formats::{AvroLimits, AvroReader, FormatError, MAX_ZSTD_WINDOW, ParquetLimits, ParquetReader};
use tokio::runtime::Handle;

/// Bytes of text at once.
const PIECE: usize = 256 * 1024;
/// Rows at once.
const ROWS: usize = 8192;

/// Merges files of one folder, where blocking is allowed; `None`: it was given up. What is not finished is deleted.
pub(crate) fn merge(spec: &WriterSpec, parts: &[PendingFile], given_up: &dyn Fn() -> bool) -> Result<Option<PendingFile>, ConnectorError> {
    if given_up() {
        return Ok(None);
    }
    let names = names(spec, parts)?;
    let path = names.path();
    let began = now();
    let mut merging =
        Merging { spec, given_up, output: Output::create(names, &spec.writing, spec.partitioning.file_schema(), Instant::now())? };
    let merged = merging.add_all(parts).and_then(|whole| if whole { merging.output.finish().map(Some) } else { Ok(None) });
    let Ok(Some(merged)) = merged else {
        if let Err(error) = spec.files.remove(&path) {
            tracing::warn!("{} could not be deleted; the next start does: {}", spec.files.shown(&path), with_causes(&error));
        }
        return merged;
    };
    kill_point("merged");
    tracing::debug!(file = merged.to, parts = parts.len(), bytes = merged.length, micros = now() - began, "merged small files");
    Ok(Some(PendingFile { parts: parts.iter().map(|part| part.from.clone()).collect(), ..merged }))
}

/// The names of a merged file: those of its first part, with a mark.
fn names(spec: &WriterSpec, parts: &[PendingFile]) -> Result<Names, ConnectorError> {
    let of_first = |first: &PendingFile| {
        let (from, to) = (first.from.rsplit('/').next()?, first.to.rsplit('/').next()?);
        Some((first.folder().to_owned(), merged_name(to, &spec.extension)?, Owner::of_file(from, to)?))
    };
    let strange = || refused(&*spec.files, &spec.root, "the files to be merged have names that this version does not give".to_owned());
    let (folder, name, owner) = parts.first().and_then(of_first).ok_or_else(strange)?;
    Ok(Names { files: spec.files.clone(), root: spec.root.clone(), folder, name, owner })
}

struct Merging<'a> {
    spec: &'a WriterSpec,
    given_up: &'a dyn Fn() -> bool,
    output: Output,
}

impl Merging<'_> {
    /// False: it was given up.
    fn add_all(&mut self, parts: &[PendingFile]) -> Result<bool, ConnectorError> {
        for part in parts {
            let files = &*self.spec.files;
            let path = inside(files, &self.spec.root, &part.from)?;
            let gone = || refused(files, &path, "the finished file is gone".to_owned());
            part.check(files, &path, files.length(&path)?.ok_or_else(gone)?, Look::AtBytes)?;
            let whole = match &self.spec.writing {
                Writing::Json(_) | Writing::Csv(..) | Writing::Raw(_) => self.add_text(&path)?,
                Writing::Avro(_) => {
                    let (schema, limits) = (self.spec.partitioning.file_schema().clone(), AvroLimits::default());
                    self.add_rows(&path, |file| Handle::current().block_on(AvroReader::open(Box::new(file), &limits, schema, 0)))?
                }
                Writing::Parquet(_) => {
                    let (schema, limits) = (self.spec.partitioning.file_schema().clone(), ParquetLimits::default());
                    self.add_rows(&path, |file| Handle::current().block_on(ParquetReader::open(Box::new(file), &limits, schema, 0)))?
                }
            };
            if !whole {
                return Ok(false);
            }
            kill_point("merging");
        }
        Ok(true)
    }

    fn add_rows<R: RowFile>(
        &mut self,
        path: &Path,
        open: impl FnOnce(FileBytes) -> Result<R, FormatError>,
    ) -> Result<bool, ConnectorError> {
        let file = self.open(path)?;
        let shown = file.shown.clone();
        let mut reader = open(file).map_err(|e| named(e, R::FORMAT, &shown))?;
        // Written outside of what is waited for, as writing waits by itself.
        while let Some(rows) = Handle::current().block_on(reader.more(ROWS)).map_err(|e| named(e, R::FORMAT, &shown))? {
            if (self.given_up)() {
                return Ok(false);
            }
            self.output.write(&rows)?;
        }
        Ok(true)
    }

    fn open(&self, path: &Path) -> Result<FileBytes, ConnectorError> {
        let (store, location) = self.spec.files.store(path)?;
        Handle::current().block_on(FileBytes::open(store, location, self.spec.files.shown(path)))
    }

    fn add_text(&mut self, path: &Path) -> Result<bool, ConnectorError> {
        let inflating = Inflating { chosen: Chosen::Always(self.spec.writing.compression()), max_window: MAX_ZSTD_WINDOW };
        let (file, schema) = (self.open(path)?, self.spec.partitioning.file_schema());
        let header = self.spec.writing.header(schema).map_err(|e| ConnectorError::io("write", &file.shown, e))?;
        let (mut text, mut header, mut at) = (Handle::current().block_on(open_text(file, "", inflating, 0))?, &header[..], 0);
        while text.end() != Some(at) {
            if (self.given_up)() {
                return Ok(false);
            }
            let piece = Handle::current().block_on(text.more(at, Bytes::new(), PIECE))?;
            at += piece.len() as u64;
            // Every part has the header, and the merged file has it once.
            let of_header = header.len().min(piece.len());
            let (begins, rest) = piece.split_at(of_header);
            if begins != &header[..of_header] {
                return Err(refused(&*self.spec.files, path, "it does not begin with the header that was written".to_owned()));
            }
            header = &header[of_header..];
            self.output.write_text(rest)?;
        }
        Ok(true)
    }
}
