//! What a job says when Kafka does not let it: who, what, and what to do; and that it says so at once.

use crate::kafka::rig;
use std::path::Path;
use stygian_cluster::{Operation, Pattern, Record, Resource};
use stygian_e2e::{Ended, Program};

/// A pipeline from a topic to a topic, as a user.
fn pipeline(job: &str, user: &str, from: &str, to: &str, more: &str) -> String {
    let (reach, kerberos) = (rig().reach().expect("reached"), rig().kerberos(user).expect("paths"));
    format!(
        "name = '{job}'\n[checkpoint]\nfolder = 'checkpoints'\ninterval = '100ms'\n[restart]\nstrategy = 'none'\n{kerberos}\n\
         [source.events]\n{reach}topic = '{from}'\nformat = 'raw'\nuntil = 'latest'\n\
         [sink.copy]\ninput = 'events'\n{reach}topic = '{to}'\nformat = 'raw'\n{more}"
    )
}

fn run(folder: &Path, pipeline: &str) -> Ended {
    ask(folder, pipeline, &["run", "pipeline.toml", "--quiet"])
}

fn ask(folder: &Path, pipeline: &str, args: &[&str]) -> Ended {
    std::fs::write(folder.join("pipeline.toml"), pipeline).expect("written");
    let mut command = Program::find().expect("built").command(folder, args);
    let output = command.output().expect("runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ended { status: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn topics() -> (String, String) {
    let (from, to) = (rig().topic("from", 1).expect("made"), rig().topic("to", 1).expect("made"));
    rig().cluster.kcat_write(&from, &[Record::new(None, "a"), Record::new(None, "b")]).expect("written");
    (from, to)
}

#[test]
fn a_right_that_is_missing_is_told_with_principal_resource_and_operation() {
    let (from, to) = topics();
    let (job, folder) = (rig().job(), tempfile::tempdir().expect("a folder"));
    let cluster = &rig().cluster;
    let told = || {
        let ended = run(folder.path(), &pipeline(&job, "stranger", &from, &to, ""));
        assert_ne!(ended.status, Some(0), "{}", ended.err);
        ended.err
    };
    let expect = |resource: &str, operation: &str, option: &str| {
        let err = told();
        let principal = format!("`stranger@{}` is not allowed the operation {operation} on it", cluster.realm());
        let cure = format!("kafka-acls --add --allow-principal User:stranger --operation {operation} {option}");
        assert!(err.contains(resource) && err.contains(&principal) && err.contains(&cure), "{resource}, {operation}:\n{err}");
    };
    let grant = |resource, name: &str, operations: &[Operation]| {
        cluster.grant("stranger", resource, name, Pattern::Literal, operations).expect("granted");
    };
    let id = format!("{job}-0");
    expect(&format!("transactional id `{id}`"), "Write", &format!("--transactional-id {id}"));
    for id in [&id, &format!("{job}-1")] {
        grant(Resource::TransactionalId, id, &[Operation::Write, Operation::Describe]);
    }
    expect(&format!("topic `{to}`"), "Describe", &format!("--topic {to}"));
    grant(Resource::Topic, &to, &[Operation::Describe]);
    let group = format!("stygian-{job}");
    expect(&format!("group `{group}`"), "Read", &format!("--group {group}"));
    grant(Resource::Group, &group, &[Operation::Read]);
    // An offset is only taken from who may read the topic.
    expect(&format!("topic `{to}`"), "Read", &format!("--topic {to}"));
    grant(Resource::Topic, &to, &[Operation::Read]);
    expect(&format!("topic `{from}`"), "Describe", &format!("--topic {from}"));
    grant(Resource::Topic, &from, &[Operation::Describe]);
    expect(&format!("topic `{from}`"), "Read", &format!("--topic {from}"));
    grant(Resource::Topic, &from, &[Operation::Read]);
    expect(&format!("topic `{to}`"), "Write", &format!("--topic {to}"));
    grant(Resource::Topic, &to, &[Operation::Write]);
    let ended = run(folder.path(), &pipeline(&job, "stranger", &from, &to, ""));
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    let values: Vec<Option<String>> = cluster.kcat_read(&to).expect("read").into_iter().map(|record| record.value).collect();
    assert_eq!(values, [Some("a".to_owned()), Some("b".to_owned())]);
}

#[test]
fn a_topic_that_is_not_there_is_told_at_once() {
    let (from, to) = topics();
    let folder = tempfile::tempdir().expect("a folder");
    for (from, to, missing) in [("t-nowhere", to.as_str(), "t-nowhere"), (from.as_str(), "t-void", "t-void")] {
        let ended = run(folder.path(), &pipeline(&rig().job(), "pipeline", from, to, ""));
        assert_ne!(ended.status, Some(0), "{}", ended.err);
        assert!(ended.err.contains(&format!("topic `{missing}`")) && ended.err.contains("no such topic"), "{}", ended.err);
        let _ = std::fs::remove_dir_all(folder.path().join("checkpoints"));
    }
}

#[test]
fn a_message_that_is_too_large_is_told_with_what_to_raise() {
    let (from, to) = topics();
    rig().cluster.kcat_write(&from, &[Record::new(None, &"x".repeat(3000))]).expect("written");
    let folder = tempfile::tempdir().expect("a folder");
    let ended = run(folder.path(), &pipeline(&rig().job(), "pipeline", &from, &to, "max_message_bytes = '2 KiB'\n"));
    assert_eq!(ended.status, Some(1), "{}", ended.err);
    assert!(ended.err.contains("larger than allowed") && ended.err.contains("max_message_bytes"), "{}", ended.err);
    // What was in the transaction with it is not visible.
    assert_eq!(rig().cluster.kcat_read(&to).expect("read"), []);
}

#[test]
fn doctor_finds_the_right_that_is_missing_before_the_job_does() {
    let (from, to) = topics();
    let (job, folder) = (rig().job(), tempfile::tempdir().expect("a folder"));
    let cluster = &rig().cluster;
    let user = "doctored";
    cluster.add_principal(user).expect("added");
    let text = pipeline(&job, user, &from, &to, "");
    let doctor = || ask(folder.path(), &text, &["doctor", "pipeline.toml"]);
    let grant = |resource, name: &str, operations: &[Operation]| {
        cluster.grant(user, resource, name, Pattern::Prefixed, operations).expect("granted");
    };
    let expect = |step: &str, operation: &str| {
        let ended = doctor();
        assert_eq!(ended.status, Some(1), "{}{}", ended.out, ended.err);
        let last = ended.out.lines().last().unwrap_or_default();
        let not_allowed = format!("`{user}@{}` is not allowed the operation {operation} on it", cluster.realm());
        assert!(last.starts_with("failed") && last.contains(step) && last.contains(&not_allowed), "{step}, {operation}:\n{}", ended.out);
    };
    expect(&format!("source events: topic `{from}`"), "Describe");
    grant(Resource::Topic, &from, &[Operation::Describe]);
    expect(&format!("source events: topic `{from}`: read"), "Read");
    grant(Resource::Topic, &from, &[Operation::Read]);
    expect(&format!("sink copy: topic `{to}`: write"), "Describe");
    grant(Resource::Topic, &to, &[Operation::Describe, Operation::Read]);
    expect(&format!("sink copy: topic `{to}`: write"), "Write");
    grant(Resource::Topic, &to, &[Operation::Write]);
    expect(&format!("job {job}: exactly-once"), "Write");
    grant(Resource::TransactionalId, &job, &[Operation::Write, Operation::Describe]);
    expect(&format!("job {job}: exactly-once"), "Read");
    grant(Resource::Group, &format!("stygian-{job}"), &[Operation::Read]);
    let well = doctor();
    assert_eq!(well.status, Some(0), "{}{}", well.out, well.err);
    // On a busy machine the KDC's answer takes so long that the clocks seem to differ, which is worth a word.
    let steps: Vec<&str> = well.out.lines().filter_map(|line| line.get(9..)?.split_once(": ")).map(|(step, _)| step).collect();
    assert_eq!(steps[..6], ["krb5.conf", "keytab", "KDC", "clock", "ticket", "service kafka/localhost"]);
    let ran = run(folder.path(), &text);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
}

#[test]
fn a_keytab_without_the_principal_fails_at_once_and_says_what_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = pipeline(&rig().job(), "pipeline", "t-a", "t-b", "").replace("principal = 'pipeline@", "principal = 'somebody@");
    for command in ["run", "doctor"] {
        let ended = ask(folder.path(), &text, &[command, "pipeline.toml"]);
        assert_ne!(ended.status, Some(0), "{}", ended.err);
        let told = format!("{}{}", ended.out, ended.err);
        assert!(told.contains("has no key of somebody@") && told.contains("it holds pipeline@"), "{told}");
    }
}

