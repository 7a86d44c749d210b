//! Programs of the system that are run to their end, and looks at logs and ports.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// So much of a log is quoted in an error.
const QUOTED_LINES: usize = 20;
const QUOTED_BYTES: usize = 6_000;

/// The Debian package of each program that is used.
const PACKAGES: [(&str, &str); 9] = [
    ("krb5kdc", "krb5-kdc"),
    ("kdb5_util", "krb5-kdc"),
    ("kadmin.local", "krb5-admin-server"),
    ("kinit", "krb5-user"),
    ("openssl", "openssl"),
    ("kcat", "kcat libsasl2-modules-gssapi-mit"),
    ("curl", "curl"),
    ("java", "default-jre-headless"),
    ("mvn", "maven"),
];

/// Where a program is: on the path, or where Debian keeps those of an administrator.
pub(crate) fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    if let Some(found) = folders.map(|folder| folder.join(program)).find(|file| file.is_file()) {
        return Ok(found);
    }
    let package = PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package);
    bail!("{program} is missing: apt-get install {package}")
}

/// The longest that a program may take, in seconds, unless it is given more; and the status that tells of it.
const LIMIT: u32 = 120;
const TOOK_TOO_LONG: i32 = 124;

/// Where programs look for libraries first. Under cargo that is where it has built librdkafka, which kcat would take instead of its own,
/// and be an oracle for itself.
pub(crate) const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// A command for a program of the system, without input.
pub(crate) fn command<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Result<Command> {
    Ok(limited(LIMIT, &find(program)?, args))
}

/// A command that is ended when it takes longer than so many seconds.
pub(crate) fn limited<S: AsRef<OsStr>>(seconds: u32, program: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--kill-after=5", &seconds.to_string()]).arg(program).args(args);
    command.env_remove(LIBRARIES).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs what [`command`] or [`limited`] made to its end and gives what it printed; an error has all that it said.
pub(crate) fn run(command: &mut Command, input: Option<&[u8]>) -> Result<Vec<u8>> {
    let output = output(command, input)?;
    if !output.status.success() {
        // Without the words that limit its time.
        let told: Vec<_> = command.get_args().skip(3).map(OsStr::to_string_lossy).collect();
        let late = if output.status.code() == Some(TOOK_TOO_LONG) { ", as it took too long" } else { "" };
        let said = [output.stdout, output.stderr].concat();
        bail!("{} failed ({}{late}):\n{}", told.join(" "), output.status, last_lines(&String::from_utf8_lossy(&said)));
    }
    Ok(output.stdout)
}

/// As [`run`], with whatever status.
pub(crate) fn output(command: &mut Command, input: Option<&[u8]>) -> Result<Output> {
    let told = command.get_program().to_string_lossy().into_owned();
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().with_context(|| format!("cannot run {told}"))?;
    let mut written = Ok(());
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        // A program that ends early closes its input; its status says why.
        written = pipe.write_all(input);
    }
    let output = child.wait_with_output().with_context(|| format!("cannot read what {told} prints"))?;
    if output.status.success() {
        written.with_context(|| format!("{told} did not read its input"))?;
    }
    Ok(output)
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    match std::fs::read(log) {
        Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes)),
        Err(error) => format!("(cannot be read: {error})"),
    }
}

fn last_lines(text: &str) -> String {
    let from = text.floor_char_boundary(text.len().saturating_sub(QUOTED_BYTES));
    let lines: Vec<&str> = text[from..].lines().collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].iter().map(|line| format!("    {line}\n")).collect()
}

/// Whether somebody listens at a port.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Duration::from_secs(1)).is_ok()
}

/// Writes a file; an error names it.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
