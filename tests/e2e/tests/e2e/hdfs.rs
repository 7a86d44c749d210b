//! Cases over a real HDFS behind Kerberos: files, checkpoints and savepoints there.

use crate::durable::{Place, TOTALS};
use crate::process::{end, signal, start, wait_for};
use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;
use stygian_cluster::{Hdfs, Options};
use stygian_e2e::{Ended, MERGE_POINTS, Medium, Over, Program, Rig, read_output};

/// The cluster that all share who do not break it.
fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| Rig::start(&Options { hdfs: Hdfs::One, ..Options::default() }).expect("a cluster"))
}

const ALL: Over = Over { sources: Medium::Hdfs, sinks: Medium::Hdfs, parquet: None, checkpoints: Medium::Hdfs };

#[test]
fn files_are_read_and_written_in_every_format() {
    rig().case_with("formats", ALL).expect("a case").check(3).expect("as expected");
}

#[test]
fn a_job_in_hdfs_is_killed_and_loses_and_doubles_nothing() {
    let case = rig().case_with("behaviour", ALL).expect("a case");
    let points = ["ended", "manifest-unwritten", "manifest-written", "unrenamed", "renamed"];
    case.check_killed_at(2, &points).expect("as expected");
}

/// The reference job: from a topic to Parquet in HDFS and to topics, with its checkpoints in HDFS.
#[test]
fn the_reference_job_is_killed_and_loses_and_doubles_nothing() {
    let over = Over { sources: Medium::Kafka, sinks: Medium::Kafka, parquet: Some(Medium::Hdfs), checkpoints: Medium::Hdfs };
    let case = rig().case_with("behaviour", over).expect("a case");
    let killed = case.check_killed(3, 11, 4).expect("as expected");
    assert!(killed.times > 0, "it was never killed");
    let case = rig().case_with("behaviour", over).expect("a case");
    let points = ["ended", "transaction-open", "transaction-committed", "unrenamed", "renamed"];
    case.check_killed_at(1, &points).expect("as expected");
}

/// A job from a local file that may grow to a folder in HDFS, with its checkpoints there.
struct Shop {
    place: Place,
    root: String,
}

impl Shop {
    fn new() -> Self {
        Self { place: Place::new(), root: rig().hdfs_folder().expect("made") }
    }

    fn url(&self, name: &str) -> String {
        rig().hdfs_url(&format!("{}/{name}", self.root)).expect("there")
    }

    fn pipeline(&self) -> String {
        let (kerberos, hdfs) = (rig().kerberos("pipeline").expect("paths"), rig().hdfs_table().expect("a path"));
        let there = TOTALS.replace("out/running", &self.url("out")).replace("\"checkpoints\"", &format!("{:?}", self.url("checkpoints")));
        format!("{there}\n{kerberos}{hdfs}")
    }

    /// How many rows are visible, if every user's are counted from one on and none is there twice.
    fn visible(&self) -> u64 {
        let fetched = tempfile::tempdir().expect("a folder");
        if rig().hdfs_get(&format!("{}/out", self.root), fetched.path()).is_err() {
            return 0;
        }
        let rows = read_output(fetched.path()).expect("whole files");
        for user in 0..3 {
            let mut counts: Vec<u64> =
                rows.iter().filter(|row| row["user"] == format!("u{user}")).filter_map(|row| row["count"].as_u64()).collect();
            counts.sort_unstable();
            assert_eq!(counts, (1..=counts.len() as u64).collect::<Vec<_>>(), "user {user}");
        }
        rows.len() as u64
    }

    fn wait_for_all(&self) {
        wait_for("all rows", || (self.visible() == self.place.sold).then_some(()));
    }

    fn ask(&self, args: &[&str]) -> Ended {
        Program::find().expect("built").run(self.place.path(), args).expect("runs")
    }
}

