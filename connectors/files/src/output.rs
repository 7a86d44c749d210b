//! One file being written, under its in-progress name.

use crate::checksum::WrittenFile;
use crate::file_system::{FileSystem, failed};
use crate::in_progress::Owner;
use crate::pending_file::PendingFile;
use crate::text_output::{Deflating, TextOutput};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use stygian_api::{ConnectorError, Encoder};
use stygian_formats::{
    AvroCodec, AvroWriter, Compression, CsvEncoder, CsvOptions, Format, FormatError, JsonEncoder, ParquetWriter, ParquetWriterOptions,
    RawEncoder,
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

    /// How text is compressed.
    pub(crate) fn compression(&self) -> Option<Compression> {
        match self {
            Self::Json(deflating) | Self::Csv(_, deflating) | Self::Raw(deflating) => deflating.map(|deflating| deflating.compression),
            Self::Avro(_) | Self::Parquet(_) => None,
        }
    }

    /// The text that every file begins with.
    pub(crate) fn header(&self, schema: &SchemaRef) -> Result<Vec<u8>, FormatError> {
        let mut header = Vec::new();
        if let Self::Csv(options, _) = self {
            CsvEncoder::new(schema.clone(), options)?.header(&mut header).map_err(FormatError::Corrupt)?;
        }
        Ok(header)
    }
}

/// Where a file lies and will lie, below the sink's folder.
pub(crate) struct Names {
    pub(crate) files: Arc<dyn FileSystem>,
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

    /// Where it lies.
    pub(crate) fn path(&self) -> PathBuf {
        self.root.join(self.in_progress())
    }
}

/// An open file.
pub(crate) struct Output {
    names: Names,
    /// For messages.
    shown: String,
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
        names.files.create_folder(path.parent().unwrap_or(&names.root))?;
        let (file, shown) = (names.files.create(&path)?, names.files.shown(&path));
        let content = Content::new(WrittenFile::new(file), writing, schema).map_err(|e| in_format(&shown, e))?;
        Ok(Self { names, shown, content, opened: now, last_write: 0 })
    }

    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), ConnectorError> {
        match &mut self.content {
            Content::Text { file, encoder, buffer } => {
                encoder.encode(rows, buffer).map_err(|e| ConnectorError::io("write", &self.shown, e))?;
                write_pieces(file, buffer).map_err(|e| failed("write", self.shown.clone(), e))
            }
            Content::Avro(writer) => writer.write(rows).map_err(|e| in_format(&self.shown, e)),
            Content::Parquet(writer) => writer.write(rows).map_err(|e| in_format(&self.shown, e)),
        }
    }

    /// Text that was encoded before, as it was for this file's format.
    pub(crate) fn write_text(&mut self, text: &[u8]) -> Result<(), ConnectorError> {
        let Content::Text { file, buffer, .. } = &mut self.content else {
            return Err(ConnectorError::io("write", &self.shown, "it is not one of text"));
        };
        buffer.extend_from_slice(text);
        write_pieces(file, buffer).map_err(|e| failed("write", self.shown.clone(), e))
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
        let Self { names, shown, content, .. } = self;
        let (length, checksum) = content.finish().map_err(|e| in_format(&shown, e))?.finish()?;
        Ok(PendingFile {
            from: names.in_progress(),
            to: names.relative(&names.name),
            length,
            checksum,
            held_since: None,
            parts: Vec::new(),
        })
    }
}

fn write_pieces(file: &mut TextOutput, buffer: &mut Vec<u8>) -> io::Result<()> {
    if buffer.len() >= PIECE {
        file.write(buffer)?;
        buffer.clear();
    }
    Ok(())
}

impl Content {
    fn new(file: WrittenFile, writing: &Writing, schema: &SchemaRef) -> Result<Self, FormatError> {
        let buffer = writing.header(schema)?;
        let (encoder, deflating): (Box<dyn Encoder>, _) = match writing {
            Writing::Json(deflating) => (Box::new(JsonEncoder::new(schema)?), *deflating),
            Writing::Csv(options, deflating) => (Box::new(CsvEncoder::new(schema.clone(), options)?), *deflating),
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

fn in_format(shown: &str, error: FormatError) -> ConnectorError {
    match error {
        FormatError::Read(inner) => match inner.downcast::<std::io::Error>() {
            Ok(error) => failed("write", shown.to_owned(), *error),
            Err(inner) => ConnectorError::io("write", shown, inner),
        },
        other => ConnectorError::io("write", shown, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_system::NewFile;
    use crate::local::Local;
    use arrow_array::{ArrayRef, StringArray};
    use std::fs::File;
    use std::io::{self, Write};

    struct Full(File);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    impl NewFile for Full {
        fn finish(self: Box<Self>, _: u64) -> Result<(), ConnectorError> {
            panic!("nothing can be written")
        }
    }

    /// Every write to it fails as on a full disk.
    fn full_disk() -> WrittenFile {
        WrittenFile::new(Box::new(Full(File::options().write(true).open("/dev/full").expect("a device"))))
    }

    fn on_full_disk(writing: &Writing, rows: &RecordBatch) -> Output {
        let content = Content::new(full_disk(), writing, &rows.schema()).expect("begun");
        let (files, owner): (Arc<dyn FileSystem>, _) = (Arc::new(Local), Owner::new("job", "sink"));
        let names = Names { files, root: "out".into(), folder: "kind=a".into(), name: "part-0".into(), owner };
        let shown = names.files.shown(&names.path());
        Output { names, shown, content, opened: Instant::now(), last_write: 0 }
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
