//! Calls that change something, whose answer may be lost in a failover: then it is looked at what is there.
//!
//! A NameNode that dies, or becomes standby, may have done what it was asked and not said so. A call is made again only where it is known
//! that it was not done, or where doing it twice is as good as once.

use crate::client::Hdfs;
use crate::fault::Fault;
use crate::location::parent;
use crate::recognise::{Meaning, is_missing};
use crate::task::{Failed, Tries, run};
use crate::writer::Writer;
use hdfs_native::{HdfsError, WriteOptions};
use std::time::Instant;
use stygian_api::ConnectorError;

impl Hdfs {
    /// Creates a file.
    pub(crate) async fn created(&self, path: String) -> Result<Writer, ConnectorError> {
        let until = self.until();
        let mut tries = Tries::new(until);
        loop {
            let (client, at) = (self.inner.client.clone(), path.clone());
            // Without the folders above, so that a mistake in a path is told.
            let options = WriteOptions::default().create_parent(false);
            let failed = match run(&self.inner.threads, until, async move { client.create(&at, options).await }).await {
                Ok(file) => return Ok(Writer::new(self.clone(), path, file)),
                Err(failed) => failed,
            };
            if failed.meaning() == Meaning::Open {
                // It may be ours; whoever has it, the next name is free.
                match self.looked(&path, self.until()).await {
                    Ok(None) => {}
                    Ok(Some(_)) => return Err(self.unknown("create", &path, failed, "a file of that name").await),
                    Err(_) => return Err(self.error("create", &path, failed).await),
                }
            } else if failed.meaning() == Meaning::Answer {
                return Err(self.error("create", &path, failed).await);
            }
            if !tries.another().await {
                return Err(self.error("create", &path, late(failed)).await);
            }
        }
    }

    /// Renames, over what is there only if `over`.
    pub(crate) async fn renamed(&self, from: &str, to: &str, over: bool) -> Result<(), ConnectorError> {
        let until = self.until();
        let (mut tries, mut open) = (Tries::new(until), false);
        loop {
            let (client, old, new) = (self.inner.client.clone(), from.to_owned(), to.to_owned());
            let failed = match run(&self.inner.threads, until, async move { client.rename(&old, &new, over).await }).await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            open |= failed.meaning() == Meaning::Open;
            // Once one answer was lost, that there is no source or that there is a target may be one's own doing.
            if open {
                match self.both(from, to).await {
                    Ok((false, true)) => return Ok(()),
                    Ok((true, false)) => {}
                    Ok((true, true)) if over => {}
                    Ok((true, true)) => return Err(self.rename_error(from, to, Fault::Exists { path: to.to_owned() })),
                    Ok((false, false)) => {
                        let found = "neither the one name nor the other";
                        let text = self.fault(from, failed).await.to_string();
                        return Err(self.rename_error(from, to, Fault::Unknown { text, found: format!("there is {found}") }));
                    }
                    Err(_) => return Err(self.error("rename", from, failed).await),
                }
            } else if failed.meaning() == Meaning::Answer {
                let fault = match self.fault(from, failed).await {
                    Fault::Exists { .. } => Fault::Exists { path: to.to_owned() },
                    // HDFS names the file.
                    Fault::NoFolder { .. } => Fault::NoFolder { folder: parent(to).to_owned() },
                    fault => fault,
                };
                return Err(self.rename_error(from, to, fault));
            }
            if !tries.another().await {
                return Err(self.error("rename", from, late(failed)).await);
            }
        }
    }

    fn rename_error(&self, from: &str, to: &str, fault: Fault) -> ConnectorError {
        fault.of("rename", format!("{} to {to}{}", self.url(from), self.as_who()))
    }

    /// Removes a file or an empty folder.
    pub(crate) async fn removed(&self, path: &str) -> Result<bool, ConnectorError> {
        let until = self.until();
        let (mut tries, mut open) = (Tries::new(until), false);
        loop {
            let (client, at) = (self.inner.client.clone(), path.to_owned());
            let failed = match run(&self.inner.threads, until, async move { client.delete(&at, false).await }).await {
                Ok(was_there) => return Ok(was_there || open),
                Err(Failed::Library(error)) if is_missing(&error) => return Ok(open),
                Err(failed) => failed,
            };
            open |= failed.meaning() == Meaning::Open;
            // To remove twice does no harm.
            if failed.meaning() == Meaning::Answer {
                return Err(self.error("remove", path, failed).await);
            }
            if !tries.another().await {
                return Err(self.error("remove", path, late(failed)).await);
            }
        }
    }

    /// Whether there is something at each of two paths.
    async fn both(&self, from: &str, to: &str) -> Result<(bool, bool), Failed> {
        let until = self.until();
        Ok((self.looked(from, until).await?.is_some(), self.looked(to, until).await?.is_some()))
    }

    /// The error of a call of which not even what is there tells what came of it.
    async fn unknown(&self, doing: &'static str, path: &str, failed: Failed, found: &str) -> ConnectorError {
        let text = self.fault(path, failed).await.to_string();
        Fault::Unknown { text, found: format!("there is {found}") }.of(doing, self.shown(path))
    }

    /// Waits until a file that was written to its end is closed, by whoever; `None`: not in time, or not so many bytes long.
    pub(crate) async fn closed_by_others(&self, path: &str, len: u64, until: Instant) -> Option<()> {
        let mut tries = Tries::new(until);
        loop {
            let recovered = self.repeat(until, path, |client, path| async move { client.recover_lease(&path).await }).await;
            match recovered {
                Ok(true) => break,
                Ok(false) => {}
                Err(_) => return None,
            }
            if !tries.another().await {
                return None;
            }
        }
        let found = self.looked(path, until).await.ok()??;
        (found.len == len).then_some(())
    }
}

/// What there was no more time for.
fn late(failed: Failed) -> Failed {
    match failed {
        Failed::Library(error @ (HdfsError::IOError(_) | HdfsError::RPCError(..) | HdfsError::FatalRPCError(..))) => {
            Failed::Late(Some(error))
        }
        other => other,
    }
}
