//! A store in memory whose every operation is a step before and a step after it, so that a test says what happens between any two; and that
//! can answer with an error, with or without having done what it was asked to.

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Lets others go first, once.
pub(crate) fn step() -> impl Future<Output = ()> + Send {
    Step(false)
}

struct Step(bool);

impl Future for Step {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[derive(Debug)]
pub(crate) struct SteppedStore {
    inner: Arc<InMemory>,
    /// The state of a generator of faults; 0: none.
    faults: AtomicU64,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// It did not happen.
    Before,
    /// It happened, but that is not told.
    After,
}

impl SteppedStore {
    pub(crate) fn new(faults: u64) -> Self {
        Self { inner: Arc::new(InMemory::new()), faults: AtomicU64::new(faults) }
    }

    /// The store without steps, for looking at it.
    pub(crate) fn inner(&self) -> &InMemory {
        &self.inner
    }

    pub(crate) fn stop_faults(&self) {
        self.faults.store(0, Ordering::Relaxed);
    }

    /// One manifest in four meets one.
    fn fault(&self, path: &Path) -> Fault {
        let state = self.faults.load(Ordering::Relaxed);
        if state == 0 || !path.as_ref().starts_with("checkpoints/") {
            return Fault::None;
        }
        // xorshift64
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        let state = state ^ (state << 17);
        self.faults.store(state, Ordering::Relaxed);
        match state % 8 {
            0 => Fault::Before,
            1 => Fault::After,
            _ => Fault::None,
        }
    }
}

fn no_answer() -> Error {
    Error::Generic { store: "stepped", source: "no answer".into() }
}

impl fmt::Display for SteppedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stepped")
    }
}

#[async_trait]
impl ObjectStore for SteppedStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        step().await;
        let fault = self.fault(path);
        if fault == Fault::Before {
            return Err(no_answer());
        }
        let done = self.inner.put_opts(path, payload, options).await;
        step().await;
        if fault == Fault::After { Err(no_answer()) } else { done }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        step().await;
        let got = self.inner.get_opts(path, options).await;
        step().await;
        got
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let inner = Arc::clone(&self.inner);
        let one_by_one = paths.then(move |path| {
            let inner = Arc::clone(&inner);
            async move {
                step().await;
                let path = path?;
                object_store::ObjectStoreExt::delete(&*inner, &path).await?;
                step().await;
                Ok(path)
            }
        });
        one_by_one.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, prefix) = (Arc::clone(&self.inner), prefix.cloned());
        let listed = async move {
            step().await;
            let listed: Vec<_> = inner.list(prefix.as_ref()).collect().await;
            step().await;
            futures::stream::iter(listed)
        };
        futures::stream::once(listed).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
