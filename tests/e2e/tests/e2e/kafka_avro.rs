//! Avro messages and a real schema registry. Bodies were made by fastavro 1.13 (Python), frames are made here; schemas are registered by curl.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use stygian_cluster::{Options, Server};
use stygian_e2e::{Ended, Guard, Program, Rig, read_output};

const V1: &str = r#"{"type":"record","name":"Event","namespace":"shop","fields":[{"name":"user","type":"string"},{"name":"n","type":"int"},{"name":"note","type":["null","string"],"default":null}]}"#;
const V2: &str = r#"{"type":"record","name":"Event","namespace":"shop","fields":[{"name":"user","type":"string"},{"name":"n","type":"long"},{"name":"note","type":["null","string"],"default":null},{"name":"country","type":"string","default":"XX"}]}"#;
/// By V1: user "ann", n -3, no note.
const ANN: &[u8] = b"\x06\x61\x6e\x6e\x05\x00";
/// By V2: user "böb", n 3000000000, note "hi", country "DE".
const BOB: &[u8] = b"\x08\x62\xc3\xb6\x62\x80\xf8\x82\xad\x16\x02\x04\x68\x69\x04\x44\x45";

/// A cluster with a registry; one case at a time, as some stop it.
fn rig() -> MutexGuard<'static, Rig> {
    static RIG: OnceLock<Mutex<Rig>> = OnceLock::new();
    let rig = RIG.get_or_init(|| Mutex::new(Rig::start(&Options { registry: true, ..Options::default() }).expect("a cluster")));
    rig.lock().unwrap_or_else(PoisonError::into_inner)
}

fn url(rig: &Rig) -> String {
    rig.cluster.registry_url().expect("a registry")
}

/// What curl brings of the registry.
fn curl(rig: &Rig, method: &str, path: &str, body: Option<&Value>) -> Value {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--noproxy", "*", "-X", method, "-H", "Content-Type: application/vnd.schemaregistry.v1+json"]);
    if let Some(body) = body {
        curl.args(["-d", &body.to_string()]);
    }
    let output = curl.arg(format!("{}{path}", url(rig))).output().expect("curl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Registers a schema; gives back its id.
fn register(rig: &Rig, subject: &str, schema: &str) -> u32 {
    let answer = curl(rig, "POST", &format!("/subjects/{subject}/versions"), Some(&json!({ "schema": schema })));
    u32::try_from(answer["id"].as_u64().unwrap_or_else(|| panic!("no id: {answer}"))).expect("an id")
}

fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [&[0], id.to_be_bytes().as_slice(), body].concat()
}

fn write(rig: &Rig, topic: &str, messages: &[Vec<u8>]) {
    messages.iter().for_each(|message| rig.cluster.kcat_write_bytes(topic, None, message).expect("written"));
}

/// A pipeline from a topic to files, with more keys of the source.
fn reading(rig: &Rig, topic: &str, more: &str) -> String {
    let (reach, kerberos) = (rig.reach().expect("reached"), rig.kerberos("pipeline").expect("paths"));
    format!(
        "name = '{}'\n{kerberos}[source.events]\n{reach}topic = '{topic}'\nformat = 'avro'\nregistry = {{ url = '{}' }}\n{more}\
         [sink.rows]\ninput = 'events'\nconnector = 'files'\npath = 'out'\nformat = 'json'\n\
         [sink.bad]\ninput = 'events.dead_letters'\nconnector = 'files'\npath = 'bad'\nformat = 'json'\n",
        rig.job(),
        url(rig)
    )
}

fn ask(folder: &Path, pipeline: &str, args: &[&str]) -> Ended {
    std::fs::write(folder.join("pipeline.toml"), pipeline).expect("written");
    Program::find().expect("built").run(folder, args).expect("runs")
}

fn well(folder: &Path, pipeline: &str) {
    let ended = ask(folder, pipeline, &["run", "pipeline.toml", "--quiet"]);
    assert_eq!(ended.status, Some(0), "{}\n{pipeline}", ended.err);
}

fn refused(folder: &Path, pipeline: &str, args: &[&str]) -> String {
    let ended = ask(folder, pipeline, args);
    assert_ne!(ended.status, Some(0), "{}", ended.out);
    ended.err
}

fn rows(folder: &Path) -> Vec<Value> {
    let mut rows = if folder.exists() { read_output(folder).expect("read") } else { Vec::new() };
    rows.sort_by_key(|row| (row["place"].as_u64(), row["offset"].as_u64(), row.to_string()));
    rows
}

#[test]
fn messages_of_two_schemas_are_read_and_others_are_dead_letters() {
    let (rig, folder) = (rig(), tempfile::tempdir().expect("a folder"));
    let topic = rig.topic("avro", 1).expect("made");
    let subject = format!("{topic}-value");
    let (one, two) = (register(&rig, &subject, V1), register(&rig, &subject, V2));
    let unknown = 999_999_u32;
    let messages = [framed(one, ANN), b"{\"user\":1}".to_vec(), framed(two, BOB), framed(unknown, ANN), framed(two, ANN), framed(one, ANN)];
    write(&rig, &topic, &messages);
    well(
        folder.path(),
        &reading(
            &rig,
            &topic,
            "schema = { n = 'int64 not null', user = 'text', country = 'text' }\nbeside = { offset = 'place' }\nuntil = 'latest'\n",
        ),
    );
    let ann = |place| json!({ "n": -3, "user": "ann", "place": place });
    let bob = json!({ "n": 3_000_000_000_u64, "user": "böb", "country": "DE", "place": 2 });
    assert_eq!(rows(&folder.path().join("out")), [ann(0), bob, ann(5)]);
    let bad = rows(&folder.path().join("bad"));
    let reasons: Vec<_> = bad.iter().map(|row| (row["offset"].as_u64(), row["reason"].as_str().unwrap_or_default())).collect();
    let no_schema = format!("the registry at {} has no schema with id {unknown}", url(&rig));
    let expected = [
        (Some(1), "not framed as a registry's messages are: it begins with the byte 123, not 0"),
        (Some(3), no_schema.as_str()),
        (Some(4), "its value is damaged at byte 6 of 6"),
    ];
    assert_eq!(reasons, expected, "{bad:?}");
}

#[test]
fn without_a_schema_columns_are_those_of_the_latest_with_its_defaults() {
    let (rig, folder) = (rig(), tempfile::tempdir().expect("a folder"));
    let topic = rig.topic("latest", 1).expect("made");
    let subject = "shop/events of all";
    let escaped = "shop%2Fevents%20of%20all";
    let (one, two) = (register(&rig, escaped, V1), register(&rig, escaped, V2));
    write(&rig, &topic, &[framed(one, ANN), framed(two, BOB)]);
    well(folder.path(), &reading(&rig, &topic, &format!("subject = '{subject}'\nuntil = 'latest'\n")));
    let expected = [
        json!({ "user": "böb", "n": 3_000_000_000_u64, "note": "hi", "country": "DE" }),
        json!({ "user": "ann", "n": -3, "country": "XX" }),
    ];
    assert_eq!(rows(&folder.path().join("out")), expected);
    let pipeline = reading(&rig, &topic, "until = 'latest'\n");
    let told = refused(folder.path(), &pipeline, &["check", "pipeline.toml"]);
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("the columns are to be those of the latest schema of subject `{topic}-value`")), "{told}");
    assert!(words.contains("has no such subject") && words.contains("name the columns with `schema`"), "{told}");
}

