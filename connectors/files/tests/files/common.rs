//! What the tests of files share: folders, options, and looking at what was written.

use arrow_array::RecordBatch;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stygian_api::conformance::{AllTypes, all_types, read_all};
use stygian_api::{Connector, ConnectorContext, HdfsContext, Options, Problems, Sink, Source};
use stygian_core::StreamSchema;
use stygian_files::Files;

pub(crate) fn context(base: &Path) -> ConnectorContext {
    ConnectorContext { job: "job".into(), node: "node".into(), base: base.to_owned(), principal: None, hdfs: HdfsContext::default() }
}

pub(crate) async fn source(base: &Path, options: &str) -> Result<Arc<dyn Source>, Problems> {
    Files.source(&Options::of_text(options), &context(base)).await
}

pub(crate) async fn sink(base: &Path, options: &str, rows: &RecordBatch) -> Result<Arc<dyn Sink>, Problems> {
    Files.sink(&Options::of_text(options), &context(base), &StreamSchema::append(rows.schema())).await
}

/// Rows that every format can hold.
pub(crate) fn sample(rows: usize) -> RecordBatch {
    all_types(AllTypes { rows, seed: 3, binary: false, empty_texts: false })
}

/// A `schema` option for these rows.
pub(crate) fn schema_of(rows: &RecordBatch) -> String {
    let fields = rows
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let kind = stygian_core::ColumnType::of(field.data_type()).expect("a type");
            format!("\"{}\" = \"{kind}{}\"", field.name(), if field.is_nullable() { "" } else { " not null" })
        })
        .collect::<Vec<_>>();
    format!("schema = {{ {} }}", fields.join(", "))
}

/// All rows of the files in a folder, as anybody may see them.
pub(crate) async fn rows_in(base: &Path, format: &str, schema: &str) -> RecordBatch {
    let source = source(base, &format!("path = \".\"\nformat = \"{format}\"\n{schema}")).await.expect("a source");
    read_all(&*source).await.expect("read")
}

/// Every file below a folder, hidden ones too, by its path from there.
pub(crate) fn files_in(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(folder, &mut found);
    let mut names: Vec<String> = found.iter().map(|p| p.strip_prefix(folder).expect("below").display().to_string()).collect();
    names.sort();
    names
}

/// The rows of the files in a folder that have their final names; for tests with several threads, as this waits for the reading.
pub(crate) fn visible_in(folder: &Path, format: &str, schema: &str) -> Vec<RecordBatch> {
    let in_progress = |name: &String| name.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
    if files_in(folder).iter().all(in_progress) {
        return Vec::new();
    }
    let handle = tokio::runtime::Handle::current();
    vec![tokio::task::block_in_place(|| handle.block_on(rows_in(folder, format, schema)))]
}

/// An error with its causes.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", told(cause)),
        None => error.to_string(),
    }
}

pub(crate) fn put(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, bytes).expect("written");
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).and_then(|()| to.finish()).expect("written")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("written")
}
