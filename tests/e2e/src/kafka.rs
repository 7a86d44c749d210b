//! Cases over Kafka and HDFS: what a case reads and writes as local files, it reads and writes as topics and files of a real cluster, as a
//! principal of its KDC.

use crate::case::Case;
use crate::faults::{Chance, Guard, KILL_POINTS, Killed, LONGEST, ended_within, unfinished};
use crate::program::{Program, components};
use crate::rows::{Differences, read_json_lines, read_output};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use stygian_cluster::{Access, Cluster, Listener, Operation, Options, Pattern, Record, Resource};
use tempfile::TempDir;

/// The places of a job that writes to Kafka, beside [`KILL_POINTS`].
pub const TRANSACTION_POINTS: [&str; 2] = ["transaction-open", "transaction-committed"];

/// The user that jobs run as.
pub const USER: &str = "pipeline";

/// A cluster on which the user `pipeline` has what a job needs.
pub struct Rig {
    /// The cluster.
    pub cluster: Cluster,
    topics: AtomicUsize,
}

impl Rig {
    /// Starts a cluster.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(options: &Options) -> Result<Self> {
        let cluster = Cluster::start(options)?;
        let all = [Operation::Read, Operation::Write, Operation::Describe];
        cluster.grant(USER, Resource::Topic, "t-", Pattern::Prefixed, &all)?;
        cluster.grant(USER, Resource::Group, "stygian-", Pattern::Prefixed, &[Operation::Read])?;
        cluster.grant(USER, Resource::TransactionalId, "job-", Pattern::Prefixed, &[Operation::Write, Operation::Describe])?;
        Ok(Self { cluster, topics: AtomicUsize::new(0) })
    }

    /// A new topic, by a name that begins like this.
    ///
    /// # Errors
    /// When the broker makes none.
    pub fn topic(&self, name: &str, partitions: u16) -> Result<String> {
        let topic = format!("t-{name}-{}", self.topics.fetch_add(1, Ordering::Relaxed));
        self.cluster.create_topic(&topic, partitions, &[])?;
        Ok(topic)
    }

    /// A name for a job that no other has.
    pub fn job(&self) -> String {
        format!("job-{}", self.topics.fetch_add(1, Ordering::Relaxed))
    }

    /// The `[kerberos]` table of a pipeline that runs as a user.
    ///
    /// # Errors
    /// When a path is no text.
    pub fn kerberos(&self, user: &str) -> Result<String> {
        let path = |path: std::path::PathBuf| path.to_str().map(str::to_owned).context("a path that is no text");
        let (keytab, conf) = (path(self.cluster.keytab(user))?, path(self.cluster.krb5_conf())?);
        Ok(format!("[kerberos]\nprincipal = '{user}@{}'\nkeytab = '{keytab}'\nkrb5_conf = '{conf}'\n", self.cluster.realm()))
    }

    /// The keys by which a node reaches the cluster.
    ///
    /// # Errors
    /// When there is no such listener.
    pub fn reach(&self) -> Result<String> {
        let servers = self.cluster.address(Listener::SaslPlaintext)?;
        Ok(format!("connector = 'kafka'\nbootstrap_servers = '{servers}'\nsecurity = {{ protocol = 'sasl_plaintext' }}\n"))
    }

    /// The rows of a topic, as kcat reads what is committed.
    ///
    /// # Errors
    /// When it cannot be read, or a row is no JSON.
    pub fn rows(&self, topic: &str) -> Result<Vec<Value>> {
        let records = self.cluster.kcat_read_as(&Access::password("admin"), topic)?;
        let row = |record: Record| {
            let text = record.value.context("a record without a value")?;
            serde_json::from_str(&text).with_context(|| text.clone())
        };
        records.into_iter().map(row).collect()
    }

    /// A case whose input is in topics, one partition for every file, and whose output goes to topics.
    ///
    /// # Errors
    /// When it is not one of JSON files, or the cluster does not take it.
    pub fn case(&self, name: &str) -> Result<OverKafka<'_>> {
        self.case_with(name, Over { sources: Medium::Kafka, sinks: Medium::Kafka, ..Over::default() })
    }

    /// A case of which some is in topics, some in HDFS and the rest in local files.
    ///
    /// # Errors
    /// As [`Rig::case`].
    pub fn case_with(&self, name: &str, over: Over) -> Result<OverKafka<'_>> {
        let case = Case::named(name)?;
        let place = case.copied()?;
        let text = std::fs::read_to_string(place.path().join("pipeline.toml"))?;
        let mut pipeline: toml::Table = text.parse()?;
        pipeline.insert("name".into(), self.job().into());
        let mut sinks = BTreeMap::new();
        let root = if over.uses(Medium::Hdfs) { self.hdfs_folder()? } else { String::new() };
        for (source, node) in nodes(&mut pipeline, "source") {
            let path = node.get("path").and_then(toml::Value::as_str).context("a source without a path")?.to_owned();
            match over.sources {
                Medium::Local => {}
                Medium::Hdfs => {
                    // A glob stays one; what it matches is put there with the folder that it is in.
                    let folder = path.split(['*', '?', '[']).next().unwrap_or_default().trim_end_matches('/');
                    if let Some((above, _)) = folder.rsplit_once('/') {
                        self.cluster.hdfs_make_folder(&format!("{root}/{above}"), USER)?;
                    }
                    self.hdfs_put(&place.path().join(folder), &format!("{root}/{folder}"))?;
                    node.insert("path".into(), self.hdfs_url(&format!("{root}/{path}"))?.into());
                }
                Medium::Kafka => {
                    let topic = self.filled(&source, &place.path().join(path))?;
                    self.by_topic(node, &topic)?;
                    node.insert("until".into(), "latest".into());
                }
            }
        }
        for (sink, node) in nodes(&mut pipeline, "sink") {
            let is_parquet = node.get("format").and_then(toml::Value::as_str) == Some("parquet");
            let medium = over.parquet.filter(|_| is_parquet).unwrap_or(over.sinks);
            if medium == Medium::Hdfs {
                node.insert("path".into(), self.hdfs_url(&format!("{root}/out/{sink}"))?.into());
            }
            if medium != Medium::Kafka {
                sinks.insert(sink, Sink { topic: None, parted: Vec::new(), by_day: false });
                continue;
            }
            let topic = self.topic(&sink, 3)?;
            let by_day = node.contains_key("partition_day");
            let parted = node.get("partition_by").and_then(toml::Value::as_array).into_iter().flatten();
            let parted = parted.filter_map(|column| column.as_str().map(str::to_owned)).collect();
            self.by_topic(node, &topic)?;
            node.insert("format".into(), "json".into());
            sinks.insert(sink, Sink { topic: Some(topic), parted, by_day });
        }
        let hdfs = if root.is_empty() { String::new() } else { self.hdfs_table()? };
        let text = format!("{pipeline}\n{}{hdfs}", self.kerberos(USER)?);
        std::fs::write(place.path().join("pipeline.toml"), text)?;
        let checkpoints = match over.checkpoints {
            Medium::Hdfs => self.hdfs_url(&format!("{root}/checkpoints"))?,
            _ => "checkpoints".to_owned(),
        };
        Ok(OverKafka { rig: self, case, place, over, root, checkpoints, sinks })
    }

    fn by_topic(&self, node: &mut toml::Table, topic: &str) -> Result<()> {
        node.retain(|key, _| !key.starts_with("partition_") && !key.starts_with("roll_") && key != "path" && key != "compression");
        let reach: toml::Table = self.reach()?.parse()?;
        node.extend(reach);
        node.insert("topic".into(), topic.into());
        Ok(())
    }

    /// A topic with the lines of the files in a folder.
    fn filled(&self, source: &str, path: &Path) -> Result<String> {
        let mut files = Vec::new();
        if path.is_dir() {
            for entry in std::fs::read_dir(path)? {
                files.push(entry?.path());
            }
        } else {
            files.push(path.to_owned());
        }
        files.sort();
        let topic = self.topic(source, u16::try_from(files.len())?)?;
        for (partition, file) in files.iter().enumerate() {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            let partition = Some(i32::try_from(partition)?);
            let record = |line: &str| Record { partition, ..Record::new(None, line) };
            self.cluster.kcat_write(&topic, &text.lines().map(record).collect::<Vec<_>>())?;
        }
        Ok(topic)
    }
}

