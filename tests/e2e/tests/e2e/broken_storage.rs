//! What a job with checkpoints does where their folder is full or cannot be written, and when the clock is set back. Each runs in a mount
//! namespace of its own, so that nothing else sees the small file system.

use crate::durable::{Place, TOTALS};
use crate::process::end;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use stygian_e2e::Program;

/// How to get a mount namespace; `None`: this machine gives none to this user.
fn namespace() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    let works = |way: &&&[&str]| {
        Command::new("unshare").args(**way).arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let way = ways.iter().find(works).copied();
    if way.is_none() {
        let _ = writeln!(std::io::stderr(), "not tested: this machine gives this user no mount namespace");
    }
    way
}

/// Runs the pipeline with a file system of its own in the folder for checkpoints; `mount` makes it.
fn start_on(namespace: &[&str], place: &Place, pipeline: &str, mount: &str) -> Child {
    std::fs::write(place.path().join("pipeline.toml"), pipeline).expect("written");
    std::fs::create_dir_all(place.path().join("checkpoints")).expect("made");
    let args: Vec<&str> = ["run", "pipeline.toml"].into_iter().chain(place.args()).collect();
    let program = Program::find().expect("built").command(place.path(), &args);
    let mut inside = Command::new("unshare");
    inside.args(namespace).args(["sh", "-c", &format!("{mount} && exec \"$0\" \"$@\"")]);
    inside.arg(program.get_program()).args(program.get_args()).current_dir(place.path());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("unshare runs")
}

#[test]
fn a_full_disk_is_named_and_nothing_is_doubled() {
    let Some(namespace) = namespace() else { return };
    let mut place = Place::new();
    place.sell(300);
    let pipeline = TOTALS.replace("delay = \"100ms\"", "delay = \"50ms\"\nattempts = 2");
    // After a few checkpoints somebody else takes the room that is left.
    let fill = "until ls checkpoints/checkpoints/*5.manifest; do sleep 0.02; done; dd if=/dev/zero of=checkpoints/filler bs=1k";
    let mount = format!("mount -t tmpfs -o size=2m,mode=0700 none checkpoints && {{ ({fill}) >/dev/null 2>&1 & }}");
    let child = start_on(namespace, &place, &pipeline, &mount);
    let (_, err, status) = end(child);
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("No space left on device") && err.contains("checkpoints/"), "{err}");
    assert!(err.contains("tolerated_failures"), "{err}");
    // What is visible is there once.
    assert!(place.visible() <= place.sold);
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_at_the_start() {
    let Some(namespace) = namespace() else { return };
    let mut place = Place::new();
    place.sell(30);
    let child = start_on(namespace, &place, TOTALS, "mount -t tmpfs -o ro,mode=0700 none checkpoints");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(2), "{err}");
    assert!(err.contains("Read-only file system") && err.contains("checkpoints"), "{err}");
    assert_eq!(place.visible(), 0);
}

#[test]
fn a_clock_that_is_set_back_changes_nothing() {
    let mut place = Place::new();
    // Checkpoints of later days stay beside those that go on from them.
    let pipeline = TOTALS.replace("interval = \"50ms\"", "interval = \"50ms\"\nretained = 1000");
    for back in ["-0d", "-2d", "-30d"] {
        place.sell(300);
        let args: Vec<&str> = ["run", "pipeline.toml"].into_iter().chain(place.args()).collect();
        std::fs::write(place.path().join("pipeline.toml"), &pipeline).expect("written");
        let program = Program::find().expect("built").command(place.path(), &args);
        let mut earlier = Command::new("faketime");
        earlier.args(["-f", back]).arg(program.get_program()).args(program.get_args()).current_dir(place.path());
        earlier.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // Time goes on as it does; only what the clock shows is another.
        earlier.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        let child = earlier.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("faketime runs");
        place.wait_for_all();
        // The job's process is the child of `faketime` or has taken its place.
        let stopped = Program::find().expect("built").run(place.path(), &["stop", "totals"]).expect("runs");
        assert_eq!(stopped.status, Some(0), "{}", stopped.err);
        assert_eq!(end(child).2, Some(0));
    }
}
