//! HDFS as a store of objects: hdfs-native-object-store below a path, each call with a time limit and with our errors.
//!
//! What is put is our own: written under another name in the same folder, made safe, and renamed; so its end is as certain as that of a file
//! (`writer`, `outcome`). What is whole in memory is written again, under a new name, if that fails in a way that may pass. What a failed put
//! leaves is a file `.NAME.tmp.*`, which lists show: whoever cleans the folder removes it.

use crate::client::Hdfs;
use crate::fault::Fault;
use crate::recognise::fault;
use crate::task::{Tries, run};
use crate::upload::{Upload, write};
use crate::writer::Writer;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use hdfs_native::HdfsError;
use hdfs_native_object_store::HdfsObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use stygian_api::{ConnectorError, with_causes};

/// What errors say that they come from.
const STORE: &str = "HDFS";
/// What is put into a store is for nobody else: folders that it makes are their owner's alone.
const PRIVATE: u32 = 0o700;
/// Removals at once.
const AHEAD: usize = 2;
/// Pieces of a stream, such as packets of a DataNode of 64 KiB, that are taken in one call.
const TOGETHER: usize = 64;

/// The store below a path.
pub(crate) fn rooted(hdfs: &Hdfs, root: &str) -> std::result::Result<Arc<dyn ObjectStore>, ConnectorError> {
    let bad = |_| Fault::BadPlace { text: root.to_owned(), reason: "a store of objects has no such names" };
    // Not `from`, which would escape what HDFS takes as it is.
    let prefix = Path::parse(root).map_err(|error| bad(error).of("open", hdfs.shown(root)))?;
    let inner = Arc::new(PrefixStore::new(HdfsObjectStore::new(hdfs.inner.client.clone()), prefix));
    Ok(Arc::new(Store { hdfs: hdfs.clone(), root: root.to_owned(), inner, puts: AtomicU64::new(0) }))
}

#[derive(Debug)]
struct Store {
    hdfs: Hdfs,
    root: String,
    inner: Arc<PrefixStore<HdfsObjectStore>>,
    puts: AtomicU64,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hdfs.url(&self.root))
    }
}

impl Store {
    fn path(&self, location: &Path) -> String {
        format!("{}/{location}", self.root.trim_end_matches('/'))
    }

    /// Runs a call with a time limit, and gives its error as ours.
    async fn call<T: Send + 'static>(
        &self,
        doing: &'static str,
        location: &Path,
        call: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let called = run(&self.hdfs.inner.threads, self.hdfs.until(), async move { Ok(call.await) }).await;
        match called {
            Ok(result) => result.map_err(|error| ours(&self.hdfs, doing, &self.path(location), error)),
            Err(failed) => Err(generic(self.hdfs.error(doing, &self.path(location), failed).await)),
        }
    }

    /// A name in the same folder that nobody else has.
    fn other_name(&self, path: &str) -> String {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        format!("{folder}/.{name}.tmp.{}-{nanos}-{}", std::process::id(), self.puts.fetch_add(1, Ordering::Relaxed))
    }

    /// A new file under another name.
    async fn begin(&self, path: &str) -> std::result::Result<Writer, ConnectorError> {
        self.hdfs.make_folders_as(crate::location::parent(path), PRIVATE).await?;
        self.hdfs.create(&self.other_name(path)).await
    }

    async fn put(&self, path: &str, payload: &PutPayload, over: bool) -> std::result::Result<(), ConnectorError> {
        self.hdfs.make_folders_as(crate::location::parent(path), PRIVATE).await?;
        let mut tries = Tries::new(self.hdfs.until());
        let other = loop {
            let other = self.other_name(path);
            let Err(error) = self.write_as(&other, payload.clone()).await else { break other };
            if !error.may_pass() || !tries.another().await {
                return Err(error);
            }
            tracing::warn!("{}, which is tried again under another name", with_causes(&error));
            if let Err(error) = self.hdfs.remove(&other).await {
                tracing::debug!(%error, "what was begun is left");
            }
        };
        self.hdfs.renamed(&other, path, over).await
    }

    async fn write_as(&self, other: &str, payload: PutPayload) -> std::result::Result<(), ConnectorError> {
        let mut file = self.hdfs.create(other).await?;
        write(&mut file, payload).await?;
        file.finish().await.map(drop)
    }

    /// A stream whose pieces come several in one call with a time limit, and whose panics end it with an error.
    fn limited<T: Send + 'static>(
        &self,
        doing: &'static str,
        path: String,
        stream: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let hdfs = self.hdfs.clone();
        let named = path.clone();
        let pieces = futures::stream::unfold(Some(stream), move |stream| {
            let (hdfs, path) = (hdfs.clone(), path.clone());
            async move {
                let mut stream = stream?;
                let enough = Instant::now() + hdfs.inner.limit / 4;
                let next = run(&hdfs.inner.threads, hdfs.until(), async move {
                    let mut pieces = Vec::new();
                    while let Some(piece) = stream.next().await {
                        let is_enough = piece.is_err() || pieces.len() + 1 == TOGETHER || Instant::now() >= enough;
                        pieces.push(piece);
                        if is_enough {
                            return Ok((pieces, Some(stream)));
                        }
                    }
                    Ok((pieces, None))
                });
                match next.await {
                    Ok((pieces, left)) => Some((pieces, left)),
                    Err(failed) => Some((vec![Err(generic(hdfs.error(doing, &path, failed).await))], None)),
                }
            }
        });
        let (hdfs, path) = (self.hdfs.clone(), named);
        pieces.flat_map(futures::stream::iter).map(move |piece| piece.map_err(|error| ours(&hdfs, doing, &path, error))).boxed()
    }
}

