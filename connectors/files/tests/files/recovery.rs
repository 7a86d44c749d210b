//! After a crash: renames are finished, leftovers deleted, and what others wrote is left alone.

use crate::common::{files_in, put, sample, schema_of, sink, told, visible_in};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stygian_api::conformance::{Damage, Outside, SinkCase, clean, sink_recovers};
use stygian_api::{Connector, ConnectorContext, HdfsContext, Options, Pending, Sink, SinkContext};
use stygian_core::{StreamSchema, SubtaskId};
use stygian_files::Files;

/// A sink's folder.
struct Folder(PathBuf);

impl Outside for Folder {
    fn damage(&self, pending: &Pending, damage: Damage) -> Option<Box<dyn FnOnce()>> {
        let path = |field: &str| self.0.join(pending.0[field].as_str().expect("a name"));
        let of_visible = matches!(damage, Damage::VisibleCut | Damage::VisibleChanged | Damage::PlaceTaken);
        let path = path(if of_visible { "to" } else { "from" });
        if damage == Damage::PlaceTaken {
            fs::write(&path, "mine").expect("written");
            return Some(Box::new(move || fs::remove_file(path).expect("removed")));
        }
        let whole = fs::read(&path).expect("read");
        let mut other = whole.clone();
        match damage {
            Damage::VisibleCut | Damage::UnfinishedCut => drop(other.pop()),
            // In the middle, which no format may notice.
            _ => other[whole.len() / 2] ^= 1,
        }
        if damage == Damage::Gone { fs::remove_file(&path) } else { fs::write(&path, other) }.expect("damaged");
        Some(Box::new(move || fs::write(path, whole).expect("mended")))
    }

    fn everything(&self) -> Vec<String> {
        files_in(&self.0).into_iter().map(|name| format!("{name}: {:?}", fs::read(self.0.join(&name)).expect("read"))).collect()
    }

    fn unfinished(&self) -> usize {
        files_in(&self.0).iter().filter(|name| name.ends_with(".inprogress")).count()
    }
}

/// A sink of another node.
async fn stranger(folder: &Path, options: &str, rows: &arrow_array::RecordBatch) -> Arc<dyn Sink> {
    let context = ConnectorContext {
        job: "job".into(),
        node: "stranger".into(),
        base: folder.to_owned(),
        principal: None,
        hdfs: HdfsContext::default(),
    };
    let sink = Files.sink(&Options::of_text(options), &context, &StreamSchema::append(rows.schema())).await;
    sink.expect("a sink")
}

#[tokio::test(flavor = "multi_thread")]
async fn recovers_in_every_format() {
    let rows = sample(9);
    let ways = [
        ("json", ""),
        ("json", "compression = \"gzip\""),
        ("csv", "compression = \"zstd\""),
        ("avro", ""),
        ("parquet", ""),
        ("json", "roll_bytes = \"1 B\""),
        ("json", "compact_below = \"1 MiB\""),
    ];
    for (format, more) in ways {
        let folder = tempfile::tempdir().expect("a folder");
        let options = format!("path = \"out\"\nformat = \"{format}\"\n{more}");
        let (sink, stranger) =
            (sink(folder.path(), &options, &rows).await.expect("a sink"), stranger(folder.path(), &options, &rows).await);
        let (out, schema) = (folder.path().join("out"), schema_of(&rows));
        let visible = || visible_in(&out, format, &schema);
        let case = SinkCase { sink: &*sink, rows: &rows, visible: &visible, rolls: false };
        assert_eq!(sink_recovers(case, &*stranger, &Folder(out.clone())).await, Ok(()), "{options}");
    }
}

async fn finish(sink: &dyn Sink, job: &str, attempt: &str) -> Vec<Pending> {
    let context = SinkContext { job: job.into(), subtask: SubtaskId(0), attempt: attempt.into(), transactional: false };
    let mut writer = sink.open(context).await.expect("a writer");
    writer.write(sample(9)).await.expect("written");
    writer.pre_commit().await.expect("finished")
}

