//! Small files are held back and merged, and whatever happens on the way every row is there once.

use crate::common::{files_in, rows_in, sample, schema_of, sink, told};
use arrow_array::RecordBatch;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};
use stygian_api::conformance::clean;
use stygian_api::{Committer, Merged, Pending, Sink, SinkContext};
use stygian_core::SubtaskId;

const PARTS: usize = 5;

/// A sink that holds small files back, and the same rows written by one that does not.
struct Place {
    folder: tempfile::TempDir,
    sink: Arc<dyn Sink>,
    format: String,
    schema: String,
    expected: RecordBatch,
}

impl Place {
    async fn new(format: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = sample(9);
        let options = |path: &str| format!("path = \"{path}\"\nformat = \"{format}\"\n{more}");
        let plain = sink(folder.path(), &options("plain"), &rows).await.expect("a sink");
        plain.committer().commit(&write(&*plain).await).await.expect("visible");
        let schema = schema_of(&rows);
        let expected = rows_in(&folder.path().join("plain"), format, &schema).await;
        assert_eq!(expected.num_rows(), 9 * PARTS);
        let options = format!("{}\ncompact_below = \"1 MiB\"\ncompact_delay = \"1h\"", options("out"));
        let sink = sink(folder.path(), &options, &rows).await.expect("a sink");
        Self { folder, sink, format: format.to_owned(), schema, expected }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Parts that have waited for so long.
    async fn parts(&self, minutes: i64) -> Vec<Pending> {
        let mut parts = write(&*self.sink).await;
        let now = i64::try_from(UNIX_EPOCH.elapsed().expect("a clock").as_micros()).expect("fits");
        for part in &mut parts {
            let since = part.0["held_since"].as_i64().expect("small");
            assert!((since - now).abs() < 3_600_000_000, "{since}");
            part.0["held_since"] = (now - minutes * 60_000_000).into();
        }
        parts
    }

    /// What is visible is what was written, each row once and in order; as one file, or as it was.
    async fn is_as_written(&self, merged: bool) {
        let found = rows_in(&self.out(), &self.format, &self.schema).await;
        assert_eq!(found, self.expected, "{}", self.format);
        assert_eq!(self.visible().iter().filter(|name| name.contains("-m.")).count(), usize::from(merged));
        assert_eq!(self.visible().len(), if merged { 1 } else { PARTS }, "{:?}", self.visible());
    }

    fn visible(&self) -> Vec<String> {
        files_in(&self.out()).into_iter().filter(|name| !hidden(name)).collect()
    }

    fn hidden(&self) -> Vec<String> {
        files_in(&self.out()).into_iter().filter(|name| hidden(name)).collect()
    }

    fn path(&self, name: &serde_json::Value) -> PathBuf {
        self.out().join(name.as_str().expect("a name"))
    }

    /// What a run does that starts when nobody else is at work any more.
    async fn recover(&self, pending: &[Pending]) -> Result<usize, String> {
        let mut committer = self.sink.committer();
        committer.check(pending).await.map_err(|error| told(&error))?;
        committer.recover(pending).await.map_err(|error| told(&error))?;
        clean(&mut *committer, "job", pending).await.map_err(|error| told(&error))
    }
}

fn hidden(name: &str) -> bool {
    Path::new(name).file_name().expect("a name").to_str().expect("text").starts_with('.')
}

/// Five files, one a checkpoint.
async fn write(sink: &dyn Sink) -> Vec<Pending> {
    let context = SinkContext { job: "job".into(), subtask: SubtaskId(0), attempt: "1".into(), transactional: false };
    let mut writer = sink.open(context).await.expect("a writer");
    let mut pending = Vec::new();
    for _ in 0..PARTS {
        writer.write(sample(9)).await.expect("written");
        pending.extend(writer.pre_commit().await.expect("finished"));
    }
    assert_eq!(pending.len(), PARTS);
    pending
}

/// Waits for a merge, a minute at most.
async fn merged(committer: &mut dyn Committer) -> Merged {
    let began = Instant::now();
    loop {
        let mut merged = committer.take_merged();
        if let Some(one) = merged.pop() {
            assert_eq!(merged, []);
            return one;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is merged");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const FORMATS: [(&str, &str); 10] = [
    ("json", ""),
    ("json", "compression = \"gzip\""),
    ("json", "compression = \"zstd\""),
    ("csv", ""),
    ("csv", "csv = { header = false }"),
    ("csv", "compression = \"gzip\""),
    ("avro", ""),
    ("avro", "compression = \"zstd\""),
    ("parquet", ""),
    ("parquet", "compression = \"snappy\""),
];

#[tokio::test]
async fn files_of_every_format_are_merged_in_order() {
    for (format, more) in FORMATS {
        let place = Place::new(format, &more.replace("csv = { header = false }", "")).await;
        let parts = place.parts(31).await;
        let mut committer = place.sink.committer();
        assert_eq!(committer.commit_or_hold(&parts).await.expect("held"), parts, "{format} {more}");
        let Merged { parts: taken, into } = merged(&mut *committer).await;
        assert_eq!(taken, parts);
        // The first checkpoint that names it leaves everything as it is; the one behind it makes it visible.
        assert_eq!(committer.commit_or_hold(std::slice::from_ref(&into)).await.expect("held"), [into]);
        assert_eq!((place.visible().len(), place.hidden().len()), (0, PARTS + 1));
        assert_eq!(committer.commit_or_hold(&[]).await.expect("visible"), []);
        place.is_as_written(true).await;
        assert_eq!(place.hidden(), [""; 0], "{format} {more}");
    }
}

#[tokio::test]
async fn lines_and_csv_without_a_header_are_merged_byte_for_byte() {
    for more in ["compression = \"none\"", "csv = { header = false }"] {
        let folder = tempfile::tempdir().expect("a folder");
        let format = if more.starts_with("csv") { "csv" } else { "json" };
        let options = format!("path = \"out\"\nformat = \"{format}\"\n{more}\ncompact_below = \"1 MiB\"\ncompact_delay = \"1h\"");
        let sink = sink(folder.path(), &options, &sample(9)).await.expect("a sink");
        let mut parts = write(&*sink).await;
        let bytes = |name: &serde_json::Value| fs::read(folder.path().join("out").join(name.as_str().expect("a name"))).expect("read");
        let expected = parts.iter().map(|part| bytes(&part.0["from"])).collect::<Vec<_>>().concat();
        parts.iter_mut().for_each(|part| part.0["held_since"] = (part.0["held_since"].as_i64().expect("small") - 1_900_000_000).into());
        let mut committer = sink.committer();
        committer.commit_or_hold(&parts).await.expect("held");
        assert_eq!(bytes(&merged(&mut *committer).await.into.0["from"]), expected);
    }
}

/// A crash after each step of a merge, and what the next run makes of what it finds.
#[tokio::test]
async fn a_crash_at_any_step_loses_and_doubles_nothing() {
    for step in 0..6 {
        let place = Place::new("json", "").await;
        let parts = place.parts(31).await;
        let mut committer = place.sink.committer();
        committer.commit_or_hold(&parts).await.expect("held");
        let Merged { into, .. } = merged(&mut *committer).await;
        drop(committer);
        let remove = |part: &Pending| fs::remove_file(place.path(&part.0["from"])).expect("removed");
        let (named, whole) = match step {
            // It is merged, and no checkpoint says so.
            0 => (&parts[..], true),
            // A checkpoint names it; the parts are there, some of them, none of them.
            1 => (std::slice::from_ref(&into), true),
            2 => {
                remove(&parts[1]);
                (std::slice::from_ref(&into), true)
            }
            3 => {
                parts.iter().for_each(remove);
                (std::slice::from_ref(&into), true)
            }
            4 => {
                parts.iter().for_each(remove);
                fs::rename(place.path(&into.0["from"]), place.path(&into.0["to"])).expect("renamed");
                (std::slice::from_ref(&into), true)
            }
            // What was written of it is not whole, and no checkpoint names it.
            _ => {
                fs::write(place.path(&into.0["from"]), "{").expect("cut");
                (&parts[..], false)
            }
        };
        for again in [false, true] {
            let deleted = place.recover(named).await.unwrap_or_else(|error| panic!("step {step}, again: {again}: {error}"));
            assert_eq!(deleted, usize::from(!again && matches!(step, 0 | 5)), "step {step}");
            place.is_as_written((1..5).contains(&step)).await;
            assert_eq!(place.hidden(), [""; 0], "step {step}, whole: {whole}");
        }
    }
}

#[tokio::test]
async fn a_checkpoint_from_before_a_merge_is_gone_on_from_or_refused() {
    for (removed, visible) in [(0, false), (1, false), (PARTS, false), (PARTS, true)] {
        let place = Place::new("csv", "").await;
        let parts = place.parts(31).await;
        let mut committer = place.sink.committer();
        committer.commit_or_hold(&parts).await.expect("held");
        let Merged { into, .. } = merged(&mut *committer).await;
        // As they are when a checkpoint was committed that names the merged file, and the run was killed then.
        parts.iter().take(removed).for_each(|part| fs::remove_file(place.path(&part.0["from"])).expect("removed"));
        if visible {
            fs::rename(place.path(&into.0["from"]), place.path(&into.0["to"])).expect("renamed");
        }
        let before = files_in(&place.out());
        let recovered = place.recover(&parts).await;
        if removed == 0 {
            assert_eq!(recovered, Ok(1), "the merged file is not needed");
            place.is_as_written(false).await;
            continue;
        }
        let error = recovered.expect_err("some are gone");
        assert!(error.contains("a later checkpoint may have merged it") && error.contains("go on from a later checkpoint"), "{error}");
        assert_eq!(files_in(&place.out()), before, "nothing was touched");
        place.recover(&[into]).await.expect("the later checkpoint holds");
        place.is_as_written(true).await;
    }
}

/// As after a checkpoint from before the merge was gone on from, and the one after it is asked for then.
#[tokio::test]
async fn a_merged_file_is_refused_beside_its_parts() {
    let place = Place::new("json", "").await;
    let (parts, mut committer) = (place.parts(31).await, place.sink.committer());
    committer.commit_or_hold(&parts).await.expect("held");
    let Merged { parts, into } = merged(&mut *committer).await;
    let part = &parts[1].0;
    fs::rename(place.path(&part["from"]), place.path(&part["to"])).expect("renamed");
    let before = files_in(&place.out());
    let error = place.recover(std::slice::from_ref(&into)).await.expect_err("its rows are there");
    assert!(error.contains(part["to"].as_str().expect("a name")) && error.contains("would be there twice"), "{error}");
    assert_eq!(files_in(&place.out()), before, "nothing was touched");
}

#[tokio::test]
async fn what_is_too_old_becomes_visible_as_it_is() {
    let place = Place::new("json", "").await;
    let (old, mut committer) = (place.parts(61).await, place.sink.committer());
    assert_eq!(committer.commit_or_hold(&old).await.expect("visible"), []);
    place.is_as_written(false).await;
}

#[tokio::test]
async fn nothing_is_held_where_all_has_to_be_visible() {
    for minutes in [1, 31] {
        let place = Place::new("json", "compression = \"gzip\"").await;
        let (parts, mut committer) = (place.parts(minutes).await, place.sink.committer());
        let (first, rest) = parts.split_at(3);
        assert_eq!(committer.commit_or_hold(first).await.expect("held"), first);
        assert_eq!(place.visible(), [""; 0]);
        // Whether a merge is under way, done, or was not begun.
        committer.commit(rest).await.expect("visible");
        place.is_as_written(false).await;
        assert_eq!(place.hidden(), [""; 0]);
        assert_eq!(committer.take_merged(), []);
    }
}

#[tokio::test]
async fn a_part_that_is_damaged_is_merged_with_nothing() {
    let place = Place::new("json", "").await;
    let (parts, mut committer) = (place.parts(31).await, place.sink.committer());
    let path = place.path(&parts[2].0["from"]);
    let whole = fs::read(&path).expect("read");
    let mut other = whole.clone();
    other[20] ^= 1;
    fs::write(&path, other).expect("damaged");
    assert_eq!(committer.commit_or_hold(&parts).await.expect("held"), parts);
    // The next look finds that it failed, and begins none of these again; nothing is left of it.
    let began = Instant::now();
    while place.hidden().len() != PARTS || began.elapsed() < Duration::from_millis(200) {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", place.hidden());
        assert_eq!(committer.take_merged(), []);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fs::write(&path, whole).expect("mended");
    assert_eq!(committer.commit_or_hold(&[]).await.expect("still held"), parts);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(committer.take_merged(), [], "it is not tried again");
    committer.commit(&[]).await.expect("visible");
    place.is_as_written(false).await;
}

/// A run that is dead without knowing it goes on with what it was at, beside the one that took over.
#[tokio::test]
async fn a_run_that_lost_the_job_does_no_harm() {
    for named in [false, true] {
        let place = Place::new("json", "").await;
        let (parts, mut dead) = (place.parts(31).await, place.sink.committer());
        dead.commit_or_hold(&parts).await.expect("held");
        let Merged { into, .. } = merged(&mut *dead).await;
        if named {
            dead.commit_or_hold(std::slice::from_ref(&into)).await.expect("held");
        }
        let pending = if named { std::slice::from_ref(&into) } else { &parts[..] };
        place.recover(pending).await.expect("taken over");
        place.is_as_written(named).await;
        // What it holds is what the other has made visible.
        dead.commit(&[]).await.expect("nothing is left to do");
        place.is_as_written(named).await;
    }
}
