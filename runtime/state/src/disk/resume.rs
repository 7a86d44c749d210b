//! From one generation to the next, and from what an earlier process has left to the state that a checkpoint has.

use crate::StateError;
use crate::disk::DiskBackend;
use crate::disk::data::{Data, Group};
use crate::disk::folder::{self, Index};
use crate::disk::log::{self, Beginning, GroupBeginning, LogReader, LogWriter};
use crate::disk::save::sections_of;
use crate::disk::store::Store;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use stygian_core::{KeyGroup, SavedSection};

/// Generations that can be gone back to. As many checkpoints in a row, less one, may fail before the next start has to read the last one.
const GENERATIONS: usize = 4;

impl DiskBackend {
    /// A generation begins with what is stored now.
    pub(super) fn next_generation(&mut self, time: i64) -> Result<(), StateError> {
        let generation = self.index.generations.last().map_or(1, |last| last + 1);
        let data = self.begun()?;
        data.store.end_batch()?;
        let beginning = data.beginning(generation, time);
        let path = self.folder.log(generation);
        let log = LogWriter::create(&path, &beginning).map_err(|error| folder::failed("write the log of", self.folder.path(), &error))?;
        self.begun()?.store.begin_generation(generation, log);
        self.index.generations.push(generation);
        let old = self.index.generations.len().saturating_sub(GENERATIONS);
        self.index.generations.drain(..old);
        self.index.durable = false;
        self.folder.write(&self.index)?;
        self.folder.clean(Some(&self.index))
    }

    /// From here on nothing can be gone back to.
    pub(super) fn distrust_all(&mut self) -> Result<(), StateError> {
        if !self.index.generations.is_empty() {
            self.index.generations.clear();
            self.folder.write(&self.index)?;
            self.begun()?.store.end_generations();
        }
        Ok(())
    }

    /// What an earlier process has left, if it is the state that has these sections, taken back to it.
    pub(super) fn resume_from(&mut self, saved: &[SavedSection]) -> Result<Option<i64>, StateError> {
        self.from_checkpoint = true;
        let Some(index) = self.folder.trusted(&self.index.owner).filter(|_| self.data.is_none()) else { return Ok(None) };
        // Whatever is wrong with it: it is not what is wanted, and the sections are restored.
        match catch_unwind(AssertUnwindSafe(|| self.try_resume(&index, &sections_of(saved)))) {
            Ok(Ok(Some(time))) => {
                self.change(|own| own.next_generation(time))?;
                Ok(Some(time))
            }
            _ => {
                self.data = None;
                self.index.generations.clear();
                Ok(None)
            }
        }
    }

    fn try_resume(&mut self, index: &Index, wanted: &BTreeMap<KeyGroup, u64>) -> io::Result<Option<i64>> {
        let Some(logs) = self.logs_since(index, wanted)? else { return Ok(None) };
        let Some(beginning) = logs.first().map(|log| log.beginning.clone()) else { return Ok(None) };
        let store = Store::open(self.folder.path(), &index.store, self.memory).map_err(io::Error::other)?;
        let mut data = Data::new(self.slots.clone(), self.folder.path().to_owned(), store);
        let (last, batches) = (index.generations.last().copied(), data.store.batches());
        // Of what follows only a part may be done when the process ends: then nothing is trusted.
        self.folder.write(&Index { generations: Vec::new(), ..index.clone() }).map_err(io::Error::other)?;
        let told = data.take_back(logs)?;
        let whole = batches >= beginning.batches && (batches == told || (batches + 1 == told && !index.durable));
        if !whole {
            return Ok(None);
        }
        data.begin(&beginning);
        self.data = Some(data);
        // The next one follows those that were.
        self.index = Index { generations: last.into_iter().collect(), ..index.clone() };
        Ok(Some(beginning.time))
    }

    /// The logs from the latest one on that begins with these sections; `None`: none does.
    fn logs_since(&self, index: &Index, wanted: &BTreeMap<KeyGroup, u64>) -> io::Result<Option<Vec<LogReader>>> {
        let mut logs = Vec::new();
        for generation in index.generations.iter().rev() {
            let log = LogReader::open(&self.folder.log(*generation))?;
            let follows = logs.last().is_none_or(|later: &LogReader| later.beginning.generation == generation + 1);
            if log.beginning.generation != *generation || !follows {
                return Err(io::Error::other("the logs have a gap"));
            }
            let found = log::sections(&log.beginning.groups).eq(wanted.iter().map(|(group, sections)| (*group, *sections)));
            logs.push(log);
            if found {
                logs.reverse();
                return Ok(Some(logs));
            }
        }
        Ok(None)
    }
}

impl Data {
    /// What a generation begins with.
    fn beginning(&self, generation: u64, time: i64) -> Beginning {
        let versions = (0..self.slots.len()).map(|slot| self.counts.versions.of(slot).into_iter().collect());
        let mut groups: BTreeMap<KeyGroup, GroupBeginning> = BTreeMap::new();
        for (group, keys) in self.counts.groups() {
            groups.insert(group, GroupBeginning { group: group.0, keys, sections: 0 });
        }
        for (group, known) in &self.groups {
            let beginning = groups.entry(*group).or_insert(GroupBeginning { group: group.0, ..GroupBeginning::default() });
            beginning.sections = known.sections;
        }
        Beginning {
            generation,
            batches: self.store.batches(),
            time,
            bytes: self.counts.size().bytes.0,
            groups: groups.into_values().collect(),
            versions: versions.collect(),
        }
    }

    /// Everything is as it was when a generation began.
    fn begin(&mut self, beginning: &Beginning) {
        self.counts.add_bytes(beginning.bytes);
        for group in &beginning.groups {
            self.counts.set_keys(KeyGroup(group.group), group.keys);
            self.groups.insert(KeyGroup(group.group), Group { sections: group.sections, ..Group::default() });
        }
        for (slot, versions) in beginning.versions.iter().enumerate() {
            versions.iter().for_each(|(version, values)| self.counts.versions.set(slot, *version, *values));
        }
    }

    /// Puts back what the logs say was there, the earliest of it: the number of the last batch that they tell.
    fn take_back(&mut self, logs: Vec<LogReader>) -> io::Result<u64> {
        let mut told = 0;
        let latest = logs.len().saturating_sub(1);
        // In a log every record is named once, so what the earliest says of it comes last.
        for (at, mut log) in logs.into_iter().enumerate().rev() {
            told = told.max(log.beginning.batches);
            while let Some(batch) = log.next()? {
                told = told.max(batch.number);
                batch.each(|key, was| self.store.set(key.to_vec(), was.map(Into::into)))?;
                self.store.relieve().map_err(io::Error::other)?;
            }
            if log.is_cut() && at != latest {
                return Err(io::Error::other("a log was cut"));
            }
        }
        self.store.end_batch().map_err(io::Error::other)?;
        Ok(told)
    }
}

impl Drop for DiskBackend {
    /// Has the disk take everything, so that it can be trusted whatever becomes of the machine.
    fn drop(&mut self) {
        let Some(data) = self.data.as_ref().filter(|data| data.store.generation > 0) else { return };
        // Not where something has failed: the index is gone then.
        if self.folder.trusted(&self.index.owner).is_some() && matches!(catch_unwind(AssertUnwindSafe(|| data.store.sync())), Ok(Ok(()))) {
            self.index.durable = true;
            // Else it is trusted until the machine is started again.
            let _ = self.folder.write(&self.index);
        }
    }
}
