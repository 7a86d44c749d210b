//! The `format` option of sources and sinks.

use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use stygian_core::ByteSize;

/// The default of `max_row_bytes`: a longer message is a bad row and is never held in memory as a whole.
pub const MAX_ROW_BYTES: ByteSize = ByteSize::mib(16);

/// How rows are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line. Keys that are no columns are passed over, missing keys are nulls.
    Json,
    /// One record a line, fields separated by a comma or another character, quoted where they need it.
    Csv,
    /// Every line is a row of one column of text or binary.
    Raw,
    /// Apache Avro object container files: rows in compressed blocks; has its schema in the file.
    Avro,
    /// Apache Parquet: columns in compressed row groups; has its schema in the file.
    Parquet,
}

impl Format {
    /// The ending of files of this format, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "jsonl",
            Self::Csv => "csv",
            Self::Raw => "txt",
            Self::Avro => "avro",
            Self::Parquet => "parquet",
        }
    }

    /// Whether files are text, which is cut into lines or records and can be compressed as a whole.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Json | Self::Csv | Self::Raw)
    }

    /// The name in a pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Raw => "raw",
            Self::Avro => "avro",
            Self::Parquet => "parquet",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
