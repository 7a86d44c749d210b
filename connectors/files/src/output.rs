//! One file being written, under its in-progress name.

use crate::committer::PendingFile;
use crate::folder;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use stygian_api::{ConnectorError, Encoder};
use stygian_formats::{CsvEncoder, CsvOptions, FormatError, JsonEncoder, ParquetWriter, ParquetWriterOptions};

/// Text is handed to the file in pieces of this size.
const PIECE: usize = 256 * 1024;

/// How files are written.
#[derive(Clone, Debug)]
pub(crate) enum Writing {
    Json,
    Csv(CsvOptions),
    Parquet(ParquetWriterOptions),
}

/// Where a file lies and will lie, below the sink's folder.
pub(crate) struct Names {
    pub(crate) root: PathBuf,
    /// Relative; may be empty.
    pub(crate) folder: String,
    /// Without folders.
    pub(crate) name: String,
}

impl Names {
    fn relative(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }

    fn in_progress(&self) -> String {
        self.relative(&format!(".{}.inprogress", self.name))
    }

    fn path(&self) -> PathBuf {
        self.root.join(self.in_progress())
    }
}

/// An open file.
pub(crate) struct Output {
    names: Names,
    path: PathBuf,
    content: Content,
    pub(crate) opened: Instant,
    /// Grows with every write to any file of the writer.
    pub(crate) last_write: u64,
}

enum Content {
    Text { file: File, encoder: Box<dyn Encoder>, buffer: Vec<u8>, written: u64 },
    Parquet(Box<ParquetWriter<File>>),
}

impl Output {
    /// Creates the file; its name must be new.
    pub(crate) fn create(names: Names, writing: &Writing, schema: &SchemaRef, now: Instant) -> Result<Self, ConnectorError> {
        let path = names.path();
        let parent = path.parent().unwrap_or(&names.root).to_owned();
        folder::create(&parent).map_err(|e| failed("create", &parent, e))?;
        let file = File::options().write(true).create_new(true).open(&path).map_err(|e| failed("create", &path, e))?;
        let content = Content::new(file, writing, schema).map_err(|e| in_format(&path, e))?;
        Ok(Self { names, path, content, opened: now, last_write: 0 })
    }

    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), ConnectorError> {
        match &mut self.content {
            Content::Text { file, encoder, buffer, written } => {
                encoder.encode(rows, buffer).map_err(|e| failed("write", &self.path, e))?;
                if buffer.len() >= PIECE {
                    file.write_all(buffer).map_err(|e| failed("write", &self.path, e))?;
                    *written += buffer.len() as u64;
                    buffer.clear();
                }
                Ok(())
            }
            Content::Parquet(writer) => writer.write(rows).map_err(|e| in_format(&self.path, e)),
        }
    }

    /// About how large the file is.
    pub(crate) fn size(&self) -> u64 {
        match &self.content {
            Content::Text { buffer, written, .. } => written + buffer.len() as u64,
            Content::Parquet(writer) => writer.size(),
        }
    }

    /// Writes what is left and makes the file durable.
    pub(crate) fn finish(self) -> Result<PendingFile, ConnectorError> {
        let Self { names, path, content, .. } = self;
        let file = content.finish().map_err(|e| in_format(&path, e))?;
        file.sync_all().map_err(|e| failed("write", &path, e))?;
        // By its name: it may have been removed meanwhile.
        let length = path.symlink_metadata().map_err(|e| failed("write", &path, e))?.len();
        let parent = path.parent().unwrap_or(&names.root);
        folder::sync(parent).map_err(|e| failed("write", parent, e))?;
        Ok(PendingFile { from: names.in_progress(), to: names.relative(&names.name), length })
    }
}

impl Content {
    fn new(file: File, writing: &Writing, schema: &SchemaRef) -> Result<Self, FormatError> {
        let mut buffer = Vec::new();
        let encoder: Box<dyn Encoder> = match writing {
            Writing::Json => Box::new(JsonEncoder::new(schema)?),
            Writing::Csv(options) => {
                let encoder = CsvEncoder::new(schema.clone(), options)?;
                encoder.header(&mut buffer).map_err(FormatError::Corrupt)?;
                Box::new(encoder)
            }
            Writing::Parquet(options) => return Ok(Self::Parquet(Box::new(ParquetWriter::new(file, schema.clone(), *options)?))),
        };
        Ok(Self::Text { file, encoder, buffer, written: 0 })
    }

    fn finish(self) -> Result<File, FormatError> {
        match self {
            Self::Text { mut file, buffer, .. } => match file.write_all(&buffer) {
                Ok(()) => Ok(file),
                Err(error) => Err(FormatError::Read(error.into())),
            },
            Self::Parquet(writer) => writer.finish(),
        }
    }
}

fn failed(doing: &'static str, path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::io(doing, path.display().to_string(), error)
}

fn in_format(path: &Path, error: FormatError) -> ConnectorError {
    match error {
        FormatError::Read(inner) => failed("write", path, inner),
        other => failed("write", path, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, StringArray};
    use std::sync::Arc;

    /// Every write to `/dev/full` fails as on a full disk.
    fn on_full_disk(writing: &Writing, rows: &RecordBatch) -> Output {
        let file = File::options().write(true).open("/dev/full").expect("a device");
        let content = Content::new(file, writing, &rows.schema()).expect("begun");
        let names = Names { root: "out".into(), folder: "kind=a".into(), name: "part-0".into() };
        let path = names.path();
        Output { names, path, content, opened: Instant::now(), last_write: 0 }
    }

    #[test]
    fn a_full_disk_is_named() {
        // Of large values that do not compress, so that they reach the disk before the end, too.
        let noise = (0..40_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string());
        let column: ArrayRef = Arc::new(noise.map(Some).collect::<StringArray>());
        let rows = RecordBatch::try_from_iter([("n", column)]).expect("rows");
        let small_groups = ParquetWriterOptions { row_group_rows: 1_000, ..ParquetWriterOptions::default() };
        for writing in [Writing::Json, Writing::Csv(CsvOptions::default()), Writing::Parquet(small_groups)] {
            let error = match on_full_disk(&writing, &rows).write(&rows) {
                Err(error) => error,
                Ok(()) => panic!("{writing:?}: written to a full disk"),
            };
            assert_eq!(error.to_string(), "could not write out/kind=a/.part-0.inprogress", "{writing:?}");
            let cause = std::error::Error::source(&error).expect("a cause").to_string();
            assert!(cause.contains("No space left on device"), "{writing:?}: {cause}");
            let mut at_the_end = on_full_disk(&writing, &rows);
            at_the_end.write(&rows.slice(0, 1)).expect("in memory");
            let error = at_the_end.finish().expect_err("full");
            assert_eq!(error.to_string(), "could not write out/kind=a/.part-0.inprogress", "{writing:?}");
        }
    }
}
