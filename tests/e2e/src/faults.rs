//! Cases with faults: runs with checkpoints that are killed on their way, after which the output is to be as if nothing had happened.

use crate::case::Case;
use crate::program::{Ended, Program, components};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The places at which a job can have itself killed; see `stygian_core::kill_point`.
pub const KILL_POINTS: [&str; 16] = [
    "barrier",
    "snapshot",
    "state-unfinished",
    "state-written",
    "stored",
    "pre-committed",
    "ended",
    "manifest-unwritten",
    "manifest-written",
    "unrenamed",
    "renamed",
    "visible",
    "garbage",
    "recovering",
    "orphan",
    "restoring",
];

/// The places of a job whose files are merged, beside [`KILL_POINTS`].
pub const MERGE_POINTS: [&str; 5] = ["held", "merging", "merged", "parts-undeleted", "part-deleted"];

/// The longest that a run may take.
pub(crate) const LONGEST: Duration = Duration::from_secs(120);

/// What a case has survived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Killed {
    /// How often it was killed, or stopped while another process took its job.
    pub times: usize,
    /// Where, for kills at named places.
    pub points: Vec<&'static str>,
}

impl Case {
    /// Runs the case with checkpoints, kills it at random moments that `seed` chooses and starts it again, until it has come to its end; then
    /// checks what came of it, as if nothing had happened. At most `kills` times.
    ///
    /// # Errors
    /// What differs from what was expected.
    pub fn check_killed(&self, parallelism: u16, seed: u64, kills: usize) -> Result<Killed> {
        let run = Run { case: self, place: self.copied()?, parallelism, seed, merges: seed % 2 == 1 };
        let (mut chance, mut killed) = (Chance(seed), Killed::default());
        // Moments are spread over about as long as a run takes, which is not known before: a kill that comes late shortens those after it.
        let mut longest = 400;
        while killed.times < kills {
            let after = Duration::from_millis(20 + chance.below(longest));
            match ended_within(run.start(None)?, after)? {
                None => killed.times += 1,
                Some(ended) if ended.status == Some(0) && killed.times == 0 && longest > 40 => {
                    // Too fast: from the beginning, and sooner.
                    longest /= 2;
                    run.forget()?;
                }
                Some(ended) => {
                    ensure!(ended.status == Some(0), "after {} kills: status {:?}\n{}", killed.times, ended.status, ended.err);
                    break;
                }
            }
        }
        run.finish(killed)
    }

    /// As [`Case::check_killed`], at named places: `seed` chooses which, and which time the job comes there. By every other seed files are merged.
    ///
    /// # Errors
    /// What differs from what was expected.
    pub fn check_killed_at_points(&self, parallelism: u16, seed: u64, kills: usize) -> Result<Killed> {
        let run = Run { case: self, place: self.copied()?, parallelism, seed, merges: seed % 2 == 1 };
        let (mut chance, mut killed) = (Chance(seed), Killed::default());
        let merges = if run.merges { &MERGE_POINTS[..] } else { &[] };
        let points: Vec<&'static str> = KILL_POINTS.iter().chain(merges).copied().collect();
        for _ in 0..kills {
            let (point, spared) = (chance.one_of(&points), chance.below(4));
            if run.kill_at(point, spared)? {
                killed.times += 1;
                killed.points.push(point);
            } else if killed.times > 0 {
                // It is at its end.
                break;
            } else {
                run.forget()?;
            }
        }
        run.finish(killed)
    }

    /// As [`Case::check_killed`], at one named place, which the case has to come to: at once, or after it was killed in the middle of a
    /// checkpoint, which leaves something to clean up.
    ///
    /// # Errors
    /// When it does not come there, or what differs from what was expected.
    pub fn check_killed_at(&self, point: &'static str, parallelism: u16) -> Result<Killed> {
        let run = Run { case: self, place: self.copied()?, parallelism, seed: 0, merges: MERGE_POINTS.contains(&point) };
        let mut points = Vec::new();
        if !run.kill_at(point, 0)? {
            run.forget()?;
            ensure!(run.kill_at("ended", 0)?, "it never finishes its last file");
            ensure!(run.kill_at(point, 0)?, "it never comes to {point}");
            points.push("ended");
        }
        points.push(point);
        run.finish(Killed { times: points.len(), points })
    }

