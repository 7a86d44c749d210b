//! Files that are read once, by a job that crashes: from any offset on in any format, and only while they are what they were.

use crate::common::{gzip, put, sample, schema_of, source, told, zstd};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use proptest::prelude::*;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use stygian_api::conformance::{ReadCheckpoint, ReadRun, ResumeCase, read_all, source_resumes};
use stygian_api::{Encoder, Mark, Source, SplitProgress};
use stygian_core::{Offset, SplitId};
use stygian_formats::{AvroCodec, AvroWriter, CsvEncoder, CsvOptions, JsonEncoder, ParquetWriter, ParquetWriterOptions};

type Encode = fn(&RecordBatch) -> Vec<u8>;
type Compress = fn(&[u8]) -> Vec<u8>;

fn json(rows: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    JsonEncoder::new(&rows.schema()).expect("an encoder").encode(rows, &mut bytes).expect("encoded");
    bytes
}

fn csv(rows: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = CsvEncoder::new(rows.schema(), &CsvOptions::default()).expect("an encoder");
    encoder.header(&mut bytes).and_then(|()| encoder.encode(rows, &mut bytes)).expect("encoded");
    bytes
}

/// Three rows a row group.
fn parquet(rows: &RecordBatch) -> Vec<u8> {
    let options = ParquetWriterOptions { row_group_rows: 3, ..ParquetWriterOptions::default() };
    let mut writer = ParquetWriter::new(Vec::new(), rows.schema(), options).expect("a writer");
    writer.write(rows).expect("written");
    writer.finish().expect("finished")
}

fn avro(rows: &RecordBatch) -> Vec<u8> {
    let mut writer = AvroWriter::new(Vec::new(), &rows.schema(), AvroCodec::Deflate).expect("a writer");
    writer.write(rows).expect("written");
    writer.finish().expect("finished")
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

const WAYS: [(&str, Encode, &str, Compress); 8] = [
    ("json", json, "jsonl", plain),
    ("json", json, "jsonl.gz", gzip),
    ("json", json, "jsonl.zst", zstd),
    ("csv", csv, "csv", plain),
    ("csv", csv, "csv.gz", gzip),
    ("csv", csv, "csv.zst", zstd),
    ("avro", avro, "avro", plain),
    ("parquet", parquet, "parquet", plain),
];

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_read_once_in_every_format(count in 1..40_usize, cut in 0..40_usize, seed: u64, crashes in 1..5_usize, at_once in 1..9_usize) {
        let rows = sample(count);
        let (first, schema) = (cut.min(count), schema_of(&rows));
        for (format, encode, ending, compress) in WAYS {
            let folder = tempfile::tempdir().expect("a folder");
            put(folder.path(), &format!("in/1.{ending}"), compress(&encode(&rows.slice(0, first))));
            put(folder.path(), &format!("in/2.{ending}"), compress(&encode(&rows.slice(first, count - first))));
            let options = format!("path = \"in\"\nformat = \"{format}\"\n{schema}");
            let make = async || source(folder.path(), &options).await.expect("a source");
            let case = ResumeCase { rows: &rows, bad: 0, seed, crashes, at_once };
            prop_assert_eq!(block_on(source_resumes(make, case)), Ok(()), "{}", ending);
        }
    }

    /// Lines of any length, and so much text that finding the place again goes by several pieces.
    #[test]
    fn every_line_is_read_once_from_large_texts(lengths in prop::collection::vec(0..90_000_usize, 1..40), seed: u64, at_once in 1..20_usize) {
        let lines: Vec<String> = lengths.iter().enumerate().map(|(n, length)| format!("{n}:{}", "x".repeat(*length))).collect();
        let text = lines.join("\n");
        for (ending, compress) in [("log", plain as Compress), ("log.gz", gzip), ("log.zst", zstd)] {
            let folder = tempfile::tempdir().expect("a folder");
            put(folder.path(), &format!("a.{ending}"), compress(text.as_bytes()));
            let options = format!("path = \"a.{ending}\"\nformat = \"raw\"\nmax_row_bytes = \"80000 B\"");
            let make = async || source(folder.path(), &options).await.expect("a source");
            let good: Vec<&str> = lines.iter().map(String::as_str).filter(|line| line.len() <= 80_000).collect();
            let found = block_on(async {
                let rows: arrow_array::ArrayRef = Arc::new(arrow_array::StringArray::from(good.clone()));
                let rows = RecordBatch::try_new(make().await.schema(), vec![rows]).expect("rows");
                let case = ResumeCase { rows: &rows, bad: lines.len() - good.len(), seed, crashes: 3, at_once };
                source_resumes(make, case).await.map_err(|told| told.chars().take(200).collect::<String>())
            });
            prop_assert_eq!(found, Ok(()), "{}", ending);
        }
    }
}

/// Options for files of users.
const USERS: &str = "path = \"in\"\nformat = \"json\"\nschema = { user = \"text not null\" }\n";

fn users(names: &[&str]) -> String {
    names.iter().map(|name| format!("{{\"user\":\"{name}\"}}\n")).collect()
}

async fn open(folder: &Path) -> Arc<dyn Source> {
    source(folder, USERS).await.expect("a source")
}

