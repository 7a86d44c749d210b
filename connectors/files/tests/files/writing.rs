//! Writing: partitions, rolling, commits, and disks that fail.

use crate::common::{files_in, rows_in, sample, schema_of, sink, told, visible_in};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use stygian_api::conformance::{SinkCase, row_texts, sink_keeps_its_word};
use stygian_api::{Pending, Sink, SinkContext, SinkWriter};
use stygian_core::{ColumnType, SubtaskId};

/// The checksum of no bytes.
const NO_BYTES: &str = "xxh3-128:99aa06d3014798d86001c324468d497f";

fn writer_context(subtask: u16) -> SinkContext {
    SinkContext { job: "job".into(), subtask: SubtaskId(subtask), attempt: "1".into(), transactional: false }
}

async fn writer(sink: &dyn Sink) -> Box<dyn SinkWriter> {
    sink.open(writer_context(0)).await.expect("a writer")
}

/// `kind` text, `at` timestamp_utc, `n` text.
fn events(rows: &[(Option<&str>, Option<i64>, &str)]) -> RecordBatch {
    let fields = [("kind", ColumnType::Text), ("at", ColumnType::TimestampUtc), ("n", ColumnType::Text)];
    let schema = Schema::new(fields.map(|(name, kind)| Field::new(name, kind.arrow(), true)).to_vec());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.1).collect::<arrow_array::TimestampMicrosecondArray>().with_timezone("UTC")),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<StringArray>()),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).expect("rows")
}

async fn commit(sink: &dyn Sink, pending: &[Pending]) -> Result<(), String> {
    sink.committer().commit(pending).await.map_err(|e| told(&e))
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).expect("a file")
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_its_word_in_every_format() {
    let rows = sample(9);
    let plain = ["json", "csv", "avro", "parquet"].map(|format| (format, ""));
    let compressed = [("json", "gzip"), ("csv", "zstd"), ("avro", "snappy"), ("avro", "none"), ("avro", "zstd"), ("parquet", "snappy")];
    for (format, compression) in plain.into_iter().chain(compressed) {
        for rolls in [false, true] {
            // Compressed text reaches the file when there is enough of it; what a file has not got does not make it roll.
            if rolls && ["gzip", "zstd"].contains(&compression) {
                continue;
            }
            let compression = if compression.is_empty() { String::new() } else { format!("compression = \"{compression}\"\n") };
            let folder = tempfile::tempdir().expect("a folder");
            let roll = if rolls { "roll_bytes = \"1 B\"" } else { "" };
            let sink = sink(folder.path(), &format!("path = \"deep/out\"\nformat = \"{format}\"\n{compression}{roll}"), &rows)
                .await
                .expect("a sink");
            let out = folder.path().join("deep/out");
            let schema = schema_of(&rows);
            let visible = || visible_in(&out, format, &schema);
            let case = SinkCase { sink: &*sink, rows: &rows, visible: &visible, rolls };
            assert_eq!(sink_keeps_its_word(case).await, Ok(()), "{format}, {compression}, rolls: {rolls}");
        }
    }
}

#[tokio::test]
async fn compressed_files_are_named_so_and_roll_by_what_is_in_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let noise: String = (0..20_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string()).collect();
    let rows = events(&[(Some("a"), None, &noise)]);
    for (format, compression, extension) in [("json", "gzip", "jsonl.gz"), ("csv", "zstd", "csv.zst"), ("raw", "gzip", "txt.gz")] {
        let rows = if format == "raw" { rows.project(&[2]).expect("a column") } else { rows.clone() };
        let options =
            format!("path = \"{compression}-{format}\"\nformat = \"{format}\"\ncompression = \"{compression}\"\nroll_bytes = \"1 B\"");
        let sink = sink(folder.path(), &options, &rows).await.expect("a sink");
        let mut writer = writer(&*sink).await;
        writer.write(rows.clone()).await.expect("written");
        let pending = writer.take_pending();
        assert_eq!(pending.len(), 1, "{options}");
        assert_eq!(pending[0].0["to"], format!("part-1-0-0.{extension}"));
        assert!(pending[0].0["length"].as_u64().is_some_and(|length| length < 250_000), "{pending:?}");
        commit(&*sink, &pending).await.expect("committed");
        let found = rows_in(&folder.path().join(format!("{compression}-{format}")), format, &schema_of(&rows)).await;
        assert_eq!(row_texts([&found]), row_texts([&rows]), "{options}");
    }
}

