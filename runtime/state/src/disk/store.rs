//! Records in fjall, and what a call writes before it is given to the store.
//!
//! What is written goes into `pending` and becomes one atomic batch ([`Store::end_batch`]). Of every record that is touched for the first time in
//! a generation, the log is told first what it was. There is no waiting for the disk.
//!
//! fjall halts who writes while its own threads lag behind, and would for ever if they have failed meanwhile: so the store waits before, and
//! looks whether they have.

use crate::StateError;
use crate::disk::folder;
use crate::disk::keys;
use crate::disk::log::LogWriter;
use crate::disk::record::Record;
use fjall::config::{BlockSizePolicy, PartitioningPolicy};
use fjall::{AbstractTree, Database, Keyspace, KeyspaceCreateOptions, PersistMode, UserKey, UserValue};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use stygian_core::ByteSize;

/// Memtables that wait to be written to files, and files that wait to be merged, before a batch waits: both below where fjall halts.
const MOST_SEALED: usize = 3;
const MOST_RUNS: usize = 18;
/// How long a batch waits for fjall's threads.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the end of a subtask may wait for fjall's threads.
const LAST_PATIENCE: Duration = Duration::from_secs(60);
/// The least that a store can do with.
const LEAST_MEMORY: ByteSize = ByteSize::mib(4);

/// The records of a subtask.
pub(crate) struct Store {
    /// Not there when it is closed.
    database: Option<Database>,
    records: Keyspace,
    folder: PathBuf,
    /// What is to be stored, by key; `None`: nothing.
    pending: BTreeMap<Vec<u8>, Option<UserValue>>,
    pending_bytes: usize,
    /// 0: nothing is logged.
    pub(crate) generation: u64,
    log: Option<LogWriter>,
    /// Batches that were written.
    batches: u64,
    /// By group, records that were touched in the generation.
    touched: Vec<u64>,
}

