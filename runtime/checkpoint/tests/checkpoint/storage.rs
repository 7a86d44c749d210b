//! Files, folders, exclusive creation.

use crate::common::*;
use crate::stepped::{Fault, SteppedStore};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use stygian_checkpoint::{
    CheckpointError, CheckpointStorage, CommitOutcome, Damage, InUse, Kind, Manifest, OperatorPlugins, OperatorState, Part, PluginFacts,
    StateReader, WrittenFile,
};
use stygian_core::CheckpointId;

#[test]
fn a_committed_checkpoint_is_read_back_from_a_local_folder() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("checkpoints of clicks");
    let storage = CheckpointStorage::local(&folder).expect("made");
    let first = empty(0, 1);
    assert!(matches!(block_on(storage.commit(&[], &first)), CommitOutcome::Committed));
    assert!(matches!(block_on(storage.commit(&[], &empty(0, 2))), CommitOutcome::Fenced { by: CheckpointId(0), .. }));
    assert!(matches!(block_on(storage.commit(&[], &first)), CommitOutcome::Committed), "once more is once");
    drop(storage);
    let storage = CheckpointStorage::local(&folder).expect("free again");
    assert_eq!(block_on(storage.list()).expect("listed"), [CheckpointId(0)]);
    assert_eq!(block_on(storage.open(CheckpointId(0))).expect("read"), first);
}

#[test]
fn sections_are_read_back_from_files_of_any_size() {
    let storage = memory();
    let large = vec![7; 20 * 1024 * 1024];
    let file =
        state_file(&storage, 1, 1, &[(0, Part::Base, b"abc"), (1, Part::Base, &large), (1, Part::Change, b""), (2, Part::Base, b"z")]);
    let mut reader = StateReader::new(&storage, [(file.name.clone(), file.facts)].into());
    let read: Vec<_> = file.sections.iter().map(|(_, section)| block_on(reader.read(section)).expect("read")).collect();
    assert_eq!(read, [&b"abc"[..], &large, b"", b"z"]);
}

#[test]
fn a_batch_of_sections_is_read_in_the_order_it_was_asked_for() {
    let root = tempfile::tempdir().expect("a folder");
    let storage = CheckpointStorage::local(root.path()).expect("made");
    let one = state_file(&storage, 1, 1, &[(0, Part::Base, b"a"), (1, Part::Base, b"bc"), (2, Part::Base, b""), (3, Part::Base, b"d")]);
    let two = state_file(&storage, 2, 1, &[(0, Part::Change, b"e"), (1, Part::Change, b"fg")]);
    let section = |file: &WrittenFile, at: usize| file.sections[at].1.clone();
    let batch = [section(&two, 1), section(&one, 3), section(&one, 2), section(&one, 0), section(&two, 0), section(&one, 1)];
    let mut reader = StateReader::new(&storage, [&one, &two].map(|file| (file.name.clone(), file.facts)).into());
    assert_eq!(block_on(reader.read_batch(&batch)).expect("read"), [&b"fg"[..], b"d", b"", b"a", b"e", b"bc"]);
    let foreign = state_file(&memory(), 1, 9, &[(0, Part::Base, b"a")]);
    let error = block_on(reader.read_batch(&[section(&one, 0), section(&foreign, 0)])).expect_err("of no file of these");
    assert!(error.to_string().contains(foreign.name.as_str()), "{error}");
}

#[test]
fn a_file_without_sections_is_not_made_and_one_given_up_is_not_seen() {
    let root = tempfile::tempdir().expect("a folder");
    let storage = CheckpointStorage::local(root.path()).expect("made");
    let empty = storage.write_state(CheckpointId(1), attempt(1));
    assert_eq!(block_on(empty.finish()).expect("nothing to do"), None);
    let mut large = storage.write_state(CheckpointId(1), attempt(1));
    large.begin(node("totals"), name("keyed"), stygian_core::KeyGroup(0), Part::Base);
    block_on(large.write(&vec![1; 9 * 1024 * 1024])).expect("written");
    let held = std::fs::read_dir(root.path().join("state")).expect("there").count();
    assert_eq!(held, 1, "what was given is not all held in memory");
    block_on(large.abort()).expect("removed");
    assert_eq!(std::fs::read_dir(root.path().join("state")).expect("there").count(), 0);
}

