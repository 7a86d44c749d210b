//! A source's options, checked; what has its schema in its files is asked for it.

use crate::connector::csv_only_for_csv;
use crate::followed::{Followed, Following};
use crate::growing::{GrowingFiles, NamedFiles};
use crate::inputs::{Inputs, Listed, PlainInputs, open_file};
use crate::location::Location;
use crate::options::{ReadCompression, SourceOptions};
use crate::remote::Remote;
use crate::source::{FilesSource, Reading, blocking, header_of, schema_of};
use crate::text_input::{Chosen, Inflating, open_text};
use arrow_schema::SchemaRef;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use stygian_api::{ConnectorContext, ConnectorError, Options, Problem, Problems, Source, with_causes};
use stygian_formats::{
    AvroLimits, Columns, Compression, CsvDecoder, Format, FormatError, JsonDecoder, ParquetLimits, RawDecoder, raw_schema,
};

/// How often followed files are looked at on this machine.
const POLL: Duration = Duration::from_millis(250);
/// As often where every look is one at whole folders, which others pay for too.
const POLL_BY_NAME: Duration = Duration::from_secs(5);
/// How long a rotated file may rest before it is given up.
const ROTATE_WAIT: Duration = Duration::from_secs(5);
/// As long where every file is given up that rests; what grows now and then is better kept.
const REST_BY_NAME: Duration = Duration::from_secs(60);

/// Checks the options and looks at the first file.
pub(crate) async fn source(options: &Options, context: &ConnectorContext) -> Result<Arc<dyn Source>, Problems> {
    let read: SourceOptions = options.read()?;
    csv_only_for_csv(options, read.csv.is_some(), read.format)?;
    only_for_text(options, &read)?;
    let at = |key: &str, message: String| options.problem(key, message);
    let (inputs, growing): (Arc<dyn Inputs>, Arc<dyn GrowingFiles>) = match Remote::of(&read.path, context) {
        Some(remote) => {
            let (remote, path) = remote.map_err(|e| at("path", with_causes(&e)))?;
            let made = blocking(move || PlainInputs::new(Arc::new(remote), &path)).await;
            let there = made.map_err(|e| at("path", with_causes(&e)))?;
            (Arc::new(there.clone()), Arc::new(NamedFiles::new(there)))
        }
        None => {
            let local = Location::new(&context.base, &read.path, read.follow_links).map_err(|e| at("path", e))?;
            (Arc::new(local.clone()), Arc::new(local))
        }
    };
    let files = list(inputs.clone(), read.follow).await.map_err(|e| at("path", e))?;
    let first = files.first();
    if first.is_none() && !read.follow {
        let hint = "the path is a file, a folder or a glob, relative to the pipeline file";
        return Err(at("path", format!("no file matches `{}`", read.path)).hint(hint).into());
    }
    let source = Making { read: &read, inputs, growing, first }.source().await.map_err(|OptionError(key, message)| at(key, message))?;
    Ok(Arc::new(source))
}

/// Avro and Parquet are compressed inside, and cannot be read before they are whole.
fn only_for_text(options: &Options, read: &SourceOptions) -> Result<(), Problem> {
    if !read.format.is_text() && matches!(read.compression, ReadCompression::Gzip | ReadCompression::Zstd) {
        let message = format!("`compression` is of text, and {} files say themselves how they are compressed", read.format);
        return Err(options.problem("compression", message));
    }
    if read.follow && !read.format.is_text() {
        return Err(options.problem("follow", format!("{} files are read when they are whole, and cannot be followed", read.format)));
    }
    if read.follow && matches!(read.compression, ReadCompression::Gzip | ReadCompression::Zstd) {
        return Err(options.problem("follow", "compressed files cannot be followed"));
    }
    if read.max_followed_files == 0 {
        return Err(options.problem("max_followed_files", "at least one file has to be followed"));
    }
    Ok(())
}

async fn list(inputs: Arc<dyn Inputs>, follow: bool) -> Result<Vec<Listed>, String> {
    blocking(move || if follow { inputs.list_present() } else { inputs.list() }).await.map_err(|e| with_causes(&e))
}

/// A problem with one option.
struct OptionError(&'static str, String);

fn in_path(error: &ConnectorError) -> OptionError {
    OptionError("path", with_causes(error))
}

fn in_schema(error: &FormatError) -> OptionError {
    OptionError("schema", error.to_string())
}

/// A source in the making.
struct Making<'a> {
    read: &'a SourceOptions,
    inputs: Arc<dyn Inputs>,
    /// The same, to be followed.
    growing: Arc<dyn GrowingFiles>,
    first: Option<&'a Listed>,
}

