//! All that is unsafe in this crate: calls of MIT's libraries (`gss`, `profile`, `cache`), the process's environment (`environment`) and its
//! end (`ending`).
//!
//! What these modules show to the rest of the crate is safe: handles of the libraries are owned by types that release them, texts are
//! copied before they are given away, and nothing here keeps a handle beyond a call of its own. MIT's libraries may be called by several threads
//! at once as long as no two share a handle, which no function here lets them do.
#![allow(unsafe_code)]

pub(crate) mod cache;
pub(crate) mod ending;
pub(crate) mod environment;
pub(crate) mod gss;
pub(crate) mod profile;
