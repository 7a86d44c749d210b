//! What a guest hands over: offsets, bitmaps, bytes and counts of its choice become sound columns or an error, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(rows) = stygian_sandbox::fuzzing::check_output(bytes) {
        // What was let through must be sound for everything behind.
        rows.columns().iter().for_each(|column| column.to_data().validate_full().expect("a sound column"));
    }
});
