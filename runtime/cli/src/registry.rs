//! Every connector, by name.

use crate::terminal::{Out, Terminal};
use std::sync::{Arc, Mutex};
use stygian_api::Connector;

/// The connectors of this program.
pub(crate) struct Registry(Vec<Box<dyn Connector>>);

impl Registry {
    pub(crate) fn new(terminal: &Terminal) -> Self {
        let console = stygian_local::Console::new(Arc::new(Mutex::new(Out(terminal.clone()))));
        Self(vec![
            Box::new(stygian_files::Files),
            Box::new(stygian_kafka::Kafka::default()),
            Box::new(stygian_local::Generator),
            Box::new(console),
        ])
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &dyn Connector> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// The connector of a name.
    ///
    /// # Errors
    /// The names there are.
    pub(crate) fn get(&self, name: &str) -> Result<&dyn Connector, Vec<&'static str>> {
        self.all().find(|connector| connector.name() == name).ok_or_else(|| self.all().map(Connector::name).collect())
    }
}