/// Reads `b.jsonl` for two rows, and `a.jsonl` to its end.
async fn checkpoint(folder: &Path) -> ReadCheckpoint {
    put(folder, "in/a.jsonl", users(&["1", "2"]));
    put(folder, "in/b.jsonl", users(&["3", "4", "5"]));
    let mut run = ReadRun::start(open(folder).await, None).await.expect("started");
    for _ in 0..3 {
        run.step(1, 1).await.expect("a mark, and two rows");
    }
    for _ in 0..3 {
        run.step(0, 10).await.expect("a mark, rows, and the end");
    }
    run.checkpoint()
}

/// What is read after a restart, or why it is not.
async fn rest(folder: &Path, from: &ReadCheckpoint) -> Result<Vec<String>, String> {
    let source = open(folder).await;
    let mut run = ReadRun::start(source.clone(), Some(from.clone())).await?;
    while run.open() > 0 {
        run.step(0, 10).await?;
    }
    let rows = run.checkpoint().rows(&*source, &[])?;
    let users = rows.column(0).as_string::<i32>().iter().map(|user| user.expect("not null").to_owned());
    let mut users: Vec<String> = users.collect();
    users.sort();
    Ok(users)
}

fn set_time(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("set");
}

#[tokio::test]
async fn what_was_read_is_not_read_again_and_what_is_new_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = checkpoint(folder.path()).await;
    assert_eq!(rest(folder.path(), &from).await, Ok(vec!["1".into(), "2".into(), "3".into(), "4".into(), "5".into()]));
    put(folder.path(), "in/0.jsonl", users(&["6"]));
    assert_eq!(rest(folder.path(), &from).await.expect("read").len(), 6);
    // Whoever has read a file may put it away.
    fs::remove_file(folder.path().join("in/a.jsonl")).expect("removed");
    assert_eq!(rest(folder.path(), &from).await.expect("read").len(), 6);
}

#[tokio::test]
async fn a_file_that_is_not_what_was_read_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = checkpoint(folder.path()).await;
    for name in ["in/a.jsonl", "in/b.jsonl"] {
        let path = folder.path().join(name);
        let (whole, time) = (fs::read(&path).expect("read"), path.metadata().and_then(|m| m.modified()).expect("a time"));
        let refused = async || rest(folder.path(), &from).await.expect_err("refused");
        let size = whole.len();
        for (bytes, expected) in [
            (whole[..size - 13].to_vec(), format!("the file had {size} bytes when it was read, and has {}; put back", size - 13)),
            ([&whole[..], b"{\"user\":\"6\"}\n"].concat(), format!("the file had {size} bytes when it was read, and has {}", size + 13)),
            (whole.clone(), "the file has been written since it was read: its time was ".into()),
        ] {
            fs::write(&path, bytes).expect("written");
            set_time(&path, time + Duration::from_micros(7));
            let error = refused().await;
            assert!(error.contains(name) && error.contains(&expected), "{error}");
        }
        fs::write(&path, &whole).expect("written");
        set_time(&path, time);
        rest(folder.path(), &from).await.expect("as it was");
    }
    let path = folder.path().join("in/b.jsonl");
    let time = path.metadata().and_then(|m| m.modified()).expect("a time");
    fs::write(&path, users(&["6", "7", "8"])).expect("written");
    set_time(&path, time);
    let error = rest(folder.path(), &from).await.expect_err("another file");
    assert!(error.contains("in/b.jsonl: the file does not begin as it did when it was read; put back"), "{error}");
    fs::remove_file(&path).expect("removed");
    let error = rest(folder.path(), &from).await.expect_err("gone");
    assert!(error.contains("in/b.jsonl: it was read up to offset 26, and is gone, or `path` does not mean it any more; put it"), "{error}");
}

#[tokio::test]
async fn a_mark_that_is_not_understood_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut progress = checkpoint(folder.path()).await.progress();
    for mark in [serde_json::json!({ "bytes": 1 }), serde_json::json!(7)] {
        progress[0].mark = Some(Mark(mark));
        let error = told(&open(folder.path()).await.restore(&progress).await.expect_err("nonsense"));
        assert!(error.starts_with("a.jsonl: what the checkpoint knows of this file is not understood: "), "{error}");
    }
    progress[0].mark = None;
    let source = open(folder.path()).await;
    source.restore(&progress).await.expect("restored");
    assert!(told(&source.restore(&progress).await.expect_err("again")).contains("it was restored already"));
}

#[tokio::test]
async fn a_file_that_was_not_read_yet_must_be_there_too() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "in/a.jsonl", users(&["1"]));
    let unread = |name: &str| SplitProgress { id: SplitId::new(name), next: Offset(0), ended: false, mark: None };
    let source = open(folder.path()).await;
    source.restore(&[unread("a.jsonl")]).await.expect("restored");
    assert_eq!(read_all(&*source).await.expect("read").num_rows(), 1);
    let error = told(&open(folder.path()).await.restore(&[unread("b.jsonl")]).await.expect_err("gone"));
    assert!(error.contains("in/b.jsonl: it was read up to offset 0, and is gone"), "{error}");
}
