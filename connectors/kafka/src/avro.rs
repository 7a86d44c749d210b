//! What a source or a sink of Avro messages has besides others: its registry, its subject, its schema.

use crate::client::OptionError;
use crate::options::{MessageFormat, SinkOptions, SourceOptions};
use crate::registry::{Client, Registry};
use crate::registry_client::patiently;
use crate::schemas::Schemas;
use crate::source::blocking;
use arrow_schema::SchemaRef;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stygian_api::ConnectorError;
use stygian_formats::{AvroEncoder, WriterSchema};

/// How long the registry may be away when a pipeline is loaded.
const LOADING: Duration = Duration::from_secs(2);
/// And when a sink is opened; the job may be started again after that.
const OPENING: Duration = Duration::from_secs(10);

/// Of a source.
pub(crate) struct AvroSource {
    pub(crate) schemas: Arc<Schemas>,
    subject: String,
    /// What the columns were made of, where the pipeline does not name them.
    pub(crate) reader: Option<Arc<WriterSchema>>,
}

impl AvroSource {
    /// `None`: messages are something else. Asks the registry where the pipeline names no columns.
    pub(crate) async fn new(read: &SourceOptions, base: &Path) -> Result<Option<Self>, OptionError> {
        only_for_avro(read.format, read.registry.is_some(), "registry")?;
        only_for_avro(read.format, read.subject.is_some(), "subject")?;
        if read.format != MessageFormat::Avro {
            return Ok(None);
        }
        let schemas = Arc::new(Schemas::new(client(read.registry.as_ref(), base)?));
        let subject = subject(read.subject.as_ref(), &read.topic)?;
        let mut source = Self { schemas, subject, reader: None };
        if read.schema.is_none() {
            source.reader = Some(Arc::new(source.latest().await?));
        }
        Ok(Some(source))
    }

    async fn latest(&self) -> Result<WriterSchema, OptionError> {
        let (schemas, subject) = (self.schemas.clone(), self.subject.clone());
        let asked = blocking(move || {
            patiently(LOADING, || match schemas.client.latest(&subject)? {
                Some(registered) => schemas.read(&registered).map(Some),
                None => Ok(None),
            })
        });
        let why = |reason: String| {
            let hint = "name the columns with `schema` to do without";
            let subject = &self.subject;
            OptionError("registry", format!("the columns are to be those of the latest schema of subject `{subject}`: {reason}; {hint}"))
        };
        match asked.await {
            Ok(Some(Ok(schema))) if schema.columns().fields().is_empty() => Err(why("it has no fields".into())),
            Ok(Some(Ok(schema))) => Ok(schema),
            Ok(Some(Err(reason))) => Err(why(format!("it cannot be used: {reason}"))),
            Ok(None) => Err(why(format!("the registry at {} has no such subject", self.schemas.client.url))),
            Err(error) => Err(why(told(&error))),
        }
    }

    /// What `stygian doctor` tells.
    pub(crate) fn probe(&self) -> Result<String, ConnectorError> {
        probe(&self.schemas.client, &self.subject)
    }
}

/// Of a sink.
pub(crate) struct AvroSink {
    pub(crate) client: Client,
    subject: String,
    registers: bool,
    record: String,
    /// The schema's id, once it is known.
    id: Mutex<Option<u32>>,
}

impl AvroSink {
    /// `None`: messages are something else. Asks nothing.
    pub(crate) fn new(read: &SinkOptions, base: &Path) -> Result<Option<Self>, OptionError> {
        only_for_avro(read.format, read.registry.is_some(), "registry")?;
        only_for_avro(read.format, read.subject.is_some(), "subject")?;
        only_for_avro(read.format, read.register.is_some(), "register")?;
        only_for_avro(read.format, read.record.is_some(), "record")?;
        if read.format != MessageFormat::Avro {
            return Ok(None);
        }
        let client = client(read.registry.as_ref(), base)?;
        let (subject, record) = (subject(read.subject.as_ref(), &read.topic)?, record(read));
        Ok(Some(Self { client, subject, registers: read.register.unwrap_or(true), record, id: Mutex::default() }))
    }

    /// The id of the schema of such rows, which is registered if that is wanted. Blocks.
    pub(crate) fn id(&self, schema: &SchemaRef) -> Result<u32, ConnectorError> {
        let mut id = self.id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = *id {
            return Ok(id);
        }
        let refused = |reason: String, hint: &str| ConnectorError::refused(format!("subject `{}`", self.subject), reason, hint);
        let encoder =
            AvroEncoder::new(schema, &self.record, 0).map_err(|error| refused(error.to_string(), "look at the sink's options"))?;
        let found = match self.registers {
            true => patiently(OPENING, || self.client.register(&self.subject, encoder.schema()))?,
            false => patiently(OPENING, || self.client.look_up(&self.subject, encoder.schema()))?.ok_or_else(|| {
                let reason = format!("the registry at {} does not have this schema in it: {}", self.client.url, encoder.schema());
                refused(reason, "register it there, or let the sink do it with `register = true`")
            })?,
        };
        *id = Some(found);
        Ok(found)
    }

    /// What `stygian doctor` tells.
    pub(crate) fn probe(&self) -> Result<String, ConnectorError> {
        probe(&self.client, &self.subject)
    }
}

/// The record's name: as said, or the topic's.
pub(crate) fn record(read: &SinkOptions) -> String {
    if let Some(said) = &read.record {
        return said.clone();
    }
    let name: String = read.topic.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn only_for_avro(format: MessageFormat, is_given: bool, option: &'static str) -> Result<(), OptionError> {
    if is_given && format != MessageFormat::Avro {
        return Err(OptionError(option, format!("`{option}` is for messages in Avro, and the format is another")));
    }
    Ok(())
}

fn client(registry: Option<&Registry>, base: &Path) -> Result<Client, OptionError> {
    let missing = "avro needs the registry that its schemas are in, such as registry = { url = \"http://host:8081\" }";
    registry.ok_or_else(|| OptionError("format", missing.into()))?.client(base)
}

fn subject(said: Option<&String>, topic: &str) -> Result<String, OptionError> {
    match said {
        Some(said) if said.is_empty() || said.chars().any(char::is_control) => {
            Err(OptionError("subject", format!("`{}` is no subject's name", stygian_core::escape(said, 64))))
        }
        Some(said) => Ok(said.clone()),
        None => Ok(format!("{topic}-value")),
    }
}

fn probe(client: &Client, subject: &str) -> Result<String, ConnectorError> {
    let latest = patiently(LOADING, || client.latest(subject))?;
    Ok(match latest {
        None => format!("it answers; there is no subject `{subject}` yet"),
        Some(found) => {
            let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
            format!("it answers; the latest of subject `{subject}` is version {}, schema {}", number(found.version), number(found.id))
        }
    })
}

/// An error with its cause.
pub(crate) fn told(error: &ConnectorError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}
