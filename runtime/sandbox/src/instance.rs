//! One instance of a plugin and the calls into it. After a failed call it must be thrown away: [`Instance::call`] consumes nothing, its
//! owner sees to that.

use crate::host::{HostState, Output};
use crate::plugin::Code;
use crate::wire::{self, Process};
use crate::{BadOutput, Limits, Situation, Step};
use std::sync::Arc;
use stygian_core::escape;
use stygian_wit::interface;
use wasmtime::component::{ComponentExportIndex, Func, Instance as Wasm, Lift};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

/// A failed step: what happened while doing what.
pub(crate) type Failed = (Step, Situation);

/// An instance with its store.
pub(crate) struct Instance {
    store: Store<HostState>,
    wasm: Wasm,
    code: Arc<Code>,
}

impl Instance {
    /// Makes an instance; runs its start functions.
    pub(crate) fn new(code: &Arc<Code>, limits: &Arc<Limits>, outputs: Arc<[Output]>) -> Result<Self, Failed> {
        let mut store = Store::new(code.pre.engine(), HostState::new(limits.clone(), outputs));
        store.limiter(|state| state);
        store.set_hostcall_fuel(limits.output_bytes.max(limits.state_bytes).as_usize().saturating_add(HOSTCALL_SLACK));
        store.epoch_deadline_callback(|mut cx| {
            let state = cx.data_mut();
            let limits = state.limits.clone();
            match state.clock.tick(&limits) {
                Ok(()) => Ok(UpdateDeadline::Continue(1)),
                Err(situation) => Err(state.refuse(situation)),
            }
        });
        store.set_epoch_deadline(1);
        match code.pre.instantiate(&mut store) {
            Ok(wasm) => Ok(Self { store, wasm, code: code.clone() }),
            Err(error) => Err((Step::Instantiate, situation(&error, store.data_mut(), code))),
        }
    }

    /// `metadata.describe`; the inner error is the guest's.
    pub(crate) fn describe(&mut self, config: &str) -> Result<Result<wire::Description, String>, Failed> {
        self.text_call(Step::Describe, "metadata", "describe", config)
    }

    /// `migration.reads`; that `migrate` is of the contract's type is seen here too.
    pub(crate) fn reads(&mut self) -> Result<Vec<wire::ReadableVersions>, Failed> {
        self.migrate_func()?;
        let func = self.func("migration", "reads");
        let func = func.and_then(|func| func.typed::<(), (Vec<wire::ReadableVersions>,)>(&self.store));
        let func = func.map_err(|error| (Step::Reads, contract(&error)))?;
        self.call(Step::Reads, None, |store| func.call(store, ())).map(|(reads,)| reads)
    }

    /// `open` of the interface that the plugin is used by.
    pub(crate) fn open(&mut self, interface: &str, config: &str) -> Result<(), Failed> {
        let result = self.text_call::<()>(Step::Open, interface, "open", config)?;
        result.map_err(|text| (Step::Open, Situation::GuestError(text)))
    }

    /// A function that takes a configuration.
    fn text_call<T: Lift + 'static>(
        &mut self,
        step: Step,
        interface: &str,
        name: &'static str,
        config: &str,
    ) -> Result<Result<T, String>, Failed> {
        let func = self.func(interface, name).and_then(|func| func.typed::<(&str,), (Result<T, String>,)>(&self.store));
        let func = func.map_err(|error| (step, contract(&error)))?;
        self.call(step, None, |store| func.call(store, (config,))).map(|(result,)| result.map_err(|text| self.words(&text)))
    }

    /// A function of the contract, type-checked by `new`.
    pub(crate) fn typed<F>(
        &mut self,
        step: Step,
        interface: &str,
        name: &str,
        new: impl FnOnce(Func, &Store<HostState>) -> wasmtime::Result<F>,
    ) -> Result<F, Failed> {
        let func = self.func(interface, name).and_then(|func| new(func, &self.store));
        func.map_err(|error| (step, contract(&error)))
    }

    /// Runs a step that the guest may refuse; `rows` of it may be named by imports. What it handed over is then in [`Instance::state`].
    pub(crate) fn run<T>(
        &mut self,
        step: Step,
        rows: Option<u32>,
        call: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<Result<T, String>>,
    ) -> Result<T, Failed> {
        self.call(step, rows, call)?.map_err(|text| (step, Situation::GuestError(self.words(&text))))
    }

    /// `operator.process`, type-checked.
    pub(crate) fn process_func(&mut self) -> Result<Process, Failed> {
        self.typed(Step::Process, "operator", "process", |func, store| Process::new(func, store))
    }

    /// What the last call left.
    pub(crate) fn state(&mut self) -> &mut HostState {
        self.store.data_mut()
    }

    fn words(&self, text: &str) -> String {
        crate::host::cut(text, self.store.data().limits.log_line_bytes)
    }

    fn call<T>(
        &mut self,
        step: Step,
        rows: Option<u32>,
        call: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, Failed> {
        self.store.data_mut().begin(rows);
        self.store.set_epoch_deadline(1);
        call(&mut self.store).map_err(|error| (step, situation(&error, self.store.data_mut(), &self.code)))
    }

    fn func(&mut self, interface_name: &str, name: &str) -> wasmtime::Result<Func> {
        let index = export(&self.code, interface_name, name);
        let func = index.and_then(|index| self.wasm.get_func(&mut self.store, index));
        func.ok_or_else(|| wasmtime::Error::msg(format!("`{}.{name}` is not exported", interface(interface_name))))
    }
}

/// Beside what it hands over, a guest passes indices and lengths.
const HOSTCALL_SLACK: usize = 1 << 16;

fn export(code: &Code, interface_name: &str, name: &str) -> Option<ComponentExportIndex> {
    let outer = code.component.get_export_index(None, interface(interface_name).as_str())?;
    code.component.get_export_index(Some(&outer), name)
}

fn contract(error: &wasmtime::Error) -> Situation {
    Situation::BadOutput(BadOutput::Malformed(escape(&format!("{error:#}"), 500)))
}

/// What an error of wasmtime's means to the plugin's user.
fn situation(error: &wasmtime::Error, state: &mut HostState, code: &Code) -> Situation {
    if let Some(fault) = state.fault.take() {
        return fault;
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::StackOverflow => Situation::StackOverflow { limit: code.pool.stack },
            other => {
                let text = other.to_string();
                Situation::Trap { message: text.trim_start_matches("wasm trap: ").to_owned(), panic: state.panic.take() }
            }
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Situation::TooManyInstances { limit: code.pool.instances };
    }
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls") {
        return Situation::TooManyBytes { limit: state.limits.output_bytes };
    }
    // What is left are values that break the canonical ABI: lists out of memory, unknown variants, texts that are none.
    Situation::BadOutput(BadOutput::Malformed(escape(&text, 500)))
}
