//! One call of the library, on threads of its own and with an end.
//!
//! A login blocks its thread for as long as a KDC is silent, so calls must not be on threads that others need, nor on that of the clock
//! that ends them. The threads are of the process and not of a client: the library shares connections to DataNodes between all clients.

use crate::recognise::{Meaning, meaning};
use hdfs_native::HdfsError;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Threads that talk to HDFS: one may be held by a login.
const THREADS: usize = 2;
/// Between tries of a call, doubled each time up to the longest.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();

/// The threads for HDFS; started at the first use, which has to be after Kerberos was prepared.
pub(crate) fn threads() -> Result<Handle, String> {
    let start = || Builder::new_multi_thread().worker_threads(THREADS).thread_name("hdfs").enable_all().build();
    let runtime = RUNTIME.get_or_init(|| start().map_err(|error| error.to_string()));
    runtime.as_ref().map(|runtime| runtime.handle().clone()).map_err(Clone::clone)
}

/// How a call did not go well.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The library gave an error.
    Library(HdfsError),
    /// The library panicked.
    Panicked(String),
    /// The time was over; the last error of a try before, if there was one.
    Late(Option<HdfsError>),
}

impl Failed {
    /// What it says of the call.
    pub(crate) fn meaning(&self) -> Meaning {
        match self {
            Self::Library(error) => meaning(error),
            Self::Panicked(_) | Self::Late(_) => Meaning::Open,
        }
    }
}

/// A task that ends with this.
struct Ending<T>(JoinHandle<T>);

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a call of the library until then. It is aborted at the end of its time, and if nobody waits for it any more.
pub(crate) async fn run<T: Send + 'static>(
    threads: &Handle,
    until: Instant,
    call: impl Future<Output = Result<T, HdfsError>> + Send + 'static,
) -> Result<T, Failed> {
    let mut task = Ending(threads.spawn(call));
    match tokio::time::timeout_at(until.into(), &mut task.0).await {
        Ok(Ok(done)) => done.map_err(Failed::Library),
        Ok(Err(ended)) => Err(Failed::Panicked(panic_text(ended))),
        Err(_) => Err(Failed::Late(None)),
    }
}

/// Runs a call that changes nothing, again while it ends as in a failover.
pub(crate) async fn repeat<T: Send + 'static, F: Future<Output = Result<T, HdfsError>> + Send + 'static>(
    threads: &Handle,
    until: Instant,
    call: impl Fn() -> F,
) -> Result<T, Failed> {
    let (mut tries, mut last) = (Tries::new(until), None);
    loop {
        match run(threads, until, call()).await {
            Err(Failed::Library(error)) if meaning(&error) != Meaning::Answer => {
                if !tries.another().await {
                    return Err(Failed::Late(Some(error)));
                }
                last = Some(error);
            }
            Err(Failed::Late(None)) => return Err(Failed::Late(last)),
            other => return other,
        }
    }
}

/// Tries of a call, with pauses that grow.
pub(crate) struct Tries {
    until: Instant,
    pause: Duration,
}

impl Tries {
    pub(crate) fn new(until: Instant) -> Self {
        Self { until, pause: PAUSE }
    }

    /// Waits before another try; `false`: there is no time for one.
    pub(crate) async fn another(&mut self) -> bool {
        if Instant::now() + self.pause >= self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

fn panic_text(ended: tokio::task::JoinError) -> String {
    if !ended.is_panic() {
        return "its task was cancelled".to_owned();
    }
    let payload = ended.into_panic();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| payload.downcast_ref::<String>().cloned());
    crate::recognise::words(&text.unwrap_or_else(|| "with no words".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn contains_a_panic_and_ends_what_does_not_end() {
        let threads = threads().expect("threads");
        let within = |limit| Instant::now() + limit;
        // To print a panic with its stack takes its time.
        let panicked = run(&threads, within(Duration::from_secs(60)), async {
            if true { panic!("an answer\nthat is not understood") } else { Ok(()) }
        })
        .await;
        assert!(matches!(&panicked, Err(Failed::Panicked(text)) if text == "an answer"), "{panicked:?}");
        let (dropped, waits) = tokio::sync::oneshot::channel::<()>();
        let late = run(&threads, within(Duration::from_millis(100)), async move {
            let _dropped = dropped;
            std::future::pending::<Result<(), HdfsError>>().await
        });
        assert!(matches!(late.await, Err(Failed::Late(None))));
        assert!(waits.await.is_err(), "it was aborted");
    }

    #[tokio::test]
    async fn tries_again_what_was_lost_and_not_what_was_answered() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (threads, tries) = (threads().expect("threads"), Arc::new(AtomicUsize::new(0)));
        let until = Instant::now() + Duration::from_secs(10);
        let lost_once = || {
            let tries = tries.clone();
            async move {
                match tries.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(HdfsError::IOError(std::io::ErrorKind::ConnectionAborted.into())),
                    _ => Err::<(), _>(HdfsError::FileNotFound("x".into())),
                }
            }
        };
        assert!(matches!(repeat(&threads, until, lost_once).await, Err(Failed::Library(HdfsError::FileNotFound(_)))));
        assert_eq!(tries.load(Ordering::Relaxed), 2);
    }
}
