//! Kafka to Kafka: CPU-seconds of the whole process per million rows, against a program written by hand on librdkafka.
//!
//! `bench-kafka STYGIAN BY-HAND FOLDER [ROWS] [ROUNDS]` starts a broker of its own, fills a topic of 4 partitions with bids of about 200 bytes,
//! and runs three jobs on it, each in turn with its peer: `a` sends every row on, `b` one in 123, `c` counts and averages by auction in windows of 10 s,
//! exactly-once with a checkpoint every 10 s. Every run is a process of its own. Figures are medians.

use anyhow::{Context, Result, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use stygian_bench::{median, tell};
use stygian_cluster::{Access, Cluster, Listener, Mechanism, Operation, Options, Pattern, Resource};

const PARTITIONS: u16 = 4;

struct Bench {
    cluster: Cluster,
    stygian: PathBuf,
    by_hand: PathBuf,
    folder: PathBuf,
    rows: u64,
    rounds: usize,
}

/// One run of a process.
#[derive(Clone, Copy)]
struct Run {
    cpu: f64,
    seconds: f64,
    mib: f64,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [stygian, by_hand, folder, more @ ..] = args.as_slice() else { bail!("bench-kafka STYGIAN BY-HAND FOLDER [ROWS] [ROUNDS]") };
    let number = |at: usize, or: u64| more.get(at).map_or(Ok(or), |text| text.parse()).context("a number");
    let (rows, rounds) = (number(0, 5_000_000)?, usize::try_from(number(1, 3)?)?);
    std::fs::create_dir_all(folder)?;
    let cluster = Cluster::start(&Options { plaintext: true, ..Options::default() })?;
    for user in ["ANONYMOUS", "pipeline"] {
        let all = [Operation::Read, Operation::Write, Operation::Describe];
        cluster.grant(user, Resource::Topic, "*", Pattern::Literal, &all)?;
        cluster.grant(user, Resource::Group, "*", Pattern::Literal, &[Operation::Read])?;
        cluster.grant(user, Resource::TransactionalId, "*", Pattern::Literal, &[Operation::Write, Operation::Describe])?;
    }
    cluster.create_topic("bids", PARTITIONS, &[])?;
    let bench = Bench { cluster, stygian: stygian.into(), by_hand: by_hand.into(), folder: folder.into(), rows, rounds };
    bench.fill()?;
    for kind in ["a", "b", "c"] {
        bench.compare(kind)?;
    }
    for (name, listener) in [("gssapi", Listener::SaslPlaintext), ("gssapi and tls", Listener::SaslSsl)] {
        let runs = (0..bench.rounds).map(|round| bench.ours("a", listener, round)).collect::<Result<Vec<Run>>>()?;
        tell(&json!({ "figure": format!("kafka a over {name}"), "cpu_seconds_per_million_rows": bench.per_million(&runs) }))?;
    }
    Ok(())
}

impl Bench {
    /// The bids of one auction house: 2,000 open auctions, 100 bids a second of event time in each partition.
    fn fill(&self) -> Result<()> {
        let mut config = ClientConfig::new();
        for (key, value) in self.cluster.client_settings(&Access::new(Listener::Plaintext, Mechanism::Plain, "ANONYMOUS"))? {
            config.set(key, value);
        }
        let config = config.set("compression.type", "lz4").set("linger.ms", "20").set("queue.buffering.max.messages", "200000");
        let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
        let mut random = 1_u64;
        for row in 0..self.rows {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (auction, price) = (1000 + (random >> 33) % 2000, (random >> 17) % 10_000);
            let at = Duration::from_millis(1_767_225_600_000 + row / u64::from(PARTITIONS) * 10);
            let at = humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + at);
            let bid = format!(
                "{{\"auction\":{auction},\"bidder\":{},\"price\":{price},\"channel\":\"channel-{}\",\"url\":\"https://auctions.example.org/item/{auction}\",\"at\":\"{at}\",\
                 \"extra\":\"{random:016x}{random:016x}{random:016x}\"}}",
                (random >> 40) % 5000,
                (random >> 50) % 100
            );
            let partition = i32::try_from(row % u64::from(PARTITIONS))?;
            let mut record: BaseRecord<'_, (), str> = BaseRecord::to("bids").partition(partition).payload(&bid);
            while let Err((error, back)) = producer.send(record) {
                ensure!(error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull), "{error}");
                std::thread::sleep(Duration::from_millis(2));
                record = back;
            }
        }
        producer.flush(Duration::from_secs(120)).context("the bids were not taken")
    }

    fn compare(&self, kind: &str) -> Result<()> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // The first round warms up.
        for round in 0..=self.rounds {
            ours.push(self.ours(kind, Listener::Plaintext, round)?);
            theirs.push(self.theirs(kind, round)?);
        }
        let (ours, theirs) = (&ours[1..], &theirs[1..]);
        let (mine, hand) = (self.per_million(ours), self.per_million(theirs));
        tell(&json!({
            "figure": format!("kafka {kind}"), "cpu_seconds_per_million_rows": mine, "by_hand": hand, "ratio": mine / hand, "limit": 1.2,
            "memory_mib": of(ours, |run| run.mib), "memory_limit_mib": 400, "seconds": of(ours, |run| run.seconds), "rows": self.rows,
        }))
    }

    fn per_million(&self, runs: &[Run]) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let millions = self.rows as f64 / 1e6;
        of(runs, |run| run.cpu) / millions
    }

    fn theirs(&self, kind: &str, round: usize) -> Result<Run> {
        let to = self.topic(&format!("hand-{kind}-{round}"))?;
        let servers = self.cluster.address(Listener::Plaintext)?;
        let mut command = Command::new(&self.by_hand);
        command.args([&servers, "bids", &to, kind, &self.rows.to_string()]);
        self.finished(command, &to)
    }

    fn ours(&self, kind: &str, listener: Listener, round: usize) -> Result<Run> {
        let to = self.topic(&format!("ours-{kind}-{listener:?}-{round}").to_lowercase())?;
        let pipeline = self.pipeline(kind, listener, &to)?;
        let file = self.folder.join("bench.toml");
        std::fs::write(&file, pipeline)?;
        let mut command = Command::new(&self.stygian);
        command.arg("run").arg(&file).arg("--quiet").arg("--fresh").env("STYGIAN_CACHE", self.folder.join("cache"));
        self.finished(command, &to)
    }

    fn topic(&self, name: &str) -> Result<String> {
        self.cluster.create_topic(name, PARTITIONS, &[])?;
        Ok(name.to_owned())
    }

    fn pipeline(&self, kind: &str, listener: Listener, to: &str) -> Result<String> {
        let security = match listener {
            Listener::SaslPlaintext => "security = { protocol = 'sasl_plaintext' }".to_owned(),
            Listener::SaslSsl => format!("security = {{ protocol = 'sasl_ssl', ca = '{}' }}", self.cluster.ca().display()),
            _ => String::new(),
        };
        let reach = format!("connector = 'kafka'\nbootstrap_servers = '{}'\n{security}\nformat = 'json'", self.cluster.address(listener)?);
        let kerberos = format!(
            "[kerberos]\nprincipal = 'pipeline@{}'\nkeytab = '{}'\nkrb5_conf = '{}'",
            self.cluster.realm(),
            self.cluster.keytab("pipeline").display(),
            self.cluster.krb5_conf().display()
        );
        let operator = match kind {
            "a" => "",
            "b" => "[operator.out]\ninput = 'bids'\nfilter = 'auction % 123 = 0'\n",
            _ => {
                "[operator.out]\ninput = 'bids'\nwindow = { tumbling = '10s' }\nkey_by = ['auction']\n\
                 aggregate = { bids = 'count(*)', average = 'avg(price)' }\n"
            }
        };
        let times = if kind == "c" { "event_time = 'at'\nwatermark_delay = '1s'\n" } else { "" };
        let folder = self.folder.join("checkpoints");
        let checkpoint = format!("[checkpoint]\nfolder = '{}'\ninterval = '10s'\n", folder.display());
        let checkpoint = if kind == "c" { checkpoint } else { String::new() };
        let input = if kind == "a" { "bids" } else { "out" };
        Ok(format!(
            "name = 'bench'\n{checkpoint}{kerberos}\n[source.bids]\n{reach}\ntopic = 'bids'\nuntil = 'latest'\n\
             schema = {{ auction = 'int64', bidder = 'int64', price = 'int64', channel = 'text', url = 'text', at = 'timestamp_utc', extra = 'text' }}\n{times}{operator}\
             [sink.to]\ninput = '{input}'\n{reach}\ntopic = '{to}'\n"
        ))
    }

    /// Runs a process to its end; the topic must have something then.
    fn finished(&self, mut command: Command, to: &str) -> Result<Run> {
        let (start, before) = (Instant::now(), children_cpu()?);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().with_context(|| format!("{command:?}"))?;
        let status = Path::new("/proc").join(child.id().to_string()).join("status");
        let mut mib: f64 = 0.0;
        while child.try_wait()?.is_none() {
            mib = mib.max(std::fs::read_to_string(&status).ok().and_then(|text| peak(&text)).unwrap_or(0.0));
            std::thread::sleep(Duration::from_millis(50));
        }
        let (cpu, seconds) = (children_cpu()? - before, start.elapsed().as_secs_f64());
        let ended = child.wait_with_output()?;
        ensure!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
        self.cluster.delete_topic(to)?;
        Ok(Run { cpu, seconds, mib })
    }
}

fn of(runs: &[Run], part: impl Fn(&Run) -> f64) -> f64 {
    median(runs.iter().map(part).collect())
}

/// Peak memory in MiB, as /proc/PID/status has it.
fn peak(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

/// CPU-seconds of all children that have ended: fields 16 and 17 of /proc/self/stat, in ticks of 10 ms.
fn children_cpu() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("a stat line")?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("a number of ticks");
    Ok((ticks(13)? + ticks(14)?) / 100.0)
}
