//! The test cluster itself: it starts, guards, breaks as it is told to, and leaves nothing behind.
//!
//! Tests that break a server have a cluster of their own, with no more than they need; the others share a broker.

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use stygian_cluster::{Access, Cluster, Hdfs, Listener, Mechanism, Operation, Options, Pattern, Record, Resource, Server, owner_of};

/// A broker that no test breaks. It is never dropped: that nothing of it is left is what `leaves_nothing_when_its_process_is_killed` shows.
fn shared() -> Result<&'static Cluster> {
    static SHARED: OnceLock<Result<Cluster>> = OnceLock::new();
    let started = SHARED.get_or_init(|| Cluster::start(&Options { plaintext: true, ..Options::default() }));
    started.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// Only a KDC, which takes a second.
fn kdc_only() -> Result<Cluster> {
    Cluster::start(&Options { kafka: false, ..Options::default() })
}

/// Lets `pipeline` read and write topics that begin with a prefix.
fn open(cluster: &Cluster, prefix: &str) -> Result<()> {
    cluster.grant("pipeline", Resource::Topic, prefix, Pattern::Prefixed, &[Operation::Read, Operation::Write, Operation::Describe])
}

/// Waits until a process is gone.
fn gone(id: u32) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    // One that has ended and that nobody asked for yet is gone, too.
    let is_there = || std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while is_there() {
        ensure!(Instant::now() < deadline, "process {id} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Whether a principal can log in with a keytab.
fn login(krb5_conf: &Path, principal: &str, keytab: &Path) -> Result<(), String> {
    let mut kinit = Command::new("kinit");
    kinit.env("KRB5_CONFIG", krb5_conf).env("KRB5CCNAME", "MEMORY:probe").arg("-k").arg("-t").arg(keytab).arg(principal);
    let output = kinit.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn refuses_a_user_until_it_is_granted() -> Result<()> {
    let (cluster, topic, kerberos) = (shared()?, "guarded", Access::kerberos("pipeline"));
    cluster.create_topic(topic, 2, &[])?;
    let record = Record { headers: vec![("kind".into(), "click".into())], partition: Some(1), ..Record::new(Some("ann"), "one") };
    let refused = format!("{:#}", cluster.kcat_write_as(&kerberos, topic, std::slice::from_ref(&record)).unwrap_err());
    ensure!(refused.contains("uthorization failed"), "{refused}");

    open(cluster, topic)?;
    cluster.kcat_write_as(&kerberos, topic, &[record.clone(), Record::new(None, "two")])?;
    let found = cluster.kcat_read_as(&kerberos, topic)?;
    let first = found.iter().find(|found| found.key.as_deref() == Some("ann")).context("the record")?;
    ensure!(first.timestamp > 0 && *first == Record { offset: first.offset, timestamp: first.timestamp, ..record }, "{found:?}");
    ensure!(found.len() == 2 && found == cluster.kcat_read(topic)?, "{found:?}");

    let refused = format!("{:#}", cluster.kcat_read_as(&Access::kerberos("stranger"), topic).unwrap_err());
    ensure!(refused.contains("uthorization failed"), "{refused}");
    cluster.revoke("pipeline", Resource::Topic, topic, Pattern::Prefixed, &[Operation::Read, Operation::Write, Operation::Describe])?;
    let refused = format!("{:#}", cluster.kcat_read_as(&kerberos, topic).unwrap_err());
    ensure!(refused.contains("uthorization failed"), "{refused}");
    let again = cluster.revoke("pipeline", Resource::Topic, topic, Pattern::Prefixed, &[Operation::Read]);
    ensure!(format!("{again:?}").contains("it was not granted"), "{again:?}");
    Ok(())
}

/// Whether a topic is there for who comes this way, by librdkafka as it is built here.
fn sees(cluster: &Cluster, way: &Access, topic: &str) -> Result<()> {
    let settings = cluster.client_settings(way)?.into_iter().map(|(name, value)| (name.to_owned(), value));
    let client: BaseProducer = settings.collect::<ClientConfig>().create()?;
    let metadata = client.client().fetch_metadata(Some(topic), Duration::from_secs(20))?;
    ensure!(metadata.topics().iter().all(|found| found.name() == topic && found.error().is_none()), "{topic} is not there");
    Ok(())
}

#[test]
fn knows_a_user_by_every_way_in() -> Result<()> {
    let (cluster, topic) = (shared()?, "ways");
    cluster.create_topic(topic, 1, &[])?;
    open(cluster, topic)?;
    let mut ways = vec![Access::new(Listener::Ssl, Mechanism::Plain, "pipeline")];
    for listener in [Listener::SaslPlaintext, Listener::SaslSsl] {
        ways.extend([Mechanism::Gssapi, Mechanism::Plain].map(|mechanism| Access::new(listener, mechanism, "pipeline")));
        // Not every kcat can do these.
        for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha512] {
            let way = Access::new(listener, mechanism, "pipeline");
            sees(cluster, &way, topic).with_context(|| format!("{way:?}"))?;
        }
    }
    for (n, way) in (1..).zip(&ways) {
        cluster.kcat_write_as(way, topic, &[Record::new(None, &n.to_string())]).with_context(|| format!("{way:?}"))?;
        ensure!(cluster.kcat_read_as(way, topic)?.len() == n, "{way:?}");
    }
    let open = Access::new(Listener::Plaintext, Mechanism::Plain, "nobody");
    let refused = format!("{:#}", cluster.kcat_read_as(&open, topic).unwrap_err());
    ensure!(refused.contains("uthorization failed"), "{refused}");
    let untrusted = Access::new(Listener::Ssl, Mechanism::Plain, "untrusted");
    ensure!(cluster.kcat_read_as(&untrusted, topic).is_err(), "a certificate of another authority is trusted");
    Ok(())
}

#[test]
fn changes_topics() -> Result<()> {
    let (cluster, topic) = (shared()?, "changes");
    cluster.create_topic(topic, 1, &[("cleanup.policy", "compact")])?;
    let twice = format!("{:#}", cluster.create_topic(topic, 1, &[]).unwrap_err());
    ensure!(twice.contains("cannot create topic changes") && twice.contains("already exists"), "{twice}");
    cluster.set_partitions(topic, 3)?;
    let deleted = Record { value: None, partition: Some(2), ..Record::new(Some("key"), "") };
    cluster.kcat_write(topic, &[deleted, Record { partition: Some(2), ..Record::new(Some("key"), "") }])?;
    let found: Vec<_> = cluster.kcat_read(topic)?.into_iter().map(|found| (found.partition, found.value)).collect();
    ensure!(found == [(Some(2), None), (Some(2), Some(String::new()))], "{found:?}");
    let bytes: Vec<u8> = (0..=255).collect();
    cluster.kcat_write_bytes(topic, Some("bytes"), &bytes)?;
    let found = cluster.kcat_read_bytes(topic)?;
    let expected = [(Some(b"key".to_vec()), None), (Some(b"key".to_vec()), Some(Vec::new())), (Some(b"bytes".to_vec()), Some(bytes))];
    ensure!(found.len() == 3 && expected.iter().all(|expected| found.contains(expected)), "{found:?}");
    cluster.delete_topic(topic)?;
    ensure!(cluster.kcat_read(topic).is_err(), "the topic is still there");
    Ok(())
}

#[test]
fn keeps_data_when_the_broker_is_killed_and_lets_no_one_in_while_the_kdc_is_away() -> Result<()> {
    let (cluster, topic, kerberos) = (Cluster::start(&Options::default())?, "kept", Access::kerberos("pipeline"));
    cluster.create_topic(topic, 1, &[])?;
    open(&cluster, topic)?;
    cluster.kcat_write_as(&kerberos, topic, &[Record::new(None, "one")])?;

    cluster.kill(Server::Kdc)?;
    let refused = format!("{:#}", cluster.kcat_read_as(&kerberos, topic).unwrap_err());
    ensure!(refused.contains("Cannot contact any KDC"), "{refused}");
    // Broken at once: the broker comes back without a KDC.
    cluster.kill(Server::Kafka)?;
    ensure!(!cluster.runs(Server::Kafka)? && cluster.kill(Server::Kafka).is_err(), "it runs");
    cluster.start_server(Server::Kafka)?;
    ensure!(cluster.kcat_read(topic)?.len() == 1, "the record is lost");
    cluster.start_server(Server::Kdc)?;
    ensure!(cluster.kcat_read_as(&kerberos, topic)?.len() == 1, "the record is lost");

    cluster.pause(Server::Kafka)?;
    let mut kcat = cluster.kcat(&Access::password("admin"))?;
    ensure!(!kcat.args(["-L", "-m", "2"]).output()?.status.success(), "a paused broker answers");
    cluster.resume(Server::Kafka)?;
    cluster.kcat_write(topic, &[Record::new(None, "two")])?;
    ensure!(cluster.kcat_read(topic)?.len() == 2, "a record is lost");
    cluster.stop(Server::Kafka)?;
    ensure!(!cluster.runs(Server::Kafka)?, "it runs");
    Ok(())
}

#[test]
fn changes_who_can_log_in() -> Result<()> {
    let cluster = kdc_only()?;
    let (conf, late) = (cluster.krb5_conf(), cluster.add_principal("late")?);
    ensure!(login(&conf, "late", &late).is_ok() && cluster.add_principal("late").is_err(), "late");
    let newer = cluster.rotate_key("late")?;
    let refused = login(&conf, "late", &late).unwrap_err();
    ensure!(refused.contains("Preauthentication failed") || refused.contains("Password incorrect"), "{refused}");
    ensure!(login(&conf, "late", &newer).is_ok(), "the new key");
    cluster.remove_principal("late")?;
    let refused = login(&conf, "late", &newer).unwrap_err();
    ensure!(refused.contains("not found in Kerberos database"), "{refused}");
    ensure!(cluster.rotate_key("late").is_err() && cluster.remove_principal("late").is_err(), "there is no such principal");

    let unknown = cluster.krb5_variant("unknown", &stygian_cluster::Krb5Conf { kdc_port: None, ..cluster.krb5() })?;
    let refused = login(&unknown, "pipeline", &cluster.keytab("pipeline")).unwrap_err();
    ensure!(refused.contains("Cannot find KDC for realm"), "{refused}");
    cluster.stop(Server::Kdc)?;
    let refused = login(&conf, "pipeline", &cluster.keytab("pipeline")).unwrap_err();
    ensure!(refused.contains("Cannot contact any KDC"), "{refused}");
    Ok(())
}

#[test]
fn leaves_nothing_when_it_is_dropped() -> Result<()> {
    let cluster = kdc_only()?;
    let (folder, kdc) = (cluster.folder().to_owned(), cluster.process_id(Server::Kdc)?.context("a process")?);
    ensure!(owner_of(&folder)? == Some(std::process::id()), "the owner");
    drop(cluster);
    gone(kdc)?;
    ensure!(!folder.exists(), "{} is left", folder.display());
    Ok(())
}

/// The servers of a cluster by their parent.
fn children_of(parent: u32) -> Result<Vec<u32>> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task"))?;
    let children = tasks.map(|task| Ok(std::fs::read_to_string(task?.path().join("children"))?)).collect::<Result<Vec<String>>>()?;
    Ok(children.concat().split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

#[test]
fn leaves_nothing_when_its_process_is_killed() -> Result<()> {
    let place = tempfile::tempdir()?;
    let folder = place.path().join("cluster");
    let mut cluster = Command::new(env!("CARGO_BIN_EXE_cluster"));
    let mut up = cluster.args(["up", "--dir"]).arg(&folder).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(up.stdout.take().context("its output")?).lines();
    let told: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.starts_with("# up after")).collect();
    ensure!(told.iter().any(|line| line.starts_with("export KRB5_CONFIG='")), "{told:?}");
    let servers = children_of(up.id())?;
    ensure!(servers.len() == 2, "a KDC and a broker, not {servers:?}");
    up.kill()?;
    up.wait()?;
    servers.into_iter().try_for_each(gone)?;
    ensure!(owner_of(&folder)?.is_none(), "the folder still belongs to it");

    // The folder of one that has ended may be taken, and `down` ends it.
    let mut up = Command::new(env!("CARGO_BIN_EXE_cluster")).args(["up", "--dir"]).arg(&folder).stdout(Stdio::null()).spawn()?;
    while !folder.join("owner").exists() || owner_of(&folder)?.is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure!(Command::new(env!("CARGO_BIN_EXE_cluster")).args(["down", "--dir"]).arg(&folder).output()?.status.success(), "down");
    ensure!(up.wait()?.success(), "up");
    Ok(())
}

#[test]
fn keeps_schemas_in_a_registry() -> Result<()> {
    let cluster = Cluster::start(&Options { kafka: false, registry: true, ..Options::default() })?;
    let url = format!("{}/subjects/clicks-value/versions", cluster.registry_url().context("a registry")?);
    let curl = |args: &[&str]| -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&Command::new("curl").args(["-sS", "--fail-with-body", "--max-time", "30"]).args(args).output()?.stdout)?)
    };
    let schema = r#"{"schema": "{\"type\": \"string\"}"}"#;
    let id = curl(&["-H", "Content-Type: application/vnd.schemaregistry.v1+json", "-d", schema, &url])?;
    ensure!(id["id"].is_u64(), "{id}");
    let found = curl(&[&format!("{url}/latest")])?;
    ensure!(found["id"] == id["id"] && found["version"] == 1, "{found}");
    Ok(())
}

