//! What a sink must do: show nothing before it is committed, and everything once after.

use super::sources::told;
use super::{Finding, RowTexts, check, row_texts};
use crate::{Pending, Sink, SinkContext, SinkWriter};
use arrow_array::RecordBatch;
use stygian_core::SubtaskId;

/// A sink with nothing in it, and how to look into it.
pub struct SinkCase<'a> {
    /// The sink.
    pub sink: &'a dyn Sink,
    /// Rows to write; at least one.
    pub rows: &'a RecordBatch,
    /// The rows that anybody can see.
    pub visible: &'a (dyn Fn() -> Vec<RecordBatch> + Sync),
    /// Whether the sink is set up to roll with every write.
    pub rolls: bool,
}

/// Writes, commits, commits again, and abandons writers, and looks at what is visible after each step.
///
/// # Errors
/// What is wrong.
pub async fn sink_keeps_its_word(case: SinkCase<'_>) -> Result<(), Finding> {
    let mut run = Run { case: &case, times: 0 };
    run.expect("at first")?;
    let mut first = run.open("a1", 0).await?;
    nothing_yet(&mut *first).await?;
    let pending = run.write(&mut *first).await?;
    run.commit(&pending).await?;
    let pending = run.write(&mut *first).await?;
    run.commit(&pending).await?;
    run.two_subtasks().await?;
    run.another_attempt(first).await?;
    run.abandoned().await
}

/// What was written so far: `rows`, so many times.
struct Run<'a> {
    case: &'a SinkCase<'a>,
    times: usize,
}

impl SinkCase<'_> {
    /// Whether the rows are visible so many times, and nothing else.
    pub(super) fn shows(&self, times: usize, when: &str) -> Result<(), Finding> {
        let one = row_texts([self.rows]);
        let mut expected: RowTexts = (0..times).flat_map(|_| one.clone()).collect();
        expected.sort();
        let found = row_texts(&(self.visible)());
        check(found == expected, || format!("{when}, {} rows are visible instead of {}", found.len(), expected.len()))
    }
}

impl Run<'_> {
    async fn open(&self, attempt: &str, subtask: u16) -> Result<Box<dyn SinkWriter>, Finding> {
        let context = SinkContext { job: "job".to_owned(), subtask: SubtaskId(subtask), attempt: attempt.to_owned(), transactional: false };
        self.case.sink.open(context).await.map_err(|e| told(&e))
    }

    fn expect(&self, when: &str) -> Result<(), Finding> {
        self.case.shows(self.times, when)
    }

    /// Writes the rows in two batches and finishes them, of which nothing may be seen.
    async fn write(&self, writer: &mut dyn SinkWriter) -> Result<Vec<Pending>, Finding> {
        let rows = self.case.rows;
        let half = rows.num_rows().div_ceil(2);
        writer.write(rows.slice(0, half)).await.map_err(|e| told(&e))?;
        writer.tick().await.map_err(|e| told(&e))?;
        let mut pending = writer.take_pending();
        check(!self.case.rolls || !pending.is_empty(), || "nothing rolled with a write".into())?;
        if half < rows.num_rows() {
            writer.write(rows.slice(half, rows.num_rows() - half)).await.map_err(|e| told(&e))?;
        }
        self.expect("before the commit is prepared")?;
        pending.extend(writer.pre_commit().await.map_err(|e| told(&e))?);
        self.expect("before the commit")?;
        check(!pending.is_empty(), || "rows were written and nothing is pending".into())?;
        nothing_yet(writer).await?;
        Ok(pending)
    }

    /// Commits what one `write` left pending, as it comes back from a checkpoint, three times.
    async fn commit(&mut self, pending: &[Pending]) -> Result<(), Finding> {
        let stored = serde_json::to_string(pending).map_err(|e| told(&e))?;
        let pending: Vec<Pending> = serde_json::from_str(&stored).map_err(|e| told(&e))?;
        self.times += 1;
        let mut committer = self.case.sink.committer();
        committer.commit(&pending).await.map_err(|e| told(&e))?;
        self.expect("after the commit")?;
        committer.commit(&pending).await.map_err(|e| told(&e))?;
        self.case.sink.committer().commit(&pending).await.map_err(|e| told(&e))?;
        self.expect("after committing the same again")
    }

    async fn two_subtasks(&mut self) -> Result<(), Finding> {
        let (mut one, mut two) = (self.open("a2", 0).await?, self.open("a2", 1).await?);
        let (first, second) = (self.write(&mut *one).await?, self.write(&mut *two).await?);
        check(first.iter().all(|pending| !second.contains(pending)), || "two subtasks have the same thing pending".into())?;
        self.commit(&second).await?;
        self.commit(&first).await
    }

    /// The writer of the first attempt is still there, as one that was taken for dead is.
    async fn another_attempt(&mut self, mut dead: Box<dyn SinkWriter>) -> Result<(), Finding> {
        let mut alive = self.open("a3", 0).await?;
        let lost = self.write(&mut *dead).await?;
        let pending = self.write(&mut *alive).await?;
        check(lost.iter().all(|lost| !pending.contains(lost)), || "two attempts have the same thing pending".into())?;
        self.commit(&pending).await
    }

    async fn abandoned(&self) -> Result<(), Finding> {
        let mut writer = self.open("a4", 0).await?;
        writer.write(self.case.rows.clone()).await.map_err(|e| told(&e))?;
        drop(writer);
        self.expect("after a writer was given up")?;
        let mut writer = self.open("a5", 0).await?;
        self.write(&mut *writer).await?;
        drop(writer);
        self.expect("after a writer was given up before its commit")
    }
}

async fn nothing_yet(writer: &mut dyn SinkWriter) -> Result<(), Finding> {
    let pending = writer.pre_commit().await.map_err(|e| told(&e))?;
    check(pending.is_empty() && writer.take_pending().is_empty(), || format!("nothing was written and {pending:?} is pending"))
}
