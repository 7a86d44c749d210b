//! Folders of cases in HDFS: put there and fetched back by WebHDFS, as the cluster's super user.

use crate::kafka::{Rig, USER};
use anyhow::{Context, Result};
use std::path::Path;

impl Rig {
    /// A new folder of the user that jobs run as; its path in HDFS.
    ///
    /// # Errors
    /// When HDFS does not answer.
    pub fn hdfs_folder(&self) -> Result<String> {
        let path = format!("/user/{USER}/{}", self.job());
        self.cluster.hdfs_make_folder(&path, USER)?;
        Ok(path)
    }

    /// A path as a pipeline names it.
    ///
    /// # Errors
    /// When the cluster has no HDFS.
    pub fn hdfs_url(&self, path: &str) -> Result<String> {
        Ok(format!("{}{path}", self.cluster.hdfs_url().context("the cluster has no HDFS")?))
    }

    /// The `[hdfs]` table of a pipeline.
    ///
    /// # Errors
    /// When a path is no text.
    pub fn hdfs_table(&self) -> Result<String> {
        let conf = self.cluster.hadoop_conf();
        Ok(format!("[hdfs]\nconf = '{}'\n", conf.to_str().context("a path that is no text")?))
    }

    /// Puts a file, or a folder with all in it.
    ///
    /// # Errors
    /// When it cannot be read, or HDFS does not take it.
    pub fn hdfs_put(&self, from: &Path, to: &str) -> Result<()> {
        if from.is_file() {
            return self.cluster.hdfs_write(to, &std::fs::read(from)?, USER);
        }
        self.cluster.hdfs_make_folder(to, USER)?;
        for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).context("a name that is no text")?;
            self.hdfs_put(&path, &format!("{to}/{name}"))?;
        }
        Ok(())
    }

    /// Fetches a folder with all in it; hidden files, too.
    ///
    /// # Errors
    /// When HDFS does not answer, or the disk does not take it.
    pub fn hdfs_get(&self, from: &str, to: &Path) -> Result<()> {
        std::fs::create_dir_all(to)?;
        for entry in self.cluster.hdfs_list(from)? {
            let (path, target) = (format!("{from}/{}", entry.name), to.join(&entry.name));
            match entry.folder {
                true => self.hdfs_get(&path, &target)?,
                false => std::fs::write(target, self.cluster.hdfs_read(&path)?)?,
            }
        }
        Ok(())
    }
}