#[tokio::test]
async fn a_raw_sink_refuses_what_is_no_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = events(&[(None, None, "a\nb")]).project(&[2]).expect("a column");
    let sink = sink(folder.path(), "path = \"out\"\nformat = \"raw\"", &rows).await.expect("a sink");
    let error = told(&writer(&*sink).await.write(rows).await.expect_err("two lines"));
    assert!(error.contains("column `n` holds a line end in `a\\nb`"), "{error}");
}

#[tokio::test]
async fn names_tell_attempt_subtask_number_job_and_sink() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = events(&[(None, None, "1")]);
    let sink = sink(folder.path(), "path = \"out\"\nformat = \"json\"", &rows).await.expect("a sink");
    let mut writer = sink
        .open(SinkContext { job: "job".into(), subtask: SubtaskId(3), attempt: "a/../b".into(), transactional: false })
        .await
        .expect("a writer");
    writer.write(rows.clone()).await.expect("written");
    let out = folder.path().join("out");
    assert_eq!(files_in(&out), [".part-a%2F..%2Fb-3-0.jsonl=job=node.inprogress"]);
    let pending = writer.pre_commit().await.expect("finished");
    assert_eq!(
        serde_json::to_value(&pending).expect("JSON"),
        serde_json::json!([{
            "from": ".part-a%2F..%2Fb-3-0.jsonl=job=node.inprogress",
            "to": "part-a%2F..%2Fb-3-0.jsonl",
            "length": 10,
            "checksum": "xxh3-128:9ad18abc087113bbc77f89409b7c1fa6",
        }])
    );
    commit(&*sink, &pending).await.expect("committed");
    assert_eq!(files_in(&out), ["part-a%2F..%2Fb-3-0.jsonl"]);
    assert_eq!(read(&out, "part-a%2F..%2Fb-3-0.jsonl"), "{\"n\":\"1\"}\n");
}

#[tokio::test]
async fn rows_are_parted_into_folders_by_value_and_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let day = 86_400_000_000;
    let rows = events(&[
        (Some("click"), Some(0), "1"),
        (Some("a/b"), Some(day - 1), "2"),
        (Some("click"), Some(day), "3"),
        (Some("click"), Some(-1), "4"),
        (None, None, "5"),
        (Some(""), None, "6"),
        (Some(".."), Some(1), "7"),
        (Some("click"), Some(2), "8"),
    ]);
    let options = "path = \".\"\nformat = \"csv\"\npartition_by = [\"kind\"]\npartition_day = \"at\"\ncsv = { header = false }";
    let sink = sink(folder.path(), options, &rows).await.expect("a sink");
    let mut writer = writer(&*sink).await;
    writer.write(rows.slice(0, 5)).await.expect("written");
    writer.write(rows.slice(5, 3)).await.expect("written");
    commit(&*sink, &writer.pre_commit().await.expect("finished")).await.expect("committed");
    let mut found: Vec<(String, String)> = files_in(folder.path())
        .into_iter()
        .map(|name| {
            let text = read(folder.path(), &name);
            (name.rsplit_once('/').expect("a folder").0.to_owned(), text)
        })
        .collect();
    found.sort();
    let null = "__HIVE_DEFAULT_PARTITION__";
    let mut expected = [
        ("day=1970-01-01/kind=click".to_owned(), "1970-01-01T00:00:00Z,1\n1970-01-01T00:00:00.000002Z,8\n"),
        ("day=1970-01-01/kind=a%2Fb".to_owned(), "1970-01-01T23:59:59.999999Z,2\n"),
        ("day=1970-01-02/kind=click".to_owned(), "1970-01-02T00:00:00Z,3\n"),
        ("day=1969-12-31/kind=click".to_owned(), "1969-12-31T23:59:59.999999Z,4\n"),
        (format!("day={null}/kind={null}"), ",5\n,6\n"),
        ("day=1970-01-01/kind=%2E%2E".to_owned(), "1970-01-01T00:00:00.000001Z,7\n"),
    ];
    expected.sort();
    assert_eq!(found, expected.map(|(folder, text)| (folder, text.to_owned())));
}

