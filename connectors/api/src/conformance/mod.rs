//! What every connector and format must do, as functions that a crate's tests call with its own sources, sinks and codecs.
//!
//! Each function returns what it found wrong, so that tests can `expect` it. The `async` ones run on whatever drives them. The rows to
//! read and write are the caller's; [`all_types`] makes some of every column type.

mod formats;
mod read_run;
mod recovery;
mod resuming;
mod rows;
mod samples;
mod sinks;
mod sources;

pub use formats::{bad_rows_are_found, round_trip};
pub use read_run::{ReadCheckpoint, ReadRun};
pub use recovery::{Damage, Outside, clean, sink_has_nothing_to_recover, sink_recovers};
pub use resuming::{ResumeCase, source_resumes};
pub use rows::{RowTexts, joined, row_texts};
pub use samples::{AllTypes, all_types};
pub use sinks::{SinkCase, sink_keeps_its_word};
pub use sources::{SourceCase, read_all, source_keeps_its_word};

/// What was found wrong.
pub type Finding = String;

/// `Ok` if `expected` holds.
fn check(expected: bool, finding: impl FnOnce() -> Finding) -> Result<(), Finding> {
    if expected { Ok(()) } else { Err(finding()) }
}
