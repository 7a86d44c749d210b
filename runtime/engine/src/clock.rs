//! Processing time: the clock that a job's tasks look at, behind a trait so that tests own it.
//!
//! Everything that is told or asked is in microseconds since 1970-01-01T00:00:00Z. Only what users see of processing time goes by this
//! clock (timers, processing-time windows, early results); how long rows wait in an exchange goes by the machine's own.

use async_trait::async_trait;
use std::fmt;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// What the time is, and when it will be later.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time. It may step back; whoever needs it to ascend keeps the largest it has seen.
    fn now(&self) -> i64;

    /// Returns when [`Clock::now`] is `at` or later. Dropping the future loses nothing.
    async fn reached(&self, at: i64);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The longest sleep before the clock is looked at again: it may have been set forward meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

#[async_trait]
impl Clock for SystemClock {
    /// 0 on a clock that is set to before 1970.
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    async fn reached(&self, at: i64) {
        loop {
            let left = u64::try_from(at.saturating_sub(self.now())).unwrap_or(0);
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_micros(left).min(LOOK_AGAIN)).await;
        }
    }
}

/// A clock that stands still until it is told to go on. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(watch::Sender<i64>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: i64) -> Self {
        Self(watch::Sender::new(now))
    }

    /// Moves it to `now` and wakes who waited for that.
    pub fn set(&self, now: i64) {
        self.0.send_replace(now);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> i64 {
        *self.0.borrow()
    }

    async fn reached(&self, at: i64) {
        // Fails only if all senders were gone, and one is `self`.
        let _ = self.0.subscribe().wait_for(|now| *now >= at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_clock_comes_to_a_later_time() {
        let at = SystemClock.now() + 2_000;
        SystemClock.reached(at).await;
        assert!(SystemClock.now() >= at);
        SystemClock.reached(0).await;
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_who_waits_for_it() {
        let clock = ManualClock::new(5);
        clock.reached(5).await;
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.reached(7).await }
        });
        clock.set(6);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.set(8);
        waiting.await.expect("woken");
        assert_eq!(clock.now(), 8);
    }
}
