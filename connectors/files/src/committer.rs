//! Makes finished files visible: renames them from their in-progress names, once, however often it is asked to.
//!
//! A crash can come between any two renames, and before a rename is durable; both leave a file under exactly one of its two names. So the
//! rule is: under its in-progress name it is renamed; under its final name it is done, if it is the file that was finished (length and
//! checksum); under none or both something else has been at work, and nothing is touched.
//!
//! Small files may be held back, to be merged (`holding` says which and for how long, `merges` merges them). What was merged takes the place
//! of its parts in a checkpoint; it is renamed one checkpoint later, when its parts are deleted, in this order: first the parts, durably,
//! then the rename. So whenever a merged file is visible, its parts are gone and cannot become visible any more, and as long as a
//! part is there the merged file is not visible; that is what makes the checkpoint before right to go on from, too.

use crate::file_system::FileSystem;
use crate::holding::Holding;
use crate::in_progress::{Owner, final_name_of};
use crate::merges::Merges;
use crate::orphans;
use crate::pending_file::{Look, PendingFile, inside, refused};
use crate::source::blocking;
use crate::writer::WriterSpec;
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use stygian_api::{Committer, ConnectorError, Merged, Orphan, Pending};
use stygian_core::kill_point::kill_point;

/// Renames files below a folder.
#[derive(Debug)]
pub(crate) struct Renamer {
    spec: WriterSpec,
    holding: Holding,
    merges: Merges,
}

impl Renamer {
    pub(crate) fn new(spec: WriterSpec) -> Self {
        Self { spec, holding: Holding::default(), merges: Merges::default() }
    }

    fn read(&self, pending: &[Pending]) -> Result<Vec<PendingFile>, ConnectorError> {
        pending.iter().map(|pending| PendingFile::read(&*self.spec.files, &self.spec.root, pending)).collect()
    }

    async fn rename(&self, pending: Vec<PendingFile>, look: Look) -> Result<(), ConnectorError> {
        let (files, root) = (self.spec.files.clone(), self.spec.root.clone());
        blocking(move || commit_all(&*files, &root, &pending, look)).await
    }

    /// What became of merges since the last look.
    fn look_at_merges(&mut self) {
        for failed in self.merges.take_failed() {
            self.holding.leave_alone(&failed);
        }
    }
}

#[async_trait]
impl Committer for Renamer {
    async fn commit(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        let pending = self.read(pending)?;
        self.merges.give_up_all(&self.spec).await?;
        let mut due = self.holding.take_all();
        due.extend(pending);
        self.rename(due, Look::AtLength).await
    }

    async fn commit_or_hold(&mut self, pending: &[Pending]) -> Result<Vec<Pending>, ConnectorError> {
        let Some(compaction) = self.spec.compaction else { return self.commit(pending).await.map(|()| Vec::new()) };
        let (now, files) = (now(), self.read(pending)?);
        self.look_at_merges();
        let mut due = self.holding.take_due(&compaction, now, |part| self.merges.give_up(part));
        for (file, pending) in files.into_iter().zip(pending) {
            if compaction.holds(&file, now) {
                self.holding.hold(file, pending.clone());
            } else {
                due.push(file);
            }
        }
        self.rename(due, Look::AtLength).await?;
        if !self.holding.is_empty() {
            kill_point("held");
        }
        self.merges.begin(&self.spec, |busy| self.holding.choose(&compaction, self.spec.roll_bytes, now, busy));
        Ok(self.holding.given())
    }

    fn take_merged(&mut self) -> Vec<Merged> {
        self.look_at_merges();
        let merged = self.merges.take_merged().into_iter();
        merged.map(|(parts, into)| Merged { parts: self.holding.take_merged(&parts), into: into.into_pending() }).collect()
    }

    async fn check(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        let pending = self.read(pending)?;
        let (files, root) = (self.spec.files.clone(), self.spec.root.clone());
        blocking(move || pending.iter().try_for_each(|file| check_one(&*files, &root, file))).await
    }

    async fn recover(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        let pending = self.read(pending)?;
        self.rename(pending, Look::AtBytes).await
    }

    async fn orphans(&mut self, job: &str, keep: &[Pending]) -> Result<Vec<Orphan>, ConnectorError> {
        let (files, root, owner) = (self.spec.files.clone(), self.spec.root.clone(), Owner::new(job, &self.spec.sink));
        let keep: BTreeSet<String> = self.read(keep)?.into_iter().map(|file| file.from).collect();
        blocking(move || orphans::find(&*files, &root, &owner, &keep)).await
    }

