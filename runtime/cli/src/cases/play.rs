//! Plays one case: its own sources and sinks in the real job, on one thread, so that every step is worked off before the next begins.
//!
//! The thread goes to sleep when no task has anything left to do: that, and no length of time, is when a step is done. So rows that are
//! given first come first everywhere, and two runs of a case see the same.

use super::compare::{Difference, compare};
use super::rows;
use super::script::{Line, Script};
use super::streams::{ReadyAction, ReadyCase};
use crate::failure::Failure;
use crate::load::Loaded;
use crate::wire;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use stygian_engine::{Head, Job, JobSpec, ManualClock, Runtimes, Stop};
use stygian_local::Collected;
use tokio::sync::{Notify, mpsc};

/// What came of a case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Played {
    /// All is as expected.
    Passed,
    /// These streams are not.
    Differs(Vec<StreamDifference>),
    /// The job failed, which the case does not expect; or it did not, or with other words than the case has.
    Ended(String),
}

/// A stream that is not as expected.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StreamDifference {
    pub(crate) stream: String,
    pub(crate) columns: Vec<String>,
    pub(crate) expected: usize,
    pub(crate) found: usize,
    pub(crate) difference: Difference,
}

/// Plays a case.
///
/// # Errors
/// When the machine does not let it run; never for what the pipeline does.
pub(crate) fn play(loaded: &Loaded, case: &ReadyCase) -> Result<Played, Failure> {
    let idle = Arc::new(Idle::default());
    let asleep = idle.clone();
    let runtimes = Runtimes::on_one_thread(move || asleep.tell())?;
    let collected = Collected::default();
    let (loaded, scripts) = stand_ins(loaded.clone(), &collected);
    let clock = ManualClock::new(case.start);
    let spec = by_the_case_alone(wire::job(loaded)?, &clock);
    let ended = runtimes.block_on(async {
        let stop = Stop::default();
        let job = Job::start(spec, &runtimes, &stop).await?;
        let played = Playing { case, scripts, clock, idle, stop };
        let (ended, ()) = futures::join!(job.finish(), played.play_out());
        ended
    });
    Ok(match (ended, &case.fails) {
        (Ok(_), None) => judged(case, &collected),
        (Ok(_), Some(words)) => Played::Ended(format!("the job did not fail, and was to fail with `{words}`")),
        (Err(error), Some(words)) if error.chain().contains(words.as_str()) => judged(case, &collected),
        (Err(error), Some(words)) => Played::Ended(format!("the job was to fail with `{words}`, and failed: {}", error.chain())),
        (Err(error), None) => Played::Ended(format!("the job failed: {}", error.chain())),
    })
}

type Scripts = BTreeMap<String, mpsc::Sender<Line>>;

/// The same parts, with sources that give what they are told to and sinks that keep what they get.
fn stand_ins(mut loaded: Loaded, collected: &Collected) -> (Loaded, Scripts) {
    let mut scripts = Scripts::new();
    // What a case makes fail is in the case.
    loaded.plan.captures.save = false;
    for (name, source) in &mut loaded.sources {
        let (script, to) = Script::new(source.schema());
        *source = Arc::new(script);
        scripts.insert(name.clone(), to);
    }
    let sinks: Vec<String> = loaded.plan.sinks().map(|(name, _)| name.to_owned()).collect();
    loaded.sinks = sinks.into_iter().map(|name| (name.clone(), Arc::new(collected.sink(&name)) as Arc<_>)).collect();
    (loaded, scripts)
}

/// Leaves nothing to the machine's clock: rows are handed on and watermarks told at once, and no split grows idle.
fn by_the_case_alone(mut spec: JobSpec, clock: &ManualClock) -> JobSpec {
    spec.settings.max_batch_delay = Duration::ZERO;
    spec.settings.watermark_interval = Duration::ZERO;
    spec.clock = Arc::new(clock.clone());
    for task in &mut spec.tasks {
        if let Head::Source(source) = &mut task.head {
            source.idle_after = None;
        }
    }
    spec
}

/// Knows when the thread has had nothing to do.
#[derive(Default)]
struct Idle {
    times: AtomicU64,
    told: Notify,
}

impl Idle {
    fn tell(&self) {
        self.times.fetch_add(1, Ordering::SeqCst);
        self.told.notify_waiters();
    }

    /// Waits until every other task waits.
    async fn reached(&self) {
        let before = self.times.load(Ordering::SeqCst);
        loop {
            let told = self.told.notified();
            if self.times.load(Ordering::SeqCst) != before {
                return;
            }
            told.await;
        }
    }
}

struct Playing<'a> {
    case: &'a ReadyCase,
    scripts: Scripts,
    clock: ManualClock,
    idle: Arc<Idle>,
    stop: Stop,
}

impl Playing<'_> {
    async fn play_out(self) {
        let mut now = self.case.start;
        self.idle.reached().await;
        for action in &self.case.actions {
            match action {
                ReadyAction::Give { source, rows } if rows.num_rows() > 0 => self.say(source, Line::Rows(rows.clone())).await,
                ReadyAction::Give { .. } => {}
                ReadyAction::Watermark { sources, watermark } => {
                    for source in sources {
                        self.say(source, Line::Watermark(*watermark)).await;
                    }
                }
                ReadyAction::Advance(span) => {
                    now = now.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX));
                    self.clock.set(now);
                    self.idle.reached().await;
                }
            }
        }
        if !self.case.ends {
            self.stop.request();
        }
        // Without anybody to tell them more, the sources end.
    }

    async fn say(&self, source: &str, line: Line) {
        if let Some(script) = self.scripts.get(source)
            // A source that is gone belongs to a job that has failed, which is told elsewhere.
            && script.send(line).await.is_ok()
        {
            self.idle.reached().await;
        }
    }
}

fn judged(case: &ReadyCase, collected: &Collected) -> Played {
    let mut differences = Vec::new();
    for expected in &case.expected {
        let found = match rows::objects(&collected.batches(&expected.sink), &expected.columns) {
            Ok(found) => found,
            Err(reason) => return Played::Ended(format!("the rows of `{}` cannot be compared: {reason}", expected.stream)),
        };
        if let Some(difference) = compare(&expected.rows, &found, expected.ordered, expected.tolerance) {
            differences.push(StreamDifference {
                stream: expected.stream.clone(),
                columns: expected.columns.clone(),
                expected: expected.rows.len(),
                found: found.len(),
                difference,
            });
        }
    }
    if differences.is_empty() { Played::Passed } else { Played::Differs(differences) }
}
