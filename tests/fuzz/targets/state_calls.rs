//! What a keyed guest calls: slots, keys, offsets, bitmaps, cursors and timers of its choice. Nothing panics, and what failed left no trace.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    stygian_sandbox::fuzzing_state::check_state(bytes);
});
