//! Time of guest calls: a ticker that raises the engine's epoch, and the check that each tick makes in a running call.
//!
//! CPU time is the thread's, so that a loaded machine does not fail good rows; the wall clock is only the last resort. Both count from a
//! call's first tick, so that the many calls shorter than a tick read no clock at all.

use crate::{Limits, Situation, TimeLimit};
use rustix::time::{ClockId, clock_gettime};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use stygian_core::Span;
use wasmtime::Engine;

/// How often calls are looked at.
const TICK: Duration = Duration::from_millis(10);

/// Raises an engine's epoch every [`TICK`] until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let engine = engine.clone();
        let tick = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        };
        let thread = std::thread::Builder::new().name("sandbox-ticker".into()).spawn(tick)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // The thread runs nothing that can panic.
            let _ = thread.join();
        }
    }
}

/// The time one call has taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallClock {
    first_tick: Option<(Duration, Instant)>,
}

impl CallClock {
    /// Looks at the time; an error when the call has had enough.
    pub(crate) fn tick(&mut self, limits: &Limits) -> Result<(), Situation> {
        let now = (thread_cpu(), Instant::now());
        let (cpu, wall) = *self.first_tick.get_or_insert(now);
        let (cpu, wall) = (now.0.saturating_sub(cpu), now.1.saturating_duration_since(wall));
        let limit = if cpu >= limits.call_cpu.0 {
            TimeLimit::Cpu(limits.call_cpu)
        } else if wall >= limits.call_wall.0 {
            TimeLimit::Wall(limits.call_wall)
        } else {
            return Ok(());
        };
        Err(Situation::Timeout { cpu: whole_millis(cpu), wall: whole_millis(wall), limit })
    }
}

/// The CPU time that this thread has taken.
pub fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// For messages: without the digits that nobody reads.
fn whole_millis(time: Duration) -> Span {
    Span::millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
