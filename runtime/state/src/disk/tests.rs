//! The suite of all backends, ends of the process at any time, and folders that must not be trusted.

use super::*;
use crate::{KeyBatch, KeyCodec, KeyedState, StateCall, StateLimits, Values, VarBytes, conformance};
use arrow_array::{ArrayRef, StringArray};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use stygian_core::{ColumnType, MaxParallelism, SlotKind};
use xxhash_rust::xxh3::xxh3_64;

/// Folders that are gone at the end.
struct Folders {
    root: tempfile::TempDir,
    made: AtomicUsize,
}

impl Folders {
    fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a folder"), made: AtomicUsize::new(0) }
    }

    fn next(&self) -> PathBuf {
        self.root.path().join(self.made.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn open(&self, slots: Arc<[Slot]>) -> DiskBackend {
        self::open(&self.next(), slots)
    }
}

fn place(folder: &Path) -> DiskPlace {
    DiskPlace { folder: folder.to_owned(), memory: ByteSize::mib(4), owner: "somebody".into() }
}

fn open(folder: &Path, slots: Arc<[Slot]>) -> DiskBackend {
    DiskBackend::open(&place(folder), slots).expect("free")
}

/// What the end of the process leaves of a folder: all that was given to the operating system.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    std::fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("set");
    for entry in std::fs::read_dir(from).expect("there") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            copy(&entry.path(), &to);
        } else {
            // A journal is made with room to spare, which takes no room on the disk, and should not here.
            let bytes = std::fs::read(entry.path()).expect("read");
            let filled = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            std::fs::write(&to, &bytes[..filled]).expect("written");
            std::fs::File::options().write(true).open(to).and_then(|file| file.set_len(bytes.len() as u64)).expect("as long");
        }
    }
}

/// Runs something for seeds of any kind.
fn for_seeds(seeds: u32, run: impl Fn(u64) -> Result<(), String>) {
    let config = ProptestConfig { cases: seeds, failure_persistence: None, ..ProptestConfig::default() };
    let checked = TestRunner::new(config).run(&any::<u64>(), |seed| run(seed).map_err(TestCaseError::fail));
    assert!(checked.is_ok(), "{checked:?}");
}

#[test]
fn does_what_every_backend_must() {
    for_seeds(6, |seed| {
        let folders = Folders::new();
        conformance::check(&|slots| Box::new(folders.open(slots)), seed, 60)
    });
}

#[test]
fn what_was_deleted_stays_deleted_when_the_checkpoint_that_says_so_fails() {
    let folders = Folders::new();
    assert_eq!(conformance::check_emptied(&|slots| Box::new(folders.open(slots))), Ok(()));
}

#[test]
fn sweeps_keep_up_with_records_however_fast_they_come() {
    let (folders, slot) = (Folders::new(), Slot { name: "last".into(), kind: SlotKind::Value, version: 1, ttl_micros: Some(1) });
    let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
    let slots: Arc<[Slot]> = [slot].into();
    let mut state = Box::new(KeyedState::new(codec, Box::new(folders.open(slots.clone())), slots, [].into(), StateLimits::default()));
    for round in 0..30_i64 {
        let names: ArrayRef = Arc::new((0..100).map(|n| Some(format!("{n} of {round}"))).collect::<StringArray>());
        let mut keys = KeyBatch::default();
        state.keys_of(&[names], 100, &mut keys).expect("text");
        let mut call = state.begin(&keys, 0..100, EventTime::from_micros(round), |_| round).expect("begun");
        let all: Vec<u32> = (0..100).collect();
        call.put_values(SlotId(0), &all, (0..100).map(|_| Some(b"x".as_slice())).collect()).expect("small");
        state = call.commit().expect("within limits");
        state.sweep(EventTime::from_micros(round)).expect("swept");
        assert!(state.size().keys <= 400, "{} keys in round {round}, of which 100 live", state.size().keys);
    }
}