#[test]
fn keeps_files_in_hdfs() -> Result<()> {
    let cluster = Cluster::start(&Options { kafka: false, hdfs: Hdfs::One, ..Options::default() })?;
    ensure!(cluster.live_data_nodes()? == 1, "a live DataNode");
    cluster.hdfs_make_folder("/user/pipeline", "pipeline")?;
    cluster.hdfs_write("/user/pipeline/a b", b"hello", "pipeline")?;
    cluster.kill(Server::NameNode)?;
    cluster.start_server(Server::NameNode)?;
    let found = cluster.hdfs_list("/user/pipeline")?;
    ensure!(found.len() == 1 && found[0].name == "a b" && found[0].length == 5 && found[0].owner == "pipeline", "{found:?}");
    ensure!(cluster.hdfs_read("/user/pipeline/a b")? == b"hello", "its bytes");
    ensure!(cluster.hdfs_remove("/user")? && !cluster.hdfs_remove("/user")?, "removed once");
    Ok(())
}

#[test]
fn fails_over_to_the_other_name_node() -> Result<()> {
    let cluster = Cluster::start(&Options { kafka: false, hdfs: Hdfs::Ha, ..Options::default() })?;
    ensure!(cluster.hdfs_url().as_deref() == Some("hdfs://ns"), "its name");
    cluster.hdfs_make_folder("/user", "pipeline")?;
    cluster.hdfs_write("/user/a", b"hello", "pipeline")?;
    cluster.failover(Server::NameNode2)?;
    ensure!(cluster.hdfs_read("/user/a")? == b"hello", "its bytes");
    cluster.kill(Server::NameNode2)?;
    ensure!(cluster.hdfs_read("/user/a").is_err(), "no NameNode is active, and one answers");
    cluster.failover(Server::NameNode)?;
    ensure!(cluster.hdfs_read("/user/a")? == b"hello", "its bytes");
    Ok(())
}