    async fn delete_orphans(&mut self, orphans: Vec<Orphan>) -> Result<usize, ConnectorError> {
        let (files, root) = (self.spec.files.clone(), self.spec.root.clone());
        blocking(move || orphans::delete(&*files, &root, &orphans)).await
    }
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Before anything is renamed: those who go on from an old checkpoint may find that what it held back was merged and deleted since. The rows are
/// in a merged file then, and those parts that are left must not become visible beside it. Nor must a merged file beside one of its parts.
fn check_one(files: &dyn FileSystem, root: &Path, file: &PendingFile) -> Result<(), ConnectorError> {
    let (from, to) = (inside(files, root, &file.from)?, inside(files, root, &file.to)?);
    // Again the first, as it may be renamed between the two looks.
    if files.length(&from)?.is_none() && files.length(&to)?.is_none() && files.length(&from)?.is_none() {
        let held = ": it was held back to be merged (`compact_below`), and a later checkpoint may have merged it";
        let reason = format!("the finished file is gone{}", if file.held_since.is_some() { held } else { "" });
        let hint = "go on from a later checkpoint, or look for what else moved or deleted it; nothing was renamed or deleted";
        return Err(ConnectorError::refused(files.shown(&from), reason, hint));
    }
    for part in &file.parts {
        let strange = || refused(files, root, format!("a part of a merged file has the name `{}`", stygian_core::escape(part, 100)));
        let visible = inside(files, root, &final_name_of(part).ok_or_else(strange)?)?;
        if files.length(&visible)?.is_some() {
            let reason = format!("it was merged into {}, so that its rows would be there twice", files.shown(&to));
            let hint = "go on from the checkpoint by which it became visible; nothing was renamed or deleted";
            return Err(ConnectorError::refused(files.shown(&visible), reason, hint));
        }
    }
    Ok(())
}

fn commit_all(files: &dyn FileSystem, root: &Path, pending: &[PendingFile], look: Look) -> Result<(), ConnectorError> {
    let mut folders = BTreeSet::new();
    let done = pending.iter().try_for_each(|file| {
        let to = commit_one(files, root, file, look)?;
        folders.extend(to.parent().map(Path::to_owned));
        Ok(())
    });
    // Also after a failure: what was renamed stays. Also where nothing was renamed now: an earlier rename may not be durable yet.
    done.and(folders.iter().try_for_each(|folder| files.sync_folder(folder)))
}

fn commit_one(files: &dyn FileSystem, root: &Path, file: &PendingFile, look: Look) -> Result<PathBuf, ConnectorError> {
    let (from, to) = (inside(files, root, &file.from)?, inside(files, root, &file.to)?);
    match (files.length(&from)?, files.length(&to)?) {
        (Some(found), None) => {
            kill_point("unrenamed");
            let ready = file.check(files, &from, found, look).and_then(|()| delete_parts(files, root, file));
            match ready.and_then(|()| files.rename_new(&from, &to)) {
                Ok(()) => kill_point("renamed"),
                Err(error) => renamed_by_another(files, &from, &to, file)?.ok_or(error)?,
            }
        }
        // Whoever renamed it is not known, so that it is the right one is made sure of.
        (None, Some(found)) => file.check(files, &to, found, Look::AtBytes)?,
        // Or it was renamed between the two looks.
        (Some(_), Some(_)) => {
            let not_ours = || refused(files, &to, "there is a file of this name, and it is not ours".into());
            renamed_by_another(files, &from, &to, file)?.ok_or_else(not_ours)?;
        }
        (None, None) => return Err(refused(files, &from, "the finished file is gone".into())),
    }
    Ok(to)
}

/// Deletes what was merged into a file that is about to be renamed.
fn delete_parts(files: &dyn FileSystem, root: &Path, file: &PendingFile) -> Result<(), ConnectorError> {
    if file.parts.is_empty() {
        return Ok(());
    }
    kill_point("parts-undeleted");
    for part in &file.parts {
        files.remove(&inside(files, root, part)?)?;
        kill_point("part-deleted");
    }
    files.sync_folder(&root.join(file.folder()))
}

/// Whether a run that lost the job to this one, or has it now, was quicker: then the file is there under its final name alone.
fn renamed_by_another(files: &dyn FileSystem, from: &Path, to: &Path, file: &PendingFile) -> Result<Option<()>, ConnectorError> {
    match (files.length(from)?, files.length(to)?) {
        (None, Some(found)) => file.check(files, to, found, Look::AtBytes).map(Some),
        _ => Ok(None),
    }
}
