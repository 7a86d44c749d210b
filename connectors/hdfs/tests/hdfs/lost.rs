//! Calls that are lost on their way, and calls whose answer is: what was done is found out, and what was not is done.

use crate::Case;
use crate::files::write;
use crate::golden::{compare, error_text, told};
use crate::lossy::{Lossy, Lost};
use crate::world::{World, wait};
use anyhow::{Context, Result, ensure};
use object_store::{ObjectStore, PutMode, PutOptions};
use stygian_hdfs::{Hdfs, HdfsOptions};

pub(crate) const CASES: &[Case] = &[
    ("a_lost_question_is_asked_again", |world| wait(questions(world))),
    ("a_lost_rename_is_done_once", |world| wait(renames(world))),
    ("a_lost_rename_is_not_done_over_what_is_there", |world| wait(rename_over(world))),
    ("a_lost_creation_is_made_again_or_told_as_open", |world| wait(creations(world))),
    ("a_lost_end_of_a_file_loses_nothing", |world| wait(ends(world))),
    ("a_lost_removal_is_done", |world| wait(removals(world))),
    ("a_whole_file_whose_writing_is_lost_is_written_under_another_name", |world| wait(puts(world))),
];

fn lossy(world: &World) -> Result<(Lossy, Hdfs)> {
    let [active, _] = world.name_nodes()?;
    let lossy = Lossy::to(&active)?;
    let name_node = Some(format!("hdfs://localhost:{}", lossy.port));
    Ok((lossy, world.open(&HdfsOptions { name_node, ..HdfsOptions::default() })?))
}

async fn questions(world: &World) -> Result<()> {
    let ((lossy, hdfs), folder) = (lossy(world)?, world.folder("lost-question")?);
    world.cluster.hdfs_write(&format!("{folder}/file"), b"some", "pipeline")?;
    for lost in [Lost::Request, Lost::Answer] {
        lossy.lose("getFileInfo", lost);
        ensure!(hdfs.status(&format!("{folder}/file")).await?.is_some_and(|status| status.len == 4) && lossy.has_lost(), "status");
        lossy.lose("getListing", lost);
        ensure!(
            hdfs.list(&folder).await?.is_some_and(|entries| entries.iter().any(|entry| entry.name == "file")) && lossy.has_lost(),
            "list"
        );
        lossy.lose("getBlockLocations", lost);
        ensure!(hdfs.read(&format!("{folder}/file"), 0..9).await? == "some" && lossy.has_lost(), "read");
        lossy.lose("mkdirs", lost);
        hdfs.make_folders(&format!("{folder}/below/{lost:?}")).await?;
        ensure!(lossy.has_lost(), "make_folders");
    }
    ensure!(world.cluster.hdfs_list(&format!("{folder}/below"))?.len() == 2, "the folders");
    Ok(())
}

async fn renames(world: &World) -> Result<()> {
    let ((lossy, hdfs), folder) = (lossy(world)?, world.folder("lost-rename")?);
    for lost in [Lost::Request, Lost::Answer] {
        let (old, new) = (format!("{folder}/old"), format!("{folder}/{lost:?}"));
        world.cluster.hdfs_write(&old, b"some", "pipeline")?;
        lossy.lose("rename2", lost);
        hdfs.rename_new(&old, &new).await.with_context(|| format!("{lost:?}"))?;
        ensure!(lossy.has_lost() && world.cluster.hdfs_read(&new)? == b"some", "{lost:?}");
    }
    ensure!(world.cluster.hdfs_list(&folder)?.len() == 2, "the old name is there");
    Ok(())
}

