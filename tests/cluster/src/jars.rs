//! The jars of the servers, fetched once by Maven and kept outside any cluster's folder.
//!
//! A folder of jars is named after what it was fetched by, and comes to be by a rename when all of it is there: one that exists is whole.
//! Maven checks the checksum of every artefact.

use crate::tools::{find, limited, run};
use anyhow::{Context, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What is fetched: versions are pinned there.
const POM: &str = include_str!("../pom.xml");

/// The longest that fetching one kind may take, in seconds.
const LIMIT: u32 = 1800;

/// Where the jars of each kind of server lie.
#[derive(Clone, Debug)]
pub struct Jars {
    folder: PathBuf,
}

/// Fetches what is missing of every kind, and says where it lies.
///
/// # Errors
/// When Maven is missing, or cannot fetch.
pub fn fetch() -> Result<Jars> {
    let jars = Jars::find()?;
    for kind in ["kafka", "hadoop", "registry"] {
        jars.of(kind)?;
    }
    Ok(jars)
}

impl Jars {
    /// The folder that `STYGIAN_CLUSTER_JARS` names, else one in the user's cache.
    pub(crate) fn find() -> Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = || {
            set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache"))).map(|cache| cache.join("stygian-cluster/jars"))
        };
        let folder = set("STYGIAN_CLUSTER_JARS").or_else(cache);
        Ok(Self { folder: folder.context("neither STYGIAN_CLUSTER_JARS nor HOME is set: nowhere to keep jars")? })
    }

    /// The folder they lie in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with the jars of a kind of server (a profile of `pom.xml`), fetched if need be.
    pub(crate) fn of(&self, kind: &str) -> Result<PathBuf> {
        let whole = self.folder.join(format!("{kind}-{:08x}", crc32fast::hash(POM.as_bytes())));
        if whole.is_dir() {
            return Ok(whole);
        }
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        let lock = File::create(self.folder.join("lock"))?;
        lock.lock().context("cannot lock the folder of jars")?;
        // Another process may have fetched them meanwhile.
        if !whole.is_dir() {
            self.fetch(kind, &whole).with_context(|| format!("cannot fetch the jars of {kind}"))?;
        }
        Ok(whole)
    }

    fn fetch(&self, kind: &str, whole: &Path) -> Result<()> {
        let part = tempfile::Builder::new().prefix(".part-").tempdir_in(&self.folder)?;
        let pom = part.path().join("pom.xml");
        std::fs::write(&pom, POM)?;
        let jars = part.path().join("jars");
        let mut maven = limited(LIMIT, &find("mvn")?, ["-B", "-ntp", "-q", "--strict-checksums", "-f"]);
        // The registry is published as one archive with all that it needs.
        let goal = if kind == "registry" { "dependency:unpack-dependencies" } else { "dependency:copy-dependencies" };
        maven.arg(&pom).args([&format!("-P{kind}"), goal, "-DincludeScope=runtime"]);
        maven.arg(format!("-DoutputDirectory={}", jars.display()));
        run(&mut maven, None)?;
        std::fs::rename(&jars, whole).with_context(|| format!("cannot rename {}", jars.display()))
    }
}