#[tokio::test]
async fn too_many_partitions_close_the_one_written_longest_ago() {
    let folder = tempfile::tempdir().expect("a folder");
    let kinds = |kinds: &[&'static str]| events(&kinds.iter().map(|kind| (Some(*kind), None, "x")).collect::<Vec<_>>());
    let rows = kinds(&["a"]);
    let options = "path = \".\"\nformat = \"json\"\npartition_by = [\"kind\"]\nmax_open_partitions = 2";
    let sink = sink(folder.path(), options, &rows).await.expect("a sink");
    let mut writer = writer(&*sink).await;
    writer.write(kinds(&["a", "b"])).await.expect("written");
    writer.write(kinds(&["a"])).await.expect("written");
    assert_eq!(writer.take_pending(), []);
    writer.write(kinds(&["c"])).await.expect("written");
    let closed = writer.take_pending();
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].0["to"], "kind=b/part-1-0-1.jsonl");
    let rest = writer.pre_commit().await.expect("finished");
    assert_eq!(rest.iter().map(|p| p.0["to"].clone()).collect::<Vec<_>>(), ["kind=a/part-1-0-0.jsonl", "kind=c/part-1-0-2.jsonl"]);
}

#[tokio::test]
async fn files_roll_by_size_and_by_age() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = events(&[(Some("a"), None, "1")]);
    let by_size = sink(folder.path(), "path = \"s\"\nformat = \"json\"\nroll_bytes = \"40 B\"", &rows).await.expect("a sink");
    let mut writer_by_size = writer(&*by_size).await;
    let mut rolled = Vec::new();
    for _ in 0..5 {
        // 21 bytes each.
        writer_by_size.write(rows.clone()).await.expect("written");
        rolled.push(writer_by_size.take_pending().len());
    }
    assert_eq!(rolled, [0, 1, 0, 1, 0]);
    let by_age = sink(folder.path(), "path = \"t\"\nformat = \"json\"\nroll_after = \"0s\"", &rows).await.expect("a sink");
    let mut writer_by_age = writer(&*by_age).await;
    writer_by_age.write(rows.clone()).await.expect("written");
    assert_eq!(writer_by_age.take_pending(), []);
    writer_by_age.tick().await.expect("rolled");
    assert_eq!(writer_by_age.take_pending().len(), 1);
    let young = sink(folder.path(), "path = \"u\"\nformat = \"json\"", &rows).await.expect("a sink");
    let mut writer_young = writer(&*young).await;
    writer_young.write(rows).await.expect("written");
    writer_young.tick().await.expect("nothing to do");
    assert_eq!(writer_young.take_pending(), []);
}

