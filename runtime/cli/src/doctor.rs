//! `stygian doctor`: what a pipeline needs from outside, step by step, up to the first that fails.
//!
//! Kerberos comes first, while the process has one thread; then the pipeline is loaded, and every source and sink is asked for its steps.

use crate::args::{OutputStyle, PipelineArgs};
use crate::failure::Failure;
use crate::folders;
use crate::kerberos;
use crate::load::{Loaded, load};
use crate::terminal::Terminal;
use anyhow::anyhow;
use serde_json::json;
use std::collections::BTreeSet;
use std::process::ExitCode;
use stygian_api::{ConnectorError, Probe};
use stygian_kerberos::doctor::{self, Checkup, Finding, Outcome, Sound, Trouble};

/// Runs the steps and tells what they found; exit status 1 if one failed.
pub(crate) fn run(args: &PipelineArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let mut well = true;
    if let Some(identity) = kerberos::identity(args) {
        let services: Vec<(String, String)> = services(args).into_iter().collect();
        for finding in doctor::kerberos(&identity, &services) {
            well &= tell(&finding, args.output, terminal)?;
        }
    }
    if !well {
        return Ok(ExitCode::FAILURE);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let loaded = runtime.block_on(load(args, terminal))?;
    let checkup = probes(&loaded)?.into_iter().fold(Checkup::default(), |checkup, (node, Probe { name, run })| {
        checkup.then(format!("{node}: {name}"), move || run().map(Sound::Well).map_err(trouble))
    });
    for finding in checkup {
        well &= tell(&finding, args.output, terminal)?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn probes(loaded: &Loaded) -> Result<Vec<(String, Probe)>, Failure> {
    let sources =
        loaded.sources.iter().flat_map(|(name, source)| source.probes().into_iter().map(move |probe| (format!("source {name}"), probe)));
    let sinks = loaded.sinks.iter().flat_map(|(name, sink)| sink.probes().into_iter().map(move |probe| (format!("sink {name}"), probe)));
    let wanted = loaded.plan.checkpoint.as_ref();
    let folder = wanted.and_then(|wanted| folders::of_checkpoints(wanted, &loaded.plan.name, &loaded.base));
    let folder = folder.map(|folder| loaded.reach.probes(&folder)).transpose().map_err(Failure::input)?;
    let job = loaded.commit_point.iter().map(|point| point.probe()).chain(folder.into_iter().flatten());
    let job = job.map(|probe| (format!("job {}", loaded.plan.name), probe));
    Ok(sources.chain(sinks).chain(job).collect())
}

fn trouble(error: ConnectorError) -> Trouble {
    Trouble { detail: format!("{:#}", anyhow!(error)), hint: None }
}

/// Tells a finding; whether all may go on.
fn tell(finding: &Finding, output: OutputStyle, terminal: &Terminal) -> Result<bool, Failure> {
    let Finding { name, outcome, detail, hint } = finding;
    let word = match outcome {
        Outcome::Passed => "ok",
        Outcome::Warned => "warning",
        Outcome::Failed => "failed",
    };
    match output {
        OutputStyle::Json => terminal.out(&format!("{}\n", json!({ "step": name, "outcome": word, "detail": detail, "hint": hint })))?,
        OutputStyle::Text => {
            let hint = hint.as_ref().map(|hint| format!("\n         {hint}")).unwrap_or_default();
            terminal.out(&format!("{word:<8} {name}: {detail}{hint}\n"))?;
        }
    }
    Ok(*outcome != Outcome::Failed)
}

/// The services that the nodes of a pipeline file log in to by Kerberos, with their hosts.
fn services(args: &PipelineArgs) -> BTreeSet<(String, String)> {
    let table = kerberos::text(args).and_then(|text| text.parse::<toml::Table>().ok()).unwrap_or_default();
    let nodes = ["source", "sink"].into_iter().filter_map(|kind| table.get(kind)?.as_table());
    nodes.flat_map(|nodes| nodes.values()).flat_map(of_node).collect()
}

fn of_node(node: &toml::Value) -> Vec<(String, String)> {
    let security = node.get("security");
    let text = |key: &str| security.and_then(|security| security.get(key)).and_then(toml::Value::as_str);
    let by_kerberos =
        text("protocol").is_some_and(|protocol| protocol.starts_with("sasl")) && text("mechanism").is_none_or(|name| name == "gssapi");
    let servers = node.get("bootstrap_servers").and_then(toml::Value::as_str).filter(|_| by_kerberos);
    let hosts = servers.into_iter().flat_map(|servers| servers.split(',')).filter_map(|server| server.trim().rsplit_once(':'));
    hosts.map(|(host, _)| (text("service").unwrap_or("kafka").to_owned(), host.to_owned())).collect()
}
