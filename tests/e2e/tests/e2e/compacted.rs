//! Small files of a job are merged: killed at every step of it, stopped, and left alone.

use crate::durable::{Place, TOTALS};
use crate::process::{end, signal, start, wait_for};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};
use stygian_e2e::{MERGE_POINTS, Program};

/// A job whose files are all small, and are merged when half of this time is over.
pub(crate) fn merging(delay: &str) -> String {
    format!("{TOTALS}compact_below = \"1 MiB\"\ncompact_delay = \"{delay}\"\n")
}

fn files(place: &Place) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.path().join("out/running")).into_iter().flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    all
}

fn named(file: &Path) -> &str {
    file.file_name().expect("a name").to_str().expect("text")
}

fn hidden(place: &Place) -> Vec<PathBuf> {
    files(place).into_iter().filter(|file| named(file).starts_with('.')).collect()
}

/// Merged files that are visible.
fn merged(place: &Place) -> usize {
    files(place).iter().filter(|file| !named(file).starts_with('.') && named(file).contains("-m.")).count()
}

/// What the newest checkpoint says.
fn newest(place: &Place) -> Value {
    let asked =
        Program::find().expect("built").run(place.path(), &["checkpoints", "inspect", "checkpoints", "--output", "json"]).expect("runs");
    // It may be deleted while it is looked at.
    serde_json::from_str(&asked.out).unwrap_or_default()
}

/// Waits until a checkpoint holds all that was sold.
fn wait_until_read(place: &Place) {
    let sold = std::fs::metadata(place.path().join("sales/a.jsonl")).expect("there").len();
    wait_for("the last row", || (newest(place)["sources"][0]["splits"][0]["offset"] == sold).then_some(()));
}

