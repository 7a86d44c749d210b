//! Jobs with Kafka at one end or both, as they go on: over two clusters, with files, from savepoints, with partitions, groups and transactions
//! that change under them.

use crate::kafka::rig;
use crate::process::{end, free_port, metric, signal, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;
use stygian_cluster::{Listener, Operation, Options, Pattern, Record, Resource};
use stygian_e2e::{Ended, Medium, Over, Program, Rig, components, read_output};

/// Running totals by user from topic to topic.
struct Shop {
    folder: tempfile::TempDir,
    job: String,
    from: String,
    to: String,
    sold: u64,
}

const USERS: u64 = 3;

impl Shop {
    fn new() -> Self {
        let (from, to) = (rig().topic("sales", 2).expect("made"), rig().topic("running", 2).expect("made"));
        Self { folder: tempfile::tempdir().expect("a folder"), job: rig().job(), from, to, sold: 0 }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its pipeline; `source`: more keys of the source.
    fn pipeline(&self, source: &str) -> String {
        let (reach, kerberos) = (rig().reach().expect("reached"), rig().kerberos("pipeline").expect("paths"));
        format!(
            "name = '{}'\n[checkpoint]\nfolder = 'checkpoints'\ninterval = '50ms'\n[restart]\ndelay = '100ms'\n{kerberos}\
             [source.sales]\n{reach}topic = '{}'\nformat = 'json'\nschema = {{ user = 'text not null', amount = 'float64' }}\n{source}\n\
             [operator.totals]\ninput = 'sales'\nplugin = 'totals@0.1'\nkey_by = ['user']\n\
             [sink.running]\ninput = 'totals'\n{reach}topic = '{}'\nformat = 'json'\n",
            self.job, self.from, self.to
        )
    }

    /// Sells to the users in turn.
    fn sell(&mut self, rows: u64) {
        let row = |row| Record::new(None, &json!({ "user": format!("u{}", row % USERS), "amount": row }).to_string());
        let rows: Vec<Record> = (self.sold..self.sold + rows).map(row).collect();
        rig().cluster.kcat_write(&self.from, &rows).expect("written");
        self.sold += rows.len() as u64;
    }

    fn start(&self, pipeline: &str, args: &[&str], points: &str) -> Child {
        std::fs::write(self.path().join("pipeline.toml"), pipeline).expect("written");
        let args = [&["run", "pipeline.toml", "--plugins", components().to_str().expect("text")], args].concat();
        let mut command = Program::find().expect("built").command(self.path(), &args);
        command.env("FAILPOINTS", points).spawn().expect("starts")
    }

    fn ask(&self, args: &[&str]) -> Ended {
        Program::find().expect("built").run(self.path(), args).expect("runs")
    }

    /// How many rows are visible, none of them twice. A transaction may be visible in one partition before it is in the other.
    fn visible(&self) -> u64 {
        let mut counts: BTreeSet<(String, u64)> = BTreeSet::new();
        for row in rig().rows(&self.to).expect("rows") {
            let (user, count) = (row["user"].to_string(), row["count"].as_u64().expect("a count"));
            assert!(counts.insert((user.clone(), count)), "row {count} of user {user} is there twice");
        }
        counts.len() as u64
    }

    fn wait_for_all(&self) {
        wait_for("all rows", || (self.visible() == self.sold).then_some(()));
        let largest = |user: u64| {
            let rows = rig().rows(&self.to).expect("rows");
            rows.iter().filter(|row| row["user"] == format!("u{user}")).filter_map(|row| row["count"].as_u64()).max()
        };
        // As many as there are and none twice: so they are counted from one on, without a gap.
        assert_eq!((0..USERS).filter_map(largest).sum::<u64>(), self.sold);
    }
}

/// Runs the pipeline of a folder with each of these places set, where it is killed at least once, and then to its end.
fn kill_and_finish(folder: &Path, points: &[String]) {
    let (program, mut killed) = (Program::find().expect("built"), 0);
    for point in points {
        let mut command = program.command(folder, &["run", "pipeline.toml"]);
        let (_, err, status) = end(command.env("FAILPOINTS", point).spawn().expect("starts"));
        assert!(matches!(status, None | Some(0)), "{point}, {status:?}: {err}");
        killed += u32::from(status.is_none());
    }
    assert!(killed > 0, "it was never killed");
    let ended = program.run(folder, &["run", "pipeline.toml"]).expect("runs");
    assert_eq!(ended.status, Some(0), "{}", ended.err);
}

/// Ends a job gracefully; what it said.
fn stop(child: Child) -> String {
    signal(&child, "-INT");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    err
}

fn json_of(ended: &Ended) -> Value {
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    serde_json::from_str(&ended.out).expect("JSON")
}

#[test]
fn a_case_is_killed_between_topics_and_files() {
    let (into, out_of) = (Over { sinks: Medium::Kafka, ..Over::default() }, Over { sources: Medium::Kafka, ..Over::default() });
    for (over, seed) in [(out_of, 3), (into, 4)] {
        let case = rig().case_with("behaviour", over).expect("a case");
        let killed = case.check_killed(3, seed, 4).unwrap_or_else(|error| panic!("{over:?}: {error:#}"));
        assert!(killed.times > 0, "{over:?}: it was never killed");
    }
}

/// Rows of one cluster, who knows us by password, into another, who knows us by ticket; killed on the way.
#[test]
fn rows_go_from_one_cluster_to_another() {
    let other = Rig::start(&Options::default()).expect("a cluster");
    let (from, to) = (other.topic("there", 2).expect("made"), rig().topic("here", 2).expect("made"));
    let lines: BTreeSet<String> = (0..20_000).map(|row| format!("row {row}")).collect();
    other.cluster.kcat_write(&from, &lines.iter().map(|line| Record::new(None, line)).collect::<Vec<_>>()).expect("written");
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("password");
    std::fs::write(&secret, other.cluster.password("pipeline")).expect("written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("set");
    let servers = other.cluster.address(Listener::SaslPlaintext).expect("there");
    let security = "{ protocol = 'sasl_plaintext', mechanism = 'scram-sha-512', username = 'pipeline', password = { file = 'password' } }";
    let pipeline = format!(
        "name = '{}'\n[checkpoint]\nfolder = 'checkpoints'\ninterval = '20ms'\n{}\
         [source.there]\nconnector = 'kafka'\nbootstrap_servers = '{servers}'\nsecurity = {security}\ntopic = '{from}'\nformat = 'raw'\n\
         until = 'latest'\n[sink.here]\ninput = 'there'\n{}topic = '{to}'\nformat = 'raw'\n",
        rig().job(),
        rig().kerberos("pipeline").expect("paths"),
        rig().reach().expect("reached")
    );
    std::fs::write(folder.path().join("pipeline.toml"), pipeline).expect("written");
    kill_and_finish(
        folder.path(),
        &["pre-committed", "transaction-open", "transaction-committed"].map(|point| format!("{point}=1*off->return")),
    );
    let read = rig().cluster.kcat_read(&to).expect("read");
    assert_eq!(read.len(), lines.len());
    assert_eq!(read.into_iter().filter_map(|record| record.value).collect::<BTreeSet<_>>(), lines);
}

#[test]
fn what_cannot_be_read_goes_to_a_topic_once() {
    let (from, bad) = (rig().topic("mixed", 2).expect("made"), rig().topic("bad", 1).expect("made"));
    let folder = tempfile::tempdir().expect("a folder");
    let line = |row: u64| if row.is_multiple_of(10) { format!("{{broken {row}") } else { json!({ "n": row }).to_string() };
    for partition in [0, 1] {
        let record = |row| Record { partition: Some(partition), ..Record::new(None, &line(row)) };
        let rows = (0..5000).filter(|row| row % 2 == u64::from(partition == 1));
        rig().cluster.kcat_write(&from, &rows.map(record).collect::<Vec<_>>()).expect("written");
    }
    let (reach, kerberos) = (rig().reach().expect("reached"), rig().kerberos("pipeline").expect("paths"));
    let pipeline = format!(
        "name = '{}'\n[checkpoint]\nfolder = 'checkpoints'\ninterval = '20ms'\n{kerberos}\
         [source.mixed]\n{reach}topic = '{from}'\nformat = 'json'\nschema = {{ n = 'int64' }}\nuntil = 'latest'\n\
         [sink.rows]\ninput = 'mixed'\nconnector = 'files'\npath = 'out/rows'\nformat = 'json'\n\
         [sink.bad]\ninput = 'mixed.dead_letters'\n{reach}topic = '{bad}'\nformat = 'json'\n",
        rig().job()
    );
    std::fs::write(folder.path().join("pipeline.toml"), pipeline).expect("written");
    kill_and_finish(folder.path(), &["barrier=1*off->return", "transaction-open=1*off->return", "renamed=return"].map(str::to_owned));
    assert_eq!(read_output(&folder.path().join("out/rows")).expect("read").len(), 4500);
    let letters = rig().rows(&bad).expect("rows");
    let mut texts: Vec<&str> = letters.iter().filter_map(|letter| letter["row"].as_str()).collect();
    texts.sort_unstable();
    let mut expected: Vec<String> = (0..5000).step_by(10).map(line).collect();
    expected.sort_unstable();
    assert_eq!(texts, expected);
    // Rows that cannot be read are all of one partition, and the place of each is told.
    let places: BTreeSet<String> = letters.iter().map(|letter| format!("{} {}", letter["split"], letter["offset"])).collect();
    assert_eq!(places, (0..2500).step_by(5).map(|offset| format!("\"{from}-0\" {offset}")).collect());
}

#[test]
fn a_savepoint_is_gone_on_from_at_another_parallelism() {
    let mut shop = Shop::new();
    shop.sell(60);
    let pipeline = shop.pipeline("");
    let child = shop.start(&pipeline, &[], "");
    shop.wait_for_all();
    json_of(&shop.ask(&["stop", &shop.job, "--savepoint=saved", "--output", "json"]));
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    shop.sell(60);
    std::fs::remove_dir_all(shop.path().join("checkpoints")).expect("removed");
    let child = shop.start(&pipeline, &["--from-savepoint", "saved", "--set", "settings.parallelism=3"], "");
    shop.wait_for_all();
    signal(&child, "-KILL");
    end(child);
    shop.sell(60);
    let child = shop.start(&pipeline, &["--set", "settings.parallelism=2"], "");
    shop.wait_for_all();
    let err = stop(child);
    assert!(err.contains("going on from checkpoint"), "{err}");
}

#[test]
fn partitions_that_are_added_are_read_from_their_beginning() {
    let mut shop = Shop::new();
    shop.sell(30);
    let pipeline = shop.pipeline("start = 'latest'\ndiscovery_interval = '200ms'");
    let child = shop.start(&pipeline, &[], "");
    wait_for("the job to commit", || shop.path().join("checkpoints/checkpoints").is_dir().then_some(()));
    wait_for("the job to run", || shop.ask(&["status", &shop.job]).out.contains("running").then_some(()));
    rig().cluster.set_partitions(&shop.from, 4).expect("made");
    // Before the job can know of it, and with the topic's metadata that it has.
    let row = |partition| Record { partition: Some(partition), ..Record::new(None, "{\"user\":\"u0\",\"amount\":1}") };
    rig().cluster.kcat_write(&shop.from, &[row(2), row(3), row(3)]).expect("written");
    shop.sold = 3;
    shop.wait_for_all();
    signal(&child, "-KILL");
    end(child);
    rig().cluster.kcat_write(&shop.from, &[row(3)]).expect("written");
    shop.sold += 1;
    let child = shop.start(&pipeline, &[], "");
    shop.wait_for_all();
    stop(child);
}

#[test]
fn a_group_has_the_offsets_of_checkpoints_and_another_job_can_go_on_from_them() {
    let mut shop = Shop::new();
    shop.sell(30);
    let group = format!("stygian-lag-{}", shop.job);
    let pipeline = shop.pipeline(&format!("group = '{group}'"));
    let child = shop.start(&pipeline, &[], "");
    shop.wait_for_all();
    let committed = || rig().cluster.committed(&group, &shop.from).expect("offsets").values().sum::<i64>();
    wait_for("the group to have all offsets", || (committed() == 30).then_some(()));
    shop.sell(10);
    shop.wait_for_all();
    stop(child);
    // The last checkpoint is told, too.
    assert_eq!(rig().cluster.committed(&group, &shop.from).expect("offsets").values().sum::<i64>(), 40);
    let (from, mut next) = (shop.from.clone(), Shop::new());
    next.from = from;
    shop.sell(5);
    let pipeline = next.pipeline(&format!("group = '{group}'\nstart = 'committed'"));
    let child = next.start(&pipeline, &[], "");
    next.sold = 5;
    next.wait_for_all();
    stop(child);
}

#[test]
fn what_a_killed_job_has_open_is_aborted_on_request() {
    // One partition, so that what is written behind is behind the open transaction.
    let mut shop = Shop { to: rig().topic("alone", 1).expect("made"), ..Shop::new() };
    shop.sell(30);
    // Killed when the rows are written and their transaction is not yet committed.
    let pipeline = shop.pipeline("").replace("interval = '50ms'", "interval = '2s'");
    let child = shop.start(&pipeline, &[], "transaction-open=return");
    assert_eq!(end(child).2, None, "it was to be killed");
    rig().cluster.kcat_write(&shop.to, &[Record::new(None, "\"behind\"")]).expect("written");
    let is_read = || rig().cluster.kcat_read(&shop.to).expect("read").iter().any(|record| record.value.as_deref() == Some("\"behind\""));
    assert!(!is_read(), "nobody reads past a transaction that is open");
    let list = json_of(&shop.ask(&[
        "transactions",
        "list",
        "pipeline.toml",
        "--plugins",
        components().to_str().expect("text"),
        "--output",
        "json",
    ]));
    assert_eq!(list["transactional_ids"], json!([format!("{}-0", shop.job), format!("{}-1", shop.job)]));
    assert!(list["committed"]["checkpoint"].is_u64() && list["aborted"] == false, "{list}");
    assert!(!is_read(), "to list them changes nothing");
    let aborted = shop.ask(&["transactions", "abort", "pipeline.toml", "--plugins", components().to_str().expect("text")]);
    assert_eq!(aborted.status, Some(0), "{}", aborted.err);
    assert!(aborted.out.contains("what was open is aborted"), "{}", aborted.out);
    wait_for("what was behind it", || is_read().then_some(()));
    assert_eq!(rig().cluster.kcat_read(&shop.to).expect("read").len(), 1, "what was open is not visible");
}

#[test]
fn a_job_that_another_process_has_taken_ends_and_says_so() {
    let mut shop = Shop::new();
    shop.sell(30);
    let pipeline = shop.pipeline("");
    let one = shop.start(&pipeline, &[], "");
    shop.wait_for_all();
    // Somebody else's, as on another machine: no lock keeps it out.
    let other = shop.start(&pipeline, &[], "no-lock=return");
    shop.sell(30);
    let (_, err, status) = end(one);
    assert!(status == Some(1) && err.contains("another process has taken"), "{status:?}: {err}");
    shop.wait_for_all();
    stop(other);
    assert_eq!(shop.visible(), 60);
}

#[test]
fn at_least_once_loses_nothing_without_transactions() {
    let mut shop = Shop::new();
    shop.sell(300);
    let grants = [Operation::Write, Operation::Describe];
    rig().cluster.grant("pipeline", Resource::Topic, &shop.to, Pattern::Literal, &grants).expect("granted");
    let pipeline = shop.pipeline("until = 'latest'").replace("interval = '50ms'", "interval = '50ms'\nmode = 'at-least-once'");
    for point in ["stored=return", "manifest-written=return", ""] {
        let (_, err, status) = end(shop.start(&pipeline, &[], point));
        assert!(status == if point.is_empty() { Some(0) } else { None }, "{point}, {status:?}: {err}");
    }
    let counted = |row: &Value| (row["user"].to_string(), row["count"].as_u64());
    let rows: BTreeSet<_> = rig().rows(&shop.to).expect("rows").iter().map(counted).collect();
    let expected = (0..300_u64).map(|row| (format!("\"u{}\"", row % USERS), Some(row / USERS + 1)));
    assert_eq!(rows, expected.collect());
}

#[test]
fn lag_is_told_while_there_is_more_to_read() {
    let mut shop = Shop::new();
    shop.sell(40_000);
    let port = free_port();
    // Snapshots that take a while hold the reader back.
    let child = shop.start(&shop.pipeline(""), &["--metrics", &format!("127.0.0.1:{port}")], "snapshot=sleep(400)");
    let lag = || metric(port, "stygian_lag_rows{node=\"sales\",kind=\"source\"}");
    wait_for("rows that are not fetched", || lag().filter(|lag| *lag > 0));
    wait_for("no more of them", || lag().filter(|lag| *lag == 0));
    shop.wait_for_all();
    let status = json_of(&shop.ask(&["status", &shop.job, "--output", "json"]));
    assert_eq!(status["nodes"][0]["behind"], 0, "{status}");
    signal(&child, "-KILL");
    end(child);
}

/// Wherever a job and its commands say something, also where they say all.
#[test]
fn no_secret_is_told_anywhere() {
    let (from, to) = (rig().topic("secret", 1).expect("made"), rig().topic("told", 1).expect("made"));
    rig().cluster.kcat_write(&from, &[Record::new(None, "a")]).expect("written");
    let folder = tempfile::tempdir().expect("a folder");
    let (right, wrong) = (rig().cluster.password("pipeline"), "hush-hush-4711");
    let security =
        "{ protocol = 'sasl_plaintext', mechanism = 'scram-sha-256', username = 'pipeline', password = { env = 'BROKER_WORD' } }";
    let servers = rig().cluster.address(Listener::SaslPlaintext).expect("there");
    let reach = format!("connector = 'kafka'\nbootstrap_servers = '{servers}'\nsecurity = {security}\nformat = 'raw'\n");
    let pipeline = format!(
        "name = '{}'\n[checkpoint]\nfolder = 'checkpoints'\ninterval = '50ms'\n[restart]\nattempts = 1\ndelay = '10ms'\n\
         [source.from]\n{reach}topic = '{from}'\n[sink.to]\ninput = 'from'\n{reach}topic = '{to}'\n",
        rig().job()
    );
    std::fs::write(folder.path().join("pipeline.toml"), pipeline).expect("written");
    let program = Program::find().expect("built");
    for (secret, fails) in [(right.as_str(), false), (wrong, true)] {
        for args in [&["check"][..], &["explain"], &["doctor"], &["transactions", "list"], &["run", "--metrics", "127.0.0.1:0"]] {
            let (command, more) = if args[0] == "transactions" { (&args[..2], &args[2..]) } else { (&args[..1], &args[1..]) };
            let args = [command, &["pipeline.toml"], more].concat();
            let mut child = program.command(folder.path(), &args);
            let child = child.env("BROKER_WORD", secret).env("STYGIAN_LOG", "trace").spawn().expect("starts");
            if args[0] == "run" && !fails {
                wait_for("the row", || (!rig().cluster.kcat_read(&to).expect("read").is_empty()).then_some(()));
                let line = std::fs::read(format!("/proc/{}/cmdline", child.id())).expect("running");
                assert!(!String::from_utf8_lossy(&line).contains(secret));
                signal(&child, "-INT");
            }
            let (out, err, status) = end(child);
            assert_eq!(status == Some(0), !fails || matches!(args[0], "check" | "explain"), "{args:?}: {out}{err}");
            assert!(!out.contains(secret) && !err.contains(secret), "{args:?} tells the password:\n{out}{err}");
        }
        for entry in walk(folder.path()) {
            let bytes = std::fs::read(&entry).expect("read");
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{} holds the password", entry.display());
        }
    }
}

/// All files under a folder.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

/// A partition that brings nothing holds the watermark back, unless it counts as idle.
#[test]
fn windows_close_though_a_partition_is_idle() {
    let [from, to, other] = ["one-sided", "windows", "held"].map(|name| rig().topic(name, 2).expect("made"));
    let row = |second: u32| Record {
        partition: Some(1),
        ..Record::new(None, &json!({ "at": format!("2026-01-31T12:00:{second:02}Z") }).to_string())
    };
    rig().cluster.kcat_write(&from, &[row(1), row(2), row(11), row(12), row(25)]).expect("written");
    let folder = tempfile::tempdir().expect("a folder");
    let (reach, kerberos) = (rig().reach().expect("reached"), rig().kerberos("pipeline").expect("paths"));
    let pipeline = |idle: &str, to: &str| {
        format!(
            "name = '{}'\n{kerberos}[source.from]\n{reach}topic = '{from}'\nformat = 'json'\nschema = {{ at = 'timestamp_utc' }}\nevent_time = 'at'\n\
             watermark_delay = '0s'\n{idle}[operator.windows]\ninput = 'from'\nwindow = {{ tumbling = '10s' }}\naggregate = {{ n = 'count(*)' }}\n\
             [sink.to]\ninput = 'windows'\n{reach}topic = '{to}'\nformat = 'json'\n",
            rig().job()
        )
    };
    let counts = |to: &str| -> Vec<u64> { rig().rows(to).expect("rows").iter().filter_map(|row| row["n"].as_u64()).collect() };
    let run = |text: String| {
        std::fs::write(folder.path().join("pipeline.toml"), text).expect("written");
        Program::find().expect("built").command(folder.path(), &["run", "pipeline.toml"]).spawn().expect("starts")
    };
    let child = run(pipeline("idle_after = '300ms'\n", &to));
    wait_for("two windows", || (counts(&to).len() >= 2).then_some(()));
    assert_eq!(counts(&to), [2, 2], "the third window is open");
    stop(child);
    let child = run(pipeline("", &other));
    std::thread::sleep(std::time::Duration::from_secs(3));
    stop(child);
    assert_eq!(counts(&other).len(), 0, "the partition without rows holds all windows");
}
