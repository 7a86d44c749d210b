//! `stygian check` and `stygian explain`: a pipeline loaded, but not run.

use crate::args::{ExplainArgs, ExplainFormat, OutputStyle, PipelineArgs};
use crate::failure::Failure;
use crate::load::{Loaded, load};
use crate::terminal::Terminal;

/// `stygian check`
pub(crate) fn check(args: &PipelineArgs, terminal: &Terminal) -> Result<(), Failure> {
    let loaded = load_alone(args, terminal)?;
    let (name, nodes) = (&loaded.plan.name, loaded.plan.nodes.len());
    match args.output {
        OutputStyle::Json => terminal.out(&format!("{}\n", serde_json::json!({ "job": name, "ok": true, "nodes": nodes })))?,
        OutputStyle::Text => terminal.out(&format!("{}: job `{name}` with {nodes} nodes can run\n", args.pipeline.display()))?,
    }
    Ok(())
}

/// `stygian explain`
pub(crate) fn explain(args: &ExplainArgs, terminal: &Terminal) -> Result<(), Failure> {
    let plan = load_alone(&args.pipeline, terminal)?.plan;
    let format = args.format.unwrap_or(match args.pipeline.output {
        OutputStyle::Text => ExplainFormat::Text,
        OutputStyle::Json => ExplainFormat::Json,
    });
    let text = match format {
        ExplainFormat::Text => plan.explain(),
        ExplainFormat::Json => format!("{:#}", plan.explain_json()),
        ExplainFormat::Svg => plan.explain_svg(),
    };
    terminal.out(&format!("{}\n", text.trim_end()))?;
    Ok(())
}

fn load_alone(args: &PipelineArgs, terminal: &Terminal) -> Result<Loaded, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(load(args, terminal))
}