/// A committed checkpoint with one state file and a plugin.
fn committed(storage: &CheckpointStorage) -> (Manifest, WrittenFile) {
    let file = state_file(storage, 1, 1, &[(0, Part::Base, b"first section"), (1, Part::Base, b"second section")]);
    let digest = block_on(storage.keep_plugin(b"a component")).expect("kept");
    let own = Some(PluginFacts { name: "totals".into(), version: "1.0.0".parse().expect("a version"), digest });
    let plugins = OperatorPlugins { own, ..OperatorPlugins::default() };
    let sections = file.sections.iter().map(|(_, section)| section.clone()).collect();
    let manifest = Manifest {
        files: BTreeMap::from([(file.name.clone(), file.facts)]),
        operators: BTreeMap::from([(node("totals"), OperatorState { sections, plugins, ..OperatorState::default() })]),
        ..empty(1, 1)
    };
    assert!(matches!(block_on(storage.commit(&[], &manifest)), CommitOutcome::Committed));
    (manifest, file)
}

#[test]
fn any_damage_of_a_state_file_is_found_and_named() {
    let (storage, store) = memory_and_store();
    let (manifest, file) = committed(&storage);
    let path = format!("state/{}", file.name);
    let whole = raw(&store, &path);
    assert_eq!(block_on(storage.verify(CheckpointId(1))).expect("read").len(), 0);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        put(&store, &path, &bytes);
        let damages = block_on(storage.verify(CheckpointId(1))).expect("read");
        assert!(damages.len() == 1 && damages[0].to_string().contains(file.name.as_str()), "{at}: {damages:?}");
        let mut reader = StateReader::new(&storage, manifest.files.clone());
        let read: Vec<_> = file.sections.iter().map(|(_, section)| block_on(reader.read(section)).is_ok()).collect();
        let expected = match at {
            16..29 => [false, true],
            29..43 => [true, false],
            _ => [false, false],
        };
        assert_eq!(read, expected, "{at}");
    }
    for length in 0..whole.len() {
        put(&store, &path, &whole[..length]);
        let damages = block_on(storage.verify(CheckpointId(1))).expect("read");
        assert!(matches!(&damages[..], [CheckpointError::Damaged { damage: Damage::Cut { .. }, .. }]), "{length}: {damages:?}");
    }
    put(&store, &path, &[&whole[..], b"x"].concat());
    let damages = block_on(storage.verify(CheckpointId(1))).expect("read");
    assert!(matches!(&damages[..], [CheckpointError::Damaged { damage: Damage::Trailing(1), .. }]), "{damages:?}");
}

#[test]
fn all_damages_are_told_with_what_can_be_done() {
    let root = tempfile::tempdir().expect("a folder");
    let storage = CheckpointStorage::local(root.path()).expect("made");
    let (manifest, file) = committed(&storage);
    std::fs::remove_file(root.path().join("state").join(file.name.as_str())).expect("removed");
    let digest = manifest.plugins().next().expect("one").clone();
    std::fs::write(root.path().join(format!("plugins/{digest}.wasm")), "another").expect("written");
    let damages = block_on(storage.verify(CheckpointId(1))).expect("read");
    let text: Vec<String> = damages.iter().map(ToString::to_string).collect();
    assert!(text[0].contains(file.name.as_str()) && text[0].contains("it is gone") && text[0].contains("--from-savepoint"), "{text:?}");
    assert!(text[1].contains(digest.as_str()) && text[1].contains("checksum"), "{text:?}");
    assert_eq!(block_on(storage.newest_whole()).expect("read").0, None);
    // It is written again by who has the bytes.
    block_on(storage.keep_plugin(b"a component")).expect("kept");
    assert_eq!(block_on(storage.plugin(&digest, 100)).expect("read"), &b"a component"[..]);
    assert!(matches!(block_on(storage.plugin(&digest, 5)), Err(CheckpointError::Damaged { damage: Damage::TooLarge(11), .. })));
}

