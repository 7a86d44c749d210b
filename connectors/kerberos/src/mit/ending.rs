//! The end of the process.

use std::ffi::c_int;
use std::io::Write;

unsafe extern "C" {
    // POSIX: ends the process at once; nothing registered by `atexit` and no destructor of a library runs.
    fn _exit(status: c_int) -> !;
}

/// Ends the process with this status, after what was printed is out. Libraries are not cleaned up: threads of librdkafka and of HDFS may be
/// within MIT's libraries or OpenSSL, which crash when their locks are destroyed under them.
pub fn leave(status: u8) -> ! {
    // Nobody is left to tell that standard output is closed.
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    // SAFETY: it takes a number and does not come back.
    unsafe { _exit(c_int::from(status)) }
}
