//! What sources and sinks of Kafka can be told: ways in, where to begin and end, what comes beside payloads.

use crate::kafka::rig;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use stygian_cluster::{Listener, Operation, Pattern, Record, Resource};
use stygian_e2e::{Ended, Program, read_output};

fn run(folder: &Path, pipeline: &str) -> Ended {
    std::fs::write(folder.join("pipeline.toml"), pipeline).expect("written");
    Program::find().expect("built").run(folder, &["run", "pipeline.toml", "--quiet"]).expect("runs")
}

fn well(folder: &Path, pipeline: &str) {
    let ended = run(folder, pipeline);
    assert_eq!(ended.status, Some(0), "{}\n{pipeline}", ended.err);
}

fn values(records: Vec<Record>) -> Vec<String> {
    let mut values: Vec<String> = records.into_iter().filter_map(|record| record.value).collect();
    values.sort();
    values
}

/// Users that come by password have what `pipeline` has by name; certificates are of the same users.
fn grant(user: &str) {
    let cluster = &rig().cluster;
    let all = [Operation::Read, Operation::Write, Operation::Describe];
    cluster.grant(user, Resource::Topic, "t-", Pattern::Prefixed, &all).expect("granted");
}

#[test]
fn a_topic_is_copied_by_every_way_in() {
    let (rig, folder) = (rig(), tempfile::tempdir().expect("a folder"));
    let cluster = &rig.cluster;
    grant("pipeline");
    let secret = folder.path().join("password");
    std::fs::write(&secret, cluster.password("pipeline")).expect("written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("set");
    let (ca, (certificate, key)) = (cluster.ca().display().to_string(), cluster.certificate("pipeline"));
    let password = "username = 'pipeline', password = { file = 'password' }";
    let ways = [
        (Listener::SaslSsl, format!("{{ protocol = 'sasl_ssl', ca = '{ca}' }}")),
        (Listener::SaslPlaintext, format!("{{ protocol = 'sasl_plaintext', mechanism = 'scram-sha-256', {password} }}")),
        (Listener::SaslSsl, format!("{{ protocol = 'sasl_ssl', ca = '{ca}', mechanism = 'scram-sha-512', {password} }}")),
        (Listener::SaslSsl, format!("{{ protocol = 'sasl_ssl', ca = '{ca}', mechanism = 'plain', {password} }}")),
        (
            Listener::Ssl,
            format!("{{ protocol = 'ssl', ca = '{ca}', certificate = '{}', key = '{}' }}", certificate.display(), key.display()),
        ),
    ];
    let from = rig.topic("ways", 2).expect("made");
    cluster.kcat_write(&from, &[Record::new(None, "a"), Record::new(None, "b")]).expect("written");
    for (listener, security) in ways {
        let to = rig.topic("came", 1).expect("made");
        let reach = format!(
            "connector = 'kafka'\nbootstrap_servers = '{}'\nsecurity = {security}\nformat = 'raw'\n",
            cluster.address(listener).expect("there")
        );
        let kerberos = rig.kerberos("pipeline").expect("paths");
        let pipeline = format!(
            "name = '{}'\n{kerberos}[source.from]\n{reach}topic = '{from}'\nuntil = 'latest'\n[sink.to]\ninput = 'from'\n{reach}topic = '{to}'\n",
            rig.job()
        );
        well(folder.path(), &pipeline);
        assert_eq!(values(cluster.kcat_read(&to).expect("read")), ["a", "b"], "{security}");
    }
}

#[test]
fn a_wrong_password_or_authority_is_told() {
    let (rig, folder) = (rig(), tempfile::tempdir().expect("a folder"));
    let cluster = &rig.cluster;
    let secret = folder.path().join("password");
    std::fs::write(&secret, "not-it").expect("written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("set");
    let password = "mechanism = 'scram-sha-256', username = 'pipeline', password = { file = 'password' }";
    let cases = [
        (Listener::SaslPlaintext, format!("{{ protocol = 'sasl_plaintext', {password} }}"), "SASL authentication"),
        (Listener::SaslSsl, format!("{{ protocol = 'sasl_ssl', ca = '{}' }}", cluster.other_ca().display()), "certificate verify failed"),
    ];
    for (listener, security, word) in cases {
        let reach =
            format!("connector = 'kafka'\nbootstrap_servers = '{}'\nsecurity = {security}\n", cluster.address(listener).expect("there"));
        let kerberos = rig.kerberos("pipeline").expect("paths");
        let pipeline = format!(
            "name = '{}'\n{kerberos}[source.from]\n{reach}topic = 't-x'\nformat = 'raw'\nuntil = 'latest'\n[sink.to]\ninput = 'from'\nconnector = 'console'\n",
            rig.job()
        );
        let ended = run(folder.path(), &pipeline);
        assert_eq!(ended.status, Some(1), "{}", ended.err);
        assert!(ended.err.contains(word) && !ended.err.contains("not-it"), "{word}:\n{}", ended.err);
    }
}

/// The rows of a source with these keys, as JSON lines.
fn rows(topic: &str, keys: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let (reach, kerberos) = (rig().reach().expect("reached"), rig().kerberos("pipeline").expect("paths"));
    let pipeline = format!(
        "name = '{}'\n{kerberos}[source.from]\n{reach}topic = '{topic}'\n{keys}[sink.rows]\ninput = 'from'\nconnector = 'files'\npath = 'out'\nformat = 'json'\n",
        rig().job()
    );
    well(folder.path(), &pipeline);
    let mut rows = if folder.path().join("out").exists() { read_output(&folder.path().join("out")).expect("read") } else { Vec::new() };
    rows.sort_by_key(ToString::to_string);
    rows
}

#[test]
fn what_comes_beside_payloads_becomes_columns() {
    let topic = rig().topic("beside", 1).expect("made");
    let with = |key: Option<&str>, value: &str, headers: &[(&str, &str)]| Record {
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Record::new(key, value)
    };
    let records = [with(Some("ann"), "{\"n\":1}", &[("trace", "t1"), ("trace", "t2")]), with(None, "{\"n\":2}", &[])];
    rig().cluster.kcat_write(&topic, &records).expect("written");
    let read = rows(
        &topic,
        "format = 'json'\nschema = { n = 'int64' }\nuntil = 'latest'\n\
         beside = { key = 'user', timestamp = 'sent', partition = 'part', offset = 'place', headers = { trace = 'trace', none = 'none' } }\n",
    );
    let sent: Vec<&str> = read.iter().filter_map(|row| row["sent"].as_str()).collect();
    assert!(sent.len() == 2 && sent.iter().all(|time| time.starts_with("20") && time.ends_with('Z')), "{read:?}");
    let rest: Vec<Value> = read
        .into_iter()
        .map(|mut row| {
            row.as_object_mut().expect("a row").remove("sent");
            row
        })
        .collect();
    assert_eq!(rest, [json!({ "n": 1, "user": "ann", "part": 0, "place": 0, "trace": "t2" }), json!({ "n": 2, "part": 0, "place": 1 })]);
}

#[test]
fn reading_begins_and_ends_where_it_is_told_to() {
    let topic = rig().topic("span", 2).expect("made");
    let record = |partition, value: &str| Record { partition: Some(partition), ..Record::new(None, value) };
    let all: Vec<Record> = (0..4).flat_map(|n| [record(0, &format!("a{n}")), record(1, &format!("b{n}"))]).collect();
    rig().cluster.kcat_write(&topic, &all).expect("written");
    let lines = |keys: &str| -> Vec<String> {
        let read = rows(&topic, &format!("format = 'raw'\n{keys}"));
        read.iter().filter_map(|row| row["line"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(lines("until = 'latest'\n").len(), 8);
    assert_eq!(lines("start = { offsets = { '0' = 3, '1' = 2 } }\nuntil = 'latest'\n"), ["a3", "b2", "b3"]);
    assert_eq!(lines("until = { offsets = { '0' = 2 } }\n"), ["a0", "a1"]);
    assert_eq!(lines("start = 'latest'\nuntil = 'latest'\n"), [""; 0]);
    assert_eq!(lines("start = { timestamp = '2020-01-01T00:00:00Z' }\nuntil = { timestamp = '2020-01-01T00:00:00Z' }\n"), [""; 0]);
    assert_eq!(lines("start = { timestamp = '2020-01-01T00:00:00Z' }\nuntil = 'latest'\n").len(), 8);
}

#[test]
fn keys_headers_and_timestamps_are_written_and_partitions_are_those_of_java() {
    let (rig, folder) = (rig(), tempfile::tempdir().expect("a folder"));
    let (from, to) = (rig.topic("plain", 1).expect("made"), rig.topic("keyed", 10).expect("made"));
    let lines = ["21", "foobar", "a-little-bit-long-string"].map(|key| {
        Record::new(None, &json!({ "key": key, "trace": format!("t-{key}"), "at": "2026-01-31T12:00:00.5Z", "n": 1 }).to_string())
    });
    rig.cluster.kcat_write(&from, &lines).expect("written");
    let (reach, kerberos) = (rig.reach().expect("reached"), rig.kerberos("pipeline").expect("paths"));
    let pipeline = format!(
        "name = '{}'\n{kerberos}[source.from]\n{reach}topic = '{from}'\nformat = 'json'\nuntil = 'latest'\n\
         schema = {{ key = 'text', trace = 'text', at = 'timestamp_utc', n = 'int64' }}\n\
         [sink.to]\ninput = 'from'\n{reach}topic = '{to}'\nformat = 'json'\nkey = 'key'\nheaders = {{ trace-id = 'trace' }}\ntimestamp = 'at'\n",
        rig.job()
    );
    well(folder.path(), &pipeline);
    let read = rig.cluster.kcat_read(&to).expect("read");
    let found: Vec<_> =
        read.iter().map(|record| (record.key.clone().unwrap_or_default(), record.headers.clone(), record.timestamp)).collect();
    assert_eq!(found.len(), 3);
    for (key, headers, timestamp) in &found {
        assert_eq!(headers, &[("trace-id".to_owned(), format!("t-{key}"))]);
        assert_eq!(*timestamp, 1_769_860_800_500);
    }
    // What `org.apache.kafka.common.utils.Utils.murmur2` gives for these texts, from its own test.
    let hashes = [("21", -973_932_308_i32), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)];
    for (key, hash) in hashes {
        let expected = (hash & 0x7fff_ffff) % 10;
        let record = read.iter().find(|record| record.key.as_deref() == Some(key)).expect("written");
        assert_eq!(record.partition, Some(expected), "{key}");
    }
}