    /// Runs the case in two processes at once, neither of which is kept out by the lock of the other: one is stopped (SIGSTOP) while the
    /// other takes the job over, and goes on (SIGCONT) in the middle of that. Up to `rounds` times; the one that is left is stopped next.
    ///
    /// # Errors
    /// What differs from what was expected.
    pub fn check_two_processes(&self, parallelism: u16, seed: u64, rounds: usize) -> Result<Killed> {
        let run = Run { case: self, place: self.copied()?, parallelism, seed, merges: seed % 2 == 1 };
        let (mut chance, mut killed, mut left) = (Chance(seed), Killed::default(), None);
        while killed.times < rounds {
            let mut one = match left.take() {
                Some(left) => left,
                None => Guard(Some(run.start(Some("no-lock=return"))?)),
            };
            std::thread::sleep(Duration::from_millis(20 + chance.below(300)));
            one.signal("-STOP")?;
            let mut other = Guard(Some(run.start(Some("no-lock=return"))?));
            std::thread::sleep(Duration::from_millis(20 + chance.below(400)));
            one.signal("-CONT")?;
            killed.times += 1;
            // One of them has the job for good as soon as it commits a checkpoint that the other does not know of.
            let deadline = Instant::now() + LONGEST;
            let status = loop {
                if let Some(status) = one.status()? {
                    left = Some(other);
                    break status;
                }
                if let Some(status) = other.status()? {
                    left = Some(one);
                    break status;
                }
                ensure!(Instant::now() < deadline, "two processes have the job for two minutes");
                std::thread::sleep(Duration::from_millis(2));
            };
            if status.success() {
                break;
            }
            ensure!(status.code() == Some(1), "the process that lost the job: {status}");
        }
        if let Some(child) = left.and_then(|mut left| left.0.take()) {
            let last = ended_within(child, LONGEST)?.context("the process that was left does not come to its end")?;
            ensure!(matches!(last.status, Some(0 | 1)), "the process that was left: status {:?}\n{}", last.status, last.err);
        }
        run.finish(killed)
    }
}

/// A case that runs in a folder of its own, again and again.
struct Run<'a> {
    case: &'a Case,
    place: tempfile::TempDir,
    parallelism: u16,
    seed: u64,
    /// Its files are held back for a moment, and merged.
    merges: bool,
}

impl Run<'_> {
    /// Starts it, from the beginning or from its last checkpoint.
    fn start(&self, points: Option<&str>) -> Result<Child> {
        // Where a place is waited for, there is one checkpoint after the other.
        let interval = if points.is_some() { "1ms" } else { "50ms" };
        let merging = if self.merges { merging(self.place.path())? } else { Vec::new() };
        let mut command = durable(self.place.path(), self.parallelism, interval, &merging)?;
        if let Some(points) = points {
            command.env("FAILPOINTS", points);
        }
        Ok(command.stdout(Stdio::null()).spawn()?)
    }

    /// Runs it until it comes to a place for the time after so many; whether it does before its end.
    fn kill_at(&self, point: &str, spared: u64) -> Result<bool> {
        let ended = ended_within(self.start(Some(&format!("{point}={spared}*off->return")))?, LONGEST)?;
        let ended = ended.with_context(|| format!("with {point} it does not come to its end"))?;
        ensure!(matches!(ended.status, None | Some(0)), "killed at {point}: status {:?}\n{}", ended.status, ended.err);
        Ok(ended.status.is_none())
    }

    /// As if it had never run.
    fn forget(&self) -> Result<()> {
        std::fs::remove_dir_all(self.place.path().join("checkpoints"))?;
        Ok(std::fs::remove_dir_all(self.place.path().join("out"))?)
    }

    /// Runs it to its end, undisturbed, and compares.
    fn finish(self, killed: Killed) -> Result<Killed> {
        let Self { case, place, seed, .. } = &self;
        let told = || format!("after {killed:?} with seed {seed}");
        let last = ended_within(self.start(None)?, LONGEST)?;
        let last = last.with_context(|| format!("{}, it does not come to its end in two minutes", told()))?;
        ensure!(last.status == Some(0), "{}: status {:?}\n{}", told(), last.status, last.err);
        case.decode(&place.path().join("out"))?;
        case.compare(place.path()).with_context(told)?;
        let left = unfinished(&place.path().join("out"))?;
        ensure!(left.is_empty(), "{}, left behind: {left:?}", told());
        Ok(killed)
    }
}

