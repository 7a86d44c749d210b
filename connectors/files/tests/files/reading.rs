//! Reading: formats, globs, links, long rows and files that change.

use crate::common::{put, rows_in, sample, schema_of, source, told};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use std::fs;
use stygian_api::conformance::{SourceCase, joined, read_all, source_keeps_its_word};
use stygian_api::{Encoder, Fetched, Source};
use stygian_core::{Offset, SplitId};
use stygian_formats::{AvroCodec, AvroWriter, CsvEncoder, CsvOptions, JsonEncoder, ParquetWriter, ParquetWriterOptions};

const USERS: &str = "format = \"json\"\nschema = { user = \"text not null\" }\n";

fn json(rows: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    JsonEncoder::new(&rows.schema()).expect("an encoder").encode(rows, &mut bytes).expect("encoded");
    bytes
}

fn csv(rows: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = CsvEncoder::new(rows.schema(), &CsvOptions::default()).expect("an encoder");
    encoder.header(&mut bytes).expect("a header");
    encoder.encode(rows, &mut bytes).expect("encoded");
    bytes
}

fn parquet(rows: &RecordBatch) -> Vec<u8> {
    let options = ParquetWriterOptions { row_group_rows: 5, ..ParquetWriterOptions::default() };
    let mut writer = ParquetWriter::new(Vec::new(), rows.schema(), options).expect("a writer");
    writer.write(rows).expect("written");
    writer.finish().expect("finished")
}

fn avro(rows: &RecordBatch) -> Vec<u8> {
    let mut writer = AvroWriter::new(Vec::new(), &rows.schema(), AvroCodec::Deflate).expect("a writer");
    writer.write(rows).expect("written");
    writer.finish().expect("finished")
}

/// The users in the order they are read.
async fn users(source: &dyn Source) -> Vec<String> {
    let rows = read_all(source).await.expect("read");
    rows.column(0).as_string::<i32>().iter().map(|user| user.expect("not null").to_owned()).collect()
}

fn user(name: &str) -> String {
    format!("{{\"user\":\"{name}\"}}\n")
}

#[tokio::test]
async fn keeps_its_word_in_every_format() {
    let rows = sample(23);
    let (one, two) = (rows.slice(0, 11), rows.slice(11, 12));
    let schema = schema_of(&rows);
    for (format, encode) in [("json", json as fn(&RecordBatch) -> Vec<u8>), ("csv", csv), ("avro", avro), ("parquet", parquet)] {
        let folder = tempfile::tempdir().expect("a folder");
        put(folder.path(), "in/b/2.data", encode(&one));
        put(folder.path(), "in/c.data", encode(&two));
        put(folder.path(), "in/empty.data", if ["avro", "parquet"].contains(&format) { encode(&rows.slice(0, 0)) } else { Vec::new() });
        let source = source(folder.path(), &format!("path = \"in\"\nformat = \"{format}\"\n{schema}")).await.expect("a source");
        let case = SourceCase { source: &*source, rows: &rows, bad: 0, knows_its_end: true };
        assert_eq!(source_keeps_its_word(case).await, Ok(()), "{format}");
    }
}

#[tokio::test]
async fn keeps_its_word_with_bad_rows_and_odd_line_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "\u{feff}{}\r\n\n  \nnonsense\n{}{{\"user\":\"{}\"}}\n{}{{}}{{}}\n{{\"user\":\"last\"}}",
        user("a").trim(),
        user("b"),
        "x".repeat(100),
        user("c")
    );
    put(folder.path(), "a.jsonl", text);
    let options = format!("path = \"a.jsonl\"\nmax_row_bytes = \"40 B\"\n{USERS}");
    let source = source(folder.path(), &options).await.expect("a source");
    let expected = ["a", "b", "c", "last"];
    assert_eq!(users(&*source).await, expected);
    let column: arrow_array::ArrayRef = std::sync::Arc::new(arrow_array::StringArray::from(expected.to_vec()));
    let rows = RecordBatch::try_new(source.schema(), vec![column]).expect("rows");
    assert_eq!(source_keeps_its_word(SourceCase { source: &*source, rows: &rows, bad: 3, knows_its_end: true }).await, Ok(()));
}

