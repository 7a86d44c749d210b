//! The broker: its storage is formatted once, with the SCRAM users in it.

use crate::folder::Folder;
use crate::java::Java;
use crate::kafka_config::{LOG4J, password};
use crate::kdc::USERS;
use crate::process::{Process, Server};
use crate::tools::{run, write};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The name of every cluster; they never meet.
const ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// The line that says that it serves.
pub(crate) const STARTED: &str = "Kafka Server started";

/// A broker that can be started.
#[derive(Debug)]
pub(crate) struct Kafka {
    java: Java,
    properties: PathBuf,
    logs: PathBuf,
}

impl Kafka {
    /// Writes its configuration.
    pub(crate) fn new(folder: &Folder, jars: &Path, krb5_conf: &Path, properties: &str) -> Result<Self> {
        let (log4j, file) = (folder.join("conf/log4j2.properties"), folder.join("conf/kafka.properties"));
        write(&log4j, LOG4J)?;
        write(&file, properties)?;
        let property = format!("-Dlog4j2.configurationFile={}", log4j.display());
        let java = Java::new(&format!("{}/*", jars.display()), krb5_conf, &[property])?;
        Ok(Self { java, properties: file, logs: folder.join("log") })
    }

    /// Formats its storage. It needs no other server for that.
    pub(crate) fn format(&self) -> Result<()> {
        let file = self.properties.display().to_string();
        let mut args = ["format", "-t", ID, "-c", &file].map(str::to_owned).to_vec();
        for user in USERS {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                args.extend(["--add-scram".to_owned(), format!("{mechanism}=[name={user},password={}]", password(user))]);
            }
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&mut self.java.command("kafka.tools.StorageTool", &args), None).context("cannot format the broker's storage")?;
        Ok(())
    }

    /// The server, not started yet.
    pub(crate) fn process(&self) -> Process {
        let file = self.properties.display().to_string();
        Process::new(Server::Kafka, self.java.launch("kafka.Kafka", &[&file]), &self.logs)
    }
}
