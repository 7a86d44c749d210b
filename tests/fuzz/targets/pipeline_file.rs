//! A pipeline file of anybody's making: it is a pipeline or has problems that can be shown, never a panic.
#![no_main]

use stygian_pipeline::{Pipeline, render};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(problems) = Pipeline::parse(text) {
        assert!(!render(&problems, text, "fuzzed.toml", true).is_empty());
    }
});
