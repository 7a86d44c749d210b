//! A case: its folder, copied for every run.

use crate::program::{Ended, Program, components, python, root};
use crate::rows::{Differences, read_json_lines, read_output};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
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
        python(&script, [&kept])?;
        std::fs::create_dir_all(input)?;
        copy(&kept, input)
    }

    /// Output in formats that the harness does not read: `decode.py` writes it as JSON lines.
    pub(crate) fn decode(&self, out: &Path) -> Result<()> {
        let script = self.folder.join("decode.py");
        if script.is_file() { python(&script, [out, &self.kept()?]).map(drop) } else { Ok(()) }
    }

    /// The folder of what was fetched, by the case that the script belongs to.
    fn kept(&self) -> Result<PathBuf> {
        let script = self.folder.join("fetch.py");
        let script = if script.is_file() { script.canonicalize()? } else { script };
        Ok(Program::find()?.data().join(script.parent().and_then(Path::file_name).context("a name")?))
    }

    /// The rows that a sink should have.
    pub(crate) fn expected(&self, sink: &str) -> PathBuf {
        self.folder.join("expected").join(format!("{sink}.jsonl"))
    }

    pub(crate) fn compare(&self, place: &Path) -> Result<()> {
        let mut compared = 0;
        for entry in std::fs::read_dir(self.folder.join("expected"))? {
            let file = entry?.path();
            let sink = file.file_stem().and_then(|stem| stem.to_str()).context("a sink's name")?;
            let found = read_output(&place.join("out").join(sink))?;
            Differences::check(found, read_json_lines(&file)?).with_context(|| format!("sink `{sink}`"))?;
            compared += 1;
        }
        ensure!(compared > 0, "the case expects nothing");
        Ok(())
    }
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
