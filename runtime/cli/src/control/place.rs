//! Where the sockets of a user's running jobs are: one file `JOB.PROCESS.sock` each, in a folder that is the user's alone.

use crate::folders;
use anyhow::{Context, bail};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".sock";

/// A job that seems to run.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) job: String,
    pub(super) process: u32,
    pub(super) socket: PathBuf,
}

/// The folder, made where it is missing.
///
/// # Errors
/// When it cannot be made, or others can get at it.
pub(super) fn folder() -> anyhow::Result<PathBuf> {
    let folder = folders::sockets();
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot make the folder {} for sockets", folder.display()));
        }
        _ => {}
    }
    check(&folder)?;
    Ok(folder)
}

/// Nobody else may make or take away sockets in it, or be where the folder is.
fn check(folder: &Path) -> anyhow::Result<()> {
    let metadata = fs::symlink_metadata(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
    let us = rustix::process::geteuid().as_raw();
    let (folder, mode) = (folder.display(), metadata.mode() & 0o7777);
    if !metadata.is_dir() {
        bail!("{folder} is no folder; XDG_RUNTIME_DIR can name another place for sockets");
    }
    if metadata.uid() != us {
        bail!("{folder} belongs to user {}, this process is user {us}; set XDG_RUNTIME_DIR to a folder of that user", metadata.uid());
    }
    if mode & 0o077 != 0 {
        bail!("others can get at {folder}: its mode is {mode:04o}; `chmod 700` it");
    }
    Ok(())
}

/// The socket of a job that this process runs.
pub(super) fn socket(folder: &Path, job: &str) -> PathBuf {
    folder.join(format!("{job}.{}{SUFFIX}", std::process::id()))
}

/// The jobs of this user: those in the folder for sockets, and those that were started without a session, or another one.
///
/// # Errors
/// When a folder cannot be used.
pub(super) fn all() -> anyhow::Result<Vec<Running>> {
    let mut all = running(&folder()?)?;
    let other = folders::sockets_without_session();
    if other != folders::sockets() && fs::symlink_metadata(&other).is_ok() {
        check(&other)?;
        all.extend(running(&other)?);
    }
    all.sort_by(|a, b| (&a.job, a.process).cmp(&(&b.job, b.process)));
    Ok(all)
}

/// The jobs in a folder, by name. What processes that are gone have left is deleted.
pub(super) fn running(folder: &Path) -> anyhow::Result<Vec<Running>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut found: Vec<Running> = entries.flatten().filter_map(|entry| named(&entry.path())).filter(is_alive).collect();
    found.sort_by(|a, b| (&a.job, a.process).cmp(&(&b.job, b.process)));
    Ok(found)
}

/// Where is looked, for messages.
fn places() -> String {
    let (own, other) = (folders::sockets(), folders::sockets_without_session());
    if own == other { own.display().to_string() } else { format!("{} or {}", own.display(), other.display()) }
}

fn named(socket: &Path) -> Option<Running> {
    let (job, process) = socket.file_name()?.to_str()?.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    Some(Running { job: job.to_owned(), process: process.parse().ok()?, socket: socket.to_owned() })
}

fn is_alive(job: &Running) -> bool {
    match UnixStream::connect(&job.socket) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // Another may have been quicker.
            let _ = fs::remove_file(&job.socket);
            false
        }
        Err(error) => error.kind() != io::ErrorKind::NotFound,
        Ok(_) => true,
    }
}

/// The job that is meant by its name, its process, or both (`clicks.4711`).
///
/// # Errors
/// When there is none, or more than one.
pub(super) fn find(wanted: &str, running: Vec<Running>) -> Result<Running, String> {
    let is_meant =
        |job: &Running| job.job == wanted || job.process.to_string() == wanted || format!("{}.{}", job.job, job.process) == wanted;
    let listed = |jobs: &[Running]| jobs.iter().map(|job| format!("{}.{}", job.job, job.process)).collect::<Vec<_>>().join(", ");
    let all = listed(&running);
    let mut meant: Vec<Running> = running.into_iter().filter(is_meant).collect();
    match (meant.len(), meant.pop()) {
        (1, Some(one)) => Ok(one),
        (0, _) | (_, None) if all.is_empty() => Err(format!("no job `{wanted}` of this user listens in {}; none does", places())),
        (0, _) | (_, None) => Err(format!("no job `{wanted}` of this user listens in {}; these do: {all}", places())),
        (_, Some(last)) => {
            meant.push(last);
            Err(format!("there is more than one job `{wanted}`; say which with its process: {}", listed(&meant)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    fn jobs(names: &[(&str, u32)]) -> Vec<Running> {
        names.iter().map(|(job, process)| Running { job: (*job).to_owned(), process: *process, socket: PathBuf::new() }).collect()
    }

    #[test]
    fn a_job_is_found_by_name_process_or_both() {
        let all = [("clicks", 7), ("clicks", 8), ("orders", 9)];
        let found = |wanted: &str| find(wanted, jobs(&all)).map(|job| job.process);
        assert_eq!(found("orders"), Ok(9));
        assert_eq!(found("8"), Ok(8));
        assert_eq!(found("clicks.7"), Ok(7));
        assert!(found("clicks").is_err_and(|text| text.contains("clicks.7, clicks.8")));
        assert!(found("order").is_err_and(|text| text.contains("these do: clicks.7, clicks.8, orders.9")));
        assert!(find("order", jobs(&[])).is_err_and(|text| text.ends_with("none does")));
    }

    #[test]
    fn a_folder_that_others_can_get_at_is_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let (ours, link) = (root.path().join("ours"), root.path().join("link"));
        fs::DirBuilder::new().mode(0o700).create(&ours).expect("made");
        check(&ours).expect("ours alone");
        symlink(&ours, &link).expect("made");
        assert!(check(&link).is_err_and(|error| error.to_string().contains("is no folder")));
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o750)).expect("set");
        assert!(check(&ours).is_err_and(|error| error.to_string().contains("0750")));
    }

    #[test]
    fn sockets_that_nobody_listens_on_are_deleted() {
        let root = tempfile::tempdir().expect("a folder");
        let (alive, stale) = (root.path().join("a.1.sock"), root.path().join("b.2.sock"));
        let _listening = UnixListener::bind(&alive).expect("free");
        drop(UnixListener::bind(&stale).expect("free"));
        fs::write(root.path().join("notes"), "mine").expect("written");
        let names: Vec<String> = running(root.path()).expect("listed").into_iter().map(|job| job.job).collect();
        assert_eq!(names, ["a"]);
        assert!(!stale.exists() && root.path().join("notes").exists());
    }
}
