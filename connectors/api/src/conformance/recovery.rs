//! What a sink must do after a crash: finish what the checkpoint knows, once; refuse what is not what was finished; delete its own
//! leftovers and nobody else's.

use super::sinks::SinkCase;
use super::sources::told;
use super::{Finding, check};
use crate::{Committer, ConnectorError, Pending, Sink, SinkContext};
use stygian_core::SubtaskId;

/// What happens to one thing that was finished, between its commit being prepared and the recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It was made visible, and then made shorter.
    VisibleCut,
    /// It was made visible, and then changed without changing its length.
    VisibleChanged,
    /// It was made shorter before it was made visible.
    UnfinishedCut,
    /// It was changed without changing its length, before it was made visible.
    UnfinishedChanged,
    /// It is gone, and was never made visible.
    Gone,
    /// Somebody else has put something into the place where it would become visible.
    PlaceTaken,
}

impl Damage {
    const ALL: [Self; 6] =
        [Self::VisibleCut, Self::VisibleChanged, Self::UnfinishedCut, Self::UnfinishedChanged, Self::Gone, Self::PlaceTaken];

    /// Whether it happens to what was committed already.
    fn is_of_visible(self) -> bool {
        matches!(self, Self::VisibleCut | Self::VisibleChanged)
    }
}

/// The outside of a sink, as somebody with access to it can change it.
pub trait Outside: Sync {
    /// Damages what stands in `pending`; gives back how to undo it. `None`: this cannot happen to such a sink.
    fn damage(&self, pending: &Pending, damage: Damage) -> Option<Box<dyn FnOnce()>>;

    /// Everything outside that has a bearing on the sink, visible or not, in some form that can be compared.
    fn everything(&self) -> Vec<String>;

    /// How many things are begun or finished and not visible, of all jobs and sinks.
    fn unfinished(&self) -> usize;
}

/// Crashes at every place around a commit, with and without damage, and recovers. `stranger` is another sink of the same kind that writes
/// to the same place under another node; `case.rolls` is of no meaning here.
///
/// # Errors
/// What is wrong.
pub async fn sink_recovers(case: SinkCase<'_>, stranger: &dyn Sink, outside: &dyn Outside) -> Result<(), Finding> {
    let mut run = Run { case, outside, times: 0, attempts: 0 };
    run.crash_at_every_place().await?;
    run.damage().await?;
    run.leftovers(stranger).await?;
    nothing_to_do(&mut *run.case.sink.committer()).await
}

/// A sink whose rows cannot be taken back or held back: nothing is ever pending, so there is nothing to recover or to clean.
///
/// # Errors
/// What is wrong.
pub async fn sink_has_nothing_to_recover(sink: &dyn Sink) -> Result<(), Finding> {
    let mut committer = sink.committer();
    let foreign = [Pending(serde_json::json!({ "of": "another sink" }))];
    let refused = committer.commit(&foreign).await.is_err() && committer.recover(&foreign).await.is_err();
    check(refused, || "what another sink had pending was taken for done".into())?;
    nothing_to_do(&mut *committer).await
}

async fn nothing_to_do(committer: &mut dyn Committer) -> Result<(), Finding> {
    committer.commit(&[]).await.map_err(|e| told(&e))?;
    committer.recover(&[]).await.map_err(|e| told(&e))?;
    let cleaned = clean(committer, "a job that never ran", &[]).await.map_err(|e| told(&e))?;
    check(cleaned == 0, || format!("{cleaned} things of a job that never ran were deleted"))
}

struct Run<'a> {
    case: SinkCase<'a>,
    outside: &'a dyn Outside,
    /// How often the rows are to be visible.
    times: usize,
    attempts: usize,
}

