//! The program under test and the plugins it uses, as they lie in the target folder.

use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use stygian_build::{BuildOptions, build_all};

/// The checkout.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}

/// The folder with the components of `plugins/*` and those made for tests, built once a process.
///
/// # Panics
/// When they do not build: nothing can be tested then.
#[allow(clippy::panic)]
pub fn components() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build_components().unwrap_or_else(|error| panic!("the plugins do not build: {error:#}")))
}

fn build_components() -> Result<PathBuf> {
    let dirs = [
        "plugins/clean",
        "plugins/enrich",
        "plugins/route",
        "plugins/totals",
        "plugins/sessionise",
        "plugins/fraud",
        "plugins/spread",
        "tests/e2e/plugins/brittle",
        "tests/e2e/plugins/fragile",
        "tests/e2e/plugins/mean",
        "tests/e2e/plugins/recent",
        "tests/e2e/plugins/spread2",
        "tests/e2e/plugins/tally",
        "tests/e2e/plugins/tally2",
        "tests/e2e/plugins/tally2-bare",
    ]
    .map(|dir| root().join(dir));
    let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
    let options = BuildOptions { locked: true, ..BuildOptions::new(root()) };
    let built = build_all(&dirs, &options, &mut |_| {})?;
    let first = built.first().and_then(|built| built.component.parent()).context("no component was built")?;
    Ok(first.to_owned())
}

/// What a Python script prints. It leaves nothing compiled beside itself, as it lies in the checkout.
///
/// # Errors
/// When it cannot be run, or what it says when it fails.
pub fn python<A: AsRef<OsStr>>(script: &Path, args: impl IntoIterator<Item = A>) -> Result<Vec<u8>> {
    let ran = Command::new("python3").arg("-B").arg(script).args(args).output().context("cannot run python3")?;
    ensure!(ran.status.success(), "{} failed:\n{}", script.display(), String::from_utf8_lossy(&ran.stderr));
    Ok(ran.stdout)
}

/// The `stygian` program.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    cache: PathBuf,
    state: PathBuf,
    data: PathBuf,
}

/// How a run of it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit status; `None`: a signal.
    pub status: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Program {
    /// The one that was built together with this test.
    ///
    /// # Errors
    /// When it is not there.
    pub fn find() -> Result<Self> {
        let own = std::env::current_exe()?;
        // target/<profile>/deps/<a test>, or target/<profile>/<a program>
        let mut folders = own.ancestors().skip(1).take(2);
        let profile = folders.find(|folder| folder.join("stygian").is_file());
        let profile = profile.with_context(|| format!("no program `stygian` beside {}; build the whole workspace first", own.display()))?;
        let path = profile.join("stygian");
        Ok(Self { path, cache: profile.join("e2e-cache"), state: profile.join("e2e-state"), data: profile.join("e2e-data") })
    }

    /// A folder for data that is fetched once.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A command in a folder.
    pub fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(args)
            .current_dir(folder)
            .env("STYGIAN_CACHE", &self.cache)
            .env("XDG_STATE_HOME", &self.state)
            .env("XDG_RUNTIME_DIR", folder)
            .env("NO_COLOR", "1")
            .env_remove("STYGIAN_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, folder: &Path, args: &[&str]) -> Result<Ended> {
        let output = self.command(folder, args).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ended { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
    }
}