fn nodes<'t>(pipeline: &'t mut toml::Table, key: &str) -> impl Iterator<Item = (String, &'t mut toml::Table)> {
    let nodes = pipeline.get_mut(key).and_then(toml::Value::as_table_mut);
    nodes.into_iter().flatten().filter_map(|(name, node)| Some((name.clone(), node.as_table_mut()?)))
}

/// Where something lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Medium {
    /// In local files.
    #[default]
    Local,
    /// In files in HDFS.
    Hdfs,
    /// In topics.
    Kafka,
}

/// What of a case lies where.
#[derive(Clone, Copy, Debug, Default)]
pub struct Over {
    /// Its input.
    pub sources: Medium,
    /// Its output.
    pub sinks: Medium,
    /// What of it is Parquet, where that is elsewhere.
    pub parquet: Option<Medium>,
    /// The job's checkpoints.
    pub checkpoints: Medium,
}

impl Over {
    fn uses(&self, medium: Medium) -> bool {
        [Some(self.sources), Some(self.sinks), self.parquet, Some(self.checkpoints)].contains(&Some(medium))
    }
}

/// A case that runs over Kafka or HDFS.
pub struct OverKafka<'a> {
    rig: &'a Rig,
    case: Case,
    place: TempDir,
    over: Over,
    /// Its folder in HDFS, if it has one.
    root: String,
    /// The folder of its checkpoints.
    checkpoints: String,
    sinks: BTreeMap<String, Sink>,
}

