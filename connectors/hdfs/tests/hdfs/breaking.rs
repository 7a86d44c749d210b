//! What is told while a part of HDFS, or the KDC, is not as it should be.

use crate::Case;
use crate::child;
use crate::errors::written;
use crate::golden::{compare, told};
use crate::probes::checked;
use crate::world::{World, wait};
use anyhow::{Context, Result, ensure};
use object_store::ObjectStoreExt;
use std::time::Duration;
use stygian_cluster::Server;

pub(crate) const CASES: &[Case] = &[
    ("safe_mode_is_told", |world| {
        let folder = world.folder("safe")?;
        world.cluster.hdfs_safe_mode(true)?;
        let outcome = wait(in_safe_mode(world, &folder));
        world.cluster.hdfs_safe_mode(false)?;
        outcome
    }),
    ("a_full_disk_is_told_and_passes", |world| {
        let path = format!("{}/file", world.folder("full")?);
        world.cluster.fill_data_node(true)?;
        let outcome = told(world, "disk_full", wait(written(&world.hdfs(), &path)));
        world.cluster.fill_data_node(false)?;
        outcome?;
        Ok(wait(written(&world.hdfs(), &format!("{path}2")))?)
    }),
    ("a_data_node_that_is_away_is_told", |world| {
        let folder = world.folder("no-data-node")?;
        world.cluster.hdfs_write(&format!("{folder}/there"), b"some", "pipeline")?;
        world.cluster.kill(Server::DataNode)?;
        let outcome = wait(without_data_node(world, &folder));
        world.cluster.start_server(Server::DataNode)?;
        outcome
    }),
    ("a_whole_file_waits_for_a_data_node_that_comes_back", |world| {
        let folder = world.folder("data-node-back")?;
        world.cluster.kill(Server::DataNode)?;
        let (hdfs, root) = (world.hdfs(), folder.clone());
        let putting = std::thread::spawn(move || {
            wait(async { anyhow::Ok(hdfs.object_store(&root)?.put(&"state".into(), vec![7; 300_000].into()).await?) })
        });
        // By then the first try has found nobody.
        std::thread::sleep(Duration::from_secs(1));
        world.cluster.start_server(Server::DataNode)?;
        putting.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
        ensure!(world.cluster.hdfs_read(&format!("{folder}/state"))? == vec![7; 300_000], "its bytes");
        Ok(())
    }),
    ("a_kdc_that_is_away_is_told", |world| {
        world.cluster.kill(Server::Kdc)?;
        let outcome = child::list(world, "/", &[]);
        world.cluster.start_server(Server::Kdc)?;
        compare(world, "kdc_away", &outcome?)
    }),
];

async fn in_safe_mode(world: &World, folder: &str) -> Result<()> {
    let hdfs = world.hdfs_within(Duration::from_secs(5))?;
    told(world, "safe_mode_create", hdfs.create(&format!("{folder}/file")).await)?;
    told(world, "safe_mode_folder", hdfs.make_folders(&format!("{folder}/folder")).await)?;
    hdfs.list(folder).await?.context("it can be read")?;
    Ok(())
}

async fn without_data_node(world: &World, folder: &str) -> Result<()> {
    let hdfs = world.hdfs();
    told(world, "data_node_away_write", written(&hdfs, &format!("{folder}/file")).await)?;
    told(world, "data_node_away_read", hdfs.read(&format!("{folder}/there"), 0..4).await)?;
    let told = tokio::task::spawn_blocking({
        let (hdfs, folder) = (hdfs.clone(), folder.to_owned());
        move || checked(&hdfs, &folder)
    });
    compare(world, "doctor_data_node", &told.await?)
}