#[test]
fn a_savepoint_in_hdfs_is_gone_on_from() {
    let mut shop = Shop::new();
    shop.place.sell(30);
    let pipeline = shop.pipeline();
    let child = start(shop.place.path(), &pipeline, &shop.place.args());
    shop.wait_for_all();
    let saved = shop.url("saved");
    let stopped = shop.ask(&["stop", "totals", &format!("--savepoint={saved}"), "--output", "json"]);
    assert_eq!(stopped.status, Some(0), "{}", stopped.err);
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    // It needs none of the job's own checkpoints.
    assert!(rig().cluster.hdfs_remove(&format!("{}/checkpoints", shop.root)).expect("removed"));
    shop.place.sell(30);
    let args = [&shop.place.args()[..], &["--from-savepoint", &saved]].concat();
    let child = start(shop.place.path(), &pipeline, &args);
    shop.wait_for_all();
    signal(&child, "-KILL");
    end(child);
    shop.place.sell(30);
    let child = start(shop.place.path(), &pipeline, &shop.place.args());
    shop.wait_for_all();
    signal(&child, "-INT");
    let (_, err, status) = end(child);
    assert!(status == Some(0) && err.contains("going on from checkpoint ") && err.contains("hdfs://"), "{status:?}: {err}");
    // Who has a ticket can look at the checkpoints without the pipeline.
    let mut command = Program::find().expect("built").command(shop.place.path(), &["checkpoints", "list", &shop.url("checkpoints")]);
    let listed = command.envs(rig().cluster.env("pipeline")).env("HADOOP_CONF_DIR", rig().cluster.hadoop_conf()).output().expect("runs");
    let (out, err) = (String::from_utf8_lossy(&listed.stdout), String::from_utf8_lossy(&listed.stderr));
    assert!(listed.status.success() && out.contains("checkpoint"), "{out}{err}");
}

/// They come, grow and go, also while the job is down.
#[test]
fn files_in_hdfs_are_followed_through_a_kill() {
    let mut shop = Shop::new();
    let cluster = &rig().cluster;
    let quick = "poll_interval = \"200ms\"\nrotate_wait = \"500ms\"";
    let pipeline = shop.pipeline().replace("sales/*.jsonl", &shop.url("in/*.jsonl")).replace("poll_interval = \"10ms\"", quick);
    assert!(pipeline.contains(quick) && pipeline.contains("/in/*.jsonl"), "{pipeline}");
    let path = |shop: &Shop, name: &str| format!("{}/in/{name}.jsonl", shop.root);
    cluster.hdfs_make_folder(&format!("{}/in", shop.root), "pipeline").expect("made");
    let put = |shop: &mut Shop, name: &str, rows| cluster.hdfs_write(&path(shop, name), &shop.place.rows(rows), "pipeline").expect(name);
    let append = |shop: &mut Shop, name: &str, rows| cluster.hdfs_append(&path(shop, name), &shop.place.rows(rows)).expect(name);
    put(&mut shop, "a", 10);
    let child = start(shop.place.path(), &pipeline, &shop.place.args());
    shop.wait_for_all();
    // Longer than it rests until it is given up.
    std::thread::sleep(Duration::from_secs(1));
    append(&mut shop, "a", 5);
    put(&mut shop, "b", 7);
    shop.wait_for_all();
    append(&mut shop, "b", 2);
    signal(&child, "-KILL");
    end(child);
    append(&mut shop, "b", 3);
    put(&mut shop, "c", 4);
    // Nobody can read the end of a file, or even all of a short one, while somebody has it open to write more.
    let mut open = cluster.hdfs_begin_append(&path(&shop, "a")).expect("begun");
    let mut input = open.stdin.take().expect("piped");
    let (begun, rest) = (b"{\"user\":", shop.place.rows(1));
    let rest = rest.strip_prefix(begun).expect("a row");
    input.write_all(begun).and_then(|()| input.flush()).expect("written");
    std::thread::sleep(Duration::from_secs(1));
    let child = start(shop.place.path(), &pipeline, &shop.place.args());
    wait_for("the rows of the others", || (shop.visible() == shop.place.sold - 1).then_some(()));
    input.write_all(rest).expect("written");
    drop(input);
    assert!(open.wait().expect("ended").success());
    shop.wait_for_all();
    // One that was read may go, and another one may come under its name.
    std::thread::sleep(Duration::from_secs(1));
    assert!(cluster.hdfs_remove(&path(&shop, "c")).expect("removed"));
    std::thread::sleep(Duration::from_secs(1));
    put(&mut shop, "c", 6);
    append(&mut shop, "a", 1);
    shop.wait_for_all();
    signal(&child, "-INT");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    assert_eq!(shop.visible(), shop.place.sold);
}