#[test]
fn a_file_in_the_place_of_another_is_found() {
    let (storage, store) = memory_and_store();
    let (manifest, file) = committed(&storage);
    let other = state_file(&storage, 1, 2, &[(0, Part::Base, b"first section"), (1, Part::Base, b"second sECTION")]);
    put(&store, &format!("state/{}", file.name), &raw(&store, &format!("state/{}", other.name)));
    let error = block_on(StateReader::new(&storage, manifest.files).read(&file.sections[0].1)).expect_err("another file");
    assert!(matches!(error, CheckpointError::Damaged { damage: Damage::Other, .. }), "{error}");
}

#[test]
fn a_manifest_under_another_name_is_damage() {
    let (storage, store) = memory_and_store();
    committed(&storage);
    put(&store, "checkpoints/00000000000000000002.manifest", &raw(&store, "checkpoints/00000000000000000001.manifest"));
    let error = block_on(storage.open(CheckpointId(2))).expect_err("of another id").to_string();
    assert!(error.contains("00000000000000000002.manifest") && error.contains("of checkpoint 1"), "{error}");
    put(&store, "checkpoints/3.manifest", b"");
    let error = block_on(storage.list()).expect_err("no such name").to_string();
    assert!(error.contains("checkpoints/3.manifest") && error.contains("--recover-latest"), "{error}");
}

#[test]
fn skipped_ids_are_filled_once() {
    let storage = memory();
    let zero = empty(0, 1);
    let skipped: Vec<Manifest> = (1..3).map(|id| zero.again(CheckpointId(id), attempt(1), Kind::Skipped)).collect();
    assert!(matches!(block_on(storage.commit(&[], &zero)), CommitOutcome::Committed));
    for _ in 0..2 {
        assert!(matches!(block_on(storage.commit(&skipped, &empty(3, 1))), CommitOutcome::Committed));
    }
    assert_eq!(block_on(storage.list()).expect("listed").len(), 4);
    // Another run has the id that is to be filled.
    let late = [zero.again(CheckpointId(4), attempt(1), Kind::Skipped)];
    block_on(storage.commit(&[], &empty(4, 2)));
    assert!(matches!(block_on(storage.commit(&late, &empty(5, 1))), CommitOutcome::Fenced { by: CheckpointId(4), .. }));
}

/// Run as a child by [`a_folder_is_free_when_its_holder_was_killed`]: takes the folder, writes half a state file and waits.
#[test]
fn holds_a_folder_until_it_is_killed() {
    let Some(folder) = std::env::var_os("STYGIAN_TEST_FOLDER") else { return };
    let storage = CheckpointStorage::local(folder.as_ref()).expect("free");
    committed(&storage);
    let mut half = storage.write_state(CheckpointId(2), attempt(1));
    half.begin(node("totals"), name("keyed"), stygian_core::KeyGroup(0), Part::Base);
    block_on(half.write(&vec![1; 9 * 1024 * 1024])).expect("written");
    std::io::stderr().write_all(b"held\n").expect("told");
    std::thread::park();
}

