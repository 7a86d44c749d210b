//! The program of a child, which is somebody else than `pipeline`: it does one thing and tells what came of it.
#![allow(clippy::print_stdout)] // this is how it answers

use crate::golden::error_text;
use crate::world::{World, wait};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::process::{Command, Stdio};
use stygian_core::Span;
use stygian_hdfs::{Hdfs, HdfsOptions};

/// In the environment of a child: the path to look at.
pub(crate) const TASK: &str = "STYGIAN_HDFS_CHILD";

pub(crate) fn run() {
    let path = std::env::var(TASK).unwrap_or_default();
    let options = HdfsOptions { call_timeout: Span::secs(20), ..HdfsOptions::default() };
    let listed = Hdfs::open(&options, None, Some("pipeline@STYGIAN.TEST")).and_then(|hdfs| wait(hdfs.list(&path)));
    match listed {
        Ok(found) => println!("{found:?}"),
        Err(error) => print!("{}", error_text(&error)),
    }
}

/// Has a child list a folder with other variables in its environment; gives what it told.
pub(crate) fn list(world: &World, path: &str, variables: &[(&str, OsString)]) -> Result<String> {
    let mut child = Command::new(std::env::current_exe()?);
    child.envs(world.cluster.env("pipeline")).envs(variables.iter().map(|(name, value)| (name, value))).env(TASK, path);
    let output = child.stdin(Stdio::null()).output().context("cannot start a child")?;
    ensure!(output.status.success(), "a child ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