#[test]
fn two_clusters_cannot_be_written_exactly_once_and_check_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = pipeline("twice", "pipeline", "t-a", "t-b", "");
    text.push_str(
        "[sink.other]\ninput = 'events'\nconnector = 'kafka'\nbootstrap_servers = 'elsewhere:9092'\ntopic = 't-c'\nformat = 'raw'\n",
    );
    let ended = ask(folder.path(), &text, &["check", "pipeline.toml"]);
    assert_eq!(ended.status, Some(2), "{}", ended.err);
    for word in ["sinks `copy` (transactions `twice-0`", "`other` (transactions", "elsewhere:9092", "at-least-once"] {
        assert!(ended.err.contains(word), "{word}:\n{}", ended.err);
    }
    let looser = text.replace("interval = '100ms'", "interval = '100ms'\nmode = 'at-least-once'");
    assert_eq!(ask(folder.path(), &looser, &["check", "pipeline.toml"]).status, Some(0));
}

#[test]
fn checkpoints_that_would_outlast_their_transaction_are_refused() {
    let (from, to) = topics();
    let folder = tempfile::tempdir().expect("a folder");
    let with = |checkpoint: &str, sink: &str| {
        let text = pipeline(&rig().job(), "pipeline", &from, &to, sink);
        text.replace("interval = '100ms'", &format!("interval = '100ms'\n{checkpoint}"))
    };
    // Ten minutes twice and half a minute are more than the fifteen that the broker gives by default.
    let ended = ask(folder.path(), &with("timeout = '10min'", ""), &["check", "pipeline.toml"]);
    assert_eq!(ended.status, Some(2), "{}", ended.err);
    for word in ["after 900s (`transaction_timeout` of the sink)", "wait for 1230s", "set `timeout` to 435s or less"] {
        assert!(ended.err.contains(word), "{word}:\n{}", ended.err);
    }
    // Where nobody says how long a checkpoint may take, it is as long as fits.
    for (checkpoint, sink) in [
        ("", ""),
        ("timeout = '435s'", ""),
        ("", "transaction_timeout = '2min'\n"),
        ("timeout = '10min'", "transaction_timeout = '21min'\n"),
    ] {
        let ended = ask(folder.path(), &with(checkpoint, sink), &["check", "pipeline.toml"]);
        assert_eq!(ended.status, Some(0), "{checkpoint} {sink}: {}", ended.err);
    }
    let ended = ask(folder.path(), &with("", "transaction_timeout = '31s'\n"), &["check", "pipeline.toml"]);
    assert!(
        ended.status == Some(2) && ended.err.contains("[checkpoint] it may have to wait for 32s; raise `transaction_timeout`"),
        "{}",
        ended.err
    );
    // What the broker allows, it says itself.
    let ended = run(folder.path(), &with("", "transaction_timeout = '16min'\n"));
    assert!(ended.status != Some(0) && ended.err.contains("`transaction.max.timeout.ms`"), "{:?}: {}", ended.status, ended.err);
}