#[test]
fn a_folder_is_free_when_its_holder_was_killed() {
    let root = tempfile::tempdir().expect("a folder");
    let mut holder = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "storage::holds_a_folder_until_it_is_killed", "--nocapture"])
        .env("STYGIAN_TEST_FOLDER", root.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut line = String::new();
    let stderr = holder.stderr.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stderr), &mut line).expect("read");
    assert_eq!(line, "held\n");
    let error = CheckpointStorage::local(root.path()).expect_err("held").to_string();
    assert!(error.contains(&format!("process {}", holder.id())), "{error}");
    let reading = CheckpointStorage::local_for_reading(root.path()).expect("reading needs no lock");
    assert_eq!(block_on(reading.list()).expect("listed"), [CheckpointId(1)]);
    let temporary = |root: &std::path::Path| {
        let names = std::fs::read_dir(root.join("state")).expect("there").map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| name.to_string_lossy().contains('#')).count()
    };
    assert_eq!(temporary(root.path()), 1);
    holder.kill().expect("killed");
    holder.wait().expect("ended");
    let storage = CheckpointStorage::local(root.path()).expect("free");
    assert_eq!(temporary(root.path()), 0);
    assert_eq!(block_on(storage.verify(CheckpointId(1))).expect("read").len(), 0);
}

#[test]
fn an_error_of_a_manifests_write_is_resolved_by_what_is_there() {
    let store = std::sync::Arc::new(SteppedStore::new(0));
    let storage = CheckpointStorage::new(std::sync::Arc::clone(&store) as _, "stepped");
    let commit = |fault, manifest: &Manifest| {
        store.meet(fault);
        block_on(storage.commit(&[], manifest))
    };
    assert!(matches!(commit(Fault::Before, &empty(0, 1)), CommitOutcome::Unknown(_)), "it may still come");
    assert!(matches!(commit(Fault::After, &empty(0, 1)), CommitOutcome::Committed));
    assert!(
        matches!(commit(Fault::Before, &empty(0, 2)), CommitOutcome::Fenced { by: CheckpointId(0), attempt: Some(by) } if by == attempt(1))
    );
    // It comes while another of the same run is written.
    assert!(matches!(commit(Fault::Late, &empty(1, 1)), CommitOutcome::Unknown(_)));
    block_on(store.arrive());
    let skipped = empty(0, 1).again(CheckpointId(1), attempt(1), Kind::Skipped);
    assert!(matches!(commit(Fault::None, &skipped), CommitOutcome::Unknown(_)), "never passed over");
    assert!(matches!(commit(Fault::None, &empty(1, 1)), CommitOutcome::Committed));
}

#[test]
fn what_a_local_folder_did_not_write_will_not_come() {
    let root = tempfile::tempdir().expect("a folder");
    let storage = CheckpointStorage::local(root.path()).expect("made");
    // A folder in the place of the file that is written before it is renamed: no user, not even root, can write there.
    std::fs::remove_dir(root.path().join("checkpoints")).expect("removed");
    std::fs::write(root.path().join("checkpoints"), "not a folder").expect("written");
    let outcome = block_on(storage.commit(&[], &empty(0, 1)));
    assert!(!matches!(outcome, CommitOutcome::Committed | CommitOutcome::Fenced { .. }), "{outcome:?}");
    std::fs::remove_file(root.path().join("checkpoints")).expect("removed");
    assert!(matches!(block_on(storage.commit(&[], &empty(0, 1))), CommitOutcome::Committed));
}

/// All of it can run on a runtime with several threads.
#[test]
fn futures_can_go_from_thread_to_thread() {
    fn sent<T: Send>(_: T) {}
    let (storage, other) = (memory(), memory());
    let (manifest, run, none) = (empty(0, 1), run(1), InUse::default());
    sent(storage.commit(&[], &manifest));
    sent(storage.take_over(&run, &stygian_checkpoint::StartFrom::Newest));
    sent(storage.collect_garbage(CheckpointId(0), attempt(1), std::num::NonZeroU16::MIN, &none));
    sent(storage.copy_savepoint(&manifest, &other));
    sent(storage.adopt(&other, attempt(1)));
    sent(storage.verify(CheckpointId(0)));
    sent(async {
        let mut writer = storage.write_state(CheckpointId(0), attempt(1));
        writer.write(b"").await?;
        let file = writer.finish().await?;
        if let Some((_, section)) = file.iter().flat_map(|file| &file.sections).next() {
            StateReader::new(&storage, BTreeMap::new()).read(section).await?;
        }
        Ok::<_, CheckpointError>(())
    });
}
