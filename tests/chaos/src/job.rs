//! The processes that run the job, and what has become of them.

use crate::pipeline::Topics;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use stygian_e2e::{Guard, Program, Rig, components};

/// What a process says that has gone on from a checkpoint, or has begun anew: from then on it has the job.
const BEGUN: [&str; 2] = ["going on from checkpoint", "a first start"];
/// What a process says when another one has the job.
pub(crate) const OTHER: &str = "another process";
/// What it says when it starts the job again by itself.
const AGAIN: &str = "it is started again from its last checkpoint";
/// Between starts of a job that gives up at once.
const PAUSE: Duration = Duration::from_millis(500);

/// A process of the job, with what it says in a file of its own.
pub(crate) struct Process {
    guard: Guard,
    log: PathBuf,
}

impl Process {
    pub(crate) fn says(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned())
    }

    pub(crate) fn has_begun(&self) -> Result<bool> {
        let says = self.says()?;
        Ok(BEGUN.iter().any(|begun| says.contains(begun)))
    }

    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.guard.status()
    }

    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        self.guard.signal(name)
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.guard.id()
    }

    /// The end of what it has said.
    pub(crate) fn last_words(&self) -> String {
        let says = self.says().unwrap_or_default();
        let lines: Vec<&str> = says.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// That it has ended as one that failed, not as one that was wrong.
    fn gave_up(&self, status: ExitStatus) -> Result<()> {
        let words = self.says()?;
        let is_sound = status.code() == Some(1) && !words.contains("panicked") && !words.contains("fault of Stygian");
        ensure!(is_sound, "the job ended by itself: {status}; {} ends:\n{}", self.log.display(), self.last_words());
        Ok(())
    }
}

/// The job, over all its processes.
pub(crate) struct Job {
    place: PathBuf,
    /// The one that has it; `None`: it was killed.
    pub(crate) process: Option<Process>,
    logs: Vec<PathBuf>,
    /// How often it was started anew as it had given up: its restarts were used up, or it could not even begin.
    pub(crate) gave_up: u64,
}

impl Job {
    /// Writes its pipeline into a folder.
    pub(crate) fn new(rig: &Rig, topics: &Topics, parallelism: u16, place: &Path) -> Result<Self> {
        std::fs::write(place.join("pipeline.toml"), topics.pipeline(rig, parallelism)?)?;
        Ok(Self { place: place.to_owned(), process: None, logs: Vec::new(), gave_up: 0 })
    }

    /// A new process, with these places armed.
    pub(crate) fn launch(&mut self, points: Option<&str>) -> Result<Process> {
        let log = self.place.join(format!("process-{}.log", self.logs.len()));
        self.logs.push(log.clone());
        let plugins = components().to_str().context("a path that is no text")?;
        let mut command = Program::find()?.command(&self.place, &["run", "pipeline.toml", "--plugins", plugins]);
        command.stdout(Stdio::null()).stderr(File::create(&log)?);
        if let Some(points) = points {
            command.env("FAILPOINTS", points);
        }
        Ok(Process { guard: Guard::of(command.spawn()?), log })
    }

    /// Starts it.
    pub(crate) fn start(&mut self, points: Option<&str>) -> Result<()> {
        self.process = Some(self.launch(points)?);
        Ok(())
    }

    /// Kills it, with SIGKILL; whether it ran.
    pub(crate) fn kill(&mut self) -> Result<bool> {
        self.tend()?;
        // The guard kills when it is dropped.
        Ok(self.process.take().is_some())
    }

    /// Starts it again where it has given up; it may end in no other way.
    pub(crate) fn tend(&mut self) -> Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let Some(status) = process.ended()? else { return Ok(()) };
        process.gave_up(status)?;
        self.gave_up += 1;
        std::thread::sleep(PAUSE);
        self.start(None)
    }

    /// As [`Job::tend`], of a process that does not have the job yet.
    pub(crate) fn tend_to(&mut self, process: &mut Process, points: &str) -> Result<()> {
        let Some(status) = process.ended()? else { return Ok(()) };
        process.gave_up(status)?;
        self.gave_up += 1;
        std::thread::sleep(PAUSE);
        *process = self.launch(Some(points))?;
        Ok(())
    }

    /// Waits until something holds, and tends the job meanwhile.
    pub(crate) fn until(&mut self, what: &str, limit: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            self.tend()?;
            if holds()? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let words = self.process.as_ref().map(Process::last_words).unwrap_or_default();
                bail!("waited {limit:?} for {what}; the job says:\n{words}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a process has the job.
    pub(crate) fn until_begun(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            self.tend()?;
            match &self.process {
                Some(process) if process.has_begun()? => return Ok(()),
                Some(process) if Instant::now() >= deadline => {
                    bail!("waited {limit:?} for the job to begin; it says:\n{}", process.last_words());
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Lets some time pass.
    pub(crate) fn go_on_for(&mut self, time: Duration) -> Result<()> {
        let over = Instant::now() + time;
        while Instant::now() < over {
            self.tend()?;
            std::thread::sleep(Duration::from_millis(20).min(over.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }

    /// Has it drain and end.
    pub(crate) fn finish(&mut self, limit: Duration) -> Result<()> {
        let name = self.place.join("pipeline.toml");
        let job = self.process.as_ref().and_then(Process::id).context("no process has the job")?.to_string();
        let asked = Program::find()?.run(&self.place, &["stop", &job, "--drain"])?;
        ensure!(asked.status == Some(0), "stop --drain of {}: status {:?}: {}{}", name.display(), asked.status, asked.out, asked.err);
        let deadline = Instant::now() + limit;
        let process = self.process.as_mut().context("no process has the job")?;
        loop {
            match process.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("told to stop, the job ended otherwise: {status}; it said:\n{}", process.last_words()),
                None if Instant::now() >= deadline => bail!("waited {limit:?} for the job to drain; it says:\n{}", process.last_words()),
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// How often processes have started the job again by themselves.
    pub(crate) fn restarts(&self) -> u64 {
        let says = |log: &PathBuf| String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).matches(AGAIN).count() as u64;
        self.logs.iter().map(says).sum()
    }

    /// Its folder.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }
}
