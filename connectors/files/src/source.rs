//! The source: lists files and opens readers on them.

use crate::bytes::FileBytes;
use crate::location::Location;
use crate::parquet_split::{ParquetSplit, named};
use crate::text_split::TextSplit;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use std::sync::Arc;
use stygian_api::{ConnectorError, Decoder, Source, Split, SplitReader};
use stygian_core::{Offset, SplitId};
use stygian_formats::{
    CsvDecoder, CsvHeader, CsvOptions, CsvRecords, FormatError, JsonDecoder, Lines, ParquetLimits, ParquetReader, parquet_schema,
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
    Parquet(ParquetLimits),
}

/// Files that are read once.
#[derive(Debug)]
pub(crate) struct FilesSource {
    pub(crate) location: Location,
    pub(crate) schema: SchemaRef,
    pub(crate) reading: Reading,
    pub(crate) max_row_bytes: usize,
}

/// Opens the file that `location` knows under this name.
pub(crate) async fn open_file(location: &Location, name: &str) -> Result<FileBytes, ConnectorError> {
    let (location, name) = (location.clone(), name.to_owned());
    let path = blocking(move || location.resolve(&name)).await?;
    let shown = path.display().to_string();
    let absolute = object_store::path::Path::from_absolute_path(&path).map_err(|e| ConnectorError::io("read", &shown, e))?;
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
    FileBytes::open(store, absolute, shown).await
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

/// The columns of a Parquet file.
pub(crate) async fn schema_of(location: &Location, name: &str, limits: &ParquetLimits) -> Result<SchemaRef, ConnectorError> {
    let mut file = open_file(location, name).await?;
    let shown = file.shown.clone();
    parquet_schema(&mut file, limits).await.map_err(|e| named(e, &shown))
}

/// The header of a CSV file; `None` if it is empty.
pub(crate) async fn header_of(
    location: &Location,
    name: &str,
    options: &CsvOptions,
    max_row_bytes: usize,
) -> Result<Option<CsvHeader>, ConnectorError> {
    let file = open_file(location, name).await?;
    let shown = file.shown.clone();
    let mut reader = TextSplit::new(file, Box::new(CsvRecords::new(options)), max_row_bytes, 0);
    let record = reader.take_header().await?;
    record.map(|record| CsvHeader::parse(&record, options)).transpose().map_err(|e| not_csv(&shown, &e))
}

fn not_csv(path: &str, error: &FormatError) -> ConnectorError {
    ConnectorError::Corrupt { what: path.to_owned(), format: "csv", reason: error.to_string() }
}

impl FilesSource {
    async fn open_csv(
        &self,
        file: FileBytes,
        options: &CsvOptions,
        header: Option<&CsvHeader>,
        from: u64,
    ) -> Result<TextSplit, ConnectorError> {
        let shown = file.shown.clone();
        let mut reader = TextSplit::new(file, Box::new(CsvRecords::new(options)), self.max_row_bytes, from);
        let (Some(header), 0) = (header, from) else { return Ok(reader) };
        let Some(record) = reader.take_header().await? else { return Ok(reader) };
        let found = CsvHeader::parse(&record, options).map_err(|e| not_csv(&shown, &e))?;
        if found == *header {
            return Ok(reader);
        }
        let names = stygian_core::escape(&found.names().join(", "), 200);
        let expected = stygian_core::escape(&header.names().join(", "), 200);
        Err(not_csv(&shown, &FormatError::Header(format!("is {names}; the first file's is {expected}"))))
    }
}

#[async_trait]
impl Source for FilesSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn bounded(&self) -> bool {
        true
    }

    fn new_splits_every(&self) -> Option<std::time::Duration> {
        None
    }

    async fn splits(&self) -> Result<Vec<Split>, ConnectorError> {
        let location = self.location.clone();
        let files = blocking(move || location.list()).await?;
        Ok(files.into_iter().map(|file| Split { id: SplitId::new(file.name), bytes: Some(file.bytes) }).collect())
    }

    async fn open(&self, split: &SplitId, from: Offset) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let file = open_file(&self.location, split.as_str()).await?;
        if !matches!(self.reading, Reading::Parquet(_)) && from.0 > file.size {
            return Err(ConnectorError::Refused {
                what: file.shown,
                reason: format!("the file has {} bytes, and reading was to go on at byte {from}", file.size),
                hint: "put back the file that was read before, or start the job afresh".into(),
            });
        }
        match &self.reading {
            Reading::Json => Ok(Box::new(TextSplit::new(file, Box::new(Lines), self.max_row_bytes, from.0))),
            Reading::Csv { options, header } => Ok(Box::new(self.open_csv(file, options, header.as_ref(), from.0).await?)),
            Reading::Parquet(limits) => {
                let opened = ParquetReader::open(Box::new(file.clone()), limits, self.schema.clone(), from.0).await;
                let reader = opened.map_err(|e| named(e, &file.shown))?;
                Ok(Box::new(ParquetSplit { reader, file, at: from.0 }))
            }
        }
    }

    fn decoder(&self) -> Option<Box<dyn Decoder>> {
        let schema = self.schema.clone();
        match &self.reading {
            Reading::Json => Some(Box::new(JsonDecoder::new(schema, self.max_row_bytes).ok()?)),
            Reading::Csv { options, header } => Some(Box::new(CsvDecoder::new(schema, options, header.as_ref(), self.max_row_bytes).ok()?)),
            Reading::Parquet(_) => None,
        }
    }
}