impl Making<'_> {
    async fn source(self) -> Result<FilesSource, OptionError> {
        let (schema, reading) = self.reading().await?;
        let read = self.read;
        let (poll_interval, rotate_wait) = if self.growing.by_name() { (POLL_BY_NAME, REST_BY_NAME) } else { (POLL, ROTATE_WAIT) };
        let following = Following {
            poll_interval: read.poll_interval.map_or(poll_interval, |interval| interval.0),
            rotate_wait: read.rotate_wait.map_or(rotate_wait, |wait| wait.0),
            max_files: read.max_followed_files,
        };
        let followed = read.follow.then(|| Arc::new(Followed::new(self.growing.clone(), following)));
        let (inflating, max_row_bytes) = (self.inflating(), read.max_row_bytes.as_usize());
        Ok(FilesSource { inputs: self.inputs, schema, reading, inflating, max_row_bytes, followed, marks: OnceLock::new() })
    }

    fn inflating(&self) -> Inflating {
        let chosen = match self.read.compression {
            ReadCompression::Auto if !self.read.follow => Chosen::ByName,
            ReadCompression::Auto | ReadCompression::None => Chosen::Always(None),
            ReadCompression::Gzip => Chosen::Always(Some(Compression::Gzip)),
            ReadCompression::Zstd => Chosen::Always(Some(Compression::Zstd)),
        };
        Inflating { chosen, max_window: self.read.max_zstd_window }
    }

    async fn reading(&self) -> Result<(SchemaRef, Reading), OptionError> {
        let (read, max_row_bytes) = (self.read, self.read.max_row_bytes.as_usize());
        let schema = read.schema.as_ref().map(Columns::schema);
        let needed =
            || OptionError("format", format!("format {} needs a `schema`, such as schema = {{ user = \"text not null\" }}", read.format));
        match read.format {
            Format::Json => {
                let schema = schema.ok_or_else(needed)?;
                JsonDecoder::new(schema.clone(), max_row_bytes).map_err(|e| in_schema(&e))?;
                Ok((schema, Reading::Json))
            }
            Format::Csv => self.csv(schema.ok_or_else(needed)?).await,
            Format::Raw => {
                let schema = schema.unwrap_or_else(raw_schema);
                RawDecoder::new(schema.clone(), max_row_bytes).map_err(|e| in_schema(&e))?;
                Ok((schema, Reading::Raw))
            }
            Format::Avro => {
                self.with_own_schema(schema, Reading::Avro(AvroLimits { header: read.max_header_bytes, block: read.max_block_bytes })).await
            }
            Format::Parquet => {
                let limits =
                    ParquetLimits { footer: read.max_footer_bytes, row_group: read.max_row_group_bytes, page: read.max_page_bytes };
                self.with_own_schema(schema, Reading::Parquet(limits)).await
            }
        }
    }

    async fn csv(&self, schema: SchemaRef) -> Result<(SchemaRef, Reading), OptionError> {
        let (options, max_row_bytes) = (self.read.csv.clone().unwrap_or_default(), self.read.max_row_bytes.as_usize());
        let header = match (options.header, self.first) {
            (false, _) => None,
            (true, Some(first)) => {
                let file = open_file(&self.inputs, &first.name).await.map_err(|e| in_path(&e))?;
                let text = open_text(file, &first.name, self.inflating(), 0).await.map_err(|e| in_path(&e))?;
                header_of(text, &first.name, &options, max_row_bytes).await.map_err(|e| in_path(&e))?
            }
            (true, None) => None,
        };
        if options.header && header.is_none() && self.read.follow {
            let message = "csv with a header can be followed once a first file with the header is there; or write csv = { header = false }";
            return Err(OptionError("path", message.into()));
        }
        CsvDecoder::new(schema.clone(), &options, header.as_ref(), max_row_bytes).map_err(|e| in_schema(&e))?;
        Ok((schema, Reading::Csv { options, header }))
    }

    async fn with_own_schema(&self, schema: Option<SchemaRef>, reading: Reading) -> Result<(SchemaRef, Reading), OptionError> {
        if let Some(schema) = schema {
            return Ok((schema, reading));
        }
        let name = self.first.map(|first| first.name.clone()).unwrap_or_default();
        let schema = schema_of(&self.inputs, &name, &reading).await.map_err(|e| in_path(&e))?;
        Ok((schema.ok_or_else(|| OptionError("schema", "a schema is needed".into()))?, reading))
    }
}
