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
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// Lets others go first, once.
pub(crate) fn step() -> impl Future<Output = ()> + Send {
    Step(false)
}

struct Step(bool);

impl Future for Step {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[derive(Debug)]
pub(crate) struct SteppedStore {
    inner: Arc<InMemory>,
    /// The state of a generator of faults; 0: none.
    faults: AtomicU64,
    /// What the next writes of manifests meet.
    next: Mutex<Vec<Fault>>,
    /// What was to be written and is not yet.
    late: Mutex<Vec<(Path, PutPayload, PutOptions)>>,
}

/// What a write of a manifest meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// It did not happen.
    Before,
    /// It happened, but that is not told.
    After,
    /// It will happen, later.
    Late,
}

impl SteppedStore {
    pub(crate) fn new(faults: u64) -> Self {
        Self { inner: Arc::new(InMemory::new()), faults: AtomicU64::new(faults), next: Mutex::default(), late: Mutex::default() }
    }

    /// The store without steps, for looking at it.
    pub(crate) fn inner(&self) -> &InMemory {
        &self.inner
    }

    pub(crate) fn stop_faults(&self) {
        self.faults.store(0, Ordering::Relaxed);
    }

    /// What the next write of a manifest meets.
    pub(crate) fn meet(&self, fault: Fault) {
        self.next.lock().expect("not poisoned").push(fault);
    }

    /// What was late comes now, if it still can.
    pub(crate) async fn arrive(&self) {
        let late = std::mem::take(&mut *self.late.lock().expect("not poisoned"));
        for (path, payload, options) in late {
            let _ = self.inner.put_opts(&path, payload, options).await;
        }
    }

    /// Three manifests in eight meet one.
    fn fault(&self, path: &Path) -> Fault {
        if !path.as_ref().starts_with("checkpoints/") {
            return Fault::None;
        }
        self.next.lock().expect("not poisoned").pop().unwrap_or_else(|| self.random())
    }

    fn random(&self) -> Fault {
        let state = self.faults.load(Ordering::Relaxed);
        if state == 0 {
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
            2 => Fault::Late,
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
        if self.faults.load(Ordering::Relaxed) % 3 == 1 {
            self.arrive().await;
        }
        let fault = self.fault(path);
        match fault {
            Fault::None | Fault::After => {}
            Fault::Before => return Err(no_answer()),
            Fault::Late => {
                self.late.lock().expect("not poisoned").push((path.clone(), payload, options));
                return Err(no_answer());
            }
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
