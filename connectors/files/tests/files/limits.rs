//! What a stranger's file may cost: every limit of a source is refused where it is passed, with the option that raises it.

use crate::common::{put, source, told, zstd};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use stygian_api::conformance::read_all;
use stygian_api::{Decoder, Fetched};
use stygian_core::Offset;
use stygian_formats::{AvroCodec, AvroWriter, ParquetWriter, ParquetWriterOptions};

/// What reading says when it fails, whether at the look at the first file or later.
async fn refusal(folder: &Path, options: &str) -> String {
    match source(folder, options).await {
        Err(problems) => problems.to_string(),
        Ok(source) => read_all(&*source).await.expect_err("a limit is passed"),
    }
}

fn long_row() -> RecordBatch {
    let texts: Vec<String> = (0..1000).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string().repeat(20)).collect();
    let column: ArrayRef = Arc::new(StringArray::from(texts));
    RecordBatch::try_from_iter([("x", column)]).expect("rows")
}

/// Reason and kept length of every bad row.
async fn bad_rows(folder: &Path, options: &str) -> Vec<(String, usize)> {
    let source = source(folder, options).await.expect("a source");
    let split = source.splits().await.expect("splits").remove(0);
    let mut reader = source.open(&split.id, Offset(0)).await.expect("a reader");
    let mut decoder: Box<dyn Decoder> = source.decoder().expect("a decoder");
    let mut bad = Vec::new();
    loop {
        match reader.fetch(100).await.expect("fetched") {
            Fetched::Messages { messages, .. } => {
                let found = decoder.decode(&messages).bad.into_iter().map(|row| (row.reason, messages.ranges[row.message].len()));
                bad.extend(found);
            }
            Fetched::End => return bad,
            _ => {}
        }
    }
}

#[tokio::test]
async fn max_row_bytes_cuts_a_long_line_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "a.log", format!("ok\n{}\nok\n", "x".repeat(17 << 20)));
    let bad = bad_rows(folder.path(), "path = \"a.log\"\nformat = \"raw\"").await;
    assert_eq!(bad, [("longer than `max_row_bytes` (16.0 MiB)".to_owned(), (16 << 20) + 1)], "the default");
    put(folder.path(), "a.log.zst", zstd(format!("ok\n{}\nok\n", "x".repeat(60)).as_bytes()));
    let bad = bad_rows(folder.path(), "path = \"a.log.zst\"\nformat = \"raw\"\nmax_row_bytes = \"50 B\"").await;
    assert_eq!(bad, [("longer than `max_row_bytes` (50 B)".to_owned(), 60)], "what was read anyway is not cut");
}

#[tokio::test]
async fn decompressed_bytes_of_a_batch_are_bounded_by_a_read() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "a.zst", zstd("ok\n".repeat(10 << 20).as_bytes()));
    let source = source(folder.path(), "path = \"a.zst\"\nformat = \"raw\"").await.expect("a source");
    let split = source.splits().await.expect("splits").remove(0);
    let mut reader = source.open(&split.id, Offset(0)).await.expect("a reader");
    let mut batches = 0;
    assert!(matches!(reader.fetch(usize::MAX).await, Ok(Fetched::Mark(_))));
    while let Fetched::Messages { messages, .. } = reader.fetch(usize::MAX).await.expect("fetched") {
        assert!(messages.buffer.len() <= 1 << 20, "{} bytes at once", messages.buffer.len());
        batches += 1;
    }
    assert!(batches >= 30, "{batches} batches");
}

#[tokio::test]
async fn json_may_be_nested_64_deep() {
    let folder = tempfile::tempdir().expect("a folder");
    let nested = |depth: usize| format!("{{\"user\":\"a\",\"x\":{}{}}}\n", "[".repeat(depth - 1), "]".repeat(depth - 1));
    put(folder.path(), "a.jsonl", nested(64) + &nested(65));
    let bad = bad_rows(folder.path(), "path = \"a.jsonl\"\nformat = \"json\"\nschema = { user = \"text\" }").await;
    assert_eq!(bad.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["nested more than 64 deep"]);
}

#[tokio::test]
async fn max_zstd_window_is_asked_for_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut to = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    to.window_log(24).expect("set");
    to.write_all(b"ok\n").expect("written");
    put(folder.path(), "a.zst", to.finish().expect("finished"));
    let refused = refusal(folder.path(), "path = \"a.zst\"\nformat = \"raw\"").await;
    assert!(refused.contains("it needs a window of more than 8.0 MiB; raise `max_zstd_window`"), "{refused}");
    let raised = source(folder.path(), "path = \"a.zst\"\nformat = \"raw\"\nmax_zstd_window = \"16 MiB\"").await.expect("a source");
    assert_eq!(read_all(&*raised).await.expect("read").num_rows(), 1);
}

#[tokio::test]
async fn avro_and_parquet_parts_are_measured_before_they_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = long_row();
    let mut writer = AvroWriter::new(Vec::new(), &rows.schema(), AvroCodec::Zstd).expect("a writer");
    writer.write(&rows).expect("written");
    put(folder.path(), "a.avro", writer.finish().expect("finished"));
    let mut writer = ParquetWriter::new(Vec::new(), rows.schema(), ParquetWriterOptions::default()).expect("a writer");
    writer.write(&rows).expect("written");
    put(folder.path(), "a.parquet", writer.finish().expect("finished"));
    for (format, option, part) in [
        ("avro", "max_header_bytes", "the header takes "),
        ("avro", "max_block_bytes", "the block at byte "),
        ("parquet", "max_footer_bytes", "the footer takes "),
        ("parquet", "max_row_group_bytes", "row group 0 takes "),
        ("parquet", "max_page_bytes", "a page takes "),
    ] {
        let options = format!("path = \"a.{format}\"\nformat = \"{format}\"\n{option} = \"40 B\"");
        let refused = refusal(folder.path(), &options).await;
        assert!(refused.contains(part) && refused.contains(&format!("raise `{option}`")), "{option}: {refused}");
    }
}

#[tokio::test]
async fn max_followed_files_ends_the_job_that_would_follow_more() {
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..3 {
        put(folder.path(), &format!("in/{n}.log"), "ok\n");
    }
    let options = "path = \"in\"\nformat = \"raw\"\nfollow = true\nmax_followed_files = 2";
    let error = told(&source(folder.path(), options).await.expect("a source").splits().await.expect_err("three"));
    assert!(
        error.contains("in: 3 files are to be followed, more than 2; choose a path") && error.contains("`max_followed_files`"),
        "{error}"
    );
}
