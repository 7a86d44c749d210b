//! The sandbox: one engine, one cache, one pool of instances for all plugins of a process.

use crate::cache::Cache;
use crate::clock::Ticker;
use crate::compile::Compiler;
use crate::compiled::Compiled;
use crate::host::{HostState, add_imports};
use crate::inspect::Outside;
use crate::plugin::{Code, Plugin};
use crate::{CompileLimits, Limits, PoolLimits, SandboxError, engine, host_keyed};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stygian_core::escape;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The folder for compiled code. Made with mode 0700 if it is missing; refused unless it is ours alone.
    pub cache: PathBuf,
    /// What compiles plugins.
    pub compiler: Compiler,
    /// Limits of calls, for plugins that are not given others by [`Plugin::with_limits`].
    pub limits: Limits,
    /// Limits of compiling.
    pub compile: CompileLimits,
    /// What all instances share.
    pub pool: PoolLimits,
}

impl SandboxConfig {
    /// The defaults.
    pub fn new(cache: impl Into<PathBuf>, compiler: Compiler) -> Self {
        let (limits, compile, pool) = Default::default();
        Self { cache: cache.into(), compiler, limits, compile, pool }
    }
}

/// Where plugins are loaded and run. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    engine: Engine,
    linker: Linker<HostState>,
    cache: Cache,
    config: SandboxConfig,
    limits: Arc<Limits>,
    compatibility: String,
    ticker: Arc<Ticker>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Opens the cache, reserves room for instances and starts the clock of calls (a thread).
    ///
    /// # Errors
    /// When the cache folder is not safe, or wasmtime cannot be set up.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let cache = Cache::open(&config.cache)?;
        let setup = |error: wasmtime::Error| SandboxError::Setup(escape(&format!("{error:#}"), 500));
        let engine = engine::running(&config.pool).map_err(setup)?;
        let mut linker = Linker::new(&engine);
        add_imports(&mut linker).map_err(setup)?;
        host_keyed::add_imports(&mut linker).map_err(setup)?;
        let ticker = Arc::new(Ticker::start(&engine).map_err(|error| SandboxError::Setup(error.to_string()))?);
        let compatibility = engine::compatibility(&engine);
        let mut limits = config.limits.clone();
        limits.memory = limits.memory.min(config.pool.memory);
        Ok(Self(Arc::new(Inner { engine, linker, cache, config, limits: Arc::new(limits), compatibility, ticker })))
    }

    /// Loads a component: from the cache, or by compiling it, which may take seconds.
    ///
    /// # Errors
    /// When the file cannot be read, is no component of the contract, imports what no plugin gets, or cannot be compiled within the limits.
    pub fn load(&self, path: &Path) -> Result<Plugin, SandboxError> {
        let inner = &*self.0;
        let bytes = read(path, inner.config.compile.component.as_usize())
            .map_err(|source| SandboxError::Read { path: path.to_owned(), source })?
            .ok_or_else(|| SandboxError::TooLarge { path: path.to_owned(), limit: inner.config.compile.component })?;
        self.load_bytes(path, bytes.into())
    }

    /// As [`Sandbox::load`], of a component in memory; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`Sandbox::load`].
    pub fn load_bytes(&self, path: &Path, bytes: Arc<[u8]>) -> Result<Plugin, SandboxError> {
        let inner = &*self.0;
        if bytes.len() > inner.config.compile.component.as_usize() {
            return Err(SandboxError::TooLarge { path: path.to_owned(), limit: inner.config.compile.component });
        }
        let outside = Outside::read(path, &bytes)?;
        outside.check(path)?;
        let digest = hex(&Sha256::digest(&bytes));
        let component = inner.component(path, &bytes, &digest)?;
        let pre = inner.link(path, &component)?;
        let (pool, path, ticker) = (inner.config.pool.clone(), path.to_owned(), inner.ticker.clone());
        Ok(Plugin::new(Code { component, pre, pool, path, bytes, digest, outside, _ticker: ticker }, inner.limits.clone()))
    }
}

impl Inner {
    fn component(&self, path: &Path, bytes: &[u8], digest: &str) -> Result<Component, SandboxError> {
        let key = format!("{digest}-{}-{}", engine::WASMTIME, self.compatibility);
        if let Some(code) = self.cache.get(&key, self.config.compile.compiled.as_usize()) {
            match code.load(&self.engine) {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(key, error = format!("{error:#}"), "compiled code does not load, compiling again"),
            }
        }
        let code: Compiled = self.config.compiler.compile(path, bytes, &self.config.compile)?;
        let load = |error: wasmtime::Error| SandboxError::Load { path: path.to_owned(), reason: escape(&format!("{error:#}"), 500) };
        let component = code.load(&self.engine).map_err(load)?;
        self.cache.put(&key, &code)?;
        Ok(component)
    }

    /// Joins a component with the host, whose every import of the contract has the contract's type.
    fn link(&self, path: &Path, component: &Component) -> Result<InstancePre<HostState>, SandboxError> {
        let contract =
            |error: wasmtime::Error| SandboxError::Contract { path: path.to_owned(), reason: escape(&format!("{error:#}"), 500) };
        self.linker.instantiate_pre(component).map_err(contract)
    }
}

/// A file's bytes; `None` if there are more than `most`.
fn read(path: &Path, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let most_and_one = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)?.take(most_and_one).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