#[tokio::test]
async fn cleaning_deletes_what_is_the_jobs_and_the_sinks_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = sink(folder.path(), "path = \"out\"\nformat = \"json\"\npartition_by = [\"bool\"]", &sample(1)).await.expect("a sink");
    let mut committer = sink.committer();
    assert_eq!(clean(&mut *committer, "job", &[]).await.expect("no folder yet"), 0);
    let kept = finish(&*sink, "job", "1").await;
    let lost = finish(&*sink, "job", "2").await;
    let out = folder.path().join("out");
    let ours = |name: &str| format!(".part-3-0-0.jsonl={name}.inprogress");
    put(&out, &ours("job=node"), "begun");
    put(&out, &format!("day=2026-01-01/bool=true/{}", ours("job=node")), "begun when there were other partitions");
    let strangers = [
        ours("job=node2"),
        ours("job2=node"),
        ours("xjob=node"),
        ours("x=job=node"),
        ".part-3-0-0.jsonl.inprogress".into(),
        "part-3-0-0.jsonl=job=node.inprogress".into(),
        ".other-3-0-0.jsonl=job=node.inprogress".into(),
        "part-3-0-0.jsonl".into(),
        format!("no partition/{}", ours("job=node")),
        format!("elsewhere/{}", ours("job=node")),
    ];
    strangers.iter().for_each(|name| put(&out, name, "not ours"));
    std::os::unix::fs::symlink("elsewhere", out.join("bool=link")).expect("a link");
    std::os::unix::fs::symlink("elsewhere", out.join(ours("link=job=node"))).expect("a link");

    assert_eq!(clean(&mut *committer, "job", &kept).await.expect("cleaned"), lost.len() + 2);
    assert_eq!(clean(&mut *sink.committer(), "job", &kept).await.expect("cleaned"), 0);
    for name in &strangers {
        assert!(out.join(name).exists(), "{name}");
    }
    committer.recover(&kept).await.expect("kept");
    let error = told(&committer.recover(&lost).await.expect_err("deleted"));
    assert!(error.contains("the finished file is gone"), "{error}");
}

/// An earlier run was suspended just before the rename, and goes on while this one looks around.
#[tokio::test]
async fn an_orphan_that_an_earlier_run_makes_visible_meanwhile_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = sink(folder.path(), "path = \"out\"\nformat = \"json\"", &sample(1)).await.expect("a sink");
    let lost = finish(&*sink, "job", "1").await;
    let mut committer = sink.committer();
    let orphans = committer.orphans("job", &[]).await.expect("found");
    assert_eq!(orphans.len(), lost.len());
    sink.committer().commit(&lost).await.expect("visible");
    let error = told(&committer.delete_orphans(orphans).await.expect_err("its rows are there"));
    assert!(error.contains("an earlier run, which went on meanwhile, has made it visible"), "{error}");
}

#[tokio::test]
async fn a_crash_between_any_two_renames_is_recovered_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = sample(9);
    let sink = sink(folder.path(), "path = \".\"\nformat = \"json\"\npartition_by = [\"bool\"]", &rows).await.expect("a sink");
    for renamed in 0..4_u32 {
        let pending = finish(&*sink, "job", &renamed.to_string()).await;
        assert_eq!(pending.len(), 2, "true and false");
        // Renames of different folders become durable in any order.
        for (_, pending) in pending.iter().enumerate().filter(|(at, _)| renamed >> at & 1 == 1) {
            let path = |field: &str| folder.path().join(pending.0[field].as_str().expect("a name"));
            fs::rename(path("from"), path("to")).expect("renamed");
        }
        sink.committer().recover(&pending).await.unwrap_or_else(|e| panic!("{renamed:b}: {}", told(&e)));
        let there = |pending: &Pending| folder.path().join(pending.0["to"].as_str().expect("a name")).exists();
        assert!(pending.iter().all(there), "{renamed:b}");
    }
    assert_eq!(files_in(folder.path()).len(), 8);
}

#[tokio::test]
async fn a_run_that_was_taken_for_dead_finds_its_file_gone_or_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = sink(folder.path(), "path = \".\"\nformat = \"json\"", &sample(1)).await.expect("a sink");
    for replaced in [false, true] {
        let context = SinkContext { job: "job".into(), subtask: SubtaskId(0), attempt: replaced.to_string(), transactional: false };
        let mut dead = sink.open(context).await.expect("a writer");
        dead.write(sample(2)).await.expect("written");
        let begun = files_in(folder.path());
        assert_eq!(clean(&mut *sink.committer(), "job", &[]).await.expect("cleaned"), 1);
        if replaced {
            put(folder.path(), &begun[0], "another");
        }
        let error = told(&dead.pre_commit().await.expect_err("gone"));
        let expected = if replaced { "somebody else wrote or replaced it meanwhile" } else { "could not write " };
        assert!(error.contains(expected), "{error}");
    }
}
