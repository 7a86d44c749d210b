//! Options that cannot work, each with its place and its message.

use crate::common::{sample, sink, source};
use std::fs;
use stygian_api::{Connector, Problem};
use stygian_files::Files;

/// The faulty text and the first problem; others may follow from it (a value that cannot be read is missing).
fn first(options: &str, problems: Option<stygian_api::Problems>) -> (String, Problem) {
    let problems = problems.expect("a problem").0;
    (options[problems[0].at.clone().expect("a place")].to_owned(), problems[0].clone())
}

#[tokio::test]
async fn a_source_says_what_is_wrong_and_where() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.csv"), "id,user\n1,a\n").expect("written");
    fs::create_dir(folder.path().join("empty")).expect("made");
    for (options, place, message) in [
        ("path = \"b.csv\"\nformat = \"csv\"\nschema = { id = \"int8\" }", "\"b.csv\"", "could not read "),
        ("path = \"empty\"\nformat = \"csv\"\nschema = { id = \"int8\" }", "\"empty\"", "no file matches `empty`"),
        ("path = \"*.txt\"\nformat = \"csv\"\nschema = { id = \"int8\" }", "\"*.txt\"", "no file matches `*.txt`"),
        ("path = \"[\"\nformat = \"csv\"\nschema = { id = \"int8\" }", "\"[\"", "error parsing glob"),
        ("path = \"a.csv\"\nformat = \"csv\"", "\"csv\"", "format csv needs a `schema`"),
        ("path = \"a.csv\"\nformat = \"json\"", "\"json\"", "format json needs a `schema`"),
        (
            "path = \"a.csv\"\nformat = \"csv\"\nschema = { x = \"int8\" }",
            "{ x = \"int8\" }",
            "the header has no column `x`; it has id, user",
        ),
        (
            "path = \"a.csv\"\nformat = \"csv\"\nschema = { id = \"binary\" }",
            "{ id = \"binary\" }",
            "column `id` is Binary, which csv cannot hold",
        ),
        ("path = \"a.csv\"\nformat = \"csv\"\nschema = { id = \"int9\" }", "{ id = \"int9\" }", "column `id`: `int9` is no column type"),
        (
            "path = \"a.csv\"\nformat = \"json\"\nschema = { id = \"int8\" }\ncsv = {}",
            "{}",
            "`csv` says how CSV is written, and the format is json",
        ),
        ("path = \"a.csv\"\nformat = \"parquet\"", "\"a.csv\"", ""),
        ("path = \"a.csv\"\nformat = \"avro\"", "\"a.csv\"", ""),
        (
            "path = \"a.csv\"\nformat = \"raw\"\nschema = { a = \"text\", b = \"text\" }",
            "{ a = \"text\", b = \"text\" }",
            "raw holds one column of text or binary, and there are 2",
        ),
        (
            "path = \"a.csv\"\nformat = \"avro\"\ncompression = \"gzip\"",
            "\"gzip\"",
            "`compression` is of text, and avro files say themselves how they are compressed",
        ),
        ("path = \"a.csv\"\nformat = \"raw\"\ncompression = \"bz2\"", "\"bz2\"", "unknown variant `bz2`"),
        (
            "path = \"a.csv\"\nformat = \"parquet\"\nfollow = true",
            "true",
            "parquet files are read when they are whole, and cannot be followed",
        ),
        ("path = \"a.csv\"\nformat = \"raw\"\nfollow = true\ncompression = \"zstd\"", "true", "compressed files cannot be followed"),
        ("path = \"a.csv\"\nformat = \"raw\"\nfollow = true\nmax_followed_files = 0", "0", "at least one file has to be followed"),
        (
            "path = \"b.csv\"\nformat = \"csv\"\nfollow = true\nschema = { id = \"int8\" }",
            "\"b.csv\"",
            "csv with a header can be followed once a first file with the header is there",
        ),
        ("path = \"a.csv\"\nformat = \"xml\"\nschema = { id = \"int8\" }", "\"xml\"", "unknown variant `xml`"),
        ("path = \"a.csv\"\nformat = \"csv\"\nscheme = {}\nschema = { id = \"int8\" }", "scheme", "unknown key `scheme`"),
    ] {
        let (found, problem) = first(options, source(folder.path(), options).await.err());
        assert_eq!(found, place, "{options}: {problem:?}");
        assert!(problem.message.starts_with(message), "{options}: {problem:?}");
    }
}

