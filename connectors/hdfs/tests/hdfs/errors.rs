//! What HDFS does not allow or has no room for.

use crate::Case;
use crate::child;
use crate::files::write;
use crate::golden::{compare, told};
use crate::world::{World, wait};
use anyhow::{Result, ensure};
use std::time::Duration;
use stygian_api::ConnectorError;
use stygian_hdfs::Hdfs;

pub(crate) const CASES: &[Case] = &[
    ("what_is_not_allowed_is_told_with_the_cure", |world| wait(not_allowed(world))),
    ("the_cure_for_a_missing_right_cures_it", |world| wait(allowed(world))),
    ("a_used_up_quota_of_names_is_told", |world| wait(names(world))),
    ("a_used_up_quota_of_space_is_told", |world| wait(space(world))),
    ("a_user_without_a_key_is_told", |world| {
        let told = child::list(world, "/", &[("KRB5_CLIENT_KTNAME", "FILE:/nowhere".into())])?;
        compare(world, "no_credential", &told)
    }),
    ("another_user_is_known_as_such", |world| {
        world.cluster.hdfs_make_folder("/private", "pipeline")?;
        world.cluster.hdfs_chmod("/private", 0o700)?;
        let keytab = format!("FILE:{}", world.cluster.keytab("stranger").display());
        let told = child::list(world, "/private", &[("KRB5_CLIENT_KTNAME", keytab.into())])?;
        ensure!(told.contains("`stranger` needs READ_EXECUTE on `/private`"), "{told}");
        Ok(())
    }),
    ("a_call_that_takes_too_long_is_ended", |world| {
        let hdfs = world.hdfs_within(Duration::ZERO)?;
        let error = wait(hdfs.status("/")).err();
        let Some(error) = error else { anyhow::bail!("it took no time") };
        ensure!(error.may_pass(), "{error}");
        // On a busy machine the one that waits may not answer in time.
        let text = crate::golden::error_text(&error).replace("gives no answer within 3 s", "is standby");
        compare(world, "too_late", &text)
    }),
];

async fn not_allowed(world: &World) -> Result<()> {
    let (hdfs, folder) = (world.hdfs(), "/user/another");
    world.cluster.hdfs_make_folder(folder, "stranger")?;
    let path = format!("{folder}/file");
    world.cluster.hdfs_write(&path, b"theirs", "stranger")?;
    world.cluster.hdfs_chmod(&path, 0o600)?;
    told(world, "not_allowed_create", hdfs.create(&format!("{folder}/new")).await)?;
    told(world, "not_allowed_folder", hdfs.make_folders(&format!("{folder}/new/folder")).await)?;
    told(world, "not_allowed_read", hdfs.read(&path, 0..10).await)?;
    told(world, "not_allowed_rename", hdfs.rename_new(&path, &format!("{folder}/new")).await)?;
    told(world, "not_allowed_remove", hdfs.remove(&path).await)?;
    world.cluster.hdfs_make_folder("/user/closed", "stranger")?;
    world.cluster.hdfs_chmod("/user/closed", 0o700)?;
    told(world, "not_allowed_list", hdfs.list("/user/closed").await)?;
    told(world, "not_allowed_status", hdfs.status("/user/closed/file").await)?;
    ensure!(world.cluster.hdfs_read(&path)? == b"theirs", "it is not as it was");
    Ok(())
}

async fn allowed(world: &World) -> Result<()> {
    let (hdfs, folder) = (world.hdfs(), "/user/shared");
    world.cluster.hdfs_make_folder(folder, "stranger")?;
    ensure!(write(&hdfs, &format!("{folder}/file"), b"x").await.is_err(), "it is allowed");
    world.cluster.hdfs_acl(folder, "user:pipeline:rwx")?;
    write(&hdfs, &format!("{folder}/file"), b"x").await?;
    Ok(())
}

async fn names(world: &World) -> Result<()> {
    let (hdfs, folder) = (world.hdfs(), world.folder("few")?);
    world.cluster.hdfs_quota(&folder, Some(2), None)?;
    write(&hdfs, &format!("{folder}/one"), b"1").await?;
    told(world, "quota_names", hdfs.create(&format!("{folder}/two")).await)?;
    told(world, "quota_names_folder", hdfs.make_folders(&format!("{folder}/two")).await)?;
    world.cluster.hdfs_quota(&folder, None, None)?;
    Ok(write(&hdfs, &format!("{folder}/two"), b"2").await?)
}

async fn space(world: &World) -> Result<()> {
    let (hdfs, folder) = (world.hdfs(), world.folder("small")?);
    world.cluster.hdfs_quota(&folder, None, Some(1 << 20))?;
    told(world, "quota_space", written(&hdfs, &format!("{folder}/one")).await)
}

/// A file that has some bytes in it.
pub(crate) async fn written(hdfs: &Hdfs, path: &str) -> Result<(), ConnectorError> {
    write(hdfs, path, b"some").await
}
