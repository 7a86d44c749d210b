//! Files in HDFS by its REST interface and curl: an oracle that is not our client.
//!
//! Hadoop's HTTP servers believe who one says one is, unless they are told otherwise: here the super user. What clients use, RPC and the
//! DataNode's data port, is guarded.

use crate::hdfs::Hdfs;
use crate::tools::{command, run};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::{Child, Stdio};

/// A file or folder in HDFS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last part of its path.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its length in bytes.
    pub length: u64,
    /// Whose it is.
    pub owner: String,
}

impl Hdfs {
    /// Makes a folder, and those above it, and gives it to a user.
    pub(crate) fn make_folder(&self, path: &str, owner: &str) -> Result<()> {
        let made = self.rest("PUT", path, "op=MKDIRS&permission=755")?;
        ensure!(made == serde_json::json!({ "boolean": true }), "cannot make {path} in HDFS: {made}");
        self.give(path, owner)
    }

    /// What is in a folder.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<Entry>> {
        let answer = self.rest("GET", path, "op=LISTSTATUS")?;
        let all = answer["FileStatuses"]["FileStatus"].as_array().with_context(|| format!("no list of {path}: {answer}"))?;
        Ok(all.iter().map(entry).collect())
    }

    /// The bytes of a file.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.curl("GET", path, "op=OPEN", None)
    }

    /// Writes a file, in the place of one that is there, and gives it to a user.
    pub(crate) fn write(&self, path: &str, bytes: &[u8], owner: &str) -> Result<()> {
        self.curl("PUT", path, "op=CREATE&overwrite=true", Some(bytes))?;
        self.give(path, owner)
    }

    /// Adds to the end of a file.
    pub(crate) fn append(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.curl("POST", path, "op=APPEND", Some(bytes)).map(drop)
    }

    /// Begins to add to the end of a file, which is open until the process is: what its standard input holds is added.
    pub(crate) fn begin_append(&self, path: &str) -> Result<Child> {
        let answer = self.rest("POST", path, "op=APPEND&noredirect=true")?;
        let data_node = answer["Location"].as_str().with_context(|| format!("no DataNode to append to {path}: {answer}"))?;
        let mut curl = command(
            "curl",
            ["-sS", "--fail-with-body", "-X", "POST", "-H", "Content-Type: application/octet-stream", "-T", "-", data_node],
        )?;
        curl.stdin(Stdio::piped()).spawn().context("curl")
    }

    fn give(&self, path: &str, owner: &str) -> Result<()> {
        self.curl("PUT", path, &format!("op=SETOWNER&owner={owner}&group={owner}"), None)?;
        Ok(())
    }

    /// Removes a file, or a folder with all that is in it; whether there was one.
    pub(crate) fn remove(&self, path: &str) -> Result<bool> {
        Ok(self.rest("DELETE", path, "op=DELETE&recursive=true")?["boolean"] == true)
    }

    /// Sets the permissions of a file or folder.
    pub(crate) fn chmod(&self, path: &str, mode: u32) -> Result<()> {
        self.curl("PUT", path, &format!("op=SETPERMISSION&permission={mode:o}"), None)?;
        Ok(())
    }

    /// Adds an entry to the access list of a file or folder.
    pub(crate) fn acl(&self, path: &str, entry: &str) -> Result<()> {
        self.curl("PUT", path, &format!("op=MODIFYACLENTRIES&aclspec={entry}"), None)?;
        Ok(())
    }

    /// Sets how many names, and how many bytes in all replicas, a folder may have below it; `None`: any.
    pub(crate) fn quota(&self, path: &str, names: Option<u64>, bytes: Option<u64>) -> Result<()> {
        let word = |limit: Option<u64>| limit.map_or_else(|| "-1".to_owned(), |limit| limit.to_string());
        self.curl("PUT", path, &format!("op=SETQUOTA&namespacequota={}&storagespacequota={}", word(names), word(bytes)), None)?;
        Ok(())
    }

    fn rest(&self, method: &str, path: &str, query: &str) -> Result<Value> {
        let answer = self.curl(method, path, query, None)?;
        serde_json::from_slice(&answer).with_context(|| format!("{method} {path}?{query}: no JSON: {}", String::from_utf8_lossy(&answer)))
    }

    fn curl(&self, method: &str, path: &str, query: &str, body: Option<&[u8]>) -> Result<Vec<u8>> {
        ensure!(path.starts_with('/'), "{path:?} is no absolute path in HDFS");
        let url = format!("http://localhost:{}/webhdfs/v1{}?user.name=nn&{query}", self.active()?, escaped(path));
        let args = ["-sS", "--fail-with-body", "--max-time", "30", "--location", "-X", method, &url];
        let mut curl = command("curl", args)?;
        if body.is_some() {
            // All of it is read before anything is sent, so it can be sent again to the DataNode that the NameNode names.
            curl.args(["--data-binary", "@-", "-H", "Content-Type: application/octet-stream"]);
        }
        run(&mut curl, body).with_context(|| format!("{method} {path} in HDFS"))
    }
}

fn entry(status: &Value) -> Entry {
    let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
    let folder = status["type"] == "DIRECTORY";
    Entry { name: text("pathSuffix"), folder, length: status["length"].as_u64().unwrap_or_default(), owner: text("owner") }
}

/// Bytes that a path in a URL cannot have as they are, by their numbers.
fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