#[tokio::test]
async fn a_commit_never_overwrites_and_never_passes_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = events(&[(Some("a"), None, "1")]);
    let sink = sink(folder.path(), "path = \".\"\nformat = \"json\"", &rows).await.expect("a sink");
    let mut writer = writer(&*sink).await;
    let mut finish = async || {
        writer.write(rows.clone()).await.expect("written");
        writer.pre_commit().await.expect("finished")
    };
    let [from, to] = [".part-1-0-0.jsonl=job=node.inprogress", "part-1-0-0.jsonl"].map(|name| folder.path().join(name));

    let taken = finish().await;
    fs::write(&to, "mine").expect("written");
    let error = commit(&*sink, &taken).await.expect_err("taken");
    assert!(error.contains("part-1-0-0.jsonl: there is a file of this name, and it is not ours; look for what moved"), "{error}");
    assert_eq!(fs::read_to_string(&to).expect("kept"), "mine");
    fs::remove_file(&from).expect("removed");
    let error = commit(&*sink, &taken).await.expect_err("another");
    assert!(error.contains("part-1-0-0.jsonl: it has 4 bytes instead of 21"), "{error}");
    fs::remove_file(&to).expect("removed");
    let error = commit(&*sink, &taken).await.expect_err("gone");
    assert!(error.contains(".part-1-0-0.jsonl=job=node.inprogress: the finished file is gone"), "{error}");

    let cut = finish().await;
    fs::write(folder.path().join(".part-1-0-1.jsonl=job=node.inprogress"), "cut").expect("written");
    let error = commit(&*sink, &cut).await.expect_err("cut");
    assert!(error.contains("it has 3 bytes instead of 21"), "{error}");

    let [first, second] = [finish().await, finish().await];
    fs::remove_file(folder.path().join(".part-1-0-3.jsonl=job=node.inprogress")).expect("removed");
    commit(&*sink, &[first, second].concat()).await.expect_err("the second is gone");
    assert!(folder.path().join("part-1-0-2.jsonl").exists(), "what was renamed stays");

    for name in ["../x", "/etc/x", "", "a/../../x", "."] {
        let pending = Pending(serde_json::json!({ "from": name, "to": "y", "length": 1, "checksum": NO_BYTES }));
        let error = commit(&*sink, &[pending]).await.expect_err("outside");
        assert!(error.contains("a pending file has the name `"), "{error}");
    }
    for (json, reason) in [
        (serde_json::json!({ "from": 1 }), "invalid type"),
        (serde_json::json!({ "from": "x", "to": "y", "length": 1 }), "missing field `checksum`"),
        (serde_json::json!({ "from": "x", "to": "y", "length": 1, "checksum": NO_BYTES, "owner": "me" }), "unknown field `owner`"),
        (serde_json::json!({ "from": "x", "to": "y", "length": 1, "checksum": "md5:00" }), "the checksum `md5:00` is not one that this"),
    ] {
        let error = commit(&*sink, &[Pending(json)]).await.expect_err("nonsense");
        assert!(error.contains("a pending file is not understood: ") && error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_disk_that_fails_is_named_and_what_was_renamed_stays() {
    let rows = events(&[(Some("a"), None, "1")]);
    let folder = tempfile::tempdir().expect("a folder");
    let open = async || sink(folder.path(), "path = \"out\"\nformat = \"json\"", &rows).await.expect("a sink");
    let out = folder.path().join("out");
    let sink = open().await;
    let mut first = writer(&*sink).await;
    first.write(rows.clone()).await.expect("written");
    commit(&*sink, &first.pre_commit().await.expect("finished")).await.expect("committed");
    first.write(rows.clone()).await.expect("written");

    // The folder is gone.
    let kept = folder.path().join("kept");
    fs::rename(&out, &kept).expect("moved");
    let error = told(&first.pre_commit().await.expect_err("gone"));
    assert!(error.starts_with("could not write ") && error.contains("out/.part-1-0-1.jsonl=job=node.inprogress: "), "{error}");
    assert!(kept.join("part-1-0-0.jsonl").exists());
    let error = told(&first.write(rows.clone()).await.expect_err("gone for good"));
    assert_eq!(error, "could not write files: an earlier write failed or was given up");

    // A file is where the folder should be.
    fs::write(&out, "").expect("written");
    let error = told(&sink.open(writer_context(0)).await.err().expect("no folder"));
    assert!(error.starts_with("could not create ") && error.contains("/out: "), "{error}");
    fs::remove_file(&out).expect("removed");

    // The folder may not be written to; root may write anywhere, so this shows only for others.
    let mut second = writer(&*sink).await;
    fs::set_permissions(&out, fs::Permissions::from_mode(0o500)).expect("set");
    if fs::write(out.join("probe"), "").is_err() {
        let error = told(&second.write(rows.clone()).await.expect_err("read-only"));
        assert!(error.starts_with("could not create ") && error.contains("/out/.part"), "{error}");
    }
    fs::set_permissions(&out, fs::Permissions::from_mode(0o700)).expect("set");
}

#[tokio::test]
async fn a_link_of_an_in_progress_name_is_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = events(&[(Some("a"), None, "1")]);
    std::os::unix::fs::symlink("/dev/full", folder.path().join(".part-1-0-0.jsonl=job=node.inprogress")).expect("a link");
    let sink = sink(folder.path(), "path = \".\"\nformat = \"json\"", &rows).await.expect("a sink");
    let error = told(&writer(&*sink).await.write(rows).await.expect_err("not followed"));
    assert!(error.starts_with("could not create ") && error.contains(".part-1-0-0.jsonl=job=node.inprogress: File exists"), "{error}");
}

#[tokio::test]
async fn files_of_earlier_attempts_are_left_alone_by_writers() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = sample(2);
    fs::write(folder.path().join(".part-0-0-0.jsonl=job=node.inprogress"), "old").expect("written");
    let sink = sink(folder.path(), "path = \".\"\nformat = \"json\"", &rows).await.expect("a sink");
    let mut writer = writer(&*sink).await;
    writer.write(rows.clone()).await.expect("written");
    commit(&*sink, &writer.pre_commit().await.expect("finished")).await.expect("committed");
    assert_eq!(files_in(folder.path()), [".part-0-0-0.jsonl=job=node.inprogress", "part-1-0-0.jsonl"]);
    assert_eq!(row_texts([&rows_in(folder.path(), "json", &schema_of(&rows)).await]), row_texts([&rows]));
}
