//! Merging files into one: the bytes of text, the rows of what has no text, in the order of the files.
//!
//! What is read is made sure of first (length and checksum), so that damage is not written down as if it were right. Memory is that of one piece
//! of text or one batch of rows, and what the sink's own writer takes.

use crate::bytes::FileBytes;
use crate::committer::now;
use crate::file_system::failed;
use crate::in_progress::{Owner, merged_name};
use crate::output::{Names, Output, Writing};
use crate::pending_file::{Look, PendingFile, inside, refused};
use crate::row_split::{RowFile, named};
use crate::writer::WriterSpec;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::Instant;
use stygian_api::{ConnectorError, with_causes};
use stygian_core::kill_point::kill_point;
use stygian_formats::{AvroLimits, AvroReader, Decompressor, FormatError, MAX_ZSTD_WINDOW, ParquetLimits, ParquetReader, Step};
use tokio::runtime::Handle;

/// Bytes of text, and bytes of a file, at once.
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
        let ((store, location), shown) = (self.spec.files.store(path)?, self.spec.files.shown(path));
        let file = Handle::current().block_on(FileBytes::open(store, location, shown.clone()))?;
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

    fn add_text(&mut self, path: &Path) -> Result<bool, ConnectorError> {
        let shown = self.spec.files.shown(path);
        let file = self.spec.files.open(path)?;
        let mut text = Text::new(file, &self.spec.writing).map_err(|e| failed("read", shown.clone(), e))?;
        let schema = self.spec.partitioning.file_schema();
        let mut header = &self.spec.writing.header(schema).map_err(|e| ConnectorError::io("write", &shown, e))?[..];
        let mut piece = Vec::with_capacity(PIECE);
        while text.next(&mut piece).map_err(|e| failed("read", shown.clone(), e))? {
            if (self.given_up)() {
                return Ok(false);
            }
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

/// The text of a file, decompressed.
struct Text {
    file: Box<dyn Read>,
    decompressor: Option<Decompressor>,
    bytes: Vec<u8>,
}

impl Text {
    fn new(file: Box<dyn Read>, writing: &Writing) -> io::Result<Self> {
        let decompressor = writing.compression().map(|compression| Decompressor::new(compression, MAX_ZSTD_WINDOW));
        Ok(Self { file, decompressor: decompressor.transpose().map_err(io::Error::other)?, bytes: vec![0; PIECE] })
    }

    /// Puts the next piece in place of the last; false at the end.
    fn next(&mut self, piece: &mut Vec<u8>) -> io::Result<bool> {
        piece.clear();
        let Some(decompressor) = &mut self.decompressor else {
            let count = read(&mut self.file, &mut self.bytes)?;
            piece.extend_from_slice(self.bytes.get(..count).unwrap_or_default());
            return Ok(count > 0);
        };
        loop {
            match decompressor.read(piece, PIECE).map_err(io::Error::other)? {
                Step::Text => return Ok(true),
                Step::End => return Ok(false),
                Step::Hungry => {
                    let count = read(&mut self.file, &mut self.bytes)?;
                    let bytes = self.bytes.get(..count).unwrap_or_default();
                    decompressor.feed(bytes::Bytes::copy_from_slice(bytes), count == 0);
                }
            }
        }
    }
}

fn read(file: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
