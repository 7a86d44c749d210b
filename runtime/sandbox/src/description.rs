//! What a plugin says of itself, checked: names, sizes, versions. Everything behind relies on it.

use crate::limits::{MAX_COLUMNS, MAX_NAME_BYTES};
use crate::wire;
use semver::Version;
use std::collections::{BTreeSet, HashSet};
use stygian_core::{
    ByteSize, ColumnType, Field, InputSpec, OutputShape, OutputSpec, PluginDescription, PluginInterfaces, RequestedLimits, SlotKind,
    StateSlot, StreamKind, TimerClock, TimerSpec, escape,
};

/// Most inputs, outputs, slots or timers a plugin may declare.
const MOST_PARTS: usize = 100;

/// Most older versions of one slot.
const MOST_VERSIONS: usize = 1000;

type Checked<T> = Result<T, String>;

/// Takes a description over; the error says what is wrong with it.
pub(crate) fn check(said: wire::Description, interfaces: PluginInterfaces) -> Checked<PluginDescription> {
    if !PluginDescription::is_valid_name(&said.name) {
        return Err(format!("its name is `{}`, names are of the form [a-z][a-z0-9-]{{0,63}}", shown(&said.name)));
    }
    let version = said.version.len() <= MAX_NAME_BYTES;
    let version = version.then(|| Version::parse(&said.version).ok()).flatten();
    let version =
        version.ok_or_else(|| format!("its version is `{}`, which is no semantic version such as 1.2.0", shown(&said.version)))?;
    for (what, count) in
        [("inputs", said.inputs.len()), ("outputs", said.outputs.len()), ("slots", said.slots.len()), ("timers", said.timers.len())]
    {
        if count > MOST_PARTS {
            return Err(format!("it declares {count} {what}, at most {MOST_PARTS} are allowed"));
        }
    }
    if interfaces.operator && (said.inputs.len() != 1 || said.outputs.is_empty()) {
        return Err(format!(
            "an operator has one input and at least one output, it declares {} and {}",
            said.inputs.len(),
            said.outputs.len()
        ));
    }
    let inputs = said.inputs.into_iter().map(input).collect::<Checked<Vec<_>>>()?;
    if let Some(input) = inputs.iter().find(|input| input.key.is_empty() == interfaces.keyed_operator) {
        let says = if interfaces.keyed_operator { "a keyed operator has a key" } else { "only a keyed operator has a key" };
        return Err(format!("{says}, and its input `{}` declares {}", input.name, if input.key.is_empty() { "none" } else { "one" }));
    }
    let outputs = said.outputs.into_iter().map(output).collect::<Checked<Vec<_>>>()?;
    let slots = said.slots.into_iter().map(slot).collect::<Checked<Vec<_>>>()?;
    let timers = said.timers.into_iter().map(timer).collect::<Checked<Vec<_>>>()?;
    distinct("inputs", inputs.iter().map(|input| &input.name))?;
    distinct("outputs", outputs.iter().map(|output| &output.name))?;
    distinct("slots", slots.iter().map(|slot| &slot.name))?;
    distinct("timers", timers.iter().map(|timer| &timer.name))?;
    let limits = RequestedLimits { memory: said.limits.memory_bytes.map(ByteSize), call_millis: said.limits.call_cpu_millis };
    Ok(PluginDescription { name: said.name, version, interfaces, inputs, outputs, slots, timers, limits })
}

/// The same with the older versions of its slots that the plugin migrates.
pub(crate) fn with_reads(mut description: PluginDescription, said: Vec<wire::ReadableVersions>) -> Checked<PluginDescription> {
    let declared = description.slots.len();
    for wire::ReadableVersions { slot, versions } in said {
        let found = description.slots.get_mut(slot as usize);
        let found = found.ok_or_else(|| format!("it says that it migrates slot {slot}, and declares {declared}"))?;
        if versions.len() > MOST_VERSIONS {
            return Err(format!("it migrates slot `{}` from {} versions, at most {MOST_VERSIONS} are allowed", found.name, versions.len()));
        }
        if let Some(wrong) = versions.iter().find(|version| !(1..found.version).contains(*version)) {
            let own = found.version;
            return Err(format!(
                "it says that it migrates slot `{}` from version {wrong}, which is none before its own, {own}",
                found.name
            ));
        }
        found.reads.extend(versions);
    }
    Ok(description)
}

fn input(said: wire::InputSpec) -> Checked<InputSpec> {
    let name = name("input", said.name)?;
    let columns = fields(&format!("input `{name}`"), said.columns)?;
    let key = fields(&format!("the key of input `{name}`"), said.key)?;
    Ok(InputSpec { name, columns, key })
}

