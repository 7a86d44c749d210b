//! A schema registry: Apicurio's, which also speaks Confluent's REST interface. It keeps schemas in memory: they go when it ends.

use crate::folder::Folder;
use crate::http::get_json;
use crate::java::Java;
use crate::process::{Process, Server};
use anyhow::{Context, Result};
use std::path::Path;

/// Confluent's interface, version 7.
const INTERFACE: &str = "/apis/ccompat/v7";

/// The server, not started yet.
pub(crate) fn process(folder: &Folder, jars: &Path, krb5_conf: &Path, port: u16) -> Result<Process> {
    let runner = |path: &Path| path.to_str().filter(|path| path.ends_with("-runner.jar")).map(str::to_owned);
    let files = std::fs::read_dir(jars)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let jar = files.iter().find_map(|path| runner(path)).with_context(|| format!("no registry in {}", jars.display()))?;
    let properties = ["-Dquarkus.http.host=127.0.0.1".to_owned(), format!("-Dquarkus.http.port={port}")];
    let java = Java::new(&jar, krb5_conf, &properties)?;
    Ok(Process::new(Server::Registry, java.launch("io.quarkus.runner.GeneratedMain", &[]), &folder.join("log")))
}

/// Where clients find it.
pub(crate) fn url(port: u16) -> String {
    format!("http://localhost:{port}{INTERFACE}")
}

/// Whether it answers.
pub(crate) fn answers(port: u16) -> bool {
    get_json(port, &format!("{INTERFACE}/subjects")).is_ok()
}
