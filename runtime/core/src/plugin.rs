//! What a plugin says of itself, in the host's words: the facts that the planner checks wiring with.

use crate::{ByteSize, Field, StreamKind};
use semver::{Version, VersionReq};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The optional parts of the contract that a component exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginInterfaces {
    /// Filters, maps and flat-maps.
    pub operator: bool,
    /// Keyed process plugins.
    pub keyed_operator: bool,
    /// User-defined aggregates.
    pub aggregate: bool,
    /// Reads older versions of its state.
    pub migration: bool,
}

/// A plugin under one configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginDescription {
    /// `[a-z][a-z0-9-]{0,63}`.
    pub name: String,
    /// Strict semantic version.
    pub version: Version,
    /// What it exports.
    pub interfaces: PluginInterfaces,
    /// The inputs, in order; a plugin of this contract version has exactly one unless it says otherwise.
    pub inputs: Vec<InputSpec>,
    /// The outputs, in the order of their indices in `emit` and `select`; the first is the operator's main output.
    pub outputs: Vec<OutputSpec>,
    /// Declared state.
    pub slots: Vec<StateSlot>,
    /// Declared timers, in the order of their indices.
    pub timers: Vec<TimerSpec>,
    /// Limits it would like raised.
    pub limits: RequestedLimits,
}

/// What a plugin reads of an input: only these columns cross into the sandbox, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// The input's name.
    pub name: String,
    /// The columns it reads.
    pub columns: Vec<Field>,
    /// Of keyed operators: the columns of the key, in the order of `key_by` and matched by place and type; names are for people.
    pub key: Vec<Field>,
}

/// An output of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSpec {
    /// The output's name; other nodes read it as `operator.name`, the first also as `operator`.
    pub name: String,
    /// Append or changelog.
    pub kind: StreamKind,
    /// What its rows are made of.
    pub shape: OutputShape,
    /// The column that is the event time of this output; `None`: the input's event time column, if the output has it unchanged in name and type.
    pub event_time: Option<String>,
}

/// How an output's rows come from the input's.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputShape {
    /// A choice of the input's rows, all columns as they are (`select`).
    Selected,
    /// The input's columns as they are, plus these (which replace input columns of the same name); each row has a parent row (`emit`).
    Extended(Vec<Field>),
    /// Just these columns (`emit`).
    Own(Vec<Field>),
}

/// A declared piece of keyed state.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSlot {
    /// The slot's name.
    pub name: String,
    /// Its kind.
    pub kind: SlotKind,
    /// The version its values are written in; stored beside every value.
    pub version: u32,
    /// The older versions that the plugin migrates.
    pub reads: BTreeSet<u32>,
    /// How long a value lives after its last write, in milliseconds of event time; `None`: for ever.
    pub ttl_millis: Option<u64>,
}

/// A kind of timer that a plugin may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerSpec {
    /// The timer's name.
    pub name: String,
    /// What it waits for.
    pub clock: TimerClock,
}

/// The clock of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerClock {
    /// Fires when the watermark passes its time.
    EventTime,
    /// Fires when the machine's clock passes its time.
    ProcessingTime,
}

/// What a state slot holds for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// One value.
    Value,
    /// A list that is appended to and scanned.
    List,
    /// A map from bytes to bytes.
    Map,
}

/// Limits a plugin asks for; the pipeline grants them or not. `None`: the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestedLimits {
    /// Linear memory of an instance.
    pub memory: Option<ByteSize>,
    /// CPU time of one call, in milliseconds.
    pub call_millis: Option<u64>,
}

/// How a pipeline names a plugin: a path to a component, or a name with a version requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginRef {
    /// A file; relative paths start at the pipeline file's folder.
    Path(PathBuf),
    /// `name@1.2`: looked up in the plugin folders.
    Named {
        /// The plugin's name.
        name: String,
        /// The versions that will do.
        version: VersionReq,
    },
}

/// A text that names no plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no plugin; write a path to a component (\"./clean.wasm\") or a name and a version (\"clean@1.2\")")]
pub struct PluginRefError(String);

impl FromStr for PluginRef {
    type Err = PluginRefError;

    fn from_str(text: &str) -> Result<Self, PluginRefError> {
        if text.contains('/') || text.ends_with(".wasm") {
            return Ok(Self::Path(text.into()));
        }
        let (name, version) = text.split_once('@').unwrap_or((text, "*"));
        match version.parse() {
            Ok(version) if is_plugin_name(name) => Ok(Self::Named { name: name.to_owned(), version }),
            _ => Err(PluginRefError(text.to_owned())),
        }
    }
}

impl fmt::Display for TimerClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EventTime => "event time",
            Self::ProcessingTime => "processing time",
        })
    }
}

impl fmt::Display for SlotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "value",
            Self::List => "list",
            Self::Map => "map",
        })
    }
}

impl fmt::Display for PluginRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Named { name, version } => write!(f, "{name}@{version}"),
        }
    }
}

impl StateSlot {
    /// All versions that values of it may be of: its own, and those that the plugin migrates.
    pub fn versions(&self) -> BTreeSet<u32> {
        self.reads.iter().copied().chain([self.version]).collect()
    }
}

impl PluginDescription {
    /// Whether a name is one a plugin may have: `[a-z][a-z0-9-]{0,63}`.
    pub fn is_valid_name(name: &str) -> bool {
        is_plugin_name(name)
    }
}

fn is_plugin_name(name: &str) -> bool {
    let tail = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_paths_from_names() {
        assert_eq!("./clean.wasm".parse(), Ok(PluginRef::Path("./clean.wasm".into())));
        let named = PluginRef::Named { name: "clean".into(), version: VersionReq::parse("1.2").expect("a requirement") };
        assert_eq!("clean@1.2".parse(), Ok(named));
        assert!("Clean@1.2".parse::<PluginRef>().is_err());
        assert!("clean@one".parse::<PluginRef>().is_err());
    }
}
