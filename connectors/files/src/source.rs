//! The source: lists files and opens readers on them.

use crate::bytes::FileBytes;
use crate::followed::Followed;
use crate::inputs::{Inputs, Listed, open_file};
use crate::marks::{self, FileMark};
use crate::row_split::{RowSplit, named};
use crate::text_input::{Inflating, TextInput, open_text};
use crate::text_split::TextSplit;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use stygian_api::{ConnectorError, Decoder, Source, Split, SplitProgress, SplitReader};
use stygian_core::{Offset, SplitId};
use stygian_formats::{
    AvroLimits, AvroReader, CsvDecoder, CsvHeader, CsvOptions, CsvRecords, FormatError, JsonDecoder, Lines, ParquetLimits, ParquetReader,
    RawDecoder, RawLines, Splitter, avro_schema, parquet_schema,
};

/// How the files are read.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    Json,
    Csv {
        options: CsvOptions,
        /// What every file has to begin with.
        header: Option<CsvHeader>,
    },
    Raw,
    Avro(AvroLimits),
    Parquet(ParquetLimits),
}

/// Files that are read once, or followed.
#[derive(Debug)]
pub(crate) struct FilesSource {
    pub(crate) inputs: Arc<dyn Inputs>,
    pub(crate) schema: SchemaRef,
    pub(crate) reading: Reading,
    pub(crate) inflating: Inflating,
    pub(crate) max_row_bytes: usize,
    /// Set where files are followed.
    pub(crate) followed: Option<Arc<Followed>>,
    /// By name, what the files that are not followed were when they were read before.
    pub(crate) marks: OnceLock<BTreeMap<String, FileMark>>,
}

/// Runs work that waits for disks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ConnectorError> + Send + 'static,
) -> Result<T, ConnectorError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ConnectorError::io("work on", "files", error)),
    }
}

/// The columns of a file that has its schema in it.
pub(crate) async fn schema_of(inputs: &Arc<dyn Inputs>, name: &str, reading: &Reading) -> Result<Option<SchemaRef>, ConnectorError> {
    let mut file = open_file(inputs, name).await?;
    let shown = file.shown.clone();
    let schema = match reading {
        Reading::Avro(limits) => avro_schema(&mut file, limits).await.map_err(|e| named(e, "avro", &shown))?,
        Reading::Parquet(limits) => parquet_schema(&mut file, limits).await.map_err(|e| named(e, "parquet", &shown))?,
        Reading::Json | Reading::Csv { .. } | Reading::Raw => return Ok(None),
    };
    Ok(Some(schema))
}

/// The header of a CSV file; `None` if it is empty.
pub(crate) async fn header_of(
    text: Box<dyn TextInput>,
    shown: &str,
    options: &CsvOptions,
    max_row_bytes: usize,
) -> Result<Option<CsvHeader>, ConnectorError> {
    let mut reader = TextSplit::new(text, Box::new(CsvRecords::new(options)), max_row_bytes, 0);
    let record = reader.take_header().await?;
    record.map(|record| CsvHeader::parse(&record, options)).transpose().map_err(|e| not_csv(shown, &e))
}

fn not_csv(path: &str, error: &FormatError) -> ConnectorError {
    ConnectorError::Corrupt { what: path.to_owned(), format: "csv", reason: error.to_string() }
}

impl FilesSource {
    async fn open_text(&self, split: &SplitId, from: u64) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let (text, from, mark) = match &self.followed {
            Some(followed) => {
                let (text, from) = followed.open(split, from)?;
                (text, from, None)
            }
            None => {
                let (file, mark) = self.open_known(split).await?;
                (open_text(file, split.as_str(), self.inflating, from).await?, from, marks::mark(&mark))
            }
        };
        let splitter: Box<dyn Splitter> = match &self.reading {
            Reading::Csv { options, .. } => Box::new(CsvRecords::new(options)),
            Reading::Raw => Box::new(RawLines),
            _ => Box::new(Lines),
        };
        let mut reader = TextSplit::new(text, splitter, self.max_row_bytes, from);
        if let Reading::Csv { options, header: Some(header) } = &self.reading
            && from == 0
        {
            pass_over_header(&mut reader, split.as_str(), options, header).await?;
        }
        Ok(Box::new(reader.with_mark(mark)))
    }

    /// Opens a file, which must be the one that was read before.
    async fn open_known(&self, split: &SplitId) -> Result<(FileBytes, FileMark), ConnectorError> {
        let file = open_file(&self.inputs, split.as_str()).await?;
        let mark = FileMark::of(&file).await?;
        if let Some(before) = self.marks.get().and_then(|marks| marks.get(split.as_str())) {
            before.check(&file.shown, &mark)?;
        }
        Ok((file, mark))
    }

    /// That a file that was read before is there and unchanged, as far as a list of the files tells.
    fn check_listed(&self, progress: &SplitProgress, mark: Option<&FileMark>, listed: Option<&Listed>) -> Result<(), ConnectorError> {
        let shown = self.inputs.shown_file(progress.id.as_str());
        match (listed, mark) {
            (Some(listed), Some(mark)) => mark.check_listed(&shown, listed),
            (Some(_), None) => Ok(()),
            // Whoever has read a file may put it away.
            (None, _) if progress.ended => Ok(()),
            (None, _) => {
                let reason = format!("it was read up to offset {}, and is gone, or `path` does not mean it any more", progress.next);
                Err(ConnectorError::refused(shown, reason, "put it back, or start the job afresh"))
            }
        }
    }
}

