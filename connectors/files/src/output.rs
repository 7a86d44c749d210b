//! One file being written, under its in-progress name.

use crate::checksum::WrittenFile;
use crate::committer::PendingFile;
use crate::folder;
use crate::identity::Identity;
use crate::in_progress::Owner;
use crate::text_output::{Deflating, TextOutput};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;
use stygian_api::{ConnectorError, Encoder};
use stygian_formats::{
    AvroCodec, AvroWriter, CsvEncoder, CsvOptions, Format, FormatError, JsonEncoder, ParquetWriter, ParquetWriterOptions, RawEncoder,
};

/// Text is handed to the file in pieces of this size.
const PIECE: usize = 256 * 1024;

/// How files are written.
#[derive(Clone, Debug)]
pub(crate) enum Writing {
    Json(Option<Deflating>),
    Csv(CsvOptions, Option<Deflating>),
    Raw(Option<Deflating>),
    Avro(AvroCodec),
    Parquet(ParquetWriterOptions),
}

impl Writing {
    /// The ending of the files' names.
    pub(crate) fn extension(&self, format: Format) -> String {
        match self {
            Self::Json(Some(deflating)) | Self::Csv(_, Some(deflating)) | Self::Raw(Some(deflating)) => {
                format!("{}.{}", format.extension(), deflating.compression.extension())
            }
            _ => format.extension().to_owned(),
        }
    }
}

/// Where a file lies and will lie, below the sink's folder.
pub(crate) struct Names {
    pub(crate) root: PathBuf,
    /// Relative; may be empty.
    pub(crate) folder: String,
    /// Without folders.
    pub(crate) name: String,
    /// Whose it is until then.
    pub(crate) owner: Owner,
}

impl Names {
    fn relative(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }

    fn in_progress(&self) -> String {
        self.relative(&self.owner.in_progress(&self.name))
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
    Text { file: Box<TextOutput>, encoder: Box<dyn Encoder>, buffer: Vec<u8> },
    Avro(Box<AvroWriter<WrittenFile>>),
    Parquet(Box<ParquetWriter<WrittenFile>>),
}

impl Output {
    /// Creates the file; its name must be new.
    pub(crate) fn create(names: Names, writing: &Writing, schema: &SchemaRef, now: Instant) -> Result<Self, ConnectorError> {
        let path = names.path();
        let parent = path.parent().unwrap_or(&names.root).to_owned();
        folder::create(&parent).map_err(|e| failed("create", &parent, e))?;
        let file = File::options().write(true).create_new(true).open(&path).map_err(|e| failed("create", &path, e))?;
        let content = Content::new(WrittenFile::new(file), writing, schema).map_err(|e| in_format(&path, e))?;
        Ok(Self { names, path, content, opened: now, last_write: 0 })
    }

    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), ConnectorError> {
        match &mut self.content {
            Content::Text { file, encoder, buffer } => {
                encoder.encode(rows, buffer).map_err(|e| failed("write", &self.path, e))?;
                if buffer.len() >= PIECE {
                    file.write(buffer).map_err(|e| failed("write", &self.path, e))?;
                    buffer.clear();
                }
                Ok(())
            }
            Content::Avro(writer) => writer.write(rows).map_err(|e| in_format(&self.path, e)),
            Content::Parquet(writer) => writer.write(rows).map_err(|e| in_format(&self.path, e)),
        }
    }

    /// About how large the file is.
    pub(crate) fn size(&self) -> u64 {
        match &self.content {
            // What is to be compressed counts when it is.
            Content::Text { file, buffer, .. } => match **file {
                TextOutput::Plain(_) => file.written() + buffer.len() as u64,
                _ => file.written(),
            },
            Content::Avro(writer) => writer.size(),
            Content::Parquet(writer) => writer.size(),
        }
    }

