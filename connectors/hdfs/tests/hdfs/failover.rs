//! Failovers while files are written: those that were told to be there are, once, with all their bytes.

use crate::Case;
use crate::files::write;
use crate::golden::{compare, error_text, told};
use crate::probes::checked;
use crate::world::{World, wait};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use stygian_api::ConnectorError;
use stygian_cluster::Server;
use stygian_hdfs::{Hdfs, HdfsOptions};

/// In order: the first NameNode is active at the beginning of each.
pub(crate) const CASES: &[Case] = &[
    ("a_planned_failover_loses_nothing", |world| {
        beside_writers(world, "planned", || world.cluster.failover(Server::NameNode2))?;
        world.cluster.failover(Server::NameNode)
    }),
    ("a_killed_name_node_loses_nothing", |world| {
        beside_writers(world, "killed", || {
            world.cluster.kill(Server::NameNode)?;
            wait(none_active(world))?;
            world.cluster.failover(Server::NameNode2)
        })
    }),
];

/// Writers that work at once.
const WRITERS: usize = 3;

/// What the writers have done.
#[derive(Default)]
struct Work {
    over: AtomicBool,
    committed: AtomicUsize,
}

impl Work {
    fn await_more(&self, more: usize) -> Result<()> {
        let (begun, deadline) = (self.committed.load(Ordering::Relaxed), Instant::now() + Duration::from_secs(60));
        while self.committed.load(Ordering::Relaxed) < begun + more {
            ensure!(Instant::now() < deadline, "no file is committed any more");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Does something while files are written, before and after which they must go on; then looks at all of them.
fn beside_writers(world: &World, name: &str, fault: impl FnOnce() -> Result<()>) -> Result<()> {
    let (folder, work) = (world.folder(name)?, Work::default());
    let outcomes: Vec<Result<BTreeMap<String, Vec<u8>>>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| {
                let (hdfs, folder, work) = (world.hdfs(), &folder, &work);
                scope.spawn(move || wait(files(&hdfs, folder, n, work)))
            })
            .collect();
        let faulted = work.await_more(WRITERS).and_then(|()| fault()).and_then(|()| work.await_more(2 * WRITERS));
        work.over.store(true, Ordering::Relaxed);
        let written = writers.into_iter().map(|writer| writer.join().unwrap_or_else(|_| bail!("a writer panicked")));
        written.chain([faulted.map(|()| BTreeMap::new())]).collect()
    });
    let mut expected = BTreeMap::new();
    for outcome in outcomes {
        expected.append(&mut outcome?);
    }
    let there = world.cluster.hdfs_list(&folder)?;
    let committed: Vec<&str> = there.iter().map(|entry| entry.name.as_str()).filter(|name| !name.contains("part")).collect();
    ensure!(committed.iter().copied().eq(expected.keys().map(String::as_str)), "{committed:?} and not {:?}", expected.keys());
    for (name, bytes) in &expected {
        ensure!(world.cluster.hdfs_read(&format!("{folder}/{name}"))? == *bytes, "{name} is not as it was written");
    }
    Ok(())
}

/// Writes files, each under a new name after an error, and commits them by a rename.
async fn files(hdfs: &Hdfs, folder: &str, writer: usize, work: &Work) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut committed = BTreeMap::new();
    let mut n = 0_usize;
    while !work.over.load(Ordering::Relaxed) {
        let name = format!("{writer}-{n:05}");
        let bytes = name.repeat(10_000).into_bytes();
        let mut tries = 0;
        let part = loop {
            let part = format!("{folder}/{name}.part{tries}");
            match write(hdfs, &part, &bytes).await {
                Ok(()) => break part,
                Err(error) if error.may_pass() && tries < 20 => tries += 1,
                Err(error) => bail!("{}", error_text(&error)),
            }
        };
        // One that is not known to be done would be an error here.
        hdfs.rename_new(&part, &format!("{folder}/{name}")).await.map_err(|error: ConnectorError| anyhow::anyhow!(error_text(&error)))?;
        committed.insert(name, bytes);
        work.committed.fetch_add(1, Ordering::Relaxed);
        n += 1;
    }
    Ok(committed)
}

/// What is told between the end of the one and the beginning of the other.
async fn none_active(world: &World) -> Result<()> {
    let short = Duration::from_secs(2);
    let hdfs = world.hdfs_within(short)?;
    told(world, "none_active", hdfs.status("/").await)?;
    told(world, "none_active_create", hdfs.create("/user/pipeline/none").await)?;
    let doctor = tokio::task::spawn_blocking(move || checked(&hdfs, "/user/pipeline"));
    compare(world, "doctor_none_active", &doctor.await?)?;
    let [away, _] = world.name_nodes()?;
    let name_node = Some(format!("hdfs://{away}"));
    let options = HdfsOptions { name_node, call_timeout: stygian_core::Span(short), ..HdfsOptions::default() };
    told(world, "name_node_away", world.open(&options)?.status("/").await)?;
    world.name_nodes().map(|_| ()).context("addresses")
}
