//! The client: what is asked of HDFS, and what is changed there.

use crate::conf::Conf;
use crate::entry::{Entry, FileStatus, entry, file_status};
use crate::fault::Fault;
use crate::location::{Location, normal};
use crate::name_nodes::{Asked, ask, client};
use crate::options::HdfsOptions;
use crate::recognise::{fault, fault_of_data, is_missing};
use crate::store;
use crate::task::{Failed, repeat, threads};
use crate::writer::Writer;
use bytes::Bytes;
use hdfs_native::{Client, HdfsError};
use object_store::ObjectStore;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stygian_api::{ConnectorError, HdfsContext};
use tokio::runtime::Handle;

/// What new folders may be used for by others: read.
const FOLDER_MODE: u32 = 0o755;

/// A client of one HDFS, cheap to clone; nothing is asked of HDFS before the first call.
///
/// Paths are absolute, without the name: [`Location`] takes one apart. Every call ends within `call_timeout`, with all that is tried in it; to look
/// at what came of one that was lost may take as long again, and to ask why not some seconds. To be used within any tokio runtime that has a
/// clock.
#[derive(Clone, Debug)]
pub struct Hdfs {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) conf: Conf,
    /// The name service or `host:port`.
    pub(crate) name: String,
    /// Who we are, where there is Kerberos.
    pub(crate) who: Option<String>,
    pub(crate) limit: Duration,
    pub(crate) threads: Handle,
}

impl Hdfs {
    /// A client by these options; `name` is that of a [`Location`], and is put before the options'; `principal` is that of this process. Reads the
    /// configuration and asks HDFS nothing.
    ///
    /// # Errors
    /// When there is no configuration, it knows no such name, or it does not fit the pipeline's `[kerberos]`.
    pub fn open(options: &HdfsOptions, name: Option<&str>, principal: Option<&str>) -> Result<Self, ConnectorError> {
        let shown = name.or(options.name_node.as_deref()).unwrap_or("HDFS").to_owned();
        Self::opened(options, name, principal).map_err(|fault| fault.of("open", shown))
    }

    /// The client of what a path `hdfs://...` names, by what a pipeline says, and the path there.
    ///
    /// # Errors
    /// As [`Hdfs::open`], and when it is no such path.
    pub fn of(path: &str, context: &HdfsContext, principal: Option<&str>) -> Result<(Self, String), ConnectorError> {
        let location = Location::parse(path).map_err(|fault| fault.of("use", path))?;
        let hdfs = Self::open(&context.into(), location.name.as_deref(), principal)?;
        Ok((hdfs, location.path))
    }

    fn opened(options: &HdfsOptions, name: Option<&str>, principal: Option<&str>) -> Result<Self, Fault> {
        let conf = Conf::find(options.hadoop_conf.as_deref())?;
        let name = match (name, &options.name_node) {
            (Some(name), _) => name.to_owned(),
            (None, Some(url)) => Location::parse_name(url)?,
            (None, None) => default_name(&conf)?,
        };
        match principal {
            Some(principal) if !conf.is_kerberos() => {
                let (conf, found) = (conf.shown(), conf.authentication().to_owned());
                return Err(Fault::NotKerberos { conf, found, principal: principal.to_owned() });
            }
            None if conf.is_kerberos() => return Err(Fault::NoKerberos { conf: conf.shown() }),
            _ => {}
        }
        let addresses = conf.name_nodes(&name);
        let Some(first) = addresses.first() else {
            return Err(Fault::UnknownName { name, conf: conf.shown(), known_names: conf.name_services() });
        };
        let threads = threads().map_err(|text| Fault::Other { text })?;
        // Of the names only those of several NameNodes are known to the library.
        let known = if addresses.len() > 1 { &name } else { first };
        let client = client(&conf, known, &threads, false).map_err(|error| fault(&error, "/", &conf))?;
        let (who, limit) = (principal.map(str::to_owned), options.call_timeout.0);
        Ok(Self { inner: Arc::new(Inner { client, conf, name, who, limit, threads }) })
    }

