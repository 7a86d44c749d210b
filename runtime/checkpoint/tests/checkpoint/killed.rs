//! A process that writes checkpoints into a local folder is killed at any moment, again and again.

use crate::common::*;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use stygian_checkpoint::{
    CheckpointSettings, CheckpointStorage, Coordinator, Decision, Fact, InUse, Kind, Part, StartFrom, StateReader, Written,
};
use stygian_core::CheckpointId;

/// Goes on from the newest checkpoint and makes new ones as fast as it can; each adds a section to the state.
async fn work(folder: &Path, n: u128) {
    let storage = CheckpointStorage::local(folder).expect("free");
    let manifest = storage.take_over(&run(n), &StartFrom::Newest).await.expect("started");
    let retained = NonZeroU16::MIN;
    let _ = storage.collect_garbage(manifest.id, attempt(n), retained, &InUse::default()).await.expect("collected");
    let me = task("all", 0);
    let settings = CheckpointSettings { retained, ..CheckpointSettings::default() };
    let mut coordinator = Coordinator::new(settings, attempt(n), BTreeSet::from([me.clone()]), BTreeMap::new(), manifest, at(0));
    for turn in 1.. {
        let now = at(turn * 10);
        let Some(Decision::Inject { id, .. }) = coordinator.on(now, Fact::Tick).pop() else { return };
        let part = if id.0 % 5 == 1 || coordinator.committed().files.is_empty() { Part::Base } else { Part::Change };
        let mut writer = storage.write_state(id, attempt(n));
        writer.begin(node("totals"), name("keyed"), stygian_core::KeyGroup(0), part);
        writer.write(&vec![7; 300_000]).await.expect("written");
        let file = writer.finish().await.expect("finished").expect("a file");
        let decisions = coordinator.on(now, Fact::Acknowledged { id, task: me.clone(), handed: handed(id.0, vec![file], &[]) });
        let [Decision::Write { skipped, manifest }] = &decisions[..] else { return };
        let outcome = storage.commit(skipped, manifest).await.written();
        assert_eq!(outcome, Written::Committed);
        coordinator.on(now, Fact::Wrote { id, outcome });
        let _ = storage.collect_garbage(id, attempt(n), retained, &InUse::default()).await.expect("collected");
    }
}

/// Run as a child by [`a_folder_is_whole_whenever_its_writer_is_killed`].
#[test]
fn writes_checkpoints_until_it_is_killed() {
    if let (Some(folder), Some(n)) = (std::env::var_os("STYGIAN_TEST_FOLDER"), std::env::var_os("STYGIAN_TEST_RUN")) {
        let n = n.to_string_lossy().parse().expect("a number");
        block_on(work(folder.as_ref(), n));
    }
}

#[test]
fn a_folder_is_whole_whenever_its_writer_is_killed() {
    let root = tempfile::tempdir().expect("a folder");
    let mut highest = CheckpointId(0);
    for n in 1..=12_u64 {
        let mut writer = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "killed::writes_checkpoints_until_it_is_killed"])
            .env("STYGIAN_TEST_FOLDER", root.path())
            .env("STYGIAN_TEST_RUN", n.to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        // Not a wait for something: any moment will do, also one at which it has not begun.
        std::thread::sleep(Duration::from_millis(17 + n * 23 % 90));
        writer.kill().expect("killed");
        writer.wait().expect("ended");
        let storage = CheckpointStorage::local(root.path()).expect("free");
        let Some(newest) = block_on(storage.list()).expect("listed").last().copied() else { continue };
        assert!(newest >= highest, "{newest} after {highest}");
        highest = newest;
        let damages = block_on(storage.verify(newest)).expect("read");
        assert!(damages.is_empty(), "{damages:?}");
        let manifest = block_on(storage.open(newest)).expect("read");
        let mut reader = StateReader::new(&storage, manifest.files.clone());
        let sections = manifest.operators.get(&node("totals")).map(|state| state.sections.clone()).unwrap_or_default();
        assert_eq!(block_on(reader.read_batch(&sections)).expect("read").len(), sections.len());
    }
    assert!(highest > CheckpointId(0), "not one run came to commit anything");
    let storage = CheckpointStorage::local(root.path()).expect("free");
    let last = block_on(storage.take_over(&run(99), &StartFrom::Newest)).expect("started");
    assert_eq!((last.id.0, last.kind), (highest.0 + 1, Kind::Takeover));
    let _ = block_on(storage.collect_garbage(last.id, attempt(99), NonZeroU16::MIN, &InUse::default())).expect("collected");
    let left = std::fs::read_dir(root.path().join("state")).expect("there").count();
    assert!(left <= last.files.len() + 5, "{left} files for {}", last.files.len());
}