/// Killed at every step of merging small files.
#[test]
fn small_files_in_hdfs_are_merged() {
    let mut shop = Shop::new();
    let merging = "compact_below = \"1 MiB\"\ncompact_delay = \"6s\"";
    // Files that are merged in a fraction of the time that they wait, also on a busy machine.
    let pipeline = shop.pipeline().replace("interval = \"50ms\"", "interval = \"500ms\"");
    let pipeline = pipeline.replace("format = \"json\"\n\n[kerberos]", &format!("format = \"json\"\n{merging}\n\n[kerberos]"));
    assert!(pipeline.contains("compact_below"), "{pipeline}");
    std::fs::write(shop.place.path().join("pipeline.toml"), &pipeline).expect("written");
    for point in MERGE_POINTS {
        let mut killed = shop.place.launch(&format!("{point}=return"));
        wait_for(point, || {
            shop.place.sell(3);
            std::thread::sleep(Duration::from_millis(50));
            killed.try_wait().expect("known")
        });
        let (_, err, status) = end(killed);
        assert!(status.is_none(), "{point}: {status:?}\n{err}");
    }
    let child = start(shop.place.path(), &pipeline, &shop.place.args());
    let names = |shop: &Shop| -> Vec<String> {
        rig().cluster.hdfs_list(&format!("{}/out", shop.root)).unwrap_or_default().into_iter().map(|entry| entry.name).collect()
    };
    wait_for("a merged file", || {
        shop.place.sell(3);
        std::thread::sleep(Duration::from_millis(50));
        names(&shop).iter().any(|name| name.contains("-m.") && !name.starts_with('.')).then_some(())
    });
    shop.wait_for_all();
    signal(&child, "-INT");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    assert_eq!(shop.visible(), shop.place.sold);
    assert!(names(&shop).iter().all(|name| !name.starts_with('.')), "{:?}", names(&shop));
}

#[test]
fn another_process_on_another_machine_takes_the_job_over() {
    let mut shop = Shop::new();
    shop.place.sell(30);
    let pipeline = shop.pipeline();
    let one = start(shop.place.path(), &pipeline, &shop.place.args());
    shop.wait_for_all();
    // Nothing but the checkpoints keeps two processes apart here.
    let other = start(shop.place.path(), &pipeline, &shop.place.args());
    let (_, err, status) = end(one);
    assert!(status == Some(1) && err.contains("another process has taken"), "{status:?}: {err}");
    shop.place.sell(30);
    shop.wait_for_all();
    signal(&other, "-INT");
    let (_, err, status) = end(other);
    assert_eq!(status, Some(0), "{err}");
}

#[test]
fn doctor_and_run_name_what_is_not_allowed_in_hdfs() {
    let mut shop = Shop::new();
    shop.place.sell(3);
    let doctor = |pipeline: &str| {
        std::fs::write(shop.place.path().join("pipeline.toml"), pipeline).expect("written");
        shop.ask(&[&["doctor", "pipeline.toml"], &shop.place.args()[..]].concat())
    };
    let well = doctor(&shop.pipeline());
    assert_eq!(well.status, Some(0), "{}{}", well.out, well.err);
    for step in [format!("sink running: a file in `{}/out`", shop.root), format!("job totals: a file in `{}/checkpoints`", shop.root)] {
        assert!(well.out.contains(&step), "{step}:\n{}", well.out);
    }
    rig().cluster.hdfs_make_folder("/forbidden", "hdfs").expect("made");
    let pipeline = shop.pipeline().replace(&shop.url("out"), &rig().hdfs_url("/forbidden/out").expect("there"));
    let ill = doctor(&pipeline);
    let last = ill.out.lines().last().unwrap_or_default();
    assert!(ill.status == Some(1) && last.starts_with("failed"), "{}{}", ill.out, ill.err);
    let child = start(shop.place.path(), &pipeline, &shop.place.args());
    let (_, err, status) = end(child);
    assert_eq!(status, Some(1), "{err}");
    for told in [last, &err] {
        for word in ["pipeline@STYGIAN.TEST", "/forbidden", "does not allow it", "hdfs dfs -setfacl"] {
            assert!(told.contains(word), "{word}:\n{told}");
        }
    }
}