async fn rename_over(world: &World) -> Result<()> {
    let ((lossy, hdfs), folder) = (lossy(world)?, world.folder("lost-over")?);
    let (old, new) = (format!("{folder}/old"), format!("{folder}/new"));
    world.cluster.hdfs_write(&old, b"old", "pipeline")?;
    world.cluster.hdfs_write(&new, b"new", "pipeline")?;
    lossy.lose("rename2", Lost::Request);
    let outcome = hdfs.rename_new(&old, &new).await;
    ensure!(outcome.is_err_and(|error| !error.may_pass() && error.to_string().contains("is there already")), "renamed over");
    ensure!(lossy.has_lost() && world.cluster.hdfs_read(&new)? == b"new", "its bytes");
    // Neither name: whether it was there when it was to be renamed nobody knows.
    hdfs.remove(&old).await?;
    hdfs.remove(&new).await?;
    lossy.lose("rename2", Lost::Request);
    let error = hdfs.rename_new(&old, &new).await.err().context("it went well")?;
    compare(world, "rename_unknown", &error_text(&error).replace(&lossy.port.to_string(), "PORT"))
}

async fn creations(world: &World) -> Result<()> {
    let ((lossy, hdfs), folder) = (lossy(world)?, world.folder("lost-create")?);
    lossy.lose("create", Lost::Request);
    write(&hdfs, &format!("{folder}/one"), b"one").await?;
    ensure!(lossy.has_lost() && world.cluster.hdfs_read(&format!("{folder}/one"))? == b"one", "its bytes");
    lossy.lose("create", Lost::Answer);
    let error = hdfs.create(&format!("{folder}/two")).await.err().context("it went well")?;
    compare(world, "create_unknown", &error_text(&error).replace(&lossy.port.to_string(), "PORT"))?;
    // As the error says.
    write(&hdfs, &format!("{folder}/three"), b"three").await?;
    told(world, "create_over_lost", world.hdfs().create(&format!("{folder}/two")).await)
}

async fn ends(world: &World) -> Result<()> {
    let ((lossy, hdfs), folder) = (lossy(world)?, world.folder("lost-end")?);
    for method in ["fsync", "complete"] {
        for lost in [Lost::Request, Lost::Answer] {
            let path = format!("{folder}/{method}-{lost:?}");
            let mut file = hdfs.create(&path).await?;
            file.write(vec![7; 200_000].into()).await?;
            lossy.lose(method, lost);
            ensure!(file.finish().await.with_context(|| path.clone())? == 200_000 && lossy.has_lost(), "{path}");
            ensure!(world.cluster.hdfs_read(&path)? == vec![7; 200_000], "{path} is not as it was written");
            // It is closed: nobody's any more.
            ensure!(world.hdfs().status(&path).await?.is_some_and(|status| status.len == 200_000), "{path}");
        }
    }
    Ok(())
}

async fn removals(world: &World) -> Result<()> {
    let ((lossy, hdfs), folder) = (lossy(world)?, world.folder("lost-remove")?);
    for lost in [Lost::Request, Lost::Answer] {
        let path = format!("{folder}/{lost:?}");
        world.cluster.hdfs_write(&path, b"some", "pipeline")?;
        lossy.lose("delete", lost);
        ensure!(hdfs.remove(&path).await? && lossy.has_lost(), "{lost:?}");
    }
    ensure!(world.cluster.hdfs_list(&folder)?.is_empty(), "they are there");
    Ok(())
}

/// A lost answer leaves it open whose file that is, so it is given up for another one; that it is gone then, and no other.
async fn puts(world: &World) -> Result<()> {
    let ((lossy, hdfs), folder) = (lossy(world)?, world.folder("lost-put")?);
    let store = hdfs.object_store(&folder)?;
    for (mode, name) in [(PutMode::Overwrite, "state"), (PutMode::Create, "manifest")] {
        lossy.lose("create", Lost::Answer);
        store.put_opts(&name.into(), "whole".into(), PutOptions::from(mode)).await.context(name)?;
        ensure!(lossy.has_lost() && world.cluster.hdfs_read(&format!("{folder}/{name}"))? == b"whole", "{name}");
    }
    let left = world.cluster.hdfs_list(&folder)?;
    ensure!(left.len() == 2, "{left:?}");
    Ok(())
}