#[tokio::test]
async fn rows_longer_than_a_read_are_whole_and_overlong_ones_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let (long, overlong) = ("y".repeat(3 << 20), "z".repeat(70 << 20));
    put(folder.path(), "a.jsonl", [user("a"), user(&long), user(&overlong), user("b"), user(&overlong).trim().to_owned()].concat());
    let source = source(folder.path(), &format!("path = \"a.jsonl\"\nmax_row_bytes = \"4 MiB\"\n{USERS}")).await.expect("a source");
    let mut reader = source.open(&SplitId::new("a.jsonl"), Offset(0)).await.expect("a reader");
    let (mut lengths, mut at, mut waits) = (Vec::new(), Offset(0), 0);
    loop {
        match reader.fetch(100).await.expect("fetched") {
            Fetched::Messages { messages, next } => {
                lengths.extend(messages.ranges.iter().map(std::iter::ExactSizeIterator::len));
                at = next;
            }
            Fetched::End => break,
            Fetched::Nothing => waits += 1,
            _ => {}
        }
    }
    assert_eq!(lengths, [12, (3 << 20) + 11, (4 << 20) + 1, 12, (4 << 20) + 1]);
    assert_eq!(at.0, folder.path().join("a.jsonl").metadata().expect("a file").len());
    assert!(waits > 0, "an overlong row is passed over in steps");
    assert_eq!(users(&*source).await, ["a", long.as_str(), "b"]);
}

#[tokio::test]
async fn globs_and_folders_pass_over_hidden_names() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in [
        "in/2026-01/a.jsonl",
        "in/2026-01/deep/b.jsonl",
        "in/2026-02/c.jsonl",
        "in/2025-12/d.jsonl",
        "in/2026-01/.e.jsonl.inprogress",
        "in/_tmp/f.jsonl",
        "in/2026-01/_SUCCESS",
        "in/2026-01/g.csv",
    ] {
        put(folder.path(), name, user(name));
    }
    for (path, expected) in [
        ("in/2026-*/**/*.jsonl", vec!["in/2026-01/a.jsonl", "in/2026-01/deep/b.jsonl", "in/2026-02/c.jsonl"]),
        ("in/2026-01/*.{jsonl,csv}", vec!["in/2026-01/a.jsonl", "in/2026-01/g.csv"]),
        ("in/2026-01", vec!["in/2026-01/a.jsonl", "in/2026-01/deep/b.jsonl", "in/2026-01/g.csv"]),
        ("in/2025-12/d.jsonl", vec!["in/2025-12/d.jsonl"]),
    ] {
        let source = source(folder.path(), &format!("path = \"{path}\"\n{USERS}")).await.expect("a source");
        assert_eq!(users(&*source).await, expected, "{path}");
    }
}

#[tokio::test]
async fn links_out_of_the_folder_are_followed_only_when_told() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "outside/secret.jsonl", user("secret"));
    put(folder.path(), "in/a.jsonl", user("a"));
    std::os::unix::fs::symlink("../outside/secret.jsonl", folder.path().join("in/b.jsonl")).expect("a link");
    std::os::unix::fs::symlink("a.jsonl", folder.path().join("in/c.jsonl")).expect("a link");
    std::os::unix::fs::symlink("../outside", folder.path().join("in/d")).expect("a link");
    let strict = source(folder.path(), &format!("path = \"in\"\n{USERS}")).await.expect("a source");
    assert_eq!(users(&*strict).await, ["a", "a"]);
    for name in ["b.jsonl", "../outside/secret.jsonl", "d/secret.jsonl", "/etc/hostname"] {
        let error = strict.open(&SplitId::new(name), Offset(0)).await.err().expect("refused");
        assert!(told(&error).contains("it lies outside of "), "{name}: {}", told(&error));
    }
    let trusting = source(folder.path(), &format!("path = \"in\"\nfollow_links = true\n{USERS}")).await.expect("a source");
    assert_eq!(users(&*trusting).await, ["a", "secret", "a"]);
}

#[tokio::test]
async fn a_file_that_shrinks_or_vanishes_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    put(folder.path(), "a.jsonl", user("a").repeat(200_000));
    let source = source(folder.path(), &format!("path = \"a.jsonl\"\n{USERS}")).await.expect("a source");
    let split = SplitId::new("a.jsonl");
    let mut reader = source.open(&split, Offset(0)).await.expect("a reader");
    assert!(matches!(reader.fetch(usize::MAX).await, Ok(Fetched::Mark(_))));
    assert!(matches!(reader.fetch(usize::MAX).await, Ok(Fetched::Messages { .. })));
    fs::write(&path, user("a")).expect("written");
    let error = told(&reader.fetch(usize::MAX).await.expect_err("shrunk"));
    assert!(error.contains("a.jsonl: the file had 2600000 bytes and has 13 while it is being read; write new files"), "{error}");
    let error = told(&source.open(&split, Offset(14)).await.err().expect("shorter"));
    assert!(error.contains("a.jsonl: the file has 13 bytes, and reading was to go on at byte 14; put back"), "{error}");
    let mut reader = source.open(&split, Offset(0)).await.expect("a reader");
    assert!(matches!(reader.fetch(usize::MAX).await, Ok(Fetched::Mark(_))));
    fs::remove_file(&path).expect("removed");
    let error = told(&reader.fetch(usize::MAX).await.expect_err("gone"));
    assert!(error.starts_with("could not read ") && error.contains("a.jsonl"), "{error}");
    assert!(told(&source.open(&split, Offset(0)).await.err().expect("gone")).starts_with("could not read "));
    assert!(told(&source.splits().await.expect_err("gone")).contains("a.jsonl"));
}

