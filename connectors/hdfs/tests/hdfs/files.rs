//! Files and folders, where all goes well; and what is not done over what is there.

use crate::Case;
use crate::golden::told;
use crate::world::{World, wait};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use std::time::{Duration, SystemTime};
use stygian_hdfs::Hdfs;

pub(crate) const CASES: &[Case] = &[
    ("what_is_written_is_there_for_others", |world| wait(written(world))),
    ("files_that_are_not_finished_hold_their_name", |world| wait(unfinished(world))),
    ("an_empty_file_is_a_file", |world| wait(empty(world))),
    ("nothing_is_written_or_renamed_over_what_is_there", |world| wait(never_over(world))),
    ("what_is_not_there_is_told_as_nothing", |world| wait(nothing(world))),
    ("folders_are_made_with_those_above", |world| wait(folders(world))),
    ("many_entries_are_all_listed", |world| wait(many(world))),
];

/// Writes a whole file.
pub(crate) async fn write(hdfs: &Hdfs, path: &str, bytes: &[u8]) -> Result<(), stygian_api::ConnectorError> {
    let mut file = hdfs.create(path).await?;
    file.write(Bytes::copy_from_slice(bytes)).await?;
    file.finish().await.map(|_| ())
}

async fn written(world: &World) -> Result<()> {
    let (hdfs, folder) = (world.hdfs(), world.folder("written")?);
    let (part, whole) = (format!("{folder}/a b.part"), format!("{folder}/a b"));
    // More than one packet, and not a whole number of them.
    let pieces: Vec<Bytes> = (0..5_u8).map(|n| Bytes::from(vec![n; 100_001])).collect();
    let mut file = hdfs.create(&part).await?;
    for piece in &pieces {
        file.write(piece.clone()).await?;
    }
    ensure!(file.finish().await? == 500_005, "its length");
    hdfs.rename_new(&part, &whole).await?;

    let expected = pieces.concat();
    ensure!(world.cluster.hdfs_read(&whole)? == expected, "others read something else");
    let listed = world.cluster.hdfs_list(&folder)?;
    ensure!(listed.len() == 1 && listed[0].name == "a b" && listed[0].length == 500_005, "{listed:?}");

    let status = hdfs.status(&whole).await?.context("it is there")?;
    ensure!(status.len == 500_005 && status.is_file && status.owner == "pipeline", "{status:?}");
    let age = SystemTime::now().duration_since(status.modified).unwrap_or_default();
    ensure!(age < Duration::from_secs(60), "{age:?}");
    let entries = hdfs.list(&folder).await?.context("a folder")?;
    ensure!(entries.len() == 1 && entries[0].name == "a b" && entries[0].status == status, "{entries:?}");
    ensure!(hdfs.read(&whole, 0..u64::MAX).await? == expected, "all of it");
    ensure!(hdfs.read(&whole, 99_999..100_010).await? == expected[99_999..100_010], "a part of it");
    ensure!(hdfs.read(&whole, 500_000..500_010).await? == expected[500_000..], "its end");
    ensure!(hdfs.read(&whole, 500_005..500_006).await?.is_empty() && hdfs.read(&whole, 9_000_000..9_000_001).await?.is_empty(), "nothing");
    ensure!(hdfs.remove(&whole).await? && !hdfs.remove(&whole).await?, "removed once");
    ensure!(world.cluster.hdfs_list(&folder)?.is_empty(), "it is still there");
    Ok(())
}

async fn unfinished(world: &World) -> Result<()> {
    let (hdfs, path) = (world.hdfs(), format!("{}/file", world.folder("unfinished")?));
    let mut file = hdfs.create(&path).await?;
    file.write(Bytes::from_static(b"one")).await?;
    drop(file);
    let status = hdfs.status(&path).await?.context("it is there")?;
    ensure!(status.is_file && status.len == 0, "{status:?}");
    ensure!(hdfs.create(&path).await.is_err(), "a name of a file that is not finished is given again");
    ensure!(hdfs.remove(&path).await?, "it can be removed");
    write(&hdfs, &path, b"two").await?;
    ensure!(world.cluster.hdfs_read(&path)? == b"two", "its bytes");
    Ok(())
}

