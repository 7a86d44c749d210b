//! What `status`, `savepoint` and `stop` say to running jobs, and what jobs do then.

use crate::durable::{Place, TOTALS};
use crate::process::{WINDOWED, end, signal, start, wait_for};
use serde_json::Value;
use std::path::Path;
use std::process::Child;
use stygian_e2e::{Ended, Program};

fn ask(place: &Path, args: &[&str]) -> Ended {
    Program::find().expect("built").run(place, args).expect("runs")
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    serde_json::from_str(&ended.out).expect("JSON")
}

fn totals(place: &mut Place, sold: u64) -> Child {
    place.sell(sold);
    let child = start(place.path(), TOTALS, &place.args());
    place.wait_for_all();
    child
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

#[test]
fn a_running_job_tells_how_it_is() {
    let mut place = Place::new();
    let child = totals(&mut place, 30);
    let process = child.id().to_string();
    let status = json(&ask(place.path(), &["status", "totals", "--output", "json"]));
    assert_eq!((&status["job"], &status["process"], &status["phase"]), (&"totals".into(), &child.id().into(), &"running".into()));
    let nodes = status["nodes"].as_array().expect("nodes");
    let of = |name: &str| nodes.iter().find(|node| node["name"] == name).expect("a node");
    assert_eq!((&of("sales")["rows_out"], &of("totals")["state_keys"], &of("running")["rows_in"]), (&30.into(), &3.into(), &30.into()));
    assert!(status["checkpoints"]["last"]["id"].as_u64() >= Some(1), "{status}");
    let text = ask(place.path(), &["status", &process]).out;
    assert!(text.contains("job `totals`") && text.contains("running") && text.contains("checkpoints in "), "{text}");
    let list = ask(place.path(), &["status"]).out;
    assert!(list.contains("totals") && list.contains(&process), "{list}");
    signal(&child, "-KILL");
    end(child);
    let gone = ask(place.path(), &["status", "totals"]);
    assert_eq!(gone.status, Some(2), "{}", gone.err);
    assert!(gone.err.contains("no job `totals`"), "{}", gone.err);
    assert!(ask(place.path(), &["status"]).out.contains("no job"));
}

#[test]
fn a_savepoint_stands_alone_and_is_gone_on_from_at_another_parallelism() {
    let mut place = Place::new();
    let child = totals(&mut place, 50);
    let made = json(&ask(place.path(), &["savepoint", "totals", "before", "--output", "json"]));
    assert_eq!(made["folder"], place.path().canonicalize().expect("there").join("before").to_str().expect("text"));
    // All that is before the savepoint is visible, and nothing has come since.
    let (out, then) = (place.path().join("out/running"), place.path().join("then"));
    copy(&out, &then);
    place.sell(40);
    place.wait_for_all();
    let stopped = json(&ask(place.path(), &["stop", "totals", "--savepoint=after", "--output", "json"]));
    assert!(stopped["savepoint"]["checkpoint"].as_u64() > made["checkpoint"].as_u64(), "{stopped}");
    assert_eq!((&stopped["savepoint"]["checkpoint"], &stopped["failure"]), (&stopped["checkpoint"], &Value::Null));
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    // The one it was stopped with needs none of the job's own checkpoints.
    std::fs::remove_dir_all(place.path().join("checkpoints")).expect("removed");
    place.sell(10);
    let child = start(place.path(), TOTALS, &["--from-savepoint", "after", "--plugins", "no-plugins-here"]);
    place.wait_for_all();
    signal(&child, "-INT");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    assert!(err.contains(" in after; output that was written after it stays") && err.contains("going on with totals@"), "{err}");
    // Back to the first one, in place of the job's own checkpoints, with the output of then.
    std::fs::remove_dir_all(&out).expect("removed");
    std::fs::rename(&then, &out).expect("moved");
    assert_eq!(place.visible(), 50);
    let mut args = place.args();
    args.extend(["--from-savepoint", "before", "--set", "settings.parallelism=3"]);
    let child = start(place.path(), TOTALS, &args);
    place.wait_for_all();
    assert_eq!(json(&ask(place.path(), &["stop", "totals", "--output", "json"]))["savepoint"], Value::Null);
    assert_eq!(end(child).2, Some(0));
}

#[test]
fn a_savepoint_that_cannot_be_leaves_the_job_running() {
    let mut place = Place::new();
    let child = totals(&mut place, 20);
    json(&ask(place.path(), &["savepoint", "totals", "taken", "--output", "json"]));
    let again = ask(place.path(), &["savepoint", "totals", "taken"]);
    assert_eq!(again.status, Some(1), "{}", again.err);
    assert!(again.err.contains("taken") && again.err.contains("empty folder"), "{}", again.err);
    std::fs::write(place.path().join("file"), "").expect("written");
    for args in [["savepoint", "totals", "file"], ["stop", "totals", "--savepoint=file"]] {
        let refused = ask(place.path(), &args);
        assert_eq!(refused.status, Some(1), "{}", refused.err);
        assert!(refused.err.contains("no savepoint in") && refused.err.contains("file"), "{}", refused.err);
    }
    place.sell(20);
    place.wait_for_all();
    signal(&child, "-INT");
    assert_eq!(end(child).2, Some(0));
}

#[test]
fn a_job_without_checkpoints_stops_and_makes_no_savepoints() {
    let mut place = Place::new();
    place.sell(10);
    let from = TOTALS.find("[source.sales]").expect("there");
    let pipeline = format!("name = \"totals\"\n{}", &TOTALS[from..]);
    let twin = start(place.path(), &pipeline, &place.args());
    let child = start(place.path(), &pipeline, &place.args());
    let listed = || ask(place.path(), &["status", "--output", "json"]).out.lines().filter(|line| line.contains("\"running\"")).count();
    wait_for("two jobs", || (listed() == 2).then_some(()));
    let which = ask(place.path(), &["stop", "totals"]);
    assert_eq!(which.status, Some(2), "{}", which.err);
    assert!(which.err.contains(&format!("totals.{}", child.id())) && which.err.contains(&format!("totals.{}", twin.id())), "{}", which.err);
    signal(&twin, "-INT");
    end(twin);
    let refused = ask(place.path(), &["savepoint", "totals"]);
    assert_eq!(refused.status, Some(1), "{}", refused.err);
    assert!(refused.err.contains("[checkpoint]"), "{}", refused.err);
    let stopped = ask(place.path(), &["stop", "totals"]);
    assert_eq!((stopped.status, end(child).2), (Some(0), Some(0)), "{}", stopped.err);
}

#[test]
fn a_stop_answers_what_it_drops_and_how_to_drop_nothing() {
    // Stops a job with open windows so: what was answered, and what the job's own summary says.
    let stopped = |args: &[&str]| {
        let folder = tempfile::tempdir().expect("a folder");
        let child = start(folder.path(), WINDOWED, &["--output", "json"]);
        wait_for("rows in windows", || {
            let status = ask(folder.path(), &["status", "windowed", "--output", "json"]);
            let status: Value = serde_json::from_str(&status.out).ok()?;
            let windows = status["nodes"].as_array()?.iter().find(|node| node["name"] == "days")?;
            (windows["rows_in"].as_u64()? > 0).then_some(())
        });
        let answer = ask(folder.path(), &[&["stop", "windowed"], args].concat());
        assert_eq!(answer.status, Some(0), "{}", answer.err);
        let (out, err, status) = end(child);
        assert_eq!(status, Some(0), "{err}");
        (answer, serde_json::from_str::<Value>(&out).expect("a JSON summary"))
    };
    let (answer, summary) = stopped(&["--output", "json"]);
    let answer = json(&answer);
    assert!(answer["dropped_windows"].as_u64() > Some(0) && answer["dropped_rows"].as_u64() > Some(0), "{answer}");
    for count in ["dropped_windows", "dropped_rows", "dropped_timers"] {
        assert_eq!(answer[count], summary[count], "{count}");
    }
    let (answer, _) = stopped(&[]);
    assert!(answer.out.contains(" open windows with ") && answer.out.contains("`--drain`"), "{}", answer.out);
    let (answer, _) = stopped(&["--drain", "--output", "json"]);
    assert_eq!(json(&answer)["dropped_windows"], 0);
}