/// A pipeline that writes three columns of JSON to a topic in Avro.
fn writing(rig: &Rig, from: &str, to: &str, columns: &str, more: &str) -> String {
    let (reach, kerberos) = (rig.reach().expect("reached"), rig.kerberos("pipeline").expect("paths"));
    format!(
        "name = '{}'\n{kerberos}[source.from]\n{reach}topic = '{from}'\nformat = 'json'\nuntil = 'latest'\nschema = {columns}\n\
         [sink.to]\ninput = 'from'\n{reach}topic = '{to}'\nformat = 'avro'\nregistry = {{ url = '{}' }}\n{more}",
        rig.job(),
        url(rig)
    )
}

#[test]
fn rows_are_written_as_others_write_them_by_a_schema_that_is_registered() {
    let (rig, folder) = (rig(), tempfile::tempdir().expect("a folder"));
    let (from, to) = (rig.topic("plain", 1).expect("made"), rig.topic("avro-to", 1).expect("made"));
    let row = json!({ "user": "ann", "n": -5, "small": 7, "big": 18_446_744_073_709_551_615_u64, "price": "-12.34",
        "at": "2026-01-31T12:00:00.5Z", "day": "2026-01-31", "raw": "00ff", "x": 1.5, "ok": true });
    write(&rig, &from, &[row.to_string().into_bytes(), b"{\"user\":\"\"}".to_vec()]);
    let columns = "{ user = 'text not null', n = 'int64', small = 'uint8', big = 'uint64', price = 'decimal(10, 2)', at = 'timestamp_utc', day = 'date', raw = 'binary', x = 'float64', ok = 'bool' }";
    let pipeline = writing(&rig, &from, &to, columns, "record = 'shop.Row'\nkey = 'user'\n");
    let unregistered = refused(folder.path(), &format!("{pipeline}register = false\n"), &["run", "pipeline.toml", "--quiet"]);
    assert!(unregistered.contains(&format!("subject `{to}-value`")) && unregistered.contains("`register = true`"), "{unregistered}");
    well(folder.path(), &pipeline);
    let latest = curl(&rig, "GET", &format!("/subjects/{to}-value/versions/latest"), None);
    let id = u32::try_from(latest["id"].as_u64().expect("an id")).expect("an id");
    // By fastavro, of the same values by the same schema.
    let full = b"\x06\x61\x6e\x6e\x02\x09\x02\x0e\x02\x12\x00\xff\xff\xff\xff\xff\xff\xff\xff\x02\x04\xfb\x2e\x02\xc0\xc4\x86\xc5\xba\xeb\xa4\x06\x02\x88\xc0\x02\x02\x04\x00\xff\x02\x00\x00\x00\x00\x00\x00\xf8\x3f\x02\x01";
    let read = rig.cluster.kcat_read_bytes(&to).expect("read");
    let expected = [(Some(b"ann".to_vec()), Some(framed(id, full))), (Some(Vec::new()), Some(framed(id, &[0; 10])))];
    assert_eq!(read, expected);
    // Now by transactions.
    let checkpoints = "[checkpoint]\nfolder = 'checkpoints'\ninterval = '100ms'\n";
    well(folder.path(), &format!("{pipeline}register = false\n{checkpoints}"));
    assert_eq!(rig.cluster.kcat_read_bytes(&to).expect("read").len(), 4);

    curl(&rig, "PUT", &format!("/config/{to}-value"), Some(&json!({ "compatibility": "BACKWARD" })));
    let other = writing(&rig, &from, &to, "{ user = 'bool not null' }", "record = 'shop.Row'\n");
    let told = refused(folder.path(), &other, &["run", "pipeline.toml", "--quiet"]);
    assert!(told.contains("is not compatible") && told.contains(&format!("`{to}-value`")) && told.contains("409"), "{told}");
}