/// What has the files of a case merged: all of them are small, and soon old enough.
fn merging(place: &Path) -> Result<Vec<String>> {
    let pipeline: toml::Table = std::fs::read_to_string(place.join("pipeline.toml"))?.parse()?;
    let sinks = pipeline.get("sink").and_then(toml::Value::as_table).into_iter().flatten();
    let files = sinks.filter(|(_, sink)| sink.get("connector").and_then(toml::Value::as_str) == Some("files"));
    Ok(files
        .flat_map(|(name, _)| [format!("sink.{name}.compact_below=\"1 MiB\""), format!("sink.{name}.compact_delay=\"40ms\"")])
        .collect())
}

/// A run with checkpoints, which goes on from what is in the folder.
fn durable(place: &Path, parallelism: u16, interval: &str, more: &[String]) -> Result<Command> {
    let plugins = components().to_str().context("a path that is no text")?;
    let parallelism = format!("settings.parallelism={parallelism}");
    let interval = format!("checkpoint.interval=\"{interval}\"");
    let sets = [parallelism.as_str(), "checkpoint.folder=\"checkpoints\"", &interval];
    let sets = sets.into_iter().chain(more.iter().map(String::as_str)).flat_map(|set| ["--set", set]);
    let args: Vec<&str> = ["run", "pipeline.toml", "--plugins", plugins].into_iter().chain(sets).collect();
    Ok(Program::find()?.command(place, &args))
}

/// How a run ended; `None`: it was killed after this time.
pub(crate) fn ended_within(mut running: Child, after: Duration) -> Result<Option<Ended>> {
    let deadline = Instant::now() + after;
    while running.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            running.kill()?;
            running.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = running.wait_with_output()?;
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Some(Ended { status: output.status.code(), out: String::new(), err }))
}

/// A process that does not outlive the test, also where that fails.
pub struct Guard(pub(crate) Option<Child>);

impl Guard {
    /// Guards a process that was started.
    pub fn of(child: Child) -> Self {
        Self(Some(child))
    }

    /// Its process id; `None`: it is gone.
    pub fn id(&self) -> Option<u32> {
        self.0.as_ref().map(Child::id)
    }

    /// Sends it a signal, such as `-STOP`.
    ///
    /// # Errors
    /// When `kill` cannot be run.
    pub fn signal(&self, name: &str) -> Result<()> {
        if let Some(child) = &self.0 {
            // One that has ended takes no signal.
            Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status().context("cannot run kill")?;
        }
        Ok(())
    }

    /// How it ended; `None`: it has not.
    ///
    /// # Errors
    /// When that cannot be asked.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.0.as_mut().context("no process")?.try_wait()?)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may be gone.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// SplitMix64: what a seed chooses.
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// A number below this end.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }

    /// One of these, of which there is at least one.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap_or_default()]
    }
}

/// Files below a folder that are under in-progress names.
pub(crate) fn unfinished(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(unfinished(&path)?);
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            found.push(path);
        }
    }
    Ok(found)
}
