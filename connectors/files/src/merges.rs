//! Merges under way, beside everything else: one after the other on a thread where blocking is allowed.
//!
//! A merge comes to one of three ends: it is merged, it has failed, or it was given up. Whoever ends it first, the thread or the committer,
//! decides which; of one that was given up the thread deletes what it wrote.

use crate::merge::merge;
use crate::pending_file::{PendingFile, inside};
use crate::source::blocking;
use crate::writer::WriterSpec;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stygian_api::{ConnectorError, with_causes};
use tokio::task::JoinHandle;

/// Merges that the committer does not know the end of yet.
#[derive(Debug, Default)]
pub(crate) struct Merges {
    all: Vec<Arc<Merge>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Merge {
    parts: Vec<PendingFile>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    UnderWay,
    GivenUp,
    Merged(PendingFile),
    Failed,
}

impl Merge {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_given_up(&self) -> bool {
        matches!(*self.state(), State::GivenUp)
    }

    /// False: it has come to an end before.
    fn end(&self, as_this: State) -> bool {
        let mut state = self.state();
        let under_way = matches!(*state, State::UnderWay);
        if under_way {
            *state = as_this;
        }
        under_way
    }

    fn has(&self, part: &str) -> bool {
        self.parts.iter().any(|file| file.from == part)
    }

    /// On the thread.
    fn run(&self, spec: &WriterSpec) {
        match merge(spec, &self.parts, &|| self.is_given_up()) {
            Ok(Some(merged)) => {
                if !self.end(State::Merged(merged.clone())) {
                    delete(spec, &merged);
                }
            }
            Ok(None) => {}
            // Of one that was given up, the parts may have been renamed meanwhile.
            Err(error) => {
                if self.end(State::Failed) {
                    self.warn(spec, &error);
                }
            }
        }
    }

    fn warn(&self, spec: &WriterSpec, error: &ConnectorError) {
        let (first, more) = (self.parts.first().map_or("", |part| &part.from), self.parts.len().saturating_sub(1));
        let first = spec.files.shown(&spec.root.join(first));
        let text = with_causes(error);
        let hint = "nothing is lost: they become visible as they are, at the end of `compact_delay`; see to what the error names";
        tracing::warn!(
            sink = spec.sink,
            "{first} and {more} other small files could not be merged, and are not tried again: {text}; {hint}"
        );
    }
}

fn delete(spec: &WriterSpec, merged: &PendingFile) {
    let removed = inside(&*spec.files, &spec.root, &merged.from).and_then(|path| spec.files.remove(&path));
    if let Err(error) = removed {
        tracing::warn!(
            sink = spec.sink,
            "a merged file that is not needed could not be deleted; the next start does: {}",
            with_causes(&error)
        );
    }
}

impl Merges {
    /// Begins those that `choose` gives, which is asked with what is being merged already; unless earlier ones are still under way.
    pub(crate) fn begin(&mut self, spec: &WriterSpec, choose: impl FnOnce(&BTreeSet<&str>) -> Vec<Vec<PendingFile>>) {
        if self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let groups = choose(&self.all.iter().flat_map(|merge| &merge.parts).map(|part| &*part.from).collect());
        let merges: Vec<_> = groups.into_iter().map(|parts| Arc::new(Merge { parts, state: Mutex::new(State::UnderWay) })).collect();
        if merges.is_empty() {
            return;
        }
        self.all.extend(merges.iter().cloned());
        let spec = spec.clone();
        self.thread = Some(tokio::task::spawn_blocking(move || merges.iter().for_each(|merge| merge.run(&spec))));
    }

    /// Gives up the merge that a part is in; false if the part is in a merged file already.
    pub(crate) fn give_up(&mut self, part: &str) -> bool {
        let Some(at) = self.all.iter().position(|merge| merge.has(part)) else { return true };
        let merge = &self.all[at];
        if merge.end(State::GivenUp) {
            self.all.remove(at);
            return true;
        }
        !matches!(*merge.state(), State::Merged(_))
    }

    /// The parts of those that have failed.
    pub(crate) fn take_failed(&mut self) -> Vec<Vec<PendingFile>> {
        self.all.extract_if(.., |merge| matches!(*merge.state(), State::Failed)).map(|merge| merge.parts.clone()).collect()
    }

    /// Those that are merged: the parts, and what they were merged into.
    pub(crate) fn take_merged(&mut self) -> Vec<(Vec<PendingFile>, PendingFile)> {
        let mut merged = Vec::new();
        self.all.retain(|merge| match &*merge.state() {
            State::Merged(into) => {
                merged.push((merge.parts.clone(), into.clone()));
                false
            }
            _ => true,
        });
        merged
    }

    fn end_all(&self) {
        self.all.iter().for_each(|merge| {
            merge.end(State::GivenUp);
        });
    }

    /// Gives up all, and deletes what was merged and not taken. Waits for the thread, so that nothing of it is left.
    pub(crate) async fn give_up_all(&mut self, spec: &WriterSpec) -> Result<(), ConnectorError> {
        self.end_all();
        if let Some(thread) = self.thread.take()
            && let Err(error) = thread.await
        {
            // What it held back is committed as it is.
            tracing::warn!(sink = spec.sink, "merging small files ended in a fault, of which the next start deletes what is left: {error}");
        }
        let unneeded: Vec<PendingFile> = self.take_merged().into_iter().map(|(_, merged)| merged).collect();
        self.all.clear();
        if unneeded.is_empty() {
            return Ok(());
        }
        let spec = spec.clone();
        blocking(move || {
            unneeded.iter().for_each(|merged| delete(&spec, merged));
            Ok(())
        })
        .await
    }
}

/// A run that ends does not wait for them.
impl Drop for Merges {
    fn drop(&mut self) {
        self.end_all();
    }
}
