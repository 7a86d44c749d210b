//! The connector: options checked, sources and sinks made.

use crate::location::{FoundFile, Location};
use crate::options::{SinkOptions, SourceOptions};
use crate::output::Writing;
use crate::partition::Partitioning;
use crate::sink::FilesSink;
use crate::source::{FilesSource, Reading, blocking, header_of, schema_of};
use crate::writer::WriterSpec;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use std::sync::Arc;
use stygian_api::{Connector, ConnectorContext, Options, OptionsDoc, Problem, Problems, Sink, Source};
use stygian_core::StreamSchema;
use stygian_formats::{
    CsvDecoder, CsvEncoder, CsvOptions, Format, FormatError, JsonDecoder, JsonEncoder, ParquetLimits, ParquetWriterOptions,
};

/// The connector `files`.
#[derive(Clone, Copy, Debug)]
pub struct Files;

#[async_trait]
impl Connector for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn about(&self) -> &'static str {
        "Files in local folders: JSON lines, CSV or Parquet, read once or written and renamed when they are whole."
    }

    fn source_options(&self) -> Option<OptionsDoc> {
        Some(schemars::schema_for!(SourceOptions))
    }

    fn sink_options(&self) -> Option<OptionsDoc> {
        Some(schemars::schema_for!(SinkOptions))
    }

    async fn source(&self, options: &Options, context: &ConnectorContext) -> Result<Arc<dyn Source>, Problems> {
        let read: SourceOptions = options.read()?;
        csv_only_for_csv(options, read.csv.is_some(), read.format)?;
        let at = |key: &str, message: String| options.problem(key, message);
        let location = Location::new(&context.base, &read.path, read.follow_links).map_err(|e| at("path", e))?;
        let (files, location) = list(location).await.map_err(|e| at("path", e))?;
        let Some(first) = files.first() else {
            let hint = "the path is a file, a folder or a glob, relative to the pipeline file";
            return Err(at("path", format!("no file matches `{}`", read.path)).hint(hint).into());
        };
        let source = source(&read, location, first).await.map_err(|e| e.problem(options))?;
        Ok(Arc::new(source))
    }

    async fn sink(&self, options: &Options, context: &ConnectorContext, schema: &StreamSchema) -> Result<Arc<dyn Sink>, Problems> {
        let read: SinkOptions = options.read()?;
        csv_only_for_csv(options, read.csv.is_some(), read.format)?;
        let partitioning = Partitioning::new(schema.columns(), &read.partition_by, read.partition_day.as_deref());
        let partitioning = partitioning.map_err(|(key, message)| options.problem(key, message))?;
        if read.max_open_partitions == 0 {
            return Err(options.problem("max_open_partitions", "at least one file has to be open").into());
        }
        let root = context.base.join(&read.path);
        if root.exists() && !root.is_dir() {
            return Err(options.problem("path", format!("`{}` is no folder", root.display())).into());
        }
        let writing = writing(read.format, read.csv.clone().unwrap_or_default(), partitioning.file_schema());
        let writing = writing.map_err(|e| options.problem("format", e.to_string()))?;
        let spec = WriterSpec {
            root,
            writing,
            extension: read.format.extension(),
            partitioning,
            roll_bytes: read.roll_bytes.0,
            roll_after: read.roll_after.0,
            max_open: read.max_open_partitions,
        };
        Ok(Arc::new(FilesSink { spec }))
    }
}

/// A problem with one option.
struct OptionError(&'static str, String);

impl OptionError {
    fn problem(self, options: &Options) -> Problem {
        options.problem(self.0, self.1)
    }
}

fn csv_only_for_csv(options: &Options, given: bool, format: Format) -> Result<(), Problem> {
    if given && format != Format::Csv {
        return Err(options.problem("csv", format!("`csv` says how CSV is written, and the format is {format}")));
    }
    Ok(())
}

async fn list(location: Location) -> Result<(Vec<FoundFile>, Location), String> {
    let listed = blocking(move || Ok((location.list()?, location))).await;
    listed.map_err(|e| with_cause(&e))
}

/// An error with its causes, for a person.
fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_cause(cause)),
        None => error.to_string(),
    }
}

async fn source(read: &SourceOptions, location: Location, first: &FoundFile) -> Result<FilesSource, OptionError> {
    let max_row_bytes = read.max_row_bytes.as_usize();
    let in_file = |e: stygian_api::ConnectorError| OptionError("path", with_cause(&e));
    let in_schema = |e: FormatError| OptionError("schema", e.to_string());
    let schema = read.schema.as_ref().map(stygian_formats::Columns::schema);
    let needed =
        || OptionError("format", format!("format {} needs a `schema`, such as schema = {{ user = \"text not null\" }}", read.format));
    let (schema, reading): (SchemaRef, Reading) = match read.format {
        Format::Json => {
            let schema = schema.ok_or_else(needed)?;
            JsonDecoder::new(schema.clone(), max_row_bytes).map_err(in_schema)?;
            (schema, Reading::Json)
        }
        Format::Csv => {
            let (schema, options) = (schema.ok_or_else(needed)?, read.csv.clone().unwrap_or_default());
            let header = match options.header {
                true => header_of(&location, &first.name, &options, max_row_bytes).await.map_err(in_file)?,
                false => None,
            };
            CsvDecoder::new(schema.clone(), &options, header.as_ref(), max_row_bytes).map_err(in_schema)?;
            (schema, Reading::Csv { options, header })
        }
        Format::Parquet => {
            let limits = limits(read);
            let schema = match schema {
                Some(schema) => schema,
                None => schema_of(&location, &first.name, &limits).await.map_err(in_file)?,
            };
            (schema, Reading::Parquet(limits))
        }
    };
    Ok(FilesSource { location, schema, reading, max_row_bytes })
}

fn limits(read: &SourceOptions) -> ParquetLimits {
    ParquetLimits { footer: read.max_footer_bytes, row_group: read.max_row_group_bytes, page: read.max_page_bytes }
}

fn writing(format: Format, csv: CsvOptions, schema: &SchemaRef) -> Result<Writing, FormatError> {
    match format {
        Format::Json => JsonEncoder::new(schema).map(|_| Writing::Json),
        Format::Csv => CsvEncoder::new(schema.clone(), &csv).map(|_| Writing::Csv(csv)),
        Format::Parquet => Ok(Writing::Parquet(ParquetWriterOptions::default())),
    }
}
