//! A job between guarded topics that never ends, while what it stands on is broken: is anything lost, doubled or wrong?
//!
//! [`secure()`] starts a cluster whose tickets live for 40 seconds, feeds a topic, runs a job on it ([`pipeline`]) and breaks the job, the
//! broker and the KDC as a seed says ([`faults`]). [`soak()`] does the same without breaking anything, and takes every word of the job
//! for a fault. What the job must have written is computed from what is in its source topic by code that shares nothing with the
//! engine, and both are read by kcat ([`oracle`]).
//!
//! The invariant: every wait has a limit, and says at its end what it waited for.

mod breaking;
mod faults;
mod feeder;
mod job;
mod ledger;
mod oracle;
mod pipeline;
mod scene;
mod secure;
mod soak;

pub use faults::{ALL, Fault, QUICK};
pub use ledger::Ledger;
pub use secure::{Outcome, secure};
pub use soak::{Soaked, soak};