/// The process ends between any two calls, in an orderly way or not, and what it leaves is taken back to the last checkpoint.
#[test]
fn what_is_left_is_taken_back_to_the_last_checkpoint() {
    let (resumed, ends) = (Cell::new(0), Cell::new(0));
    for_seeds(6, |seed| {
        let folders = Folders::new();
        let reopen = |ended: Box<dyn StateBackend>, slots| -> Box<dyn StateBackend> {
            // The suite does not know of folders.
            let text = format!("{ended:?}");
            let folder = text.split("Folder { path: \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a folder");
            let mut folder = PathBuf::from(folder);
            ends.set(ends.get() + 1);
            if ends.get() % 2 == 0 {
                let killed = folders.next();
                copy(&folder, &killed);
                folder = killed;
            }
            drop(ended);
            Box::new(open(&folder, slots))
        };
        resumed.set(resumed.get() + conformance::check_kept(&|slots| Box::new(folders.open(slots)), &reopen, seed, 80)?);
        Ok(())
    });
    // The others had no checkpoint yet, or it was too long ago, or the slots have another version.
    assert!(resumed.get() * 8 > ends.get(), "{} of {}", resumed.get(), ends.get());
}

const VALUE: SlotId = SlotId(0);
const LIST: SlotId = SlotId(1);
const MAP: SlotId = SlotId(2);

fn slots() -> Arc<[Slot]> {
    let slot = |name: &str, kind| Slot { name: name.into(), kind, version: 1, ttl_micros: None };
    [slot("last", SlotKind::Value), slot("seen", SlotKind::List), slot("totals", SlotKind::Map)].into()
}

fn state(folder: &Path) -> Box<KeyedState> {
    state_with(&place(folder), StateLimits::default()).expect("free")
}

fn state_with(place: &DiskPlace, limits: StateLimits) -> Result<Box<KeyedState>, StateError> {
    let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::new(4).expect("few"));
    let backend = DiskBackend::open(place, slots())?;
    Ok(Box::new(KeyedState::new(codec, Box::new(backend), slots(), [].into(), limits)))
}

fn begin(mut state: Box<KeyedState>, keys: &[String]) -> StateCall {
    let (column, mut batch): (ArrayRef, _) = (Arc::new(StringArray::from_iter_values(keys)), KeyBatch::default());
    state.keys_of(&[column], keys.len(), &mut batch).expect("text");
    state.begin(&batch, 0..keys.len(), EventTime::MIN, |_| 0).expect("a call")
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("key-{number:06}")).collect()
}

fn write(state: Box<KeyedState>, range: std::ops::Range<usize>, value: &str) -> Box<KeyedState> {
    try_write(state, range, value).expect("written")
}

fn try_write(state: Box<KeyedState>, range: std::ops::Range<usize>, value: &str) -> Result<Box<KeyedState>, StateError> {
    let keys = names(range);
    let mut call = begin(state, &keys);
    let all: Vec<u32> = (0..u32::try_from(keys.len()).expect("few")).collect();
    let values: Values = keys.iter().map(|_| Some(value.as_bytes())).collect();
    call.put_values(VALUE, &all, values).expect("small");
    call.append(LIST, 0, &VarBytes::from_iter([value.as_bytes()])).expect("small");
    call.put(MAP, 0, &VarBytes::from_iter([&b"k"[..]]), &VarBytes::from_iter([value.as_bytes()])).expect("small");
    call.commit()
}

fn read(state: Box<KeyedState>, number: usize) -> (Box<KeyedState>, Option<String>) {
    let call = begin(state, &names(number..number + 1));
    let value = call.values()[0].get(0).map(|value| String::from_utf8_lossy(value).into_owned());
    (call.abort(), value)
}

/// Takes a snapshot, and what a checkpoint would know of it.
fn snapshot(state: &mut KeyedState, chain: &mut Vec<SavedSection>) -> Vec<StateSection> {
    let sections = state.snapshot(|_| chain.is_empty()).expect("taken");
    chain.extend(sections.iter().map(|section| SavedSection {
        part: section.part,
        group: section.group,
        kind: section.kind,
        sum: xxh3_64(&section.bytes),
    }));
    sections
}

