//! wasmtime's configuration: one function for the process that compiles and the one that runs, so that the code of one fits the other.
//!
//! Off: threads, memory64, GC, exceptions, multi-memory, relaxed SIMD, async, fuel. On: epochs, by which calls are stopped.

use crate::PoolLimits;
use std::hash::{Hash, Hasher};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The version that compiled code is bound to; pinned in Cargo.toml.
pub(crate) const WASMTIME: &str = "48.0.8";

/// Core instances of a component: the module, and the shims that component tools put around it.
const CORE_INSTANCES: u32 = 16;
/// Memories of a component; interpreters bring an adapter with one of its own.
const MEMORIES: u32 = 2;
/// Tables of a component; each shim has one.
const TABLES: u32 = 8;

/// What compiled code depends on.
fn shared() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(false)
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_component_model(true)
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_gc(false);
    config
}

/// An engine that compiles and never runs: it reserves no memory for instances.
pub(crate) fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&shared())
}

/// An engine that runs, with room for instances.
pub(crate) fn running(pool: &PoolLimits) -> wasmtime::Result<Engine> {
    let n = pool.instances.max(1);
    let mut room = PoolingAllocationConfig::new();
    room.total_component_instances(n)
        .total_core_instances(n.saturating_mul(4))
        .total_memories(n)
        .total_tables(n.saturating_mul(4))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .max_memories_per_module(1)
        .max_tables_per_module(4)
        .table_elements(1 << 20)
        .max_memory_size(pool.memory.as_usize())
        .max_unused_warm_slots(n.min(16));
    let mut config = shared();
    config.max_wasm_stack(pool.stack.as_usize()).allocation_strategy(InstanceAllocationStrategy::Pooling(room));
    Engine::new(&config)
}

/// wasmtime's hash of everything that compiled code depends on, as hexadecimal digits.
pub(crate) fn compatibility(engine: &Engine) -> String {
    /// FNV-1a: the same in every build, which std's hasher does not promise.
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiling_engine_fits_the_running_one() {
        let pool = PoolLimits { instances: 1, ..PoolLimits::default() };
        let (running, compiling) = (running(&pool).expect("an engine"), super::compiling().expect("an engine"));
        assert_eq!(compatibility(&running), compatibility(&compiling));
    }
}
