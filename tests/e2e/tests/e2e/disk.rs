//! State on disk: more of it than memory, the end of the process at any time, and what is left of it afterwards.

use crate::durable::{Place, TOTALS};
use crate::process::{end, signal, start, wait_for};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use stygian_e2e::{Program, components, read_output};

fn plugins() -> [&'static str; 2] {
    ["--plugins", components().to_str().expect("text")]
}

/// Running totals of users whose names are long, so that the state is large: every user comes twice, and what is said the second time is kept.
const LARGE: &str = r#"
name = "large"

[state]
backend = "disk"
memory = "8 MiB"
folder = "state"

[source.sales]
connector = "files"
path = "sales/*.jsonl"
format = "json"
schema = { user = "text not null", amount = "float64" }

[operator.totals]
input = "sales"
plugin = "totals@0.1"
key_by = ["user"]

[operator.second]
input = "totals"
filter = "count = 2"

[operator.reduced]
input = "second"
select = { sum = "sum" }

[sink.sums]
input = "reduced"
connector = "files"
path = "out/sums"
format = "json"
"#;

/// Users, and bytes of their names: about 20 times what the caches may take.
const USERS: usize = 60_000;
const NAME_BYTES: usize = 3_000;

fn sell_to_all(file: &Path, order: impl Iterator<Item = usize>) {
    let mut file = BufWriter::new(std::fs::File::create(file).expect("made"));
    let rest = "x".repeat(NAME_BYTES - 8);
    for user in order {
        writeln!(file, "{{\"user\":\"{user:08}{rest}\",\"amount\":{user}}}").expect("written");
    }
}

/// The most memory that a process has had, in MiB.
fn peak(child: &Child) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib / 1024)
}

/// Runs [`LARGE`] to its end: the most memory it had, in MiB.
fn run_large(backend: &str) -> usize {
    let place = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(place.path().join("sales")).expect("made");
    sell_to_all(&place.path().join("sales/a.jsonl"), 0..USERS);
    // In another order: neighbours have nothing to do with each other.
    sell_to_all(&place.path().join("sales/b.jsonl"), (0..USERS).map(|user| user * 7_919 % USERS));
    let pipeline = match backend {
        "disk" => LARGE.to_owned(),
        _ => LARGE.replace("backend = \"disk\"\nmemory = \"8 MiB\"\nfolder = \"state\"\n", "backend = \"memory\"\n"),
    };
    let mut child = start(place.path(), &pipeline, &[&plugins()[..], &["--quiet"]].concat());
    let mut most = 0;
    while child.try_wait().expect("known").is_none() {
        most = peak(&child).unwrap_or(0).max(most);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    let rows = read_output(&place.path().join("out/sums")).expect("rows");
    let sum: f64 = rows.iter().filter_map(|row| row["sum"].as_f64()).sum();
    assert_eq!((rows.len(), sum), (USERS, (USERS * (USERS - 1)) as f64));
    most
}

#[test]
fn state_of_twenty_times_its_memory_runs_on_disk() {
    let (on_disk, in_memory) = (run_large("disk"), run_large("memory"));
    // What the program takes beside the state is the same, and varies by some ten MiB.
    let state = USERS * NAME_BYTES / 1024 / 1024;
    assert!(on_disk < in_memory, "{on_disk} MiB on disk, {in_memory} MiB in memory, of {state} MiB of state");
}

/// The job of the other tests, with its state on disk.
fn totals() -> String {
    TOTALS.replace("[source.sales]", "[state]\nbackend = \"disk\"\nfolder = \"state\"\n\n[source.sales]")
}

/// Runs until all that was sold is visible, then ends the run.
fn run(place: &Place, how: &str, set: &[&str]) -> String {
    place.run_until_visible_as(&totals(), set, how).1
}

/// Changes a byte of every stored section: they must not be read.
fn spoil_checkpoints(place: &Path) {
    for entry in std::fs::read_dir(place.join("checkpoints/state")).expect("there") {
        let file = entry.expect("an entry").path();
        let mut bytes = std::fs::read(&file).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(file, bytes).expect("written");
    }
}

fn forget_cache(place: &Path) {
    std::fs::remove_dir_all(place.join("state")).expect("removed");
}

#[test]
fn a_killed_job_goes_on_from_the_local_disk_or_from_the_checkpoint() {
    let mut place = Place::of(30);
    for round in 0..4 {
        place.sell(100 + round * 50);
        let err = run(&place, "-KILL", &[]);
        assert!(!err.contains("error"), "{err}");
        if round == 2 {
            forget_cache(place.path());
        }
    }
    // At another parallelism the groups lie elsewhere.
    place.sell(100);
    run(&place, "-KILL", &["--set", "settings.parallelism=3"]);
    place.sell(100);
    run(&place, "-INT", &[]);
}

#[test]
fn a_valid_cache_is_gone_on_from_without_a_look_at_the_checkpoints_state() {
    for how in ["-KILL", "-INT"] {
        let mut place = Place::of(30);
        place.sell(300);
        run(&place, how, &[]);
        spoil_checkpoints(place.path());
        place.sell(300);
        run(&place, "-KILL", &[]);
        // Without it they are read, and found to be spoiled.
        let spoiled = Place::of(30);
        copy(place.path(), spoiled.path());
        spoil_checkpoints(spoiled.path());
        forget_cache(spoiled.path());
        let args = [&["run", "pipeline.toml"][..], &plugins()[..]].concat();
        let refused = Program::find().expect("built").run(spoiled.path(), &args).expect("runs");
        assert_eq!(refused.status, Some(1), "{}", refused.err);
    }
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().expect("cp runs");
    assert!(status.success());
}

#[test]
fn a_damaged_cache_is_made_anew_from_the_checkpoint() {
    let mut place = Place::of(30);
    place.sell(300);
    run(&place, "-KILL", &[]);
    let mut files = Vec::new();
    collect(&place.path().join("state"), &mut files);
    for file in files.iter().filter(|file| !file.ends_with("lock")) {
        let mut bytes = std::fs::read(file).expect("read");
        let middle = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 0x55;
        }
        std::fs::write(file, bytes).expect("written");
    }
    place.sell(300);
    run(&place, "-INT", &[]);
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

#[test]
fn without_checkpoints_the_folder_is_emptied_at_the_start_and_of_one_process() {
    let whole = totals();
    let from = whole.find("[state]").expect("there");
    let without = format!("name = \"totals\"\n{}", &whole[from..]);
    let mut place = Place::of(30);
    place.sell(30);
    let child = start(place.path(), &without, &plugins());
    let folder = place.path().join("state/totals/0-of-1");
    wait_for("the store", || std::fs::read_dir(&folder).is_ok_and(|entries| entries.count() > 1).then_some(()));
    let args = [&["run", "pipeline.toml"][..], &plugins()[..]].concat();
    let second = Program::find().expect("built").run(place.path(), &args).expect("runs");
    assert_eq!(second.status, Some(1), "{}", second.err);
    let told = format!("{} is in use by process {}; a job runs once", folder.display(), child.id());
    assert!(second.err.contains(&told), "{}", second.err);
    signal(&child, "-INT");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    assert_eq!(place.visible(), 30);
    // Once more, from nothing: the counts begin with one again.
    std::fs::remove_dir_all(place.path().join("out")).expect("removed");
    let child = start(place.path(), &without, &plugins());
    wait_for("the store", || std::fs::read_dir(&folder).is_ok_and(|entries| entries.count() > 1).then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&child, "-INT");
    assert_eq!(end(child).2, Some(0));
    assert_eq!(place.visible(), 30);
}