/// A folder with a snapshot of 2,000 keys and writes behind it, as the end of the process leaves it.
struct Left {
    folders: Folders,
    folder: PathBuf,
    saved: Vec<SavedSection>,
    sections: Vec<StateSection>,
}

fn left() -> Left {
    let folders = Folders::new();
    let folder = folders.next();
    let (mut state, mut saved) = (write(state(&folder), 0..2000, "old"), Vec::new());
    let sections = snapshot(&mut state, &mut saved);
    let state = write(state, 1000..3000, "new");
    let left = folders.next();
    copy(&folder, &left);
    drop(state);
    Left { folders, folder: left, saved, sections }
}

impl Left {
    /// Opens it and takes it back; whether it was trusted. What is read then is what was saved in any case.
    fn resume(&self, place: &DiskPlace) -> bool {
        let mut state = state_with(place, StateLimits::default()).expect("free");
        let held = state.resume(&self.saved).expect("an answer") == ["keyed"];
        if !held {
            self.sections.iter().for_each(|section| state.restore(section).expect("restored"));
        }
        assert_eq!(state.size().keys, 2002);
        for (number, value) in [(0, Some("old")), (1500, Some("old")), (1999, Some("old")), (2000, None), (2999, None)] {
            let read = read(state, number);
            state = read.0;
            assert_eq!(read.1.as_deref(), value, "key {number}, held: {held}");
        }
        assert_eq!(state.snapshot(|_| false).expect("taken"), []);
        held
    }
}

#[test]
fn what_was_written_behind_a_snapshot_is_taken_back() {
    let left = left();
    assert!(left.resume(&place(&left.folder)));
    // And again, as nothing was changed.
    assert!(left.resume(&place(&left.folder)));
}

#[test]
fn a_folder_of_another_owner_or_declaration_is_not_trusted() {
    let left = left();
    assert!(!left.resume(&DiskPlace { owner: "somebody else".into(), ..place(&left.folder) }));
    assert!(!left.resume(&place(&left.folder)));
}

#[test]
fn a_folder_at_another_checkpoint_is_not_trusted() {
    let mut left = left();
    let mut other = state(&left.folder);
    left.saved[0].sum ^= 1;
    assert!(other.resume(&left.saved).expect("an answer").is_empty());
    assert_eq!(other.size(), StateSize::default());
}

/// Every file of what is left, damaged in three ways, is found out or does not matter.
#[test]
fn damaged_files_are_found_out() {
    let left = left();
    let mut files = Vec::new();
    collect(&left.folder, &mut files);
    let (mut refused, mut tried) = (0, 0);
    for file in files.iter().filter(|file| !file.ends_with("lock")) {
        for how in 0..3 {
            let damaged = left.folders.next();
            copy(&left.folder, &damaged);
            damage(&damaged.join(file.strip_prefix(&left.folder).expect("below")), how);
            tried += 1;
            refused += usize::from(!left.resume(&place(&damaged)));
            std::fs::remove_dir_all(damaged).expect("removed");
        }
    }
    assert!(refused > tried / 2, "{refused} of {tried}");
}

