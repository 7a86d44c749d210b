//! Plugins good and hostile against one sandbox: each is a small component of its own, made from WAT when the test runs.

// Helpers of tests say what they expect by failing, and make values of random bits.
#![allow(clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]

mod calls;
mod captures;
mod columns;
mod compiling;
mod guests;
mod host;
mod hostile;
mod loading;
