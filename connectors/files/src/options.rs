//! What a pipeline file can say about files.

use schemars::JsonSchema;
use serde::Deserialize;
use stygian_core::{ByteSize, Span};
use stygian_formats::{AvroLimits, Columns, CsvOptions, Format, MAX_ROW_BYTES, MAX_ZSTD_WINDOW, ParquetLimits};

/// How the text files of a source are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReadCompression {
    /// As their names say: ".gz" is gzip, ".zst" is zstd, others are not compressed.
    #[default]
    Auto,
    /// Not at all, whatever their names say.
    None,
    /// All with gzip.
    Gzip,
    /// All with zstd.
    Zstd,
}

/// How the files of a sink are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WriteCompression {
    /// Not at all.
    None,
    /// Text with gzip; the files' names end with ".gz".
    Gzip,
    /// Text with zstd (the files' names end with ".zst"), the blocks of avro and the pages of parquet.
    Zstd,
    /// The blocks of avro, as every reader of Avro can read them.
    Deflate,
    /// The blocks of avro and the pages of parquet: faster and larger.
    Snappy,
}

impl WriteCompression {
    /// The name in a pipeline file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
        }
    }
}

/// Options of a source of kind `files`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct SourceOptions {
    /// A file, a folder (every file below it is read) or a glob such as "in/2026-*/**/*.jsonl"; relative to the pipeline file, or in HDFS, such as
    /// "hdfs://cluster/data/in". Files and
    /// folders whose names begin with "." or "_" are passed over. Files are read in the order of their names; unless they are
    /// followed, they must not change meanwhile. A job that goes on from a checkpoint refuses files that have changed since they were read
    /// (size, time or first bytes); it reads new ones, and does not miss those that were read to their end.
    pub path: String,
    /// How the files are written.
    pub format: Format,
    /// The columns with their types, such as { user = "text not null", at = "timestamp_utc" }. Needed for json and csv. For avro and parquet
    /// the default is all columns of the first file; for raw, which has one column of text or binary, it is { line = "text not null" }.
    pub schema: Option<Columns>,
    /// How CSV is written; only with format = "csv".
    pub csv: Option<CsvOptions>,
    /// How text files are compressed; avro and parquet compress inside and say so themselves. Default: "auto", as their names say.
    #[serde(default)]
    pub compression: ReadCompression,
    /// Whether files are followed: what they grow by is read as it comes, and so are new files that the path matches; the job then runs until
    /// it is stopped. A file that was renamed or deleted (rotated) is read until nothing has come for `rotate_wait`. One that was cut
    /// (logrotate's copytruncate) is read from its start again, and a warning says so: what was not read before is lost, so rather
    /// rotate by renaming. A last line waits for its end. Compressed files, and copies that a rotation makes, should not match the
    /// path; names that end with ".gz" or ".zst" are passed over. A job that goes on from a checkpoint finds the files again that it was
    /// reading, under any name below the folder, and refuses to go on if one is gone or was cut. For json, csv and raw. In HDFS a file is known by
    /// its name and its first bytes: one that is renamed comes again as a new one, one that is renamed or deleted before it was read fails the
    /// job, and one in the place of another that begins as that one did is taken for it; so give files there names that they keep. What
    /// is being written there is read block by block, the last one when the file is closed. Default: false.
    #[serde(default)]
    pub follow: bool,
    /// How often followed files, and the folder for new ones, are looked at. Default: "250ms"; in HDFS, where that asks the NameNode for the whole
    /// folder, "5s".
    pub poll_interval: Option<Span>,
    /// How long after its last growth a followed file that was renamed or deleted (or rests, in HDFS) is given up: as long as programs may take to
    /// notice the rotation. If it grows all the same, it is read on. Until it is given up it holds the watermark back, unless `idle_after` says
    /// otherwise; each time it is read on it is one entry more in checkpoints. Default: "5s"; in HDFS "1min".
    pub rotate_wait: Option<Span>,
    /// At most so many files are followed at once; one more ends the job. Each is an open file, but not in HDFS. Default: 512.
    #[serde(default = "max_followed_files")]
    #[schemars(range(min = 1))]
    pub max_followed_files: usize,
    /// A row (line, record) of more bytes is a bad row, and is passed over without being held in memory. Default: "16 MiB". Raise it if good
    /// rows are longer; every reader may then take up that much memory.
    #[serde(default = "max_row_bytes")]
    pub max_row_bytes: ByteSize,
    /// Whether symbolic links that lead out of the path's folder are read. Default: false. Set it if the folder is trusted and holds such links.
    #[serde(default)]
    pub follow_links: bool,
    /// The largest window of a zstd file: memory that decompressing it takes. Default: "8 MiB", which `zstd` up to level 19 stays within. Raise it
    /// for files compressed with `--long` or `--ultra`.
    #[serde(default = "max_zstd_window")]
    pub max_zstd_window: ByteSize,
    /// The largest header of an Avro file, which has the schema in it. Default: "1 MiB".
    #[serde(default = "max_header_bytes")]
    pub max_header_bytes: ByteSize,
    /// The largest block of an Avro file, compressed or not. Default: "64 MiB". A reader holds a block in memory.
    #[serde(default = "max_block_bytes")]
    pub max_block_bytes: ByteSize,
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
    /// The folder to write into, made if there is none; relative to the pipeline file, or in HDFS, such as "hdfs://cluster/data/out".
    pub path: String,
    /// How the files are written. Nulls are left out of json; csv has a header unless told otherwise; raw takes one column of text or binary,
    /// and a null is an empty line.
    pub format: Format,
    /// How the files are compressed. Default: json, csv and raw not at all, avro with deflate, parquet with zstd.
    pub compression: Option<WriteCompression>,
    /// How hard text is compressed: gzip takes 0 to 9 (default: 6), zstd 1 to 19 (default: 3). Higher is smaller and slower.
    pub compression_level: Option<u32>,
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
    /// Finished files below this size are small: they are not made visible with their checkpoint, but held back and merged with others of their folder
    /// into files of up to `roll_bytes`. At most `roll_bytes`. Default: none, nothing is merged. Set it, for example to "64 MiB", where
    /// checkpoints are frequent and readers, or HDFS's NameNode, suffer from many small files. Rows become visible later by
    /// `compact_delay`. Needs checkpoints, exactly-once.
    pub compact_below: Option<ByteSize>,
    /// A small file is held back for at most this long, until the first checkpoint after that; then it becomes visible as it is. Files are merged
    /// when half of it is over, or as soon as they fill a file. What was merged becomes visible with the second checkpoint after that, so
    /// make it several checkpoint intervals. At the end of a job, at a savepoint and at a restart nothing is held back. Default: "5m". Raise
    /// it for fewer files, lower it to see rows sooner.
    pub compact_delay: Option<Span>,
    /// At most this many files are open in each subtask; one more closes the one written longest ago. Default: 64. Raise it if rows of more
    /// partitions come mixed and files get too small; each open file takes memory (for parquet up to a row group of 32 MiB).
    #[serde(default = "max_open_partitions")]
    #[schemars(range(min = 1))]
    pub max_open_partitions: usize,
}

fn max_row_bytes() -> ByteSize {
    MAX_ROW_BYTES
}

fn max_zstd_window() -> ByteSize {
    MAX_ZSTD_WINDOW
}

fn max_header_bytes() -> ByteSize {
    AvroLimits::default().header
}

fn max_block_bytes() -> ByteSize {
    AvroLimits::default().block
}

fn max_followed_files() -> usize {
    512
}

fn max_footer_bytes() -> ByteSize {
    ParquetLimits::default().footer
}

fn max_row_group_bytes() -> ByteSize {
    ParquetLimits::default().row_group
}

fn max_page_bytes() -> ByteSize {
    ParquetLimits::default().page
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