    /// Writes what is left and makes the file durable.
    pub(crate) fn finish(self) -> Result<PendingFile, ConnectorError> {
        let Self { names, path, content, .. } = self;
        let written = content.finish().map_err(|e| in_format(&path, e))?;
        let length = written.bytes();
        let (file, checksum) = written.finish();
        file.sync_all().map_err(|e| failed("write", &path, e))?;
        // By its name: it may have been removed or replaced meanwhile, as by a run that took this one for dead.
        let found = path.symlink_metadata().map_err(|e| failed("write", &path, e))?;
        let own = file.metadata().map_err(|e| failed("write", &path, e))?;
        if Identity::of(&found) != Identity::of(&own) || found.len() != length {
            let reason = format!("{length} bytes were written, and somebody else wrote or replaced it meanwhile");
            return Err(ConnectorError::refused(path.display().to_string(), reason, "look for what else writes into the sink's folder"));
        }
        let parent = path.parent().unwrap_or(&names.root);
        folder::sync(parent).map_err(|e| failed("write", parent, e))?;
        Ok(PendingFile { from: names.in_progress(), to: names.relative(&names.name), length, checksum })
    }
}

impl Content {
    fn new(file: WrittenFile, writing: &Writing, schema: &SchemaRef) -> Result<Self, FormatError> {
        let mut buffer = Vec::new();
        let (encoder, deflating): (Box<dyn Encoder>, _) = match writing {
            Writing::Json(deflating) => (Box::new(JsonEncoder::new(schema)?), *deflating),
            Writing::Csv(options, deflating) => {
                let encoder = CsvEncoder::new(schema.clone(), options)?;
                encoder.header(&mut buffer).map_err(FormatError::Corrupt)?;
                (Box::new(encoder), *deflating)
            }
            Writing::Raw(deflating) => (Box::new(RawEncoder::new(schema)?), *deflating),
            Writing::Avro(codec) => return Ok(Self::Avro(Box::new(AvroWriter::new(file, schema, *codec)?))),
            Writing::Parquet(options) => return Ok(Self::Parquet(Box::new(ParquetWriter::new(file, schema.clone(), *options)?))),
        };
        let file = TextOutput::new(file, deflating).map_err(|e| FormatError::Read(e.into()))?;
        Ok(Self::Text { file: Box::new(file), encoder, buffer })
    }

    fn finish(self) -> Result<WrittenFile, FormatError> {
        match self {
            Self::Text { mut file, buffer, .. } => {
                file.write(&buffer).and_then(|()| file.finish()).map_err(|e| FormatError::Read(e.into()))
            }
            Self::Avro(writer) => writer.finish(),
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

    /// Every write to it fails as on a full disk.
    fn full_disk() -> WrittenFile {
        WrittenFile::new(File::options().write(true).open("/dev/full").expect("a device"))
    }

    fn on_full_disk(writing: &Writing, rows: &RecordBatch) -> Output {
        let content = Content::new(full_disk(), writing, &rows.schema()).expect("begun");
        let names = Names { root: "out".into(), folder: "kind=a".into(), name: "part-0".into(), owner: Owner::new("job", "sink") };
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
        // Avro's header is written at once.
        let Err(begun) = Content::new(full_disk(), &Writing::Avro(AvroCodec::None), &rows.schema()) else { panic!("begun on a full disk") };
        assert!(begun.to_string().contains("No space left on device"), "{begun}");
        for writing in [Writing::Json(None), Writing::Csv(CsvOptions::default(), None), Writing::Raw(None), Writing::Parquet(small_groups)]
        {
            let error = match on_full_disk(&writing, &rows).write(&rows) {
                Err(error) => error,
                Ok(()) => panic!("{writing:?}: written to a full disk"),
            };
            assert_eq!(error.to_string(), "could not write out/kind=a/.part-0=job=sink.inprogress", "{writing:?}");
            let cause = std::error::Error::source(&error).expect("a cause").to_string();
            assert!(cause.contains("No space left on device"), "{writing:?}: {cause}");
            let mut at_the_end = on_full_disk(&writing, &rows);
            at_the_end.write(&rows.slice(0, 1)).expect("in memory");
            let error = at_the_end.finish().expect_err("full");
            assert_eq!(error.to_string(), "could not write out/kind=a/.part-0=job=sink.inprogress", "{writing:?}");
        }
    }
}
