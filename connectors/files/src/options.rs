//! What a pipeline file can say about files.

use schemars::JsonSchema;
use serde::Deserialize;
use stygian_core::{ByteSize, Span};
use stygian_formats::{Columns, CsvOptions, Format, MAX_ROW_BYTES};

/// Options of a source of kind `files`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct SourceOptions {
    /// A file, a folder (every file below it is read) or a glob such as "in/2026-*/**/*.jsonl"; relative to the pipeline file. Files and
    /// folders whose names begin with "." or "_" are passed over. Files are read in the order of their names; they must not change meanwhile.
    pub path: String,
    /// How the files are written.
    pub format: Format,
    /// The columns with their types, such as { user = "text not null", at = "timestamp_utc" }. Needed for json and csv; for parquet the
    /// default is all columns of the first file.
    pub schema: Option<Columns>,
    /// How CSV is written; only with format = "csv".
    pub csv: Option<CsvOptions>,
    /// A row (line, record) of more bytes is a bad row, and is passed over without being held in memory. Default: "16 MiB". Raise it if good
    /// rows are longer; every reader may then take up that much memory.
    #[serde(default = "max_row_bytes")]
    pub max_row_bytes: ByteSize,
    /// Whether symbolic links that lead out of the path's folder are read. Default: false. Set it if the folder is trusted and holds such links.
    #[serde(default)]
    pub follow_links: bool,
    /// The largest footer of a Parquet file. Default: "16 MiB". Raise it for files of very many row groups.
    #[serde(default = "max_footer_bytes")]
    pub max_footer_bytes: ByteSize,
    /// The largest row group of a Parquet file, compressed or not. Default: "1 GiB". A reader holds a compressed row group in memory.
    #[serde(default = "max_row_group_bytes")]
    pub max_row_group_bytes: ByteSize,
    /// The largest page of a Parquet file, decompressed. Default: "64 MiB". Raise it for files with very long values.
    #[serde(default = "max_page_bytes")]
    pub max_page_bytes: ByteSize,
}

/// Options of a sink of kind `files`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct SinkOptions {
    /// The folder to write into, made if there is none; relative to the pipeline file.
    pub path: String,
    /// How the files are written. Nulls are left out of json; csv has a header unless told otherwise; parquet is compressed with zstd.
    pub format: Format,
    /// How CSV is written; only with format = "csv".
    pub csv: Option<CsvOptions>,
    /// Columns by whose values rows are parted into folders such as "kind=click", in this order; the files do not hold these columns. Default:
    /// none. Choose columns of few values: every open folder is an open file.
    #[serde(default)]
    pub partition_by: Vec<String>,
    /// A timestamp or date column by whose day (in UTC) rows are parted into folders such as "day=2026-01-31", outside of those of
    /// `partition_by`; the files still hold the column. Default: none.
    pub partition_day: Option<String>,
    /// A file is closed at about this size. Default: "128 MiB". Smaller files are visible sooner, larger ones are read faster.
    #[serde(default = "roll_bytes")]
    pub roll_bytes: ByteSize,
    /// A file is closed this long after its first row. Default: "10m".
    #[serde(default = "roll_after")]
    pub roll_after: Span,
    /// At most this many files are open in each subtask; one more closes the one written longest ago. Default: 64. Raise it if rows of more
    /// partitions come mixed and files get too small; each open file takes memory (for parquet up to a row group of 32 MiB).
    #[serde(default = "max_open_partitions")]
    #[schemars(range(min = 1))]
    pub max_open_partitions: usize,
}

fn max_row_bytes() -> ByteSize {
    MAX_ROW_BYTES
}

fn max_footer_bytes() -> ByteSize {
    ByteSize::mib(16)
}

fn max_row_group_bytes() -> ByteSize {
    ByteSize::mib(1024)
}

fn max_page_bytes() -> ByteSize {
    ByteSize::mib(64)
}

fn roll_bytes() -> ByteSize {
    ByteSize::mib(128)
}

fn roll_after() -> Span {
    Span::secs(600)
}

fn max_open_partitions() -> usize {
    64
}
