//! The connector: options checked, sources and sinks made. Nothing is connected to yet.

use crate::avro::{AvroSink, AvroSource};
use crate::client::{Cluster, OptionError};
use crate::decoder;
use crate::message::Maker;
use crate::options::{MessageFormat, SinkOptions, SourceOptions};
use crate::payload::{payload_decoder, payload_schema};
use crate::queue::Wanted;
use crate::source::{self, KafkaSource};
use crate::start::{Start, Until, millis};
use crate::transactions::Transactions;
use crate::{sink, sink::KafkaSink};
use arrow_schema::{Schema, SchemaRef};
use async_trait::async_trait;
use std::ffi::CString;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use stygian_api::{Connector, ConnectorContext, Options, OptionsDoc, Problem, Problems, Sink, Source};
use stygian_core::StreamSchema;
use stygian_formats::CsvOptions;

/// The connector `kafka`, for one start of a job: its sinks on one cluster share their transactions.
#[derive(Default)]
pub struct Kafka {
    transactions: Mutex<Vec<Arc<Transactions>>>,
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kafka")
    }
}

impl Kafka {
    /// The transactions of the job on this cluster.
    fn transactions(&self, cluster: &Arc<Cluster>, job: &str) -> Arc<Transactions> {
        let mut all = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().find(|known| known.cluster.servers == cluster.servers) {
            return known.clone();
        }
        let new = Arc::new(Transactions::new(cluster.clone(), job.to_owned()));
        all.push(new.clone());
        new
    }
}

#[async_trait]
impl Connector for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn about(&self) -> &'static str {
        "Topics of Kafka, guarded by Kerberos, SCRAM or TLS or not: JSON, CSV, Avro or raw messages, exactly-once by transactions."
    }

    fn source_options(&self) -> Option<OptionsDoc> {
        Some(schemars::schema_for!(SourceOptions))
    }

    fn sink_options(&self) -> Option<OptionsDoc> {
        Some(schemars::schema_for!(SinkOptions))
    }

    async fn source(&self, options: &Options, context: &ConnectorContext) -> Result<Arc<dyn Source>, Problems> {
        let read: SourceOptions = options.read()?;
        let made = make_source(read, context).await.map_err(|error| error.at(options))?;
        Ok(Arc::new(source::Shared(Arc::new(made))))
    }

    async fn sink(&self, options: &Options, context: &ConnectorContext, schema: &StreamSchema) -> Result<Arc<dyn Sink>, Problems> {
        let read: SinkOptions = options.read()?;
        let at = |error: OptionError| -> Problem { error.at(options) };
        csv_only_for_csv(read.csv.as_ref(), read.format).map_err(at)?;
        topic_name(&read.topic).map_err(at)?;
        let schema = schema.columns().clone();
        let avro = AvroSink::new(&read, &context.base).map_err(at)?;
        Maker::new(&read, &schema, 0).map_err(|(key, message)| options.problem(key, message))?;
        let node = format!("sink `{}`", context.node);
        let cluster = Arc::new(Cluster::new(&read.bootstrap_servers, &read.security, context, node).map_err(at)?);
        let transactions = self.transactions(&cluster, &context.job);
        transactions.add(&read.topic, read.wishes(), read.topic_settings());
        Ok(Arc::new(sink::Shared(Arc::new(KafkaSink { cluster, options: read, avro, schema, transactions, own: Arc::default() }))))
    }
}

async fn make_source(read: SourceOptions, context: &ConnectorContext) -> Result<KafkaSource, OptionError> {
    csv_only_for_csv(read.csv.as_ref(), read.format)?;
    topic_name(&read.topic)?;
    if read.start == Start::Committed && read.group.is_none() {
        return Err(OptionError("start", "start = \"committed\" needs the `group` that has committed".into()));
    }
    if let Start::Timestamp(time) = &read.start {
        millis(time).map_err(|reason| OptionError("start", format!("`{time}` {reason}")))?;
    }
    if let Some(Until::Timestamp(time)) = &read.until {
        millis(time).map_err(|reason| OptionError("until", format!("`{time}` {reason}")))?;
    }
    for (option, offsets) in [("start", start_offsets(&read.start)), ("until", until_offsets(read.until.as_ref()))] {
        if let Some(wrong) = offsets.into_iter().flatten().find(|partition| partition.parse::<u32>().is_err()) {
            return Err(OptionError(option, format!("`{wrong}` is no partition's number")));
        }
    }
    let avro = AvroSource::new(&read, &context.base).await?;
    let payload = payload_schema(&read, avro.as_ref())?;
    payload_decoder(payload.clone(), &read, avro.as_ref()).map_err(|error| OptionError("schema", error.to_string()))?;
    let schema = with_beside(&payload, &read)?;
    let headers = read.beside.headers.keys().map(|name| CString::new(name.as_str()));
    let headers = headers.collect::<Result<Vec<_>, _>>().map_err(|_| OptionError("beside", "a header's name has no NUL in it".into()))?;
    let wanted = Wanted { any: schema.fields().len() > payload.fields().len(), headers };
    let cluster = Cluster::new(&read.bootstrap_servers, &read.security, context, format!("source `{}`", context.node))?;
    Ok(KafkaSource {
        cluster: Arc::new(cluster),
        beside: Arc::new(read.beside.clone()),
        options: read,
        avro,
        payload,
        schema,
        wanted,
        client: Mutex::new(None),
        first: OnceLock::new(),
        spans: OnceLock::new(),
    })
}

fn start_offsets(start: &Start) -> Option<Vec<&String>> {
    match start {
        Start::Offsets(offsets) => Some(offsets.keys().collect()),
        _ => None,
    }
}

fn until_offsets(until: Option<&Until>) -> Option<Vec<&String>> {
    match until {
        Some(Until::Offsets(offsets)) => Some(offsets.keys().collect()),
        _ => None,
    }
}

fn with_beside(payload: &SchemaRef, read: &SourceOptions) -> Result<SchemaRef, OptionError> {
    let mut fields: Vec<_> = payload.fields().iter().cloned().collect();
    for field in decoder::columns(&read.beside) {
        if fields.iter().any(|other| other.name() == field.name()) {
            return Err(OptionError("beside", format!("there are two columns named `{}`", field.name())));
        }
        fields.push(Arc::new(field));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn csv_only_for_csv(csv: Option<&CsvOptions>, format: MessageFormat) -> Result<(), OptionError> {
    if csv.is_some() && format != MessageFormat::Csv {
        return Err(OptionError("csv", "`csv` says how CSV is written, and the format is another".into()));
    }
    Ok(())
}

/// As Kafka has it: 1 to 249 letters, digits, dots, underscores and hyphens.
fn topic_name(topic: &str) -> Result<(), OptionError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.is_empty() || topic.len() > 249 || topic == "." || topic == ".." || !topic.chars().all(fine) {
        let message = format!(
            "`{}` is no name for a topic: 1 to 249 letters, digits, dots, underscores and hyphens",
            stygian_core::escape(topic, 64)
        );
        return Err(OptionError("topic", message));
    }
    Ok(())
}