/// How many files the newest checkpoint says are held back.
fn held(place: &Place) -> usize {
    let newest = newest(place);
    let outputs = newest["pending"][0]["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    outputs.iter().filter(|output| output["held_since"].is_i64()).count()
}

/// Sells a little at a time until something is so, for a minute at most.
fn sell_until(place: &mut Place, what: &str, mut so: impl FnMut(&Place) -> bool) {
    let began = Instant::now();
    while !so(place) {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        place.sell(3);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().expect("known").is_some()
}

fn stop(child: Child) {
    signal(&child, "-INT");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
}

#[test]
fn a_job_that_is_killed_at_any_step_of_a_merge_loses_and_doubles_nothing() {
    for parallelism in [1, 3] {
        let mut place = Place::new();
        let pipeline = format!("{}\n[settings]\nparallelism = {parallelism}\n", merging("400ms"));
        std::fs::write(place.path().join("pipeline.toml"), &pipeline).expect("written");
        for (point, spared) in MERGE_POINTS.into_iter().flat_map(|point| [(point, 0), (point, 2)]) {
            let mut killed = place.launch(&format!("{point}={spared}*off->return"));
            sell_until(&mut place, point, |_| has_ended(&mut killed));
            let (_, err, status) = end(killed);
            assert!(status.is_none(), "{point} at parallelism {parallelism}: {status:?}\n{err}");
            place.visible();
        }
        let child = place.launch("");
        let before = merged(&place);
        sell_until(&mut place, "a merged file", |place| merged(place) > before);
        place.wait_for_all();
        stop(child);
        assert_eq!(place.visible(), place.sold, "at parallelism {parallelism}");
        assert_eq!(hidden(&place).len(), 0, "at parallelism {parallelism}");
    }
}

/// Rows of Parquet are read again to be merged, where text is only copied.
#[test]
fn files_of_parquet_are_merged() {
    let mut place = Place::new();
    let pipeline = merging("2s").replace("path = \"out/running\"\nformat = \"json\"", "path = \"out/running\"\nformat = \"parquet\"");
    let child = start(place.path(), &pipeline, &place.args());
    sell_until(&mut place, "a merged file", |place| merged(place) > 0);
    place.wait_for_all();
    stop(child);
    assert_eq!((place.visible(), hidden(&place).len()), (place.sold, 0));
}

#[test]
fn a_small_file_is_held_back_by_checkpoints_until_the_job_is_stopped() {
    let mut place = Place::new();
    let child = start(place.path(), &merging("1h"), &place.args());
    sell_until(&mut place, "files that are held back", |place| held(place) > 2);
    assert_eq!(place.visible(), 0);
    // A crash is the end of it.
    signal(&child, "-KILL");
    end(child);
    let child = start(place.path(), &merging("1h"), &place.args());
    wait_for("what was held back", || (place.visible() > 0).then_some(()));
    place.sell(3);
    wait_until_read(&place);
    assert!(place.visible() < place.sold);
    stop(child);
    assert_eq!((place.visible(), hidden(&place).len()), (place.sold, 0));
}

#[test]
fn a_small_file_becomes_visible_at_the_end_of_its_delay() {
    let mut place = Place::new();
    place.sell(3);
    let child = start(place.path(), &merging("300ms"), &place.args());
    // Nothing comes that it could be merged with.
    place.wait_for_all();
    stop(child);
    assert_eq!((files(&place).len(), merged(&place)), (1, 0));
}

#[test]
fn a_job_whose_input_ends_and_a_savepoint_hold_nothing_back() {
    let mut place = Place::new();
    let child = start(place.path(), &merging("1h"), &place.args());
    sell_until(&mut place, "files that are held back", |place| held(place) > 2);
    let saved = Program::find().expect("built").run(place.path(), &["savepoint", "totals", "saved"]).expect("runs");
    assert_eq!(saved.status, Some(0), "{}", saved.err);
    // What was sold before the savepoint is visible when it is there.
    assert!(place.visible() > 0, "{}", saved.out);
    stop(child);
    place.sell(30);
    let bounded = merging("1h").replace("follow = true\npoll_interval = \"10ms\"\n", "");
    let (_, err, status) =
        end(start(place.path(), &bounded.replace("\"checkpoints\"", "\"others\"").replace("out/", "again/"), &place.args()));
    assert_eq!(status, Some(0), "{err}");
    let all = stygian_e2e::read_output(&place.path().join("again/running")).expect("whole files");
    assert_eq!(all.len() as u64, place.sold);
}

#[test]
fn a_run_that_lost_the_job_before_it_looked_around_deletes_nothing_of_the_other() {
    let mut place = Place::new();
    place.sell(3);
    let child = start(place.path(), &merging("1h"), &place.args());
    wait_until_read(&place);
    stop(child);
    let before = place.manifests();
    let late = place.launch("no-lock=return;recovering=sleep(6000)");
    wait_for("the first one to take the job over", || (place.manifests() != before).then_some(()));
    let other = place.launch("no-lock=return");
    sell_until(&mut place, "files that the other one holds back", |place| held(place) > 2);
    let kept: Vec<PathBuf> = hidden(&place).into_iter().take(2).collect();
    let (_, err, status) = end(late);
    assert!(status == Some(1) && err.contains("another process has taken the job over (checkpoint "), "{status:?}: {err}");
    assert!(kept.iter().all(|file| file.exists()), "{kept:?}");
    stop(other);
    assert_eq!((place.visible(), hidden(&place).len()), (place.sold, 0));
}

/// A checkpoint that somebody has chosen and that cannot be gone on from is not in the way of what is there afterwards.
#[test]
fn a_checkpoint_whose_output_is_gone_is_refused_before_it_is_the_newest() {
    let mut place = Place::new();
    let child = start(place.path(), &merging("1h"), &place.args());
    sell_until(&mut place, "files that are held back", |place| held(place) > 2);
    signal(&child, "-KILL");
    end(child);
    let manifests = place.manifests();
    let newest = manifests.last().expect("one");
    let whole = std::fs::read(newest).expect("read");
    std::fs::write(newest, &whole[..whole.len() / 2]).expect("damaged");
    // The first that was written: the checkpoint before has it, too.
    let (gone, aside) = (hidden(&place).remove(0), place.path().join("aside"));
    std::fs::rename(&gone, &aside).expect("moved");
    let before = (place.manifests(), files(&place));
    let recover = || {
        let args: Vec<&str> = ["run", "pipeline.toml", "--recover-latest"].into_iter().chain(place.args()).collect();
        Program::find().expect("built").command(place.path(), &args).spawn().expect("starts")
    };
    let (_, err, status) = end(recover());
    assert_eq!(status, Some(2), "{err}");
    let told = err.contains("cannot go on from checkpoint") && err.contains("the finished file is gone");
    assert!(told && err.contains("nothing was renamed or deleted"), "{err}");
    assert_eq!((place.manifests(), files(&place)), before);
    std::fs::rename(aside, gone).expect("moved back");
    let child = recover();
    wait_until_read(&place);
    stop(child);
    assert_eq!((place.visible(), hidden(&place).len()), (place.sold, 0));
}

#[test]
fn what_waits_for_checkpoints_is_refused_without_them() {
    let place = Place::new();
    let never = merging("1h")
        .replace("[restart]\ndelay = \"100ms\"\n", "")
        .replace("[checkpoint]\nfolder = \"checkpoints\"\ninterval = \"50ms\"\n", "");
    let often = merging("1h").replace("interval = \"50ms\"", "mode = \"at-least-once\"");
    for (pipeline, why) in [(never, "add a [checkpoint] table"), (often, "make it \"exactly-once\"")] {
        std::fs::create_dir_all(place.path().join("sales")).expect("made");
        std::fs::write(place.path().join("pipeline.toml"), pipeline).expect("written");
        let args: Vec<&str> = ["check", "pipeline.toml"].into_iter().chain(place.args()).collect();
        let refused = Program::find().expect("built").run(place.path(), &args).expect("runs");
        assert_eq!(refused.status, Some(2), "{}", refused.err);
        assert!(refused.err.contains("`compact_below` holds output back") && refused.err.contains(why), "{}", refused.err);
    }
}
