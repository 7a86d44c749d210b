//! The connector: options checked, sources and sinks made.

use crate::connector_source;
use crate::file_system::FileSystem;
use crate::holding::Compaction;
use crate::local::Local;
use crate::options::{SinkOptions, SourceOptions};
use crate::output::Writing;
use crate::partition::Partitioning;
use crate::remote::Remote;
use crate::sink::FilesSink;
use crate::text_output::Codec;
use crate::writer::WriterSpec;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use std::sync::Arc;
use stygian_api::{Connector, ConnectorContext, Options, OptionsDoc, Problem, Problems, Sink, Source, with_causes};
use stygian_core::{Span, StreamSchema};
use stygian_formats::{AvroWriter, CsvEncoder, Format, FormatError, JsonEncoder, ParquetWriterOptions, RawEncoder};

/// The connector `files`.
#[derive(Clone, Copy, Debug)]
pub struct Files;

#[async_trait]
impl Connector for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn about(&self) -> &'static str {
        "Files in local folders and HDFS: JSON lines, CSV, raw lines, Avro or Parquet, read once or followed, or written and renamed when whole."
    }

    fn source_options(&self) -> Option<OptionsDoc> {
        Some(schemars::schema_for!(SourceOptions))
    }

    fn sink_options(&self) -> Option<OptionsDoc> {
        Some(schemars::schema_for!(SinkOptions))
    }

    async fn source(&self, options: &Options, context: &ConnectorContext) -> Result<Arc<dyn Source>, Problems> {
        connector_source::source(options, context).await
    }

    async fn sink(&self, options: &Options, context: &ConnectorContext, schema: &StreamSchema) -> Result<Arc<dyn Sink>, Problems> {
        let read: SinkOptions = options.read()?;
        csv_only_for_csv(options, read.csv.is_some(), read.format)?;
        let partitioning = Partitioning::new(schema.columns(), &read.partition_by, read.partition_day.as_deref());
        let partitioning = partitioning.map_err(|(key, message)| options.problem(key, message))?;
        if read.max_open_partitions == 0 {
            return Err(options.problem("max_open_partitions", "at least one file has to be open").into());
        }
        let compaction = compaction(&read).map_err(|(key, message)| options.problem(key, message))?;
        let (files, root, remote): (Arc<dyn FileSystem>, _, _) = match Remote::of(&read.path, context) {
            Some(remote) => {
                let (remote, root) = remote.map_err(|e| options.problem("path", with_causes(&e)))?;
                (Arc::new(remote.clone()), root, Some(remote))
            }
            None => (Arc::new(Local), context.base.join(&read.path), None),
        };
        if remote.is_none() && root.exists() && !root.is_dir() {
            return Err(options.problem("path", format!("`{}` is no folder", root.display())).into());
        }
        let writing = writing(&read, options, partitioning.file_schema())?;
        let spec = WriterSpec {
            files,
            root,
            sink: context.node.clone(),
            extension: writing.extension(read.format),
            writing,
            partitioning,
            roll_bytes: read.roll_bytes.0,
            roll_after: read.roll_after.0,
            max_open: read.max_open_partitions,
            compaction,
        };
        Ok(Arc::new(FilesSink { spec, remote }))
    }
}

pub(crate) fn csv_only_for_csv(options: &Options, given: bool, format: Format) -> Result<(), Problem> {
    if given && format != Format::Csv {
        return Err(options.problem("csv", format!("`csv` says how CSV is written, and the format is {format}")));
    }
    Ok(())
}

/// Whether small files are merged; an `Err` is the option's name and what is wrong with it.
fn compaction(read: &SinkOptions) -> Result<Option<Compaction>, (&'static str, String)> {
    let delay = read.compact_delay.unwrap_or(Span::secs(300));
    match read.compact_below {
        None if read.compact_delay.is_some() => {
            Err(("compact_delay", "no file is held back without `compact_below`, which says what small files are".to_owned()))
        }
        None => Ok(None),
        Some(below) if below.0 == 0 => {
            Err(("compact_below", "no file is smaller than this; leave it out if none is to be merged".to_owned()))
        }
        Some(below) if below > read.roll_bytes => Err((
            "compact_below",
            format!("files of {} would always be small, as they are closed at `roll_bytes`, {}", below, read.roll_bytes),
        )),
        Some(_) if delay.0.is_zero() => Err(("compact_delay", "it must be longer than nothing".to_owned())),
        Some(below) => Ok(Some(Compaction { below: below.0, delay: delay.0 })),
    }
}

fn writing(read: &SinkOptions, options: &Options, schema: &SchemaRef) -> Result<Writing, Problem> {
    let in_format = |e: FormatError| options.problem("format", e.to_string());
    let codec = Codec::of(read).map_err(|(key, message)| options.problem(key, message))?;
    match (read.format, codec) {
        (Format::Json, Codec::Text(inflate)) => JsonEncoder::new(schema).map(|_| Writing::Json(inflate)).map_err(in_format),
        (Format::Csv, Codec::Text(inflate)) => {
            let csv = read.csv.clone().unwrap_or_default();
            CsvEncoder::new(schema.clone(), &csv).map(|_| Writing::Csv(csv, inflate)).map_err(in_format)
        }
        (_, Codec::Text(inflate)) => RawEncoder::new(schema).map(|_| Writing::Raw(inflate)).map_err(in_format),
        (_, Codec::Avro(codec)) => AvroWriter::new(Vec::new(), schema, codec).map(|_| Writing::Avro(codec)).map_err(in_format),
        (_, Codec::Parquet(compression)) => Ok(Writing::Parquet(ParquetWriterOptions { compression, ..ParquetWriterOptions::default() })),
    }
}
