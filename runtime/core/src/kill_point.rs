//! Places at which a test can have the process killed, as if by `kill -9`: in debug builds only, and only where a test sets them.
//!
//! `FAILPOINTS="renamed=3*off->return"` kills the process when it comes to the point `renamed` for the fourth time. A release build knows
//! none of it.

/// Reads `FAILPOINTS`. Called once, before anything else.
pub fn arm() {
    #[cfg(debug_assertions)]
    if std::env::var_os("FAILPOINTS").is_some() {
        // Until the process ends.
        std::mem::forget(fail::FailScenario::setup());
    }
}

/// Kills the process if a test wants it killed here and now.
pub fn kill_point(name: &str) {
    if is_set(name) {
        std::process::abort();
    }
}

/// Whether a test has set this point.
#[cfg(debug_assertions)]
pub fn is_set(name: &str) -> bool {
    fail::fail_point!(name, |_| true);
    false
}

/// Whether a test has set this point; it cannot in this build.
#[cfg(not(debug_assertions))]
pub fn is_set(_name: &str) -> bool {
    false
}
