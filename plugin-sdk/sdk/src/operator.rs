//! The common face of filters, maps and flat-maps: what a component's exports and the native harness call.

use crate::contract::{Description, Field, InputSpec, OutputShape, OutputSpec, RequestedLimits, StreamKind};
use crate::host::Host;
use crate::input::Input;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The name of the one input.
pub(crate) const INPUT: &str = "input";

/// The name of an operator's one output.
pub(crate) const MAIN_OUTPUT: &str = "main";

/// An operator over batches. Authors implement [`crate::Filter`], [`crate::Map`] or [`crate::FlatMap`], which become one.
pub trait Operator: Sized {
    /// What the pipeline's `config` table holds.
    type Config: DeserializeOwned;

    /// Makes an instance, once for each instance of the plugin. An error says what is wrong with the configuration.
    fn open(config: Self::Config) -> Result<Self, String>;

    /// The columns that are read.
    fn input() -> Vec<Field>;

    /// The outputs, in the order of their indices.
    fn outputs() -> Vec<OutputSpec>;

    /// Works on a call's rows. An error fails the call; of such a call nothing is applied.
    fn process(&self, input: Input<'_>, host: &mut dyn Host) -> Result<(), String>;
}

/// For operators that are not configured: any key in the configuration is an error.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Makes an instance from a configuration as JSON.
pub fn open<O: Operator>(config: &str) -> Result<O, String> {
    O::open(parse_config(config)?)
}

/// Reads a configuration.
pub(crate) fn parse_config<C: DeserializeOwned>(config: &str) -> Result<C, String> {
    serde_json::from_str(config).map_err(|error| message(&error))
}

/// What is wrong, without where: the author of the pipeline wrote TOML and has never seen this JSON.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned()
}

/// What an operator is under a configuration, which is tried by opening an instance.
pub fn describe<O: Operator>(name: &str, version: &str, config: &str) -> Result<Description, String> {
    open::<O>(config)?;
    Ok(Description {
        name: name.to_owned(),
        version: version.to_owned(),
        inputs: vec![InputSpec { name: INPUT.to_owned(), columns: O::input(), key: Vec::new() }],
        outputs: O::outputs(),
        slots: Vec::new(),
        timers: Vec::new(),
        limits: RequestedLimits { memory_bytes: None, call_cpu_millis: None },
    })
}

/// An output of append-only rows whose event time is the input's.
pub(crate) fn append_output(name: &str, shape: OutputShape) -> OutputSpec {
    OutputSpec { name: name.to_owned(), kind: StreamKind::Append, shape, event_time: None }
}

/// Rows that are worked on between two looks at the clock: the sandbox puts one into every turn of a loop, and a loop of constant length is
/// unrolled where its body is small.
const BLOCK: u32 = 16;

/// Works on every row.
#[inline(always)]
pub(crate) fn for_each_row(rows: u32, mut work: impl FnMut(u32)) {
    let whole = rows / BLOCK * BLOCK;
    for block in (0..whole).step_by(BLOCK as usize) {
        for row in 0..BLOCK {
            work(block + row);
        }
    }
    for row in whole..rows {
        work(row);
    }
}
