//! Makes plugins: a new crate from a template ([`new`]), and components from crates ([`build`], [`build_all`]).
//!
//! The way through: crate folder -> `package` (what cargo says of it) -> `toolchain` (a compiler that makes WebAssembly) -> `compile`
//! (cargo, in a target folder of its own) -> `component` (core module -> component, checked) -> a file under its final name. A file
//! under that name is always whole: it is written under another name first. Running components is the sandbox's business.

mod compile;
mod component;
mod environment;
mod error;
mod new;
mod package;
mod toolchain;

pub use compile::{BuildOptions, Built, build, build_all};
pub use error::{BuildError, NewError};
pub use new::{Kind, NewOptions, Sdk, new};
