//! Files read and written as a job does it.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect by failing")]

mod common;
mod compacted;
mod compressed;
mod followed;
mod limits;
mod options;
mod read_again;
mod reading;
mod recovery;
mod restarted;
mod writing;
