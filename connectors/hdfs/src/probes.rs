//! What `stygian doctor` tries of HDFS: that the name is known and a NameNode active, that it takes our login, that the folder is there or can
//! be made, and that a file can be written, read back, renamed and removed in it. Nothing of it is left.

use crate::client::Hdfs;
use crate::fault::Fault;
use crate::location::parent;
use bytes::Bytes;
use futures::FutureExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stygian_api::{ConnectorError, Probe};

/// What a probe file holds.
const TEXT: &[u8] = b"stygian doctor was here\n";

impl Hdfs {
    /// The steps for a folder that is written or read.
    pub fn probes(&self, folder: &str) -> Vec<Probe> {
        let steps: [(String, Step); 4] = [
            (format!("name `{}`", self.inner.name), |hdfs, _| hdfs.probe_name().boxed()),
            (format!("NameNode of `{}`", self.inner.name), |hdfs, _| hdfs.probe_name_node().boxed()),
            (format!("folder `{folder}`"), |hdfs, folder| hdfs.probe_folder(folder).boxed()),
            (format!("a file in `{folder}`"), |hdfs, folder| hdfs.probe_file(folder).boxed()),
        ];
        let probe = |(name, step): (String, Step)| {
            let (hdfs, folder) = (self.clone(), folder.to_owned());
            Probe::new(name, move || {
                let threads = hdfs.inner.threads.clone();
                threads.block_on(step(hdfs, folder))
            })
        };
        steps.into_iter().map(probe).collect()
    }

    async fn probe_name(self) -> Result<String, ConnectorError> {
        let asked = self.ask().await;
        let conf = self.inner.conf.shown();
        match asked.active() {
            Some(_) => Ok(format!("by {conf}: {}", asked.told().join("; "))),
            None => Err(asked.fault(Duration::from_secs(3)).of("reach", self.shown(""))),
        }
    }

    async fn probe_name_node(self) -> Result<String, ConnectorError> {
        self.status("/").await?;
        let who = self.inner.who.as_ref().map_or_else(|| "without a login".to_owned(), |who| format!("with the login of `{who}`"));
        Ok(format!("it answers, {who}"))
    }

    async fn probe_folder(self, folder: String) -> Result<String, ConnectorError> {
        let (found, owner) = self.nearest(&folder).await?;
        Ok(if found == folder { format!("it is there, of `{owner}`") } else { format!("it will be made in `{found}`, of `{owner}`") })
    }

    /// The folder, or the nearest above it that is there; and whose it is.
    async fn nearest(&self, folder: &str) -> Result<(String, String), ConnectorError> {
        let mut at = folder.to_owned();
        loop {
            match self.status(&at).await? {
                Some(status) if status.is_file => {
                    return Err(Fault::NoFolderButFile { text: at }.of("use the folder", self.shown(folder)));
                }
                Some(status) => return Ok((at, status.owner)),
                None if at == "/" => return Err(Fault::Missing { text: String::new() }.of("look at", self.shown("/"))),
                None => at = parent(&at).to_owned(),
            }
        }
    }

    async fn probe_file(self, folder: String) -> Result<String, ConnectorError> {
        let (found, _) = self.nearest(&folder).await?;
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = format!("{}/.stygian-doctor-{}-{nanos}", found.trim_end_matches('/'), std::process::id());
        let renamed = format!("{path}-renamed");
        let tried = self.try_file(&path, &renamed).await;
        // Whatever came of it.
        let removed = (self.remove(&path).await, self.remove(&renamed).await);
        let owner = tried?;
        if !(removed.0? | removed.1?) {
            return Err(Fault::Missing { text: "the file that was just written".to_owned() }.of("remove", self.shown(&renamed)));
        }
        Ok(format!("it was written, as `{owner}`, read back, renamed and removed"))
    }

    async fn try_file(&self, path: &str, renamed: &str) -> Result<String, ConnectorError> {
        let mut file = self.create(path).await?;
        file.write(Bytes::from_static(TEXT)).await?;
        file.finish().await?;
        let read = self.read(path, 0..u64::MAX).await?;
        if read != TEXT {
            let text = format!("{} bytes were written, and {} others read", TEXT.len(), read.len());
            return Err(Fault::Data { text }.of("read back", self.shown(path)));
        }
        self.rename_new(path, renamed).await?;
        let found = self.status(renamed).await?;
        Ok(found.map(|status| status.owner).unwrap_or_default())
    }
}

type Step = fn(Hdfs, String) -> futures::future::BoxFuture<'static, Result<String, ConnectorError>>;