#[tokio::test]
async fn what_is_appended_after_opening_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "a.jsonl", user("a"));
    let source = source(folder.path(), &format!("path = \"a.jsonl\"\n{USERS}")).await.expect("a source");
    let mut reader = source.open(&SplitId::new("a.jsonl"), Offset(0)).await.expect("a reader");
    put(folder.path(), "a.jsonl", user("a") + &user("b"));
    assert!(matches!(reader.fetch(9).await, Ok(Fetched::Mark(_))));
    assert!(matches!(reader.fetch(9).await, Ok(Fetched::Messages { next: Offset(13), .. })));
    assert!(matches!(reader.fetch(9).await, Ok(Fetched::End)));
}

#[tokio::test]
async fn csv_files_must_all_have_the_first_ones_header() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "in/a.csv", "\u{feff}id,user,x\n1,a,\n2,\"b\nb\",\n");
    put(folder.path(), "in/b.csv", "id,user,x\r\n3,c,\r\n");
    let options = "path = \"in\"\nformat = \"csv\"\nschema = { user = \"text not null\", id = \"int8\" }";
    let source = source(folder.path(), options).await.expect("a source");
    assert_eq!(users(&*source).await, ["a", "b\nb", "c"]);
    put(folder.path(), "in/b.csv", "user,id,x\nc,3,\n");
    let error = told(&source.open(&SplitId::new("b.csv"), Offset(0)).await.err().expect("another header"));
    assert!(error.ends_with("b.csv is not valid csv: the header is user, id, x; the first file's is id, user, x"), "{error}");
}

#[tokio::test]
async fn raw_files_give_every_line() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "in/a.log", "one\r\n\n  two\n");
    put(folder.path(), "in/b.log", "three");
    let raw = source(folder.path(), "path = \"in\"\nformat = \"raw\"").await.expect("a source");
    assert_eq!(users(&*raw).await, ["one", "", "  two", "three"]);
    let column: arrow_array::ArrayRef = std::sync::Arc::new(arrow_array::StringArray::from(vec!["one", "", "  two", "three"]));
    let rows = RecordBatch::try_new(raw.schema(), vec![column]).expect("rows");
    assert_eq!(source_keeps_its_word(SourceCase { source: &*raw, rows: &rows, bad: 0, knows_its_end: true }).await, Ok(()));
    let named = source(folder.path(), "path = \"in\"\nformat = \"raw\"\nschema = { message = \"binary\" }").await.expect("a source");
    assert_eq!(named.schema().field(0).name(), "message");
}

#[tokio::test]
async fn a_later_avro_file_of_another_schema_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = sample(3);
    put(folder.path(), "in/a.avro", avro(&rows));
    put(folder.path(), "in/b.avro", avro(&rows.project(&[0]).expect("a column")));
    let source = source(folder.path(), "path = \"in\"\nformat = \"avro\"\nschema = { text = \"text\" }").await.expect("a source");
    let error = told(&source.open(&SplitId::new("b.avro"), Offset(0)).await.err().expect("another schema"));
    assert!(error.ends_with("b.avro is not valid avro: the header has no column `text`; it has bool"), "{error}");
}

#[tokio::test]
async fn damaged_parquet_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = sample(8);
    put(folder.path(), "a.parquet", parquet(&rows));
    assert_eq!(joined(&rows.schema(), [&rows_in(folder.path(), "parquet", "").await]).expect("rows"), rows);
    let source = source(folder.path(), "path = \"a.parquet\"\nformat = \"parquet\"").await.expect("a source");
    put(folder.path(), "a.parquet", "text");
    let error = told(&source.open(&SplitId::new("a.parquet"), Offset(0)).await.err().expect("damaged"));
    assert!(error.ends_with("a.parquet is not valid parquet: 4 bytes are too few for a Parquet file"), "{error}");
}
