//! A case: its folder, copied for every run.

use crate::program::{Ended, Program, components, root};
use crate::rows::{differences, read_json_lines, read_output};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder of `cases/`.
#[derive(Clone, Debug)]
pub struct Case {
    folder: PathBuf,
}

impl Case {
    /// The case of a name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self> {
        let folder = root().join("tests/e2e/cases").join(name);
        ensure!(folder.join("pipeline.toml").is_file(), "there is no case {}", folder.display());
        Ok(Self { folder })
    }

    /// Runs the case in a new folder and checks what came of it.
    ///
    /// # Errors
    /// What differs from what was expected.
    pub fn check(&self, parallelism: u16) -> Result<()> {
        let place = self.copied()?;
        let ended = self.run_in(place.path(), parallelism)?;
        let error = self.folder.join("error.txt");
        if error.is_file() {
            return expect_error(&ended, &std::fs::read_to_string(error)?);
        }
        ensure!(ended.status == Some(0), "status {:?}\n{}", ended.status, ended.err);
        self.decode(&place.path().join("out"))?;
        self.compare(place.path())
    }

    /// Runs the case with checkpoints, kills it at random moments that `seed` chooses and starts it again, until it has come to its end; then
    /// checks what came of it, as if nothing had happened. Gives back how often it was killed: at most `kills` times.
    ///
    /// # Errors
    /// What differs from what was expected.
    pub fn check_killed(&self, parallelism: u16, seed: u64, kills: usize) -> Result<usize> {
        let place = self.copied()?;
        let mut chance = Chance(seed);
        let mut killed = 0;
        // Moments are spread over about as long as a run takes, which is not known before: a kill that comes late shortens those after it.
        let mut longest = 400;
        while killed < kills {
            let after = Duration::from_millis(20 + chance.below(longest));
            match self.killed_in(place.path(), parallelism, after)? {
                None => killed += 1,
                Some(ended) if ended.status == Some(0) && killed == 0 && longest > 40 => {
                    // Too fast: from the beginning, and sooner.
                    longest /= 2;
                    std::fs::remove_dir_all(place.path().join("checkpoints"))?;
                    std::fs::remove_dir_all(place.path().join("out"))?;
                }
                Some(ended) => {
                    ensure!(ended.status == Some(0), "after {killed} kills: status {:?}\n{}", ended.status, ended.err);
                    break;
                }
            }
        }
        let last = self.killed_in(place.path(), parallelism, Duration::from_secs(120))?;
        let last = last.with_context(|| format!("after {killed} kills with seed {seed}, it does not come to its end in two minutes"))?;
        ensure!(last.status == Some(0), "after {killed} kills with seed {seed}: status {:?}\n{}", last.status, last.err);
        self.decode(&place.path().join("out"))?;
        self.compare(place.path()).with_context(|| format!("after {killed} kills with seed {seed}"))?;
        let left = unfinished(&place.path().join("out"))?;
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(killed)
    }

    /// A run with checkpoints, which goes on from what is in the folder.
    fn durable(&self, place: &Path, parallelism: u16) -> Result<Command> {
        let plugins = components().to_str().context("a path that is no text")?;
        let parallelism = format!("settings.parallelism={parallelism}");
        let sets = [parallelism.as_str(), "checkpoint.folder=\"checkpoints\"", "checkpoint.interval=\"50ms\""];
        let sets = sets.into_iter().flat_map(|set| ["--set", set]);
        let args: Vec<&str> = ["run", "pipeline.toml", "--plugins", plugins].into_iter().chain(sets).collect();
        Ok(Program::find()?.command(place, &args))
    }

    /// Such a run, killed after some time; how it ended, if it did before.
    fn killed_in(&self, place: &Path, parallelism: u16, after: Duration) -> Result<Option<Ended>> {
        let mut running = self.durable(place, parallelism)?.stdout(Stdio::null()).spawn()?;
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

    /// A new folder that holds a copy of the case.
    ///
    /// # Errors
    /// When it cannot be copied, or its data not be fetched.
    pub fn copied(&self) -> Result<TempDir> {
        let place = tempfile::tempdir()?;
        copy(&self.folder, place.path())?;
        self.fetch(&place.path().join("input"))?;
        Ok(place)
    }

    /// Runs the case in a folder that holds a copy of it.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn run_in(&self, place: &Path, parallelism: u16) -> Result<Ended> {
        let plugins = components().to_str().context("a path that is no text")?;
        let set = format!("settings.parallelism={parallelism}");
        Program::find()?.run(place, &["run", "pipeline.toml", "--plugins", plugins, "--set", &set])
    }

    /// Data that is not kept with the case: `fetch.py` puts it into a folder that outlives the run. Cases share data by links to one script.
    fn fetch(&self, input: &Path) -> Result<()> {
        let script = self.folder.join("fetch.py");
        if !script.is_file() {
            return Ok(());
        }
        let kept = self.kept()?;
        python(&script, &[&kept])?;
        std::fs::create_dir_all(input)?;
        copy(&kept, input)
    }

    /// Output in formats that the harness does not read: `decode.py` writes it as JSON lines.
    fn decode(&self, out: &Path) -> Result<()> {
        let script = self.folder.join("decode.py");
        if script.is_file() { python(&script, &[out, &self.kept()?]) } else { Ok(()) }
    }

    /// The folder of what was fetched, by the case that the script belongs to.
    fn kept(&self) -> Result<PathBuf> {
        let script = self.folder.join("fetch.py");
        let script = if script.is_file() { script.canonicalize()? } else { script };
        Ok(Program::find()?.data().join(script.parent().and_then(Path::file_name).context("a name")?))
    }

    fn compare(&self, place: &Path) -> Result<()> {
        let mut compared = 0;
        for entry in std::fs::read_dir(self.folder.join("expected"))? {
            let file = entry?.path();
            let sink = file.file_stem().and_then(|stem| stem.to_str()).context("a sink's name")?;
            let found = read_output(&place.join("out").join(sink))?;
            let differences = differences(found, read_json_lines(&file)?);
            ensure!(differences.is_empty(), "sink `{sink}`:\n{differences}");
            compared += 1;
        }
        ensure!(compared > 0, "the case expects nothing");
        Ok(())
    }
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}

/// Files below a folder that are under in-progress names.
fn unfinished(folder: &Path) -> Result<Vec<PathBuf>> {
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

fn python(script: &Path, args: &[&Path]) -> Result<()> {
    let ran = std::process::Command::new("python3").arg(script).args(args).output().context("cannot run python3")?;
    ensure!(ran.status.success(), "{} failed:\n{}", script.display(), String::from_utf8_lossy(&ran.stderr));
    Ok(())
}

fn expect_error(ended: &Ended, expected: &str) -> Result<()> {
    ensure!(ended.status == Some(2), "status {:?}\n{}", ended.status, ended.err);
    // Where the plugins lie differs from one checkout to the next.
    let found = ended.err.replace(&components().display().to_string(), "PLUGINS");
    ensure!(found.trim() == expected.trim(), "found\n{found}\nexpected\n{expected}");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("a name")?);
        if path.is_dir() {
            std::fs::create_dir(&target)?;
            copy(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
