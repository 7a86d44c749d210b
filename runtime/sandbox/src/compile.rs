//! Compiling, in a child process with limits: a component that explodes the compiler takes the child down, not us.
//!
//! The child gets an empty environment and, on stdin, one line with its limits and then the component; it answers with the code on stdout, or
//! with a reason on stderr and status 2. It sets its limits on itself before it reads the component; the wall clock is ours.

use crate::compiled::Compiled;
use crate::{CompileLimits, SandboxError, engine};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::OsString;
use std::io::{BufRead, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use stygian_core::escape_bytes;

/// How plugins are compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// By a child process that does nothing but call [`compile_worker`].
    Child {
        /// The program; often the running one.
        program: PathBuf,
        /// Its arguments; often a hidden subcommand.
        args: Vec<OsString>,
    },
}

/// Exit status of a child that says why the component cannot be compiled.
const REFUSED: u8 = 2;

/// Kept of what a child has to say.
const MOST_WORDS: usize = 4096;

impl Compiler {
    /// Compiles a component; `path` is for errors.
    pub(crate) fn compile(&self, path: &Path, component: &[u8], limits: &CompileLimits) -> Result<Compiled, SandboxError> {
        let Self::Child { program, args } = self;
        let failed = |source| SandboxError::Compiler { program: program.clone(), source };
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let ended = converse(&mut child, component, limits).map_err(failed)?;
        ended.judge(path, limits)
    }
}

/// What became of a child.
struct Ended {
    /// None: killed because time was up.
    status: Option<ExitStatus>,
    code: Vec<u8>,
    words: Vec<u8>,
}

impl Ended {
    fn judge(self, path: &Path, limits: &CompileLimits) -> Result<Compiled, SandboxError> {
        let path = path.to_owned();
        let words = String::from_utf8_lossy(&self.words);
        let Some(status) = self.status else { return Err(SandboxError::CompileTime { path, limit: limits.time }) };
        if status.success() && self.code.len() <= limits.compiled.as_usize() {
            return Ok(Compiled::vouched(self.code));
        }
        if self.code.len() > limits.compiled.as_usize() {
            return Err(SandboxError::CompiledSize { path, limit: limits.compiled });
        }
        if status.signal() == Some(SIGXCPU) {
            return Err(SandboxError::CompileTime { path, limit: limits.time });
        }
        // Rust aborts when it gets no memory; a stack that cannot grow ends in SIGSEGV; the machine's own guard kills.
        if words.contains("memory allocation of") || words.contains("out of memory") || status.signal() == Some(SIGKILL) {
            return Err(SandboxError::CompileMemory { path, limit: limits.memory });
        }
        let reason = escape_bytes(self.words.trim_ascii(), 2000);
        Err(SandboxError::Invalid { path, reason: if reason.is_empty() { format!("the compiler ended with {status}") } else { reason } })
    }
}

const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

/// Feeds a child and hears it out; it is gone when this returns.
fn converse(child: &mut Child, component: &[u8], limits: &CompileLimits) -> std::io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let most = limits.compiled.as_usize().saturating_add(1);
    std::thread::scope(|scope| {
        // A child that dies early breaks the pipe; its status says more than that.
        scope.spawn(move || stdin.map(|pipe| feed(pipe, component, limits)));
        let code = scope.spawn(move || stdout.map_or_else(Vec::new, |pipe| read_at_most(pipe, most)));
        let words = scope.spawn(move || stderr.map_or_else(Vec::new, |pipe| read_at_most(pipe, MOST_WORDS)));
        let status = wait(child, limits.time.0)?;
        Ok(Ended { status, code: code.join().unwrap_or_default(), words: words.join().unwrap_or_default() })
    })
}

fn feed(mut pipe: impl Write, component: &[u8], limits: &CompileLimits) -> std::io::Result<()> {
    let seconds = limits.time.0.as_secs_f64().ceil().max(1.0);
    writeln!(pipe, "{} {seconds:.0}", limits.memory.0)?;
    pipe.write_all(component)
}

/// What comes of a pipe; when it is too much, the pipe is closed, which ends the child.
fn read_at_most(pipe: impl Read, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    // An error ends what can be read; what is missing then fails the checks behind.
    let _ = pipe.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes);
    bytes
}

/// Waits for a child until time is up, then kills it (`None`).
fn wait(child: &mut Child, time: Duration) -> std::io::Result<Option<ExitStatus>> {
    let (start, mut pause) = (Instant::now(), Duration::from_micros(500));
    loop {
        let status = child.try_wait();
        if let Ok(None) = status
            && start.elapsed() < time
        {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
            continue;
        }
        if !matches!(status, Ok(Some(_))) {
            child.kill()?;
            child.wait()?;
        }
        return status;
    }
}

/// The whole of a compiling process: call it from a program's `main` and exit with what it returns.
pub fn compile_worker() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Nobody to tell if stderr is gone.
            let _ = std::io::stderr().write_all(reason.as_bytes());
            ExitCode::from(REFUSED)
        }
    }
}

fn work() -> Result<(), String> {
    let mut stdin = std::io::stdin().lock();
    let mut line = String::new();
    stdin.by_ref().take(64).read_line(&mut line).map_err(|e| e.to_string())?;
    let (memory, seconds) = limits(&line).ok_or("this is a part of Stygian that is not for people to call")?;
    restrict(Resource::As, memory)?;
    restrict(Resource::Cpu, seconds)?;
    restrict(Resource::Core, 0)?;
    let mut component = Vec::new();
    stdin.read_to_end(&mut component).map_err(|e| e.to_string())?;
    let engine = engine::compiling().map_err(|e| format!("{e:#}"))?;
    let code = engine.precompile_component(&component).map_err(|e| format!("{e:#}"))?;
    std::io::stdout().lock().write_all(&code).map_err(|e| e.to_string())
}

fn limits(line: &str) -> Option<(u64, u64)> {
    let (memory, seconds) = line.trim_end().split_once(' ')?;
    Some((memory.parse().ok()?, seconds.parse().ok()?))
}

fn restrict(resource: Resource, limit: u64) -> Result<(), String> {
    // The signal of the soft limit of CPU time says what happened, that of the hard limit does not.
    let hard = if resource == Resource::Cpu { limit.saturating_add(5) } else { limit };
    setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(hard) }).map_err(|e| format!("cannot limit the compiler: {e}"))
}