async fn pass_over_header(reader: &mut TextSplit, shown: &str, options: &CsvOptions, header: &CsvHeader) -> Result<(), ConnectorError> {
    let Some(record) = reader.take_header().await? else { return Ok(()) };
    let found = CsvHeader::parse(&record, options).map_err(|e| not_csv(shown, &e))?;
    if found == *header {
        return Ok(());
    }
    let names = stygian_core::escape(&found.names().join(", "), 200);
    let expected = stygian_core::escape(&header.names().join(", "), 200);
    Err(not_csv(shown, &FormatError::Header(format!("is {names}; the first file's is {expected}"))))
}

#[async_trait]
impl Source for FilesSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn bounded(&self) -> bool {
        self.followed.is_none()
    }

    fn new_splits_every(&self) -> Option<Duration> {
        self.followed.as_ref().map(|followed| followed.poll_interval())
    }

    /// A file that was read to its end is not read again; one that is new is read, though it was not there when the job was started.
    async fn restore(&self, read: &[SplitProgress]) -> Result<(), ConnectorError> {
        if let Some(followed) = &self.followed {
            return followed.restore(read).await;
        }
        let inputs = self.inputs.clone();
        let files = blocking(move || inputs.list_present()).await?;
        let files: BTreeMap<&str, &Listed> = files.iter().map(|file| (file.name.as_str(), file)).collect();
        let mut marks = BTreeMap::new();
        for progress in read {
            let (name, mark) = (progress.id.as_str(), marks::read::<FileMark>(progress.id.as_str(), progress.mark.as_ref())?);
            self.check_listed(progress, mark.as_ref(), files.get(name).copied())?;
            marks.extend(mark.map(|mark| (name.to_owned(), mark)));
        }
        let again = |_| ConnectorError::refused(self.inputs.shown(), "it was restored already", "make a new source for every run");
        self.marks.set(marks).map_err(again)
    }

    async fn splits(&self) -> Result<Vec<Split>, ConnectorError> {
        if let Some(followed) = &self.followed {
            return followed.splits().await;
        }
        let inputs = self.inputs.clone();
        let files = blocking(move || inputs.list()).await?;
        Ok(files.into_iter().map(|file| Split { id: SplitId::new(file.name), bytes: Some(file.bytes) }).collect())
    }

    async fn open(&self, split: &SplitId, from: Offset) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let schema = self.schema.clone();
        match &self.reading {
            Reading::Json | Reading::Csv { .. } | Reading::Raw => self.open_text(split, from.0).await,
            Reading::Avro(limits) => {
                let (file, mark) = self.open_known(split).await?;
                let shown = file.shown.clone();
                let opened = AvroReader::open(Box::new(file), limits, schema, from.0).await;
                Ok(Box::new(RowSplit::new(opened, shown, from.0, marks::mark(&mark))?))
            }
            Reading::Parquet(limits) => {
                let (file, mark) = self.open_known(split).await?;
                let shown = file.shown.clone();
                let opened = ParquetReader::open(Box::new(file), limits, schema, from.0).await;
                Ok(Box::new(RowSplit::new(opened, shown, from.0, marks::mark(&mark))?))
            }
        }
    }

    fn decoder(&self) -> Option<Box<dyn Decoder>> {
        let schema = self.schema.clone();
        match &self.reading {
            Reading::Json => Some(Box::new(JsonDecoder::new(schema, self.max_row_bytes).ok()?)),
            Reading::Csv { options, header } => Some(Box::new(CsvDecoder::new(schema, options, header.as_ref(), self.max_row_bytes).ok()?)),
            Reading::Raw => Some(Box::new(RawDecoder::new(schema, self.max_row_bytes).ok()?)),
            Reading::Avro(_) | Reading::Parquet(_) => None,
        }
    }
}
