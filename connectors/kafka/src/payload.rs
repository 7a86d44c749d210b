//! What a source makes of payloads: the columns, and what decodes them.

use crate::avro::AvroSource;
use crate::client::OptionError;
use crate::options::{MessageFormat, SourceOptions};
use arrow_schema::SchemaRef;
use stygian_api::Decoder;
use stygian_formats::{AvroDecoder, Columns, CsvDecoder, CsvOptions, FormatError, JsonDecoder, RawDecoder, raw_schema};

/// The columns of payloads.
pub(crate) fn payload_schema(read: &SourceOptions, avro: Option<&AvroSource>) -> Result<SchemaRef, OptionError> {
    if let (None, Some(latest)) = (&read.schema, avro.and_then(|avro| avro.reader.as_ref())) {
        return Ok(latest.columns().clone());
    }
    match (&read.schema, read.format) {
        (Some(schema), _) => Ok(Columns::schema(schema)),
        (None, MessageFormat::Raw) => Ok(raw_schema()),
        (None, _) => Err(OptionError("format", "json and csv need a `schema`, such as schema = { user = \"text not null\" }".into())),
    }
}

/// The decoder of payloads.
pub(crate) fn payload_decoder(
    schema: SchemaRef,
    options: &SourceOptions,
    avro: Option<&AvroSource>,
) -> Result<Box<dyn Decoder>, FormatError> {
    let most = options.max_row_bytes.as_usize();
    if let Some(avro) = avro {
        return Ok(Box::new(AvroDecoder::new(schema, avro.reader.clone(), avro.schemas.clone(), most)));
    }
    Ok(match options.format {
        MessageFormat::Json => Box::new(JsonDecoder::new(schema, most)?),
        MessageFormat::Csv => {
            let csv = CsvOptions { header: false, ..options.csv.clone().unwrap_or_default() };
            Box::new(CsvDecoder::new(schema, &csv, None, most)?)
        }
        // Avro's was made above: there is none without its registry.
        MessageFormat::Raw | MessageFormat::Avro => Box::new(RawDecoder::new(schema, most)?),
    })
}