#[test]
fn a_registry_that_is_away_is_told_and_waited_for() {
    let (rig, folder) = (rig(), tempfile::tempdir().expect("a folder"));
    let topic = rig.topic("away", 1).expect("made");
    let subject = format!("{topic}-value");
    let (one, two) = (register(&rig, &subject, V1), register(&rig, &subject, V2));
    write(&rig, &topic, &[framed(one, ANN)]);
    let columns = "schema = { user = 'text', n = 'int64' }\n";
    let checkpoints = "[checkpoint]\nfolder = 'checkpoints'\ninterval = '100ms'\n";
    let pipeline = reading(&rig, &topic, columns).replacen("[source.events]", &format!("{checkpoints}[source.events]"), 1);
    std::fs::write(folder.path().join("pipeline.toml"), &pipeline).expect("written");
    let mut command = Program::find().expect("built").command(folder.path(), &["run", "pipeline.toml", "--quiet"]);
    let child: Child =
        command.stdout(Stdio::null()).stderr(std::fs::File::create(folder.path().join("err")).expect("made")).spawn().expect("runs");
    let mut job = Guard::of(child);
    let out = folder.path().join("out");
    until("the first row", || rows(&out).len() == 1);
    rig.cluster.pause(Server::Registry).expect("paused");
    write(&rig, &topic, &[framed(two, BOB), framed(one, ANN)]);
    // Longer than one question may take.
    std::thread::sleep(Duration::from_secs(13));
    assert_eq!((job.status().expect("asked"), rows(&out).len()), (None, 1));
    rig.cluster.resume(Server::Registry).expect("resumed");
    until("the others", || rows(&out).len() == 3);
    let bad = rows(&folder.path().join("bad"));
    assert!(bad.is_empty(), "{bad:?}");
    job.signal("-TERM").expect("told");
    until("its end", || job.status().expect("asked").is_some());
    let err = std::fs::read_to_string(folder.path().join("err")).expect("read");
    assert!(err.contains("schema registry") && err.contains("asking again"), "{err}");

    let nowhere = reading(&rig, &topic, "until = 'latest'\n").replace(&url(&rig), "http://127.0.0.1:1");
    let told = refused(folder.path(), &nowhere, &["check", "pipeline.toml"]);
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("the schema registry at http://127.0.0.1:1 for the latest schema of subject") && words.contains("refused"),
        "{told}"
    );
    let named = reading(&rig, &topic, &format!("{columns}until = 'latest'\n")).replace(&url(&rig), "http://127.0.0.1:1");
    assert_eq!(ask(folder.path(), &named, &["check", "pipeline.toml"]).status, Some(0));
}