fn output(said: wire::OutputSpec) -> Checked<OutputSpec> {
    let name = name("output", said.name)?;
    let of = format!("output `{name}`");
    let shape = match said.shape {
        wire::OutputShape::Selected => OutputShape::Selected,
        wire::OutputShape::Extended(columns) => OutputShape::Extended(fields(&of, columns)?),
        wire::OutputShape::Own(columns) => OutputShape::Own(fields(&of, columns)?),
    };
    let kind = match said.kind {
        wire::StreamKind::Append => StreamKind::Append,
        wire::StreamKind::Changelog => StreamKind::Changelog,
    };
    let event_time = said.event_time.map(|column| self::name("event time", column)).transpose()?;
    if let (Some(column), OutputShape::Own(columns)) = (&event_time, &shape) {
        check_event_time(&of, column, columns, true)?;
    }
    if let (Some(column), OutputShape::Extended(columns)) = (&event_time, &shape) {
        check_event_time(&of, column, columns, false)?;
    }
    Ok(OutputSpec { name, kind, shape, event_time })
}

/// An event time must be a timestamp; in an output of its own columns it must be one of them.
fn check_event_time(of: &str, column: &str, columns: &[Field], all: bool) -> Checked<()> {
    match columns.iter().find(|field| field.name == column) {
        Some(field) if matches!(field.column_type, ColumnType::Timestamp | ColumnType::TimestampUtc) => Ok(()),
        Some(field) => Err(format!("{of}: the event time `{column}` is {}, not a timestamp", field.column_type)),
        None if all => Err(format!("{of}: the event time `{column}` is none of its columns")),
        None => Ok(()),
    }
}

fn timer(said: wire::TimerSpec) -> Checked<TimerSpec> {
    let clock = match said.clock {
        wire::Clock::EventTime => TimerClock::EventTime,
        wire::Clock::ProcessingTime => TimerClock::ProcessingTime,
    };
    Ok(TimerSpec { name: name("timer", said.name)?, clock })
}

fn slot(said: wire::StateSlot) -> Checked<StateSlot> {
    let name = name("slot", said.name)?;
    if said.version == 0 {
        return Err(format!("slot `{name}` is of version 0, versions count from 1"));
    }
    let kind = match said.kind {
        wire::SlotKind::Value => SlotKind::Value,
        wire::SlotKind::List => SlotKind::List,
        wire::SlotKind::Map => SlotKind::Map,
    };
    Ok(StateSlot { name, kind, version: said.version, reads: BTreeSet::new(), ttl_millis: said.ttl_millis })
}

fn fields(of: &str, said: Vec<wire::Field>) -> Checked<Vec<Field>> {
    if said.len() > MAX_COLUMNS {
        return Err(format!("{of} has {} columns, at most {MAX_COLUMNS} are allowed", said.len()));
    }
    let fields = said.into_iter().map(|said| field(of, said)).collect::<Checked<Vec<_>>>()?;
    distinct(&format!("columns of {of}"), fields.iter().map(|field| &field.name))?;
    Ok(fields)
}

fn field(of: &str, said: wire::Field) -> Checked<Field> {
    let name = name("column", said.name)?;
    let column_type = column_type(said.column_type).ok_or_else(|| {
        format!("column `{name}` of {of} is a decimal of impossible precision or scale (1 to 38 digits, scale up to the precision)")
    })?;
    Ok(Field { name, column_type, nullable: said.nullable })
}

fn column_type(said: wire::ColumnType) -> Option<ColumnType> {
    Some(match said {
        wire::ColumnType::Boolean => ColumnType::Bool,
        wire::ColumnType::Int8 => ColumnType::Int8,
        wire::ColumnType::Int16 => ColumnType::Int16,
        wire::ColumnType::Int32 => ColumnType::Int32,
        wire::ColumnType::Int64 => ColumnType::Int64,
        wire::ColumnType::UInt8 => ColumnType::UInt8,
        wire::ColumnType::UInt16 => ColumnType::UInt16,
        wire::ColumnType::UInt32 => ColumnType::UInt32,
        wire::ColumnType::UInt64 => ColumnType::UInt64,
        wire::ColumnType::Float32 => ColumnType::Float32,
        wire::ColumnType::Float64 => ColumnType::Float64,
        wire::ColumnType::Text => ColumnType::Text,
        wire::ColumnType::Binary => ColumnType::Binary,
        wire::ColumnType::Date => ColumnType::Date,
        wire::ColumnType::Timestamp => ColumnType::Timestamp,
        wire::ColumnType::TimestampUtc => ColumnType::TimestampUtc,
        wire::ColumnType::Decimal(wire::DecimalType { precision, scale }) => {
            ((1..=38).contains(&precision) && scale <= precision).then_some(ColumnType::Decimal { precision, scale })?
        }
    })
}

/// A name of something: not empty, not too long, nothing hidden in it.
fn name(what: &str, said: String) -> Checked<String> {
    if said.is_empty() || said.len() > MAX_NAME_BYTES {
        return Err(format!("the name of a {what} has {} bytes, 1 to {MAX_NAME_BYTES} are allowed", said.len()));
    }
    if escape(&said, MAX_NAME_BYTES) != said {
        return Err(format!("the name of a {what} holds control characters: `{}`", shown(&said)));
    }
    Ok(said)
}

fn distinct<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Checked<()> {
    let mut seen = HashSet::new();
    match names.into_iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(format!("two {what} are called `{twice}`")),
        None => Ok(()),
    }
}

fn shown(text: &str) -> String {
    escape(text, 80)
}