/// A sink of a case.
struct Sink {
    /// `None`: it writes files.
    topic: Option<String>,
    /// Columns that are the names of folders where the case writes files.
    parted: Vec<String>,
    /// There are folders of days, too, which no column holds.
    by_day: bool,
}

impl OverKafka<'_> {
    /// Runs the case with checkpoints to its end, and checks what came of it.
    ///
    /// # Errors
    /// What differs from what was expected.
    pub fn check(&self, parallelism: u16) -> Result<()> {
        self.finish(parallelism, &Killed::default())
    }

    /// As [`OverKafka::check`], after the job was killed up to so many times at moments that `seed` chooses.
    ///
    /// # Errors
    /// What differs from what was expected.
    pub fn check_killed(&self, parallelism: u16, seed: u64, kills: usize) -> Result<Killed> {
        let (mut chance, mut killed) = (Chance(seed), Killed::default());
        while killed.times < kills {
            // Where the machine is idle, a run may take less than a second, and the first one is to be killed.
            let after = Duration::from_millis(50 + chance.below(if killed.times == 0 { 250 } else { 900 }));
            match ended_within(self.start(parallelism, None)?, after)? {
                None => killed.times += 1,
                Some(ended) => {
                    ensure!(ended.status == Some(0), "after {} kills: status {:?}\n{}", killed.times, ended.status, ended.err);
                    break;
                }
            }
        }
        self.finish(parallelism, &killed)?;
        Ok(killed)
    }

    /// As [`OverKafka::check_killed`], at named places that `seed` chooses.
    ///
    /// # Errors
    /// What differs from what was expected.
    pub fn check_killed_at_points(&self, parallelism: u16, seed: u64, kills: usize) -> Result<Killed> {
        let all: Vec<&'static str> = KILL_POINTS.into_iter().chain(TRANSACTION_POINTS).collect();
        let (mut chance, mut killed) = (Chance(seed), Killed::default());
        for _ in 0..kills {
            let (point, spared) = (chance.one_of(&all), chance.below(4));
            if self.kill_at(parallelism, point, spared)? {
                killed.times += 1;
                killed.points.push(point);
            } else {
                break;
            }
        }
        self.finish(parallelism, &killed)?;
        Ok(killed)
    }

    /// Kills the job at each of these places in turn, which it has to come to; then checks.
    ///
    /// # Errors
    /// When it does not come there, or what differs from what was expected.
    pub fn check_killed_at(&self, parallelism: u16, points: &[&'static str]) -> Result<Killed> {
        let mut killed = Killed::default();
        for point in points {
            ensure!(self.kill_at(parallelism, point, 0)?, "it never comes to {point}");
            killed.times += 1;
            killed.points.push(point);
        }
        self.finish(parallelism, &killed)?;
        Ok(killed)
    }

    /// A process that runs it, and does not outlive the test.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn running(&self, parallelism: u16) -> Result<Guard> {
        Ok(Guard(Some(self.start(parallelism, None)?)))
    }

    fn kill_at(&self, parallelism: u16, point: &str, spared: u64) -> Result<bool> {
        let ended = ended_within(self.start(parallelism, Some(&format!("{point}={spared}*off->return")))?, LONGEST)?;
        let ended = ended.with_context(|| format!("with {point} it does not come to its end"))?;
        ensure!(matches!(ended.status, None | Some(0)), "killed at {point}: status {:?}\n{}", ended.status, ended.err);
        Ok(ended.status.is_none())
    }

    fn start(&self, parallelism: u16, points: Option<&str>) -> Result<Child> {
        let mut command = self.command(parallelism)?;
        if let Some(points) = points {
            command.env("FAILPOINTS", points);
        }
        Ok(command.stdout(Stdio::null()).spawn()?)
    }

    fn command(&self, parallelism: u16) -> Result<Command> {
        let plugins = components().to_str().context("a path that is no text")?;
        let parallelism = format!("settings.parallelism={parallelism}");
        let folder = format!("checkpoint.folder={:?}", self.checkpoints);
        let sets = [parallelism.as_str(), &folder, "checkpoint.interval=\"50ms\""];
        let sets = sets.into_iter().flat_map(|set| ["--set", set]);
        let args: Vec<&str> = ["run", "pipeline.toml", "--plugins", plugins].into_iter().chain(sets).collect();
        Ok(Program::find()?.command(self.place.path(), &args))
    }

    fn finish(&self, parallelism: u16, killed: &Killed) -> Result<()> {
        let told = || format!("after {killed:?}");
        let last = ended_within(self.start(parallelism, None)?, LONGEST)?;
        let last = last.with_context(|| format!("{}, it does not come to its end in two minutes", told()))?;
        ensure!(last.status == Some(0), "{}: status {:?}\n{}", told(), last.status, last.err);
        self.compare().with_context(told)
    }

    /// What is in the topics against what the case expects.
    ///
    /// # Errors
    /// What differs.
    pub fn compare(&self) -> Result<()> {
        let (mut compared, out) = (0, self.place.path().join("out"));
        if [Some(self.over.sinks), self.over.parquet].contains(&Some(Medium::Hdfs)) {
            self.rig.hdfs_get(&format!("{}/out", self.root), &out)?;
            let left = unfinished(&out)?;
            ensure!(left.is_empty(), "left behind in HDFS: {left:?}");
        }
        if out.is_dir() {
            self.case.decode(&out)?;
        }
        for (sink, Sink { topic, parted, by_day }) in &self.sinks {
            let file = self.case.expected(sink);
            // What a source refuses is told with the place in its file, which a topic has not.
            if sink == "malformed" && self.over.sources == Medium::Kafka || !file.is_file() {
                continue;
            }
            let mut expected = read_json_lines(&file)?;
            expected.iter_mut().for_each(|row| parted.iter().for_each(|column| unfold(&mut row[column.as_str()])));
            if *by_day {
                expected.iter_mut().filter_map(Value::as_object_mut).for_each(|row| drop(row.remove("day")));
            }
            let found = match topic {
                Some(topic) => self.rig.rows(topic)?,
                None => read_output(&out.join(sink))?,
            };
            Differences::check(found, expected).with_context(|| format!("sink `{sink}`"))?;
            compared += 1;
        }
        ensure!(compared > 0, "the case expects nothing");
        Ok(())
    }
}

impl OverKafka<'_> {
    /// What another reader finds in the files in HDFS, each sink's folder by its URL, against what the case expects; how many rows that are.
    ///
    /// # Errors
    /// What differs, or what the reader says.
    pub fn compare_files(&self, read: impl Fn(&str) -> Result<Vec<Value>>) -> Result<usize> {
        let mut compared = 0;
        for sink in self.sinks.iter().filter(|(_, sink)| sink.topic.is_none()).map(|(name, _)| name) {
            let expected = read_json_lines(&self.case.expected(sink))?;
            compared += expected.len();
            let url = self.rig.hdfs_url(&format!("{}/out/{sink}", self.root))?;
            Differences::check(read(&url)?, expected).with_context(|| format!("sink `{sink}`"))?;
        }
        ensure!(compared > 0, "the case writes no files");
        Ok(compared)
    }
}

/// The value that a folder's name stands for.
fn unfold(name: &mut Value) {
    let Some(text) = name.as_str() else { return };
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex.filter(|_| *first == b'%') {
            Some(byte) => (bytes, rest) = ([bytes, vec![byte]].concat(), &after[2..]),
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    *name = String::from_utf8_lossy(&bytes).into_owned().into();
}
