//! How memory is asked of the system.

#![allow(unsafe_code)] // one call into the C library, which takes two numbers

/// Has the C library serve all threads from so few arenas. By default there are eight a core, and each keeps the freed pieces that are too
/// scattered to be given back: a job with a few dozen threads (librdkafka's, those of I/O) takes up to twice the memory and seems to leak it
/// for hours. More were never faster here: rows move in batches, whose buffers are large and few. Before any other thread is there;
/// who has set the number in the environment is left with it.
pub(crate) fn use_few_arenas() {
    const ARENAS: libc::c_int = 2;
    let tuned = std::env::var_os("MALLOC_ARENA_MAX").is_some()
        || std::env::var("GLIBC_TUNABLES").is_ok_and(|tunables| tunables.contains("glibc.malloc.arena_max"));
    if !tuned {
        // SAFETY: it reads its two numbers only; it must not run beside another allocation, and there is one thread. 0 says that the number
        // was not taken, which costs memory and nothing else.
        let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
    }
}
