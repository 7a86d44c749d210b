//! The inside of a component: what the generated exports of `export!` call. Natively only its types are checked.
//!
//! A component is one thread, and its instance is opened once. A panic leaves its message with the host, then aborts: the call traps.

use crate::bindings::stygian::plugin::log::panicked;
use crate::contract::{Batch, Description};
use crate::host::Imports;
use crate::input::Input;
use crate::operator::{self, Operator};
use std::cell::RefCell;

/// Where a component keeps its opened operator.
#[derive(Debug)]
pub struct Instance<O>(RefCell<Option<O>>);

impl<O: Operator> Instance<O> {
    /// Not opened yet.
    pub const fn closed() -> Self {
        Self(RefCell::new(None))
    }

    /// `operator.open`
    pub fn open(&self, config: &str) -> Result<(), String> {
        report_panics();
        *self.0.borrow_mut() = Some(operator::open(config)?);
        Ok(())
    }

    /// `operator.process`
    ///
    /// # Safety
    /// The rows come from the host.
    #[allow(unsafe_code)]
    pub unsafe fn process(&self, input: &Batch) -> Result<(), String> {
        match &*self.0.borrow() {
            // SAFETY: the caller's.
            Some(operator) => operator.process(unsafe { Input::from_host(input) }, &mut Imports),
            None => Err("`process` was called before `open`".to_owned()),
        }
    }
}

/// `metadata.describe`
pub fn describe<O: Operator>(name: &str, version: &str, config: &str) -> Result<Description, String> {
    report_panics();
    operator::describe::<O>(name, version, config)
}

fn report_panics() {
    std::panic::set_hook(Box::new(|info| panicked(&info.to_string())));
}