    /// Waits for an answer, on a thread that may. It goes on whatever becomes of the caller's runtime.
    pub fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.inner.threads.block_on(answer)
    }

    /// How a path is called in messages: `hdfs://ns/a`.
    pub fn url(&self, path: &str) -> String {
        format!("hdfs://{}{path}", self.inner.name)
    }

    /// What is at a path; `None`: nothing.
    ///
    /// # Errors
    /// When it cannot be told.
    pub async fn status(&self, path: &str) -> Result<Option<FileStatus>, ConnectorError> {
        let path = self.path("look at", path)?;
        match self.looked(&path, self.until()).await {
            Ok(found) => Ok(found),
            Err(failed) => Err(self.error("look at", &path, failed).await),
        }
    }

    /// What is there, with what went wrong if that cannot be told.
    pub(crate) async fn looked(&self, path: &str, until: Instant) -> Result<Option<FileStatus>, Failed> {
        match self.repeat(until, path, |client, path| async move { client.get_file_info(&path).await }).await {
            Ok(status) => Ok(Some(file_status(&status))),
            Err(Failed::Library(error)) if is_missing(&error) => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// What is in a folder, by name; `None`: there is no such folder.
    ///
    /// # Errors
    /// When it is a file, or cannot be told.
    pub async fn list(&self, folder: &str) -> Result<Option<Vec<Entry>>, ConnectorError> {
        let folder = self.path("list", folder)?;
        let listed = self.repeat(self.until(), &folder, |client, path| async move { client.list_status(&path, false).await }).await;
        match listed {
            Err(Failed::Library(error)) if is_missing(&error) => Ok(None),
            Err(failed) => Err(self.error("list", &folder, failed).await),
            // A file is listed as itself.
            Ok(all) if all.iter().any(|status| status.path == folder) => {
                Err(Fault::NoFolderButFile { text: String::new() }.of("list", self.shown(&folder)))
            }
            Ok(all) => {
                let mut entries: Vec<Entry> = all.iter().map(entry).collect();
                entries.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(Some(entries))
            }
        }
    }

    /// Makes a folder and those above it; one that is there is left as it is.
    ///
    /// # Errors
    /// When a file is in the way, or it is not allowed.
    pub async fn make_folders(&self, folder: &str) -> Result<(), ConnectorError> {
        self.make_folders_as(folder, FOLDER_MODE).await
    }

    /// The same, with what others may do in those that are new.
    pub(crate) async fn make_folders_as(&self, folder: &str, mode: u32) -> Result<(), ConnectorError> {
        let folder = self.path("make the folder", folder)?;
        let made = self.repeat(self.until(), &folder, |client, path| async move { client.mkdirs(&path, mode, true).await }).await;
        match made {
            Ok(()) => Ok(()),
            Err(Failed::Library(HdfsError::AlreadyExists(text))) => {
                Err(Fault::NoFolderButFile { text: crate::recognise::words(&text) }.of("make the folder", self.shown(&folder)))
            }
            Err(failed) => Err(self.error("make the folder", &folder, failed).await),
        }
    }

    /// The bytes of a part of a file; fewer where it ends before.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, ConnectorError> {
        let path = self.path("read", path)?;
        let (start, end) = (usize::try_from(range.start).unwrap_or(usize::MAX), usize::try_from(range.end).unwrap_or(usize::MAX));
        let read = |client: Client, path: String| async move {
            let file = client.read(&path).await?;
            let end = end.min(file.file_length());
            // Outside of the file the library panics.
            if start >= end { Ok(Bytes::new()) } else { file.read_range(start, end - start).await }
        };
        match self.repeat(self.until(), &path, read).await {
            Ok(bytes) => Ok(bytes),
            Err(failed) => Err(self.error_of_data("read", &path, failed).await),
        }
    }

    /// Begins a new file, in a folder that is there. It is exclusive: of several who make it one does. Until [`Writer::finish`] it is there, but
    /// not safe.
    ///
    /// # Errors
    /// When something is there, the folder is not, or it is not allowed; and when it is not known whether it was made, which may pass under
    /// another name.
    pub async fn create(&self, path: &str) -> Result<Writer, ConnectorError> {
        let path = self.path("create", path)?;
        self.created(path).await
    }

    /// Renames a file or a folder, never over anything that is there.
    ///
    /// # Errors
    /// When something is there, `from` or the folder of `to` is not, or it is not allowed; and when it is not known whether it was done.
    pub async fn rename_new(&self, from: &str, to: &str) -> Result<(), ConnectorError> {
        let (from, to) = (self.path("rename", from)?, self.path("rename", to)?);
        self.renamed(&from, &to, false).await
    }

    /// Removes a file or an empty folder; whether there was one (after a failover in the middle: as if there was, if it is gone).
    ///
    /// # Errors
    /// When a folder is not empty, or it is not allowed.
    pub async fn remove(&self, path: &str) -> Result<bool, ConnectorError> {
        let path = self.path("remove", path)?;
        self.removed(&path).await
    }

    /// What is below a path, as a store of objects, whose calls end within the same time; of a stream, each piece. Folders come with the
    /// objects in them, and stay.
    ///
    /// # Errors
    /// When the path is none.
    pub fn object_store(&self, root: &str) -> Result<Arc<dyn ObjectStore>, ConnectorError> {
        let root = self.path("open", root)?;
        store::rooted(self, &root)
    }

    /// When a call that begins now has to end.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.inner.limit
    }

    /// The path as it is used.
    fn path(&self, doing: &'static str, path: &str) -> Result<String, ConnectorError> {
        let bad = |reason| Fault::BadPlace { text: stygian_core::escape(path, 200), reason };
        if !path.starts_with('/') {
            return Err(bad("the path does not begin with `/`").of(doing, self.url("")));
        }
        normal(path).map_err(|reason| bad(reason).of(doing, self.url("")))
    }

    /// Runs a call on a path that changes nothing, or changes nothing if it is made twice.
    pub(crate) async fn repeat<T: Send + 'static, F: Future<Output = Result<T, HdfsError>> + Send + 'static>(
        &self,
        until: Instant,
        path: &str,
        call: impl Fn(Client, String) -> F,
    ) -> Result<T, Failed> {
        repeat(&self.inner.threads, until, || call(self.inner.client.clone(), path.to_owned())).await
    }

    /// What a path is called in errors: with who we are.
    pub(crate) fn shown(&self, path: &str) -> String {
        format!("{}{}", self.url(path), self.as_who())
    }

    /// Who we are, behind what was tried.
    pub(crate) fn as_who(&self) -> String {
        self.inner.who.as_ref().map(|who| format!(" as `{who}`")).unwrap_or_default()
    }

    /// The error of a call on a path.
    pub(crate) async fn error(&self, doing: &'static str, path: &str, failed: Failed) -> ConnectorError {
        self.fault(path, failed).await.of(doing, self.shown(path))
    }

    /// The error of a call that moves data.
    pub(crate) async fn error_of_data(&self, doing: &'static str, path: &str, failed: Failed) -> ConnectorError {
        match failed {
            Failed::Library(error) => fault_of_data(&error, path, &self.inner.conf).of(doing, self.shown(path)),
            failed => self.error(doing, path, failed).await,
        }
    }

    /// Why a call did not go well; the NameNodes are asked where it does not tell that itself.
    pub(crate) async fn fault(&self, path: &str, failed: Failed) -> Fault {
        match failed {
            Failed::Library(error) => fault(&error, path, &self.inner.conf),
            Failed::Panicked(text) => Fault::Panicked { text },
            Failed::Late(last) => match last.map(|error| fault(&error, path, &self.inner.conf)) {
                Some(fault @ Fault::SafeMode { .. }) => fault,
                _ => self.ask().await.fault(self.inner.limit),
            },
        }
    }

    /// Asks each NameNode for itself.
    pub(crate) async fn ask(&self) -> Asked {
        // In a box, as every call has room for it and few need it.
        Box::pin(ask(&self.inner.conf, &self.inner.name, &self.inner.threads)).await
    }
}

fn default_name(conf: &Conf) -> Result<String, Fault> {
    let found = conf.get("fs.defaultFS");
    let none = || Fault::NoName { conf: conf.shown(), found: found.map(str::to_owned) };
    found.and_then(|url| Location::parse(url).ok()).and_then(|place| place.name).ok_or_else(none)
}
