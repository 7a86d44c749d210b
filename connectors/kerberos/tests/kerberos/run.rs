//! The KDC that most cases share, and children.

use crate::secrets;
use crate::settings::Settings;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use stygian_cluster::{Cluster, Options};

/// How long a child may say nothing.
const PATIENCE: Duration = Duration::from_secs(100);

/// A KDC with tickets of the usual life, and a folder for the cases' files.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) files: tempfile::TempDir,
}

impl World {
    pub(crate) fn start() -> Result<Self> {
        Self::with_tickets_of(Duration::from_secs(36_000))
    }

    pub(crate) fn with_tickets_of(ticket_life: Duration) -> Result<Self> {
        let cluster = Cluster::start(&Options { kafka: false, ticket_life, ..Options::default() })?;
        Ok(Self { cluster, files: tempfile::tempdir()? })
    }

    /// The settings of a user that works.
    pub(crate) fn user(&self, user: &str) -> Settings {
        Settings::new(user, &self.cluster.keytab(user), &self.cluster.krb5_conf())
    }

    /// A file of a case, that only we may read.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.files.path().join(name);
        std::fs::write(&path, content)?;
        mode(&path, 0o600)?;
        Ok(path)
    }

    /// The clients' krb5.conf with a text replaced that it must have.
    pub(crate) fn krb5_conf(&self, name: &str, from: &str, to: &str) -> Result<PathBuf> {
        let text = std::fs::read_to_string(self.cluster.krb5_conf())?;
        ensure!(text.contains(from), "there is no {from:?} in krb5.conf:\n{text}");
        self.file(name, text.replace(from, to).as_bytes())
    }

    /// Runs lines of `kadmin.local` that the cluster has no word for.
    pub(crate) fn kadmin(&self, query: &str) -> Result<()> {
        let conf = |name: &str| self.cluster.folder().join("conf").join(name);
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut kadmin = Command::new("sh");
        kadmin.args(["-c", "exec kadmin.local -r \"$1\" -q \"$2\"", "sh", self.cluster.realm(), query]).env("PATH", path);
        kadmin.env("KRB5_CONFIG", conf("krb5.conf")).env("KRB5_KDC_PROFILE", conf("kdc.conf"));
        let output = kadmin.output().context("cannot run kadmin.local (Debian: krb5-admin-server)")?;
        ensure!(output.status.success() && !String::from_utf8_lossy(&output.stderr).contains(": "), "{query}: {output:?}");
        Ok(())
    }

    /// Runs a child to its end; what it printed, with paths and ports by name.
    pub(crate) fn run(&self, settings: &Settings) -> Result<String> {
        let mut running = self.begin(settings)?;
        drop(running.input.take());
        let mut told = String::new();
        while let Some(line) = running.line()? {
            told += &line;
            told.push('\n');
        }
        Ok(told)
    }

    /// Starts a child, to be read line by line.
    pub(crate) fn begin(&self, settings: &Settings) -> Result<Running> {
        let own = std::env::current_exe()?;
        let mut command = match settings.clock {
            None => Command::new(own),
            Some(clock) => {
                let mut faketime = Command::new("faketime");
                faketime.arg(clock).arg(own);
                faketime
            }
        };
        for name in ["KRB5_CONFIG", "KRB5_CLIENT_KTNAME", "KRB5CCNAME", "KRB5_KTNAME", "KRB5_TRACE"] {
            command.env_remove(name);
        }
        command.envs(settings.to_env()).current_dir(self.files.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().context("cannot start a child (for a wrong clock: Debian's faketime)")?;
        Running::new(child, self.names(), secrets::of(self)?)
    }

    /// What is different in each run, and what it is called in golden texts.
    fn names(&self) -> Vec<(String, &'static str)> {
        let conf = std::fs::read_to_string(self.cluster.krb5_conf()).unwrap_or_default();
        let kdc = conf.lines().find_map(|line| line.trim().strip_prefix("kdc = ")).unwrap_or("no KDC").to_owned();
        vec![
            (self.cluster.folder().display().to_string(), "CLUSTER"),
            (self.files.path().display().to_string(), "FILES"),
            (kdc, "KDC:PORT"),
        ]
    }
}

/// Sets the permissions of a file.
pub(crate) fn mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}

/// A child that runs. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    /// Until this is dropped, a child that touches goes on.
    pub(crate) input: Option<ChildStdin>,
    lines: Receiver<std::io::Result<String>>,
    errors: Option<std::thread::JoinHandle<String>>,
    names: Vec<(String, &'static str)>,
    secrets: secrets::Secrets,
}

impl Running {
    fn new(mut child: Child, names: Vec<(String, &'static str)>, secrets: secrets::Secrets) -> Result<Self> {
        let input = child.stdin.take();
        let output = child.stdout.take().context("no output")?;
        let mut error = child.stderr.take().context("no errors")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || BufReader::new(output).lines().try_for_each(|line| sender.send(line)));
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = error.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self { child, input, lines, errors: Some(errors), names, secrets })
    }

    /// The next line of its output; `None` at its end, when it has to have ended well. Both outputs are searched for secrets.
    pub(crate) fn line(&mut self) -> Result<Option<String>> {
        let mut line = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line?,
            Err(RecvTimeoutError::Timeout) => bail!("a child says nothing"),
            Err(RecvTimeoutError::Disconnected) => {
                self.end()?;
                return Ok(None);
            }
        };
        self.secrets.search(&line)?;
        for (from, to) in &self.names {
            line = line.replace(from, to);
        }
        Ok(Some(line))
    }

    /// Reads on to the first line that is as wanted; fails on one that must not come before.
    pub(crate) fn until(&mut self, wanted: impl Fn(&str) -> bool, refused: impl Fn(&str) -> bool) -> Result<String> {
        let (start, mut told) = (Instant::now(), String::new());
        while let Some(line) = self.line()? {
            told += &format!("{line}\n");
            ensure!(!refused(&line), "this must not come:\n{told}");
            if wanted(&line) {
                return Ok(line);
            }
            ensure!(start.elapsed() < PATIENCE, "what is wanted does not come:\n{told}");
        }
        bail!("the child ended:\n{told}")
    }

    fn end(&mut self) -> Result<()> {
        let errors = self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default();
        let status = self.child.wait()?;
        ensure!(status.success(), "a child ended with {status}:\n{errors}");
        self.secrets.search(&errors)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
