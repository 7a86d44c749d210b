//! What is found in the configuration before anything is asked of HDFS; and every way to name one.

use crate::Case;
use crate::golden::told;
use crate::world::{World, wait};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use stygian_core::Span;
use stygian_hdfs::{Hdfs, HdfsOptions, Location};

pub(crate) const CASES: &[Case] = &[
    ("every_way_to_name_hdfs_leads_there", |world| wait(ways(world))),
    ("a_configuration_that_cannot_work_is_told_at_once", cannot_work),
    ("a_login_that_is_not_configured_is_told", |world| wait(without_login(world))),
    ("a_login_at_data_nodes_that_is_not_configured_is_told", |world| wait(without_data_login(world))),
];

fn with(conf: PathBuf) -> HdfsOptions {
    HdfsOptions { hadoop_conf: Some(conf), ..HdfsOptions::default() }
}

async fn ways(world: &World) -> Result<()> {
    world.cluster.hdfs_write("/user/pipeline/way", b"here", "pipeline")?;
    let (who, conf, [active, _]) = (world.principal(), world.cluster.hadoop_conf(), world.name_nodes()?);
    let named = |name: &str| HdfsOptions { name_node: Some(name.to_owned()), ..HdfsOptions::default() };
    let place = Location::parse("hdfs://ns/user/pipeline/way")?;
    let clients = [
        Hdfs::open(&HdfsOptions::default(), None, Some(&who))?,
        Hdfs::open(&with(conf), None, Some(&who))?,
        Hdfs::open(&named("hdfs://ns"), None, Some(&who))?,
        Hdfs::open(&named(&format!("hdfs://{active}")), None, Some(&who))?,
        Hdfs::open(&named("hdfs://elsewhere"), place.name.as_deref(), Some(&who))?,
    ];
    for hdfs in clients {
        ensure!(hdfs.read(&place.path, 0..10).await? == "here", "{hdfs:?}");
    }
    Ok(())
}

fn cannot_work(world: &World) -> Result<()> {
    let empty = world.files.path().join("empty");
    std::fs::create_dir_all(&empty)?;
    told(world, "conf_missing", world.open(&with(world.files.path().join("no"))))?;
    told(world, "conf_without_core", world.open(&with(empty)))?;
    let torn = world.conf("torn", "core-site.xml", "</configuration>", "")?;
    told(world, "conf_torn", world.open(&with(torn)))?;
    let local = world.conf("local", "core-site.xml", "hdfs://ns", "file:///")?;
    told(world, "conf_without_name", world.open(&with(local)))?;
    told(world, "name_unknown", world.open(&HdfsOptions { name_node: Some("hdfs://nss".into()), ..HdfsOptions::default() }))?;
    told(world, "name_with_path", world.open(&HdfsOptions { name_node: Some("hdfs://ns/user".into()), ..HdfsOptions::default() }))?;
    let simple = world.conf("simple", "core-site.xml", "<value>kerberos</value>", "<value>simple</value>")?;
    told(world, "conf_not_kerberos", world.open(&with(simple)))?;
    told(world, "pipeline_not_kerberos", Hdfs::open(&HdfsOptions::default(), None, None))
}

/// The library hangs here, so the time limit ends it.
async fn without_login(world: &World) -> Result<()> {
    let simple = world.conf("guarded", "core-site.xml", "<value>kerberos</value>", "<value>simple</value>")?;
    let options = HdfsOptions { call_timeout: Span::secs(2), ..with(simple) };
    told(world, "login_missing", Hdfs::open(&options, None, None)?.status("/").await)
}

async fn without_data_login(world: &World) -> Result<()> {
    let conf = world.conf("no-data-login", "hdfs-site.xml", "dfs.data.transfer.protection", "dfs.some.protection")?;
    let (hdfs, path) = (world.open(&with(conf))?, format!("{}/file", world.folder("no-data-login")?));
    let mut file = hdfs.create(&path).await?;
    // It is told at the first block, or at the end of the file.
    let outcome = match file.write("some".into()).await {
        Ok(()) => file.finish().await.map(|_| ()),
        Err(error) => Err(error),
    };
    // Reading is not tried: in one process the library shares connections between clients, and others' have a login.
    told(world, "data_login_missing", outcome)
}