#[tokio::test]
async fn a_sink_says_what_is_wrong_and_where() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("written");
    let rows = sample(1).project(&[0, 26]).expect("two columns");
    assert_eq!(rows.schema().field(1).name(), "timestamp");
    for (options, place, message) in [
        ("path = \"file\"\nformat = \"csv\"", "\"file\"", "`"),
        ("path = \"o\"\nformat = \"csv\"\npartition_by = [\"x\"]", "[\"x\"]", "there is no column `x`; there are bool, timestamp"),
        (
            "path = \"o\"\nformat = \"csv\"\npartition_by = [\"bool\", \"timestamp\"]",
            "[\"bool\", \"timestamp\"]",
            "no column is left for the files",
        ),
        ("path = \"o\"\nformat = \"csv\"\npartition_by = [\"bool\", \"bool\"]", "[\"bool\", \"bool\"]", "there are two folders `bool=...`"),
        ("path = \"o\"\nformat = \"csv\"\npartition_day = \"bool\"", "\"bool\"", "column `bool` is Boolean, and has no day"),
        ("path = \"o\"\nformat = \"csv\"\npartition_day = \"day\"", "\"day\"", "there is no column `day`"),
        ("path = \"o\"\nformat = \"csv\"\nmax_open_partitions = 0", "0", "at least one file has to be open"),
        ("path = \"o\"\nformat = \"parquet\"\ncsv = {}", "{}", "`csv` says how CSV is written, and the format is parquet"),
        ("path = \"o\"\nformat = \"raw\"", "\"raw\"", "raw holds one column of text or binary, and there are 2"),
        (
            "path = \"o\"\nformat = \"json\"\ncompression = \"snappy\"",
            "\"snappy\"",
            "json cannot be compressed with snappy; it can be: none, gzip, zstd",
        ),
        ("path = \"o\"\nformat = \"parquet\"\ncompression = \"gzip\"", "\"gzip\"", "parquet cannot be compressed with gzip"),
        ("path = \"o\"\nformat = \"json\"\ncompression = \"gzip\"\ncompression_level = 10", "10", "gzip has the levels 0 to 9"),
        ("path = \"o\"\nformat = \"json\"\ncompression_level = 3", "3", "there is no level without gzip or zstd of text"),
        ("path = \"o\"\nformat = \"json\"\ncompact_delay = \"1m\"", "\"1m\"", "no file is held back without `compact_below`"),
        ("path = \"o\"\nformat = \"json\"\ncompact_below = \"0 B\"", "\"0 B\"", "no file is smaller than this"),
        (
            "path = \"o\"\nformat = \"json\"\ncompact_below = \"2 MiB\"\nroll_bytes = \"1 MiB\"",
            "\"2 MiB\"",
            "files of 2.0 MiB would always be small, as they are closed at `roll_bytes`, 1.0 MiB",
        ),
        ("path = \"o\"\nformat = \"json\"\ncompact_below = \"2 MiB\"\ncompact_delay = \"0s\"", "\"0s\"", "it must be longer than nothing"),
        ("path = \"o\"\nformat = \"csv\"\nroll_bytes = \"much\"", "\"much\"", "`much` is not a size"),
    ] {
        let (found, problem) = first(options, sink(folder.path(), options, &rows).await.err());
        assert_eq!(found, place, "{options}: {problem:?}");
        assert!(problem.message.starts_with(message), "{options}: {problem:?}");
    }
    assert!(!folder.path().join("o").exists(), "checking touches nothing");
}

#[test]
fn every_option_is_documented() {
    for schema in [Files.source_options(), Files.sink_options()] {
        let schema = schema.expect("options");
        let properties = schema.get("properties").and_then(|p| p.as_object()).expect("properties");
        for (name, property) in properties {
            assert!(property.get("description").is_some(), "{name}");
        }
    }
}
