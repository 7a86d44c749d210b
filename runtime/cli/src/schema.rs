//! `stygian schema`: the JSON Schema of the pipeline file.

use crate::failure::Failure;
use crate::registry::Registry;
use crate::terminal::Terminal;
use schemars::schema_for;
use stygian_api::{Connector, OptionsDoc};
use stygian_pipeline::{ConnectorDoc, json_schema};

/// `stygian schema`
pub(crate) fn print(terminal: &Terminal) -> Result<(), Failure> {
    let registry = Registry::new(terminal);
    let docs = |options: fn(&dyn Connector) -> Option<OptionsDoc>| {
        let doc = move |connector: &dyn Connector| options(connector).map(|options| (connector.name(), connector.about(), options));
        registry.all().filter_map(doc).collect::<Vec<_>>()
    };
    let (sources, sinks) = (docs(|connector| connector.source_options()), docs(|connector| connector.sink_options()));
    let named = |docs: &'_ [(&'static str, &'static str, OptionsDoc)]| {
        docs.iter().map(|(name, about, options)| ConnectorDoc { name, about, options: options.clone() }).collect::<Vec<_>>()
    };
    let schema = json_schema(&named(&sources), &named(&sinks), &schema_for!(stygian_sandbox::Limits));
    terminal.out(&format!("{schema:#}\n"))?;
    Ok(())
}