#[async_trait]
impl ObjectStore for Store {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let over = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => return Err(Error::NotImplemented { operation: "put if unchanged".into(), implementer: STORE.into() }),
        };
        let path = self.path(location);
        let exists = |hdfs: &Hdfs| {
            let source = Box::new(Fault::Exists { path: path.clone() }.of("create", hdfs.shown(&path)));
            Error::AlreadyExists { path: location.to_string(), source }
        };
        if !over && self.hdfs.status(&path).await.map_err(generic)?.is_some() {
            return Err(exists(&self.hdfs));
        }
        match self.put(&path, &payload, over).await {
            Ok(()) => Ok(PutResult { e_tag: None, version: None, extensions: Default::default() }),
            // Another was quicker.
            Err(error) if !over && !error.may_pass() && self.hdfs.status(&path).await.is_ok_and(|found| found.is_some()) => {
                tracing::debug!(%error, "another made it first");
                Err(exists(&self.hdfs))
            }
            Err(error) => Err(generic(error)),
        }
    }

    /// HDFS knows none of the options.
    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let path = self.path(location);
        let file = self.begin(&path).await.map_err(generic)?;
        Ok(Box::new(Upload::of(self.hdfs.clone(), file, path)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (inner, at) = (self.inner.clone(), location.clone());
        let mut found = self.call("read", location, async move { inner.get_opts(&at, options).await }).await?;
        found.payload = match found.payload {
            GetResultPayload::Stream(stream) => GetResultPayload::Stream(self.limited("read", self.path(location), stream)),
            other => other,
        };
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (hdfs, root) = (self.hdfs.clone(), self.root.clone());
        let one = move |location: Result<Path>| {
            let (hdfs, root) = (hdfs.clone(), root.clone());
            async move {
                let location = location?;
                hdfs.remove(&format!("{}/{location}", root.trim_end_matches('/'))).await.map_err(generic)?;
                Ok(location)
            }
        };
        locations.map(one).buffered(AHEAD).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let path = prefix.map_or_else(|| self.root.clone(), |prefix| self.path(prefix));
        self.limited("list", path, self.inner.list(prefix))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let (inner, at) = (self.inner.clone(), prefix.cloned());
        let location = prefix.cloned().unwrap_or_default();
        self.call("list", &location, async move { inner.list_with_delimiter(at.as_ref()).await }).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (inner, old, new) = (self.inner.clone(), from.clone(), to.clone());
        self.call("copy", from, async move { inner.copy_opts(&old, &new, options).await }).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let over = matches!(options.target_mode, RenameTargetMode::Overwrite);
        let (old, new) = (self.path(from), self.path(to));
        self.hdfs.make_folders_as(crate::location::parent(&new), PRIVATE).await.map_err(generic)?;
        self.hdfs.renamed(&old, &new, over).await.map_err(generic)
    }
}

/// An error of the library's store with its cause named.
fn ours(hdfs: &Hdfs, doing: &'static str, path: &str, error: Error) -> Error {
    match error {
        Error::Generic { source, .. } => match source.downcast::<HdfsError>() {
            Ok(error) => generic(fault(&error, path, &hdfs.inner.conf).of(doing, hdfs.shown(path))),
            Err(source) => Error::Generic { store: STORE, source },
        },
        other => other,
    }
}

pub(crate) fn generic(error: ConnectorError) -> Error {
    Error::Generic { store: STORE, source: Box::new(error) }
}