#[test]
fn a_registry_inside_tls_is_known_by_its_authority() {
    let (rig, folder) = (rig(), tempfile::tempdir().expect("a folder"));
    // OpenSSL's own server gives out files.
    let versions = folder.path().join("subjects/t-tls-value/versions");
    std::fs::create_dir_all(&versions).expect("made");
    std::fs::write(versions.join("latest"), json!({ "schema": V1, "id": 1, "version": 1 }).to_string()).expect("written");
    let (certificate, key) = rig.cluster.certificate("pipeline");
    let mut openssl = Command::new("openssl");
    openssl.args(["s_server", "-accept", "127.0.0.1:0", "-WWW", "-cert"]).arg(certificate).arg("-key").arg(key);
    let mut server = openssl.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl");
    let told = BufReader::new(server.stdout.take().expect("piped"));
    let _server = Guard::of(server);
    let port =
        told.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:").map(str::to_owned)).expect("a port");
    let at = format!("https://localhost:{port}");
    let pipeline = |ca: &str| {
        let own = format!("url = '{}'", url(&rig));
        reading(&rig, "t-tls", "until = 'latest'\n").replace(&own, &format!("url = '{at}'{ca}"))
    };
    let ca = |path: &Path| format!(", ca = '{}'", path.display());
    let ended = ask(folder.path(), &pipeline(&ca(&rig.cluster.ca())), &["check", "pipeline.toml"]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    for other in [ca(&rig.cluster.other_ca()), String::new()] {
        let told = refused(folder.path(), &pipeline(&other), &["check", "pipeline.toml"]);
        let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("certificate verify failed") && words.contains("look at `ca`"), "{told}");
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_job_is_started_again_until_the_registry_is_there() {
    let (rig, folder) = (rig(), tempfile::tempdir().expect("a folder"));
    let (from, to) = (rig.topic("plain", 1).expect("made"), rig.topic("later", 1).expect("made"));
    write(&rig, &from, &[b"{\"user\":\"ann\"}".to_vec()]);
    let checkpoints = "[checkpoint]\nfolder = 'checkpoints'\ninterval = '100ms'\n";
    let pipeline = format!("{}{checkpoints}", writing(&rig, &from, &to, "{ user = 'text not null' }", ""));
    std::fs::write(folder.path().join("pipeline.toml"), &pipeline).expect("written");
    rig.cluster.kill(Server::Registry).expect("killed");
    let mut command = Program::find().expect("built").command(folder.path(), &["run", "pipeline.toml", "--quiet"]);
    let child =
        command.stdout(Stdio::null()).stderr(std::fs::File::create(folder.path().join("err")).expect("made")).spawn().expect("runs");
    let mut job = Guard::of(child);
    let err = || std::fs::read_to_string(folder.path().join("err")).expect("read");
    until("a start after the first", || err().contains("it is started again"));
    let reason = format!("could not ask the schema registry at {} to register a schema in subject `{to}-value`", url(&rig));
    assert!(err().contains(&reason), "{}", err());
    rig.cluster.start_server(Server::Registry).expect("started");
    until("its end", || job.status().expect("asked").is_some());
    assert!(job.status().expect("asked").is_some_and(|status| status.success()), "{}", err());
    let id = curl(&rig, "GET", &format!("/subjects/{to}-value/versions/latest"), None)["id"].as_u64().expect("an id");
    let expected = framed(u32::try_from(id).expect("an id"), b"\x06ann");
    assert_eq!(rig.cluster.kcat_read_bytes(&to).expect("read"), [(None, Some(expected))]);
}

#[test]
fn a_doctor_asks_the_registry() {
    let (rig, folder) = (rig(), tempfile::tempdir().expect("a folder"));
    let topic = rig.topic("doctor", 1).expect("made");
    let pipeline = reading(&rig, &topic, "schema = { user = 'text' }\nuntil = 'latest'\n");
    let doctor = |pipeline: &str| ask(folder.path(), pipeline, &["doctor", "pipeline.toml"]);
    let told = doctor(&pipeline);
    let line = format!("ok       source events: schema registry at {}: it answers; there is no subject `{topic}-value` yet", url(&rig));
    assert!(told.status == Some(0) && told.out.contains(&line), "{}\n{}", told.out, told.err);
    // Ids count over all subjects, versions in each.
    register(&rig, "other", &V1.replace("note", "other"));
    register(&rig, &format!("{topic}-value"), V1);
    let id = register(&rig, &format!("{topic}-value"), V2);
    assert_ne!(id, 2);
    let line = format!("it answers; the latest of subject `{topic}-value` is version 2, schema {id}\n");
    let told = doctor(&pipeline);
    assert!(told.status == Some(0) && told.out.contains(&line), "{}\n{}", told.out, told.err);
    let told = doctor(&pipeline.replace(&url(&rig), "http://127.0.0.1:1"));
    assert!(told.status == Some(1) && told.out.contains("failed   source events: schema registry at http://127.0.0.1:1"), "{}", told.out);
}
