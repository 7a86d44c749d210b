//! HDFS as a store of objects.

use crate::Case;
use crate::world::{World, wait};
use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

pub(crate) const CASES: &[Case] = &[
    ("objects_are_put_got_listed_renamed_and_deleted", |world| wait(objects(world))),
    ("an_object_in_parts_is_seen_when_it_is_whole", |world| wait(parts(world))),
    ("an_object_is_created_by_one", |world| wait(by_one(world))),
    ("errors_of_objects_have_reason_and_cure", |world| wait(errors(world))),
];

async fn objects(world: &World) -> Result<()> {
    let root = world.folder("objects")?;
    let store = world.hdfs().object_store(&root)?;
    let (a, b) = (Path::from("x/a"), Path::from("x/y/b"));
    store.put(&a, "one".into()).await?;
    store.put(&a, "three".into()).await?;
    store.put(&b, vec![7; 300_000].into()).await?;
    ensure!(world.cluster.hdfs_read(&format!("{root}/x/a"))? == b"three", "its bytes");
    ensure!(store.get(&b).await?.bytes().await? == vec![7; 300_000], "its bytes");
    ensure!(store.get_range(&a, 1..3).await? == "hr", "a part");
    ensure!(store.head(&a).await?.size == 5, "its size");
    let mut all: Vec<_> = store.list(None).map_ok(|object| object.location.to_string()).try_collect().await?;
    all.sort();
    ensure!(all == ["x/a", "x/y/b"], "{all:?}");
    let below = store.list_with_delimiter(Some(&Path::from("x"))).await?;
    ensure!(below.objects.len() == 1 && below.common_prefixes == [Path::from("x/y")], "{below:?}");
    store.rename(&a, &Path::from("z/a")).await?;
    store.copy(&Path::from("z/a"), &Path::from("z/c")).await?;
    ensure!(store.get(&Path::from("z/c")).await?.bytes().await? == "three", "its bytes");
    store.delete(&b).await?;
    ensure!(matches!(store.get(&b).await, Err(Error::NotFound { .. })), "it is gone");
    ensure!(store.list(Some(&Path::from("no"))).try_next().await?.is_none(), "nothing");
    Ok(())
}

/// Parts are in the order in which they were given, whatever is waited for first, and nobody sees any of them before all are there.
async fn parts(world: &World) -> Result<()> {
    let root = world.folder("parts")?;
    let store = world.hdfs().object_store(&root)?;
    let path = Path::from("x/m");
    let mut upload = store.put_multipart(&path).await?;
    let (one, two) = (upload.put_part(vec![b'1'; 3 << 20].into()), upload.put_part("2".into()));
    two.await?;
    ensure!(matches!(store.head(&path).await, Err(Error::NotFound { .. })), "it is not whole");
    one.await?;
    upload.complete().await?;
    let expected = [vec![b'1'; 3 << 20], vec![b'2']].concat();
    ensure!(world.cluster.hdfs_read(&format!("{root}/x/m"))? == expected, "its bytes");
    ensure!(upload.complete().await.is_err() && upload.put_part("3".into()).await.is_err(), "it is at its end");

    let mut given_up = store.put_multipart(&path).await?;
    given_up.put_part("other".into()).await?;
    given_up.abort().await?;
    ensure!(world.cluster.hdfs_read(&format!("{root}/x/m"))? == expected, "its bytes");
    let left = world.cluster.hdfs_list(&format!("{root}/x"))?;
    ensure!(left.len() == 1, "{left:?}");

    world.cluster.hdfs_make_folder("/user/parts", "stranger")?;
    let refused = world.hdfs().object_store("/user/parts")?.put_multipart(&path).await.err().context("it went well")?;
    let told = format!("{:#}", anyhow::anyhow!(refused));
    ensure!(told.contains("hdfs dfs -setfacl -m user:pipeline:rwx /user/parts"), "{told}");
    Ok(())
}

/// As the checkpoint that a job takes over by is.
async fn by_one(world: &World) -> Result<()> {
    let store = world.hdfs().object_store(&world.folder("by-one")?)?;
    let path = Path::from("manifest");
    let put = |n: usize| {
        let (store, path) = (store.clone(), path.clone());
        async move { store.put_opts(&path, n.to_string().into(), PutOptions::from(PutMode::Create)).await }
    };
    let outcomes = futures::future::join_all((0..5).map(put)).await;
    let winners: Vec<usize> = (0..).zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(n, _)| n).collect();
    let [winner] = winners[..] else { anyhow::bail!("{outcomes:?}") };
    ensure!(
        outcomes.iter().flat_map(|outcome| outcome.as_ref().err()).all(|error| matches!(error, Error::AlreadyExists { .. })),
        "{outcomes:?}"
    );
    ensure!(store.get(&path).await?.bytes().await? == winner.to_string(), "its bytes");
    Ok(())
}

async fn errors(world: &World) -> Result<()> {
    world.cluster.hdfs_make_folder("/user/objects", "stranger")?;
    let store = world.hdfs().object_store("/user/objects")?;
    let error = store.put(&Path::from("a"), "x".into()).await.err().context("it went well")?;
    let told = format!("{:#}", anyhow::anyhow!(error));
    ensure!(told.contains("hdfs dfs -setfacl -m user:pipeline:rwx /user/objects"), "{told}");
    world.cluster.hdfs_chmod("/user/objects", 0o700)?;
    let listed = store.list(None).try_next().await.err().context("it went well")?;
    let told = format!("{:#}", anyhow::anyhow!(listed));
    ensure!(told.contains("hdfs dfs -setfacl -m user:pipeline:r-x /user/objects"), "{told}");
    Ok(())
}
