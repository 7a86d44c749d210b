//! Lines for people: `log::warn!("odd amount {amount}")`. The host limits their length and number a call.
//!
//! Inside the sandbox a line goes to the host, natively to [`capture`], or nowhere.

use crate::contract::Level;
use std::cell::RefCell;

pub use crate::{__log_debug as debug, __log_error as error, __log_info as info, __log_warn as warn};

thread_local! {
    static CAPTURED: RefCell<Option<Vec<(Level, String)>>> = const { RefCell::new(None) };
}

/// Writes a line. The macros `debug!`, `info!`, `warn!` and `error!` of this module format one.
pub fn write(level: Level, message: &str) {
    if cfg!(target_arch = "wasm32") {
        crate::bindings::stygian::plugin::log::write(level, message);
    } else {
        CAPTURED.with_borrow_mut(|captured| captured.iter_mut().for_each(|lines| lines.push((level, message.to_owned()))));
    }
}

/// Runs `work` natively and returns the lines it wrote on this thread.
pub fn capture<T>(work: impl FnOnce() -> T) -> (T, Vec<(Level, String)>) {
    let outer = CAPTURED.replace(Some(Vec::new()));
    let result = work();
    (result, CAPTURED.replace(outer).unwrap_or_default())
}

/// `log::debug!`
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($message:tt)+) => { $crate::log::write($crate::contract::Level::Debug, &::std::format!($($message)+)) };
}

/// `log::info!`
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($message:tt)+) => { $crate::log::write($crate::contract::Level::Info, &::std::format!($($message)+)) };
}

/// `log::warn!`
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($message:tt)+) => { $crate::log::write($crate::contract::Level::Warn, &::std::format!($($message)+)) };
}

/// `log::error!`
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($message:tt)+) => { $crate::log::write($crate::contract::Level::Error, &::std::format!($($message)+)) };
}
