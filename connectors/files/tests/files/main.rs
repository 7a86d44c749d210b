//! Files read and written as a job does it.

mod common;
mod options;
mod reading;
mod writing;
