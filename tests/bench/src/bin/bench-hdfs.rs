//! A file of Parquet, 64 MiB, to HDFS and back, at each protection of data, against hdfs-native alone: seconds.
//!
//! `bench-hdfs [ROUNDS]` starts an HDFS for each protection. Ours is the connector `files`, from batches of rows to a visible file and back to
//! batches. Its peer encodes the same batches in memory with the same settings, gives the bytes to hdfs-native, has them put on disks, closes and
//! renames; and reads the file whole and decodes that. Both in turn in one process, so that only their ratio counts.

use anyhow::{Context, Result, bail, ensure};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use hdfs_native::{ClientBuilder, WriteOptions};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::json;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stygian_api::{Connector, ConnectorContext, Fetched, HdfsContext, Options, SinkContext};
use stygian_bench::{median, tell};
use stygian_cluster::{Cluster, Hdfs, Options as ClusterOptions, Protection};
use stygian_core::{Offset, StreamSchema, SubtaskId};
use stygian_files::Files;

const USER: &str = "pipeline";
const ROOT: &str = "/user/pipeline/bench";
/// Rows of a batch, and batches: random bytes, 16 a row, so that nothing is left to compress.
const ROWS: u64 = 8192;
const BATCHES: u64 = 512;
const AT_MOST: f64 = 1.15;
/// Rows of a row group: all, as both hold to the size first.
const GROUP: usize = 1 << 20;
const GROUP_BYTES: usize = 32 << 20;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, protection, url, realm, rounds] = args.as_slice()
        && mode == "--as-user"
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return runtime.block_on(compare(protection, url, realm, rounds.parse()?));
    }
    let rounds = args.first().map_or("5", String::as_str);
    for (protection, name) in
        [(Protection::Authentication, "authentication"), (Protection::Integrity, "integrity"), (Protection::Privacy, "privacy")]
    {
        let cluster = Cluster::start(&ClusterOptions { kafka: false, hdfs: Hdfs::One, transfer: protection, ..ClusterOptions::default() })?;
        cluster.hdfs_make_folder(ROOT, USER)?;
        let url = cluster.hdfs_url().context("no HDFS")?;
        // libkrb5 finds who it is in the environment that a process begins with.
        let mut child = Command::new(std::env::current_exe()?);
        child.args(["--as-user", name, &url, cluster.realm(), rounds]).envs(cluster.env(USER));
        ensure!(child.status()?.success(), "the figures at {name} failed");
    }
    Ok(())
}

async fn compare(protection: &str, url: &str, realm: &str, rounds: usize) -> Result<()> {
    let batches = batches()?;
    let (mut ours, mut theirs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    // The first round warms up.
    for round in 0..=rounds {
        let taken = [run_ours(url, realm, round, &batches).await?, Box::pin(run_theirs(url, round, &batches)).await?];
        if round > 0 {
            for (kept, (write, read)) in [&mut ours, &mut theirs].into_iter().zip(taken) {
                kept[0].push(write.as_secs_f64());
                kept[1].push(read.as_secs_f64());
            }
        }
    }
    for (at, what) in ["written", "read"].into_iter().enumerate() {
        let (ours, theirs) = (median(std::mem::take(&mut ours[at])), median(std::mem::take(&mut theirs[at])));
        tell(&json!({ "figure": format!("64 MiB of Parquet {what} at {protection}"), "seconds": ours, "hdfs_native_seconds": theirs,
                      "ratio": ours / theirs, "at_most": AT_MOST, "rounds": rounds }))?;
    }
    Ok(())
}

fn batches() -> Result<Vec<RecordBatch>> {
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random ^ (random >> 29)
    };
    let batch = |_| {
        let numbers: Int64Array = (0..ROWS).map(|_| next().cast_signed()).collect();
        let shares: Float64Array = (0..ROWS).map(|_| f64::from_bits(next() >> 2)).collect();
        let columns = [("number", Arc::new(numbers) as ArrayRef), ("share", Arc::new(shares) as ArrayRef)];
        Ok(RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, false)))?)
    };
    (0..BATCHES).map(batch).collect()
}

fn all_rows(found: u64) -> Result<()> {
    ensure!(found == ROWS * BATCHES, "{found} rows were read of {}", ROWS * BATCHES);
    Ok(())
}

async fn run_ours(url: &str, realm: &str, round: usize, batches: &[RecordBatch]) -> Result<(Duration, Duration)> {
    let context = ConnectorContext {
        job: "bench".into(),
        node: "file".into(),
        base: ".".into(),
        principal: Some(format!("{USER}@{realm}")),
        hdfs: HdfsContext::default(),
    };
    let path = format!("{url}{ROOT}/ours-{round}");
    let options = Options::of_text(&format!("path = '{path}'\nformat = 'parquet'\n"));
    let schema = StreamSchema::append(batches[0].schema());
    let sink = Files.sink(&options, &context, &schema).await.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let began = Instant::now();
    let subtask = SinkContext { job: "bench".into(), subtask: SubtaskId(0), attempt: "1".into(), transactional: false };
    let mut writer = sink.open(subtask).await?;
    for batch in batches {
        writer.write(batch.clone()).await?;
    }
    let pending = writer.pre_commit().await?;
    sink.committer().commit(&pending).await?;
    let written = began.elapsed();

    let source = Files.source(&options, &context).await.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let began = Instant::now();
    let mut rows = 0;
    for split in source.splits().await? {
        let mut reader = source.open(&split.id, Offset::default()).await?;
        loop {
            match reader.fetch(usize::try_from(ROWS)?).await? {
                Fetched::Rows { rows: batch, .. } => rows += batch.num_rows() as u64,
                Fetched::End => break,
                Fetched::Messages { .. } => bail!("Parquet came as messages"),
                Fetched::Mark(_) | Fetched::Watermark(_) | Fetched::Nothing => {}
            }
        }
    }
    all_rows(rows)?;
    Ok((written, began.elapsed()))
}

async fn run_theirs(url: &str, round: usize, batches: &[RecordBatch]) -> Result<(Duration, Duration)> {
    let client = ClientBuilder::new().with_url(url).build()?;
    let (part, path) = (format!("{ROOT}/part-{round}"), format!("{ROOT}/theirs-{round}.parquet"));
    let began = Instant::now();
    let mut bytes = Vec::new();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(parquet::basic::ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP))
        .set_max_row_group_bytes(Some(GROUP_BYTES));
    let mut writer = ArrowWriter::try_new(&mut bytes, batches[0].schema(), Some(properties.build()))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.close()?;
    let mut file = client.create(&part, WriteOptions::default()).await?;
    Box::pin(file.write_bytes(bytes.into())).await?;
    file.hsync().await?;
    Box::pin(file.close()).await?;
    client.rename(&part, &path, false).await?;
    let written = began.elapsed();

    let began = Instant::now();
    let mut reader = client.read(&path).await?;
    let bytes = reader.read_bytes(reader.file_length()).await?;
    let mut rows = 0;
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes)?.with_batch_size(usize::try_from(ROWS)?).build()? {
        rows += batch?.num_rows() as u64;
    }
    all_rows(rows)?;
    Ok((written, began.elapsed()))
}
