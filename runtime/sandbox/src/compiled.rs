//! The one place where compiled code becomes a component, and its `unsafe`.
//!
//! The bytes come from our own compiling process, directly or through the cache folder that only we can write; `cache.rs` checks both.
#![allow(unsafe_code)]

use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes that our own compiler made. There are two ways to get one: compile, or read the private cache.
pub(crate) struct Compiled(Vec<u8>);

impl Compiled {
    /// Vouches for bytes: made by [`crate::compile_worker`] in a child of ours, unchanged since.
    pub(crate) fn vouched(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Loads the code. wasmtime compares version and settings and refuses what does not fit.
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` must be given what `precompile_component` made, unchanged. `vouched` is called in two places: with the
        // output of our child, and with a file whose header holds the SHA-256 of its content, read without following links from a
        // folder of mode 0700 that belongs to us and that nobody else can replace. The bytes are owned: no one can change them now.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