async fn empty(world: &World) -> Result<()> {
    let (hdfs, path) = (world.hdfs(), format!("{}/file", world.folder("empty")?));
    ensure!(hdfs.create(&path).await?.finish().await? == 0, "its length");
    ensure!(world.cluster.hdfs_read(&path)?.is_empty() && hdfs.read(&path, 0..10).await?.is_empty(), "its bytes");
    Ok(())
}

async fn never_over(world: &World) -> Result<()> {
    let (hdfs, folder) = (world.hdfs(), world.folder("over")?);
    let [one, two] = ["one", "two"].map(|name| format!("{folder}/{name}"));
    world.cluster.hdfs_write(&one, b"1", "pipeline")?;
    world.cluster.hdfs_write(&two, b"2", "pipeline")?;
    told(world, "create_over", hdfs.create(&one).await)?;
    told(world, "rename_over", hdfs.rename_new(&one, &two).await)?;
    told(world, "rename_nothing", hdfs.rename_new(&format!("{folder}/no"), &format!("{folder}/new")).await)?;
    told(world, "rename_without_folder", hdfs.rename_new(&one, &format!("{folder}/no/one")).await)?;
    told(world, "create_without_folder", hdfs.create(&format!("{folder}/no/one")).await)?;
    told(world, "create_below_file", hdfs.create(&format!("{one}/x")).await)?;
    told(world, "folder_over_file", hdfs.make_folders(&one).await)?;
    told(world, "folder_below_file", hdfs.make_folders(&format!("{one}/x")).await)?;
    told(world, "list_file", hdfs.list(&one).await)?;
    told(world, "remove_full_folder", hdfs.remove(&folder).await)?;
    told(world, "read_folder", hdfs.read(&folder, 0..1).await)?;
    told(world, "read_nothing", hdfs.read(&format!("{folder}/no"), 0..1).await)?;
    told(world, "bad_path", hdfs.read("no/path", 0..1).await)?;
    ensure!(world.cluster.hdfs_read(&one)? == b"1" && world.cluster.hdfs_read(&two)? == b"2", "they are not as they were");
    Ok(())
}

async fn nothing(world: &World) -> Result<()> {
    let (hdfs, path) = (world.hdfs(), "/user/pipeline/nothing/at/all");
    ensure!(hdfs.status(path).await?.is_none() && hdfs.list(path).await?.is_none() && !hdfs.remove(path).await?, "something");
    let root = hdfs.status("/").await?.context("the root")?;
    ensure!(!root.is_file && hdfs.list("/").await?.context("the root")?.iter().any(|entry| entry.name == "user"), "{root:?}");
    Ok(())
}

async fn folders(world: &World) -> Result<()> {
    let (hdfs, folder) = (world.hdfs(), format!("{}/a/b/c", world.folder("folders")?));
    hdfs.make_folders(&folder).await?;
    hdfs.make_folders(&folder).await?;
    ensure!(hdfs.list(&folder).await?.is_some_and(|entries| entries.is_empty()), "it is empty");
    let [above] = &world.cluster.hdfs_list(&folder.replace("/c", ""))?[..] else { anyhow::bail!("not one folder") };
    ensure!(above.folder && above.owner == "pipeline", "{above:?}");
    ensure!(hdfs.remove(&folder).await?, "an empty folder is removed");
    Ok(())
}

/// More than HDFS tells in one answer would take too long to make by files; folders are quick.
async fn many(world: &World) -> Result<()> {
    let (hdfs, folder) = (world.hdfs(), world.folder("many")?);
    let names: Vec<String> = (0..1_100).map(|n| format!("{n:04}")).collect();
    for chunk in names.chunks(100) {
        let made = chunk.iter().map(|name| {
            let (hdfs, path) = (hdfs.clone(), format!("{folder}/{name}"));
            async move { hdfs.make_folders(&path).await }
        });
        futures::future::try_join_all(made).await?;
    }
    let entries = hdfs.list(&folder).await?.context("a folder")?;
    ensure!(entries.iter().map(|entry| &entry.name).eq(&names), "{} entries", entries.len());
    Ok(())
}