impl Debug for Store {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { folder, generation, batches, .. } = self;
        to.debug_struct("Store").field("folder", folder).field("generation", generation).field("batches", batches).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in a folder of its own below `folder`, or makes it; about so much memory is used.
    pub(crate) fn open(folder: &Path, name: &str, memory: ByteSize) -> Result<Self, StateError> {
        let memory = memory.max(LEAST_MEMORY).0;
        // One memtable is written to and as many wait as may; the rest is for blocks that were read, and filters and indices.
        let (cache, memtable) = (memory * 2 / 5, memory / 10);
        let opened = || -> fjall::Result<(Database, Keyspace)> {
            let database = Database::builder(folder.join(name))
                .cache_size(cache)
                .max_cached_files(Some(64))
                .max_journaling_size(ByteSize::mib(64).0)
                .worker_threads(2)
                .open()?;
            let options = || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(memtable)
                    .data_block_size_policy(BlockSizePolicy::all(4 * 1024))
                    // A filter of a whole table is read as one block: with little memory that is most of the cache.
                    .filter_block_partitioning_policy(PartitioningPolicy::all(true))
                    .index_block_partitioning_policy(PartitioningPolicy::all(true))
                    .compaction_strategy(std::sync::Arc::new(
                        fjall::compaction::Leveled::default().with_table_target_size((memory / 8).clamp(1 << 20, 64 << 20)),
                    ))
            };
            let records = database.keyspace("records", options)?;
            Ok((database, records))
        };
        let (database, records) = opened().map_err(|error| folder::failed("open", folder, &reason(&error)))?;
        let folder = folder.to_owned();
        let mut store = Self {
            database: Some(database),
            records,
            folder,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            generation: 0,
            log: None,
            batches: 0,
            touched: Vec::new(),
        };
        let batches = store.get(&keys::BATCHES)?;
        store.batches = batches.and_then(|bytes| Some(u64::from_le_bytes(bytes.as_ref().try_into().ok()?))).unwrap_or(0);
        Ok(store)
    }

    /// Batches that were written since the store was made.
    pub(crate) fn batches(&self) -> u64 {
        self.batches
    }

    /// From here on what is changed goes into this log.
    pub(crate) fn begin_generation(&mut self, generation: u64, log: LogWriter) {
        (self.generation, self.log) = (generation, Some(log));
        self.touched.clear();
    }

    /// From here on nothing is logged.
    pub(crate) fn end_generations(&mut self) {
        (self.generation, self.log) = (0, None);
        self.touched.clear();
    }

    /// Whether records of a group were touched in this generation.
    pub(crate) fn is_touched(&self, group: usize) -> bool {
        self.touched.get(group).is_some_and(|records| *records > 0)
    }

    /// The bytes of a record.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<UserValue>, StateError> {
        if let Some(pending) = self.pending(key) {
            return Ok(pending);
        }
        if key.len() > keys::MOST_BYTES {
            return Ok(None);
        }
        self.records.get(key).map_err(|error| self.failed("read", &error))
    }

    /// The record that is to be stored at a key, if there is one, or that none is to be.
    pub(crate) fn pending(&self, key: &[u8]) -> Option<Option<UserValue>> {
        self.pending.get(key).cloned()
    }

    /// Stores something at a key whose record is `was`.
    pub(crate) fn put(&mut self, key: Vec<u8>, was: Option<&UserValue>, content: &[u8]) -> Result<(), StateError> {
        self.note(&key, was)?;
        let record = Record { generation: self.generation, content: Some(content) }.write();
        self.set(key, Some(record.into()));
        Ok(())
    }

    /// Stores that nothing is at a key whose record is `was`.
    pub(crate) fn remove(&mut self, key: Vec<u8>, was: Option<&UserValue>) -> Result<(), StateError> {
        self.note(&key, was)?;
        let trace = (self.generation > 0).then(|| Record { generation: self.generation, content: None }.write().into());
        self.set(key, trace);
        Ok(())
    }

    /// Counts a record as changed in this generation, as it stands.
    pub(crate) fn touch(&mut self, key: Vec<u8>) -> Result<(), StateError> {
        let was = self.get(&key)?;
        match was.as_deref().and_then(Record::read).and_then(|record| record.content) {
            Some(content) => self.put(key, was.as_ref(), content),
            None => self.remove(key, was.as_ref()),
        }
    }

    /// Puts a record back as it was, whatever the generation.
    pub(crate) fn set(&mut self, key: Vec<u8>, record: Option<UserValue>) {
        self.pending_bytes += key.len() + record.as_ref().map_or(0, |record| record.len());
        self.pending.insert(key, record);
    }

    /// Tells the log what a record was, if it is touched for the first time.
    fn note(&mut self, key: &[u8], was: Option<&UserValue>) -> Result<(), StateError> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let known = match was {
            Some(was) => {
                Record::read(was).ok_or_else(|| damaged(&self.folder, "a record has no generation"))?.generation == self.generation
            }
            None => false,
        };
        if !known {
            log.push(key, was.map(AsRef::as_ref));
            let group = keys::group(key).map_or(0, |group| usize::from(group.0));
            if self.touched.len() <= group {
                self.touched.resize(group + 1, 0);
            }
            self.touched[group] += 1;
        }
        Ok(())
    }

    /// The records whose keys begin with a prefix, from a key on, as they are stored; what is pending of them is stored before.
    pub(crate) fn scan(&mut self, prefix: &[u8]) -> Result<Records, StateError> {
        if self.pending.range(prefix.to_vec()..).next().is_some_and(|(key, _)| key.starts_with(prefix)) {
            self.end_batch()?;
        }
        Ok(self.stored(prefix.to_vec(), keys::behind(prefix)))
    }

    /// The records between two keys, the first included, where nothing is pending.
    pub(crate) fn stored(&self, from: Vec<u8>, to: Vec<u8>) -> Records {
        Records { records: self.records.range(from..to), folder: self.folder.clone() }
    }

    /// Stores what is pending if it is much, where it need not be one batch.
    pub(crate) fn relieve(&mut self) -> Result<(), StateError> {
        if self.pending_bytes > 1 << 20 || self.pending.len() > 4096 { self.end_batch() } else { Ok(()) }
    }

    /// Stores what is pending, all or nothing.
    pub(crate) fn end_batch(&mut self) -> Result<(), StateError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.wait_for_room()?;
        let number = self.batches + 1;
        if let Some(log) = &mut self.log {
            log.end_batch(number).map_err(|error| folder::failed("write the log of", &self.folder, &error))?;
        }
        let mut batch = self.database()?.batch();
        for (key, record) in std::mem::take(&mut self.pending) {
            match record {
                Some(record) => batch.insert(&self.records, key, record),
                None => batch.remove(&self.records, key),
            }
        }
        self.pending_bytes = 0;
        batch.insert(&self.records, keys::BATCHES, number.to_le_bytes());
        batch.commit().map_err(|error| self.failed("write", &error))?;
        self.batches = number;
        Ok(())
    }

    fn wait_for_room(&self) -> Result<(), StateError> {
        let (began, tree) = (Instant::now(), &self.records.tree);
        while self.records.sealed_memtable_count() >= MOST_SEALED || tree.l0_run_count() >= MOST_RUNS {
            // Fails where one of fjall's threads has.
            self.database()?.persist(PersistMode::Buffer).map_err(|error| self.failed("write", &error))?;
            if began.elapsed() > PATIENCE {
                // They may be idle, and files be left to merge: they only look for such when a memtable was written.
                return self.records.rotate_memtable().map(drop).map_err(|error| self.failed("write", &error));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Waits until the disk has everything.
    pub(crate) fn sync(&self) -> Result<(), StateError> {
        self.database()?.persist(PersistMode::SyncAll).map_err(|error| self.failed("write", &error))?;
        let synced = self.log.as_ref().map_or(Ok(()), LogWriter::sync);
        synced.map_err(|error| folder::failed("write the log of", &self.folder, &error))
    }

    fn database(&self) -> Result<&Database, StateError> {
        self.database.as_ref().ok_or_else(|| damaged(&self.folder, "it is closed"))
    }

    fn failed(&self, doing: &'static str, error: &fjall::Error) -> StateError {
        folder::failed(doing, &self.folder, &reason(error))
    }
}

impl Drop for Store {
    /// fjall waits for its threads, and would for ever for one that has failed.
    fn drop(&mut self) {
        let Some(database) = self.database.take() else { return };
        let well = database.persist(PersistMode::Buffer).is_ok();
        let (ended, end) = mpsc::channel();
        let closing = std::thread::Builder::new().name("close state".to_owned()).spawn(move || {
            drop(database);
            // Who waits may have gone.
            let _ = ended.send(());
        });
        if well && closing.is_ok() {
            let _ = end.recv_timeout(LAST_PATIENCE);
        }
    }
}

/// Records in the order of their keys.
pub(crate) struct Records {
    records: fjall::Iter,
    folder: PathBuf,
}

impl Records {
    fn read(&self, record: fjall::Guard) -> Result<(UserKey, UserValue), StateError> {
        record.into_inner().map_err(|error| folder::failed("read", &self.folder, &reason(&error)))
    }

    /// The last one whose bytes are such.
    pub(crate) fn last(mut self, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<(UserKey, UserValue)>, StateError> {
        while let Some(record) = self.records.next_back() {
            let (key, record) = self.read(record)?;
            if wanted(&record) {
                return Ok(Some((key, record)));
            }
        }
        Ok(None)
    }
}

impl Iterator for Records {
    type Item = Result<(UserKey, UserValue), StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.next().map(|record| self.read(record))
    }
}

/// What fjall says, in fewer words.
fn reason(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(error) => error.to_string(),
        fjall::Error::Poisoned => "a write before it failed".to_owned(),
        fjall::Error::Locked => "it is still open".to_owned(),
        other => format!("{other:?}"),
    }
}

/// What is stored is not what was written.
pub(crate) fn damaged(folder: &Path, what: &str) -> StateError {
    let hint = "it is made anew from the checkpoint when the job is started again";
    StateError::Disk { doing: "read", folder: folder.display().to_string(), why: what.to_owned(), hint }
}