impl Run<'_> {
    /// Has a new run finish the rows so many times, each time as if for a checkpoint, and crashes it.
    async fn finished(&mut self, sink: &dyn Sink, job: &str, times: usize) -> Result<Vec<Pending>, Finding> {
        self.attempts += 1;
        let context = SinkContext { job: job.into(), subtask: SubtaskId(0), attempt: format!("r{}", self.attempts), transactional: false };
        let mut writer = sink.open(context).await.map_err(|e| told(&e))?;
        let mut pending = Vec::new();
        for _ in 0..times {
            writer.write(self.case.rows.clone()).await.map_err(|e| told(&e))?;
            pending.extend(writer.take_pending());
            pending.extend(writer.pre_commit().await.map_err(|e| told(&e))?);
        }
        // In the middle of a file.
        writer.write(self.case.rows.clone()).await.map_err(|e| told(&e))?;
        stored(&pending)
    }

    fn expect(&self, when: &str) -> Result<(), Finding> {
        self.case.shows(self.times, when)
    }

    /// A new process recovers: this must work, and doing it again must change nothing.
    async fn recover(&mut self, pending: &[Pending], when: &str) -> Result<(), Finding> {
        let failed = |e: ConnectorError| format!("{when}: {}", told(&e));
        let mut committer = self.case.sink.committer();
        committer.recover(pending).await.map_err(failed)?;
        self.expect(when)?;
        let before = self.outside.everything();
        committer.recover(pending).await.map_err(failed)?;
        self.case.sink.committer().recover(pending).await.map_err(failed)?;
        self.case.sink.committer().commit(pending).await.map_err(failed)?;
        check(self.outside.everything() == before, || format!("{when}, recovering again changed something"))
    }

    async fn crash_at_every_place(&mut self) -> Result<(), Finding> {
        const FINISHED: usize = 3;
        for committed in 0..=FINISHED {
            let pending = self.finished(self.case.sink, "job", FINISHED).await?;
            let done = committed * pending.len() / FINISHED;
            self.case.sink.committer().commit(&pending[..done]).await.map_err(|e| told(&e))?;
            self.times += FINISHED;
            self.recover(&pending, &format!("after a crash with {done} of {} committed", pending.len())).await?;
        }
        Ok(())
    }

    async fn damage(&mut self) -> Result<(), Finding> {
        for damage in Damage::ALL {
            let pending = self.finished(self.case.sink, "job", 2).await?;
            let Some((last, first)) = pending.split_last() else { return Err("rows were written and nothing is pending".into()) };
            // What comes before the damaged one is no matter of it.
            self.case.sink.committer().commit(if damage.is_of_visible() { &pending } else { first }).await.map_err(|e| told(&e))?;
            let undo = self.outside.damage(last, damage);
            if let Some(undo) = undo {
                self.refuses(last, damage).await?;
                undo();
            }
            self.times += 2;
            self.recover(&pending, &format!("after {damage:?} was mended")).await?;
        }
        Ok(())
    }

    async fn refuses(&self, damaged: &Pending, damage: Damage) -> Result<(), Finding> {
        let before = self.outside.everything();
        let damaged = std::slice::from_ref(damaged);
        let recovered = self.case.sink.committer().recover(damaged).await;
        check(recovered.is_err(), || format!("{damage:?} was taken for right by a recovery"))?;
        // A commit need not read again what is to be made visible.
        if damage != Damage::UnfinishedChanged {
            let committed = self.case.sink.committer().commit(damaged).await;
            check(committed.is_err(), || format!("{damage:?} was taken for right by a commit"))?;
        }
        check(self.outside.everything() == before, || format!("{damage:?} was refused, but something was changed"))
    }

    /// Two jobs, and two sinks of one job, have left finished and half-written work behind.
    async fn leftovers(&mut self, stranger: &dyn Sink) -> Result<(), Finding> {
        let clean = async |keep: &[Pending]| clean(&mut *self.case.sink.committer(), "job", keep).await.map_err(|e| told(&e));
        let cleaned = clean(&[]).await?;
        let none = self.outside.unfinished();
        check(none == 0, || format!("{cleaned} things were deleted, and {none} are still unfinished"))?;
        let lost = self.finished(self.case.sink, "job", 1).await?;
        let of_one = self.outside.unfinished();
        let kept = self.finished(self.case.sink, "job", 1).await?;
        let others = self.finished(self.case.sink, "another job", 1).await?;
        let strangers = self.finished(stranger, "job", 1).await?;
        let before = self.outside.unfinished();
        self.expect("before cleaning")?;
        let cleaned = clean(&stored(&kept)?).await?;
        let left = self.outside.unfinished();
        // Of `kept` only what its run was in the middle of.
        let expected = 2 * of_one - kept.len();
        check(before - left == cleaned && cleaned == expected, || {
            format!("of {before} unfinished things {cleaned} were cleaned and {left} are left; {expected} should have been")
        })?;
        let again = clean(&kept).await?;
        check(again == 0, || format!("cleaning again deleted {again} things"))?;
        let gone = self.case.sink.committer().recover(&lost).await;
        check(gone.is_err(), || "what was cleaned away was taken for done".into())?;
        self.times += 1;
        self.recover(&kept, "after cleaning").await?;
        self.times += 1;
        self.recover(&others, "after cleaning beside another job").await?;
        stranger.committer().recover(&strangers).await.map_err(|e| format!("another sink's work: {}", told(&e)))
    }
}

/// Deletes what earlier runs of a job began for a sink, except `keep`, as a run does whose job nobody else takes over; gives back how many
/// things that were.
///
/// # Errors
/// The committer's.
pub async fn clean(committer: &mut dyn Committer, job: &str, keep: &[Pending]) -> Result<usize, ConnectorError> {
    let orphans = committer.orphans(job, keep).await?;
    committer.delete_orphans(orphans).await
}

/// As it comes back from a checkpoint.
fn stored(pending: &[Pending]) -> Result<Vec<Pending>, Finding> {
    let text = serde_json::to_string(pending).map_err(|e| told(&e))?;
    serde_json::from_str(&text).map_err(|e| told(&e))
}