/// Cuts a file, changes a byte of it, or deletes it.
fn damage(file: &Path, how: usize) {
    let mut bytes = std::fs::read(file).expect("there");
    let filled = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match how {
        0 => bytes.truncate(filled / 2),
        1 if filled > 0 => bytes[filled / 2] ^= 0x55,
        _ => return std::fs::remove_file(file).expect("there"),
    }
    std::fs::write(file, bytes).expect("written");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

#[test]
fn without_a_log_or_with_a_cut_one_nothing_is_trusted() {
    for cut in [false, true] {
        let left = left();
        let log = left.folder.join("1.log");
        if cut {
            let bytes = std::fs::read(&log).expect("there");
            std::fs::write(&log, &bytes[..bytes.len() / 2]).expect("written");
        } else {
            std::fs::remove_file(&log).expect("there");
        }
        assert!(!left.resume(&place(&left.folder)));
    }
}

#[test]
fn a_frame_that_the_end_of_the_process_has_cut_does_not_matter() {
    let left = left();
    let log = left.folder.join("1.log");
    let mut bytes = std::fs::read(&log).expect("there");
    bytes.extend([200, 0, 0, 0, 1, 2, 3]);
    std::fs::write(&log, &bytes).expect("written");
    assert!(left.resume(&place(&left.folder)));
}

#[test]
fn a_state_that_is_not_resumed_begins_empty() {
    let left = left();
    let (state, value) = read(state(&left.folder), 0);
    assert_eq!((value, state.size()), (None, StateSize::default()));
}

#[test]
fn a_second_process_is_told_who_has_the_folder() {
    let folders = Folders::new();
    let folder = folders.next();
    std::fs::create_dir(&folder).expect("made");
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("set");
    // A process that only holds the lock.
    let mut other = std::process::Command::new("flock")
        .arg(folder.join("lock"))
        .args(["sh", "-c", "echo 1 > \"$0\"; echo held; exec sleep 60"])
        .arg(folder.join("lock"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("flock is there");
    let mut held = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(other.stdout.take().expect("piped")), &mut held).expect("read");
    let error = DiskBackend::open(&place(&folder), slots()).expect_err("held").to_string();
    other.kill().expect("running");
    other.wait().expect("ended");
    assert_eq!(
        error,
        format!(
            "the state on disk in {} is in use by process 1; a job runs once: stop the other one, or give this one another `folder` in `[state]`",
            folder.display()
        )
    );
}

#[test]
fn a_key_that_is_too_long_is_an_error_that_names_its_slot() {
    let folders = Folders::new();
    let call = begin(state(&folders.next()), &["k".repeat(70_000)]);
    assert_eq!(call.values()[0].get(0), None);
    let mut call = begin(call.abort(), &["k".repeat(70_000)]);
    call.put_values(VALUE, &[0], Values::from_iter([Some(&b"x"[..])])).expect("small");
    let error = call.commit().expect_err("too long").to_string();
    assert!(error.contains("70005 bytes in slot `last`") && error.contains("65535"), "{error}");
}

#[test]
fn keys_are_limited_as_in_memory() {
    let folders = Folders::new();
    let limits = StateLimits { keys: 1001, ..StateLimits::default() };
    let state = state_with(&place(&folders.next()), limits).expect("free");
    let state = write(state, 0..999, "x");
    let error = try_write(state, 999..1000, "x").expect_err("a value, a list and a map more");
    assert_eq!(error, StateError::TooManyKeys { slot: "last".into(), keys: 1004, limit: 1001 });
}

#[test]
fn a_snapshot_says_what_has_changed() {
    let folders = Folders::new();
    let (mut state, mut saved) = (write(state(&folders.next()), 0..20_000, &"x".repeat(100)), Vec::new());
    let bytes = |sections: &[StateSection]| sections.iter().map(|section| section.bytes.len()).sum::<usize>();
    let base = bytes(&snapshot(&mut state, &mut saved));
    assert!(base > 20_000 * 100);
    state = write(state, 500..700, &"y".repeat(100));
    let change = bytes(&snapshot(&mut state, &mut saved));
    assert!(change * 100 < base * 3 / 2, "{change} of {base}");
    assert_eq!(state.snapshot(|_| false).expect("taken"), []);
}

#[test]
fn checkpoints_that_fail_in_a_row_can_be_gone_behind() {
    let folders = Folders::new();
    let folder = folders.next();
    let (mut state, mut saved) = (write(state(&folder), 0..100, "old"), Vec::new());
    snapshot(&mut state, &mut saved);
    for round in 0..3 {
        state = write(state, 50..60 + round, &format!("round {round}"));
        let lost = snapshot(&mut state, &mut saved.clone());
        lost.iter().for_each(|section| state.mark_unsaved(section).expect("marked"));
    }
    let left = folders.next();
    copy(&folder, &left);
    drop(state);
    let mut state = self::state(&left);
    assert_eq!(state.resume(&saved), Ok(&["keyed"][..]));
    for number in [0, 55, 61, 99] {
        let (next, value) = read(state, number);
        assert_eq!(value.as_deref(), Some("old"), "{number}");
        state = next;
    }
}

/// Lists that are cut, removed and begun anew, read page by page from any place.
#[test]
fn a_list_is_read_from_any_place_whatever_was_there_before() {
    let folders = Folders::new();
    let (mut state, mut saved) = (write(state(&folders.next()), 0..1, "x"), Vec::new());
    snapshot(&mut state, &mut saved);
    let (mut expected, mut number) = (vec![b"x".to_vec()], 7_usize);
    for round in 0..300 {
        let mut call = begin(state, &names(0..1));
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = call.scan(LIST, 0, from, round % 23).expect("read");
            found.extend(page.values.iter().map(<[u8]>::to_vec));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "round {round}");
        number = number * 31 % 1009;
        if number % 6 == 0 {
            call.remove(LIST, 0, None);
            expected.clear();
        }
        let more: Vec<Vec<u8>> = (0..number % 4).map(|at| vec![u8::try_from(at).expect("few"); (number + at) % 7]).collect();
        call.append(LIST, 0, &more.iter().map(Vec::as_slice).collect::<VarBytes>()).expect("small");
        expected.extend(more);
        state = call.commit().expect("written");
    }
}

/// A map that was emptied in a checkpoint that failed, and filled again: what was in it before must not come back.
#[test]
fn a_map_that_a_lost_snapshot_has_emptied_begins_anew_in_the_next() {
    let folders = Folders::new();
    let put = |state: Box<KeyedState>, map_key: &[u8]| {
        let mut call = begin(state, &names(0..1));
        call.put(MAP, 0, &VarBytes::from_iter([map_key]), &VarBytes::from_iter([&b"v"[..]])).expect("small");
        call.commit().expect("written")
    };
    let mut saved = Vec::new();
    let mut state = put(put(state(&folders.next()), b"old"), b"older");
    let base = snapshot(&mut state, &mut saved);
    let mut call = begin(state, &names(0..1));
    call.remove(MAP, 0, None);
    state = call.commit().expect("written");
    let lost = snapshot(&mut state, &mut saved);
    lost.iter().for_each(|section| state.mark_unsaved(section).expect("marked"));
    state = put(state, b"new");
    let change = snapshot(&mut state, &mut saved);
    let mut restored = self::state(&folders.next());
    base.iter().chain(&change).for_each(|section| restored.restore(section).expect("restored"));
    let mut call = begin(restored, &names(0..1));
    let page = call.scan(MAP, 0, None, 1000).expect("read");
    assert_eq!(page.keys.iter().collect::<Vec<_>>(), [b"new"]);
}

/// Of a list, a snapshot says what was appended.
#[test]
fn a_list_says_what_was_appended_since_the_last_snapshot() {
    let folders = Folders::new();
    let append = |state: Box<KeyedState>, entries: usize| {
        let mut call = begin(state, &names(0..1));
        call.append(LIST, 0, &(0..entries).map(|_| &b"an entry"[..]).collect::<VarBytes>()).expect("small");
        call.commit().expect("written")
    };
    let mut saved = Vec::new();
    let mut state = append(state(&folders.next()), 1000);
    let base = snapshot(&mut state, &mut saved)[0].bytes.len();
    for _ in 0..3 {
        state = append(state, 1);
        let change = snapshot(&mut state, &mut saved)[0].bytes.len();
        assert!(change * 50 < base, "{change} of {base}");
    }
}
