//! The process's environment, which is where MIT krb5 is told its files and its ticket cache.
//!
//! Changing it is sound only while no other thread can read it (C code reads it without any lock), so it is changed in one place, after
//! counting the threads.

use std::ffi::OsString;

/// How many threads this process has, from `/proc`; `None` where that cannot be told.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

/// Sets (or, for `None`, removes) variables of the environment; answers those that had another value before. Changes nothing and fails with the
/// number of threads if there are others than the caller's (0: it cannot be told).
pub(crate) fn set(variables: &[(&'static str, Option<OsString>)]) -> Result<Vec<(&'static str, OsString)>, usize> {
    match threads() {
        Some(1) => {}
        other => return Err(other.unwrap_or(0)),
    }
    let mut before = Vec::new();
    for (name, value) in variables {
        let old = std::env::var_os(name);
        if let Some(old) = old.filter(|old| Some(old) != value.as_ref()) {
            before.push((*name, old));
        }
        // SAFETY: this is the only thread of the process, as was counted above, and it makes none in between, so nothing reads or writes the
        // environment meanwhile.
        unsafe {
            match value {
                Some(value) => std::env::set_var(name, value),
                None => std::env::remove_var(name),
            }
        }
    }
    Ok(before)
}
