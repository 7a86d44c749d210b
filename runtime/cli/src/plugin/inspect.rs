//! `stygian plugin inspect`: what a component is and says of itself.

use crate::args::{InspectArgs, OutputStyle};
use crate::failure::Failure;
use crate::load::open_sandbox;
use crate::terminal::Terminal;
use serde_json::{Value, json};
use stygian_core::{Field, InputSpec, OutputShape, PluginDescription, StateSlot, TimerSpec};
use stygian_sandbox::{Limits, Plugin};

/// `stygian plugin inspect`
pub(crate) fn inspect(args: &InspectArgs, terminal: &Terminal) -> Result<(), Failure> {
    let sandbox = open_sandbox(Limits::default())?;
    let plugin = sandbox.load(&args.plugin).map_err(Failure::input)?;
    let description = plugin.describe(&args.config);
    match args.output {
        OutputStyle::Json => {
            let described = match &description {
                Ok(description) => describe_json(description),
                Err(error) => json!({ "error": error.to_string() }),
            };
            let all =
                json!({ "sha256": plugin.digest(), "imports": plugin.imports(), "exports": plugin.exports(), "description": described });
            terminal.out(&format!("{all:#}\n"))?;
        }
        OutputStyle::Text => {
            terminal.out(&outside(&plugin))?;
            terminal.out(&describe(&description.map_err(Failure::input)?))?;
        }
    }
    Ok(())
}

fn outside(plugin: &Plugin) -> String {
    let list = |names: &[String]| names.iter().map(|name| format!("  {name}\n")).collect::<String>();
    format!("sha256 {}\nexports\n{}imports\n{}", plugin.digest(), list(plugin.exports()), list(plugin.imports()))
}

fn columns(fields: &[Field]) -> String {
    fields.iter().map(|field| format!("    {field}\n")).collect()
}

/// A slot, and which of its older versions are migrated.
pub(super) fn in_words(slot: &StateSlot) -> String {
    let reads: Vec<String> = slot.reads.iter().map(ToString::to_string).collect();
    let migrates = if reads.is_empty() { String::new() } else { format!(", migrates from {}", reads.join(", ")) };
    format!("{} ({}, version {}{migrates})", slot.name, slot.kind, slot.version)
}

fn describe(description: &PluginDescription) -> String {
    let mut text = format!("plugin {} {}\n", description.name, description.version);
    for input in &description.inputs {
        text.push_str(&format!("input {}\n{}", input.name, columns(&input.columns)));
        if !input.key.is_empty() {
            text.push_str(&format!("key, by place in `key_by`\n{}", columns(&input.key)));
        }
    }
    for output in &description.outputs {
        let (shape, fields) = match &output.shape {
            OutputShape::Selected => ("the input's rows, chosen", &[][..]),
            OutputShape::Extended(fields) => ("the input's columns, and", fields.as_slice()),
            OutputShape::Own(fields) => ("rows of its own", fields.as_slice()),
        };
        text.push_str(&format!("output {} ({}): {shape}\n{}", output.name, output.kind, columns(fields)));
    }
    for slot in &description.slots {
        text.push_str(&format!("state {}\n", in_words(slot)));
    }
    for timer in &description.timers {
        text.push_str(&format!("timer {} ({})\n", timer.name, timer.clock));
    }
    text
}

fn describe_json(description: &PluginDescription) -> Value {
    let fields = |fields: &[Field]| fields.iter().map(ToString::to_string).collect::<Vec<_>>();
    let output = |output: &stygian_core::OutputSpec| {
        let (shape, columns) = match &output.shape {
            OutputShape::Selected => ("selected", Vec::new()),
            OutputShape::Extended(columns) => ("extended", fields(columns)),
            OutputShape::Own(columns) => ("own", fields(columns)),
        };
        json!({ "name": output.name, "kind": output.kind.to_string(), "shape": shape, "columns": columns })
    };
    let input = |input: &InputSpec| json!({ "name": input.name, "columns": fields(&input.columns), "key": fields(&input.key) });
    let slot = |slot: &StateSlot| json!({ "name": slot.name, "kind": slot.kind.to_string(), "version": slot.version, "migrates_from": slot.reads });
    let timer = |timer: &TimerSpec| json!({ "name": timer.name, "clock": timer.clock.to_string() });
    json!({
        "name": description.name,
        "version": description.version.to_string(),
        "inputs": description.inputs.iter().map(input).collect::<Vec<_>>(),
        "outputs": description.outputs.iter().map(output).collect::<Vec<_>>(),
        "state": description.slots.iter().map(slot).collect::<Vec<_>>(),
        "timers": description.timers.iter().map(timer).collect::<Vec<_>>(),
    })
}
