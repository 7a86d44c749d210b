//! Makes components of the contract from WAT: a module of the plugin's kind with a shared prelude, a description laid out as the canonical
//! ABI wants it, and the case's own functions.

use stygian_core::{ColumnType, Field, OutputShape, SlotKind, TimerClock};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const PRELUDE: &str = include_str!("prelude.wat");
const OUTPUT: &str = include_str!("output.wat");

/// Where the description lies in the guest's memory.
const BASE: u32 = 1024;

/// Functions that a case may leave out, of any kind of plugin.
const FUNCTIONS: [&str; 9] = ["$describe", "$open", "$process", "$on_timers", "$accumulate", "$merge", "$finish", "$reads", "$migrate"];

/// A guest under construction.
pub(crate) struct Guest {
    module: &'static str,
    input: Vec<Field>,
    key: Vec<Field>,
    outputs: Vec<(String, OutputShape)>,
    slots: Vec<(&'static str, SlotKind)>,
    /// Of all slots.
    slot_version: u8,
    /// More of the module.
    more: &'static str,
    timers: Vec<(&'static str, TimerClock)>,
    name: String,
    version: String,
    imports: String,
    world: String,
}

pub(crate) fn fields(texts: &[&str]) -> Vec<Field> {
    let field = |text: &&str| {
        let (name, column_type) = text.split_once(' ').expect("a name and a type");
        Field::parse(name, column_type).expect("a type")
    };
    texts.iter().map(field).collect()
}

impl Default for Guest {
    /// Reads `n` and `text`; has an output of each shape.
    fn default() -> Self {
        let outputs = [
            ("kept", OutputShape::Selected),
            ("own", OutputShape::Own(fields(&["n int64 not null", "text text"]))),
            ("extended", OutputShape::Extended(fields(&["m int64"]))),
        ];
        Self {
            module: include_str!("operator.wat"),
            input: fields(&["n int64", "text text"]),
            key: Vec::new(),
            outputs: outputs.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect(),
            slots: Vec::new(),
            slot_version: 1,
            more: "",
            timers: Vec::new(),
            name: "guest".into(),
            version: "1.2.3".into(),
            imports: String::new(),
            world: "include stygian:plugin/operator-plugin@0.2.0;".into(),
        }
    }
}

impl Guest {
    /// The columns of its key.
    pub(crate) fn keyed_by(mut self, key: Vec<Field>) -> Self {
        self.key = key;
        self
    }

    /// The same with a slot of each kind, and a timer of each clock.
    pub(crate) fn keyed() -> Self {
        Self {
            module: include_str!("keyed.wat"),
            slots: vec![("value", SlotKind::Value), ("list", SlotKind::List), ("map", SlotKind::Map)],
            key: fields(&["key text"]),
            timers: vec![("event", TimerClock::EventTime), ("processing", TimerClock::ProcessingTime)],
            world: "include stygian:plugin/keyed-plugin@0.2.0;".into(),
            ..Self::default()
        }
    }

    /// The same with slots of version 2, that migrates those of version 1.
    pub(crate) fn migrating() -> Self {
        let (more, world) = (include_str!("migration.wat"), "include stygian:plugin/migrating-keyed-plugin@0.2.0;".into());
        Self { slot_version: 2, more, world, ..Self::keyed() }
    }

    /// An aggregate whose accumulators are of version 2, that migrates those of version 1.
    pub(crate) fn migrating_aggregate() -> Self {
        let (more, world) = (include_str!("migration.wat"), "include stygian:plugin/migrating-aggregate-plugin@0.2.0;".into());
        Self { slots: vec![("accumulator", SlotKind::Value)], slot_version: 2, more, world, ..Self::aggregate() }
    }

    pub(crate) fn of_version(self, slot_version: u8) -> Self {
        Self { slot_version, ..self }
    }

    /// An aggregate whose result is a number and a text.
    pub(crate) fn aggregate() -> Self {
        Self {
            module: include_str!("aggregate.wat"),
            world: "include stygian:plugin/aggregate-plugin@0.2.0;".into(),
            ..Self::default().outputs(vec![("result", OutputShape::Own(fields(&["n int64 not null", "text text"])))])
        }
    }

    pub(crate) fn reads(mut self, input: Vec<Field>) -> Self {
        self.input = input;
        self
    }

    pub(crate) fn outputs(mut self, outputs: Vec<(&str, OutputShape)>) -> Self {
        self.outputs = outputs.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect();
        self
    }

    pub(crate) fn called(mut self, name: &str, version: &str) -> Self {
        (self.name, self.version) = (name.into(), version.into());
        self
    }

    /// Imports an interface of WASI beside the contract: its package, name, function and core result type.
    pub(crate) fn imports(mut self, interface: &str, function: &str, core: &str) -> Self {
        self.imports = format!("(import \"{interface}\" \"{function}\" (func $foreign {core}))");
        self.world.push_str(&format!("import {interface};"));
        self
    }

    /// The component; `case` defines those of the functions that its kind calls which do something.
    pub(crate) fn build(&self, case: &str) -> Vec<u8> {
        let (description, described) = self.describe();
        let words = case.replace(['\n', ')'], " ");
        let missing = FUNCTIONS.iter().filter(|name| !words.contains(&format!("(func {name} ")));
        let case = missing.fold(format!("{}{case}", self.more), |case, name| format!("{case}\n(func {name})"));
        let text = self
            .module
            .replacen("(module", &format!("(module {}", self.imports), 1)
            .replace("{{output}}", OUTPUT)
            .replace("{{prelude}}", PRELUDE)
            .replace("{{description}}", &description.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>())
            .replace("{{described}}", &described.to_string())
            .replace("{{case}}", &case);
        component(&text, &self.world)
    }

    /// `result<description, string>` in memory, and its address.
    fn describe(&self) -> (Vec<u8>, u32) {
        let mut memory = Memory(Vec::new());
        let columns = memory.fields(&self.input);
        let key = memory.fields(&self.key);
        let inputs = [memory.text("input"), columns, key].concat();
        let inputs = memory.list(&inputs, 1);
        let outputs: Vec<Vec<u8>> = self.outputs.iter().map(|(name, shape)| memory.output(name, shape)).collect();
        let outputs = memory.list(&outputs.concat(), outputs.len());
        let slots: Vec<Vec<u8>> = self.slots.iter().map(|(name, kind)| memory.slot(name, *kind, self.slot_version)).collect();
        let slots = memory.list(&slots.concat(), slots.len());
        let timers: Vec<Vec<u8>> = self.timers.iter().map(|(name, clock)| memory.timer(name, *clock)).collect();
        let timers = memory.list(&timers.concat(), timers.len());
        let mut record = vec![0; 8]; // ok
        for part in [memory.text(&self.name), memory.text(&self.version), inputs, outputs, slots, timers] {
            record.extend(part);
        }
        record.extend([0; 32]); // no limits asked for
        let at = memory.put(&record);
        (memory.0, at)
    }
}

/// A guest's memory from [`BASE`] on.
struct Memory(Vec<u8>);

impl Memory {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = BASE + self.0.len() as u32;
        self.0.extend_from_slice(bytes);
        at
    }

    fn list(&mut self, bytes: &[u8], count: usize) -> Vec<u8> {
        let at = self.put(bytes);
        [at.to_le_bytes(), (count as u32).to_le_bytes()].concat()
    }

    fn text(&mut self, text: &str) -> Vec<u8> {
        self.list(text.as_bytes(), text.len())
    }

    fn fields(&mut self, fields: &[Field]) -> Vec<u8> {
        let records: Vec<Vec<u8>> = fields.iter().map(|field| self.field(field)).collect();
        self.list(&records.concat(), records.len())
    }

    fn field(&mut self, field: &Field) -> Vec<u8> {
        let (case, precision, scale) = match field.column_type {
            ColumnType::Bool => (0, 0, 0),
            ColumnType::Int8 => (1, 0, 0),
            ColumnType::Int16 => (2, 0, 0),
            ColumnType::Int32 => (3, 0, 0),
            ColumnType::Int64 => (4, 0, 0),
            ColumnType::UInt8 => (5, 0, 0),
            ColumnType::UInt16 => (6, 0, 0),
            ColumnType::UInt32 => (7, 0, 0),
            ColumnType::UInt64 => (8, 0, 0),
            ColumnType::Float32 => (9, 0, 0),
            ColumnType::Float64 => (10, 0, 0),
            ColumnType::Text => (11, 0, 0),
            ColumnType::Binary => (12, 0, 0),
            ColumnType::Date => (13, 0, 0),
            ColumnType::Timestamp => (14, 0, 0),
            ColumnType::TimestampUtc => (15, 0, 0),
            ColumnType::Decimal { precision, scale } => (16, precision, scale),
        };
        [self.text(&field.name), vec![case, precision, scale, u8::from(field.nullable)]].concat()
    }

    fn output(&mut self, name: &str, shape: &OutputShape) -> Vec<u8> {
        let (case, columns) = match shape {
            OutputShape::Selected => (0, vec![0; 8]),
            OutputShape::Extended(fields) => (1, self.fields(fields)),
            OutputShape::Own(fields) => (2, self.fields(fields)),
        };
        let append = [0; 4];
        let no_event_time = [0; 12];
        [self.text(name), append.to_vec(), vec![case, 0, 0, 0], columns, no_event_time.to_vec()].concat()
    }

    fn slot(&mut self, name: &str, kind: SlotKind, version: u8) -> Vec<u8> {
        let case = match kind {
            SlotKind::Value => 0,
            SlotKind::List => 1,
            SlotKind::Map => 2,
        };
        let (version, for_ever) = ([version, 0, 0, 0], [0; 16]);
        [self.text(name), vec![case, 0, 0, 0], version.to_vec(), for_ever.to_vec()].concat()
    }

    fn timer(&mut self, name: &str, clock: TimerClock) -> Vec<u8> {
        [self.text(name), vec![u8::from(clock == TimerClock::ProcessingTime), 0, 0, 0]].concat()
    }
}

/// Parts of WASI that hostile plugins want.
const WASI: [&str; 4] = [
    "package wasi:clocks@0.2.0; interface monotonic-clock { now: func() -> u64; }",
    "package wasi:filesystem@0.2.0; interface preopens { count: func() -> u32; }",
    "package wasi:sockets@0.2.0; interface instance-network { network: func() -> u32; }",
    "package wasi:random@0.2.0; interface random { get-random-u64: func() -> u64; }",
];

/// Turns a core module into a component of a world.
pub(crate) fn component(text: &str, world: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    let mut resolve = Resolve::default();
    resolve.push_str("stygian.wit", stygian_wit::CONTRACT).expect("the contract");
    for package in WASI {
        resolve.push_str("wasi.wit", package).expect("a package");
    }
    let package = resolve.push_str("test.wit", &format!("package test:guest; world guest {{ {world} }}")).expect("a world");
    let world = resolve.select_world(&[package], Some("guest")).expect("the world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata");
    ComponentEncoder::default().module(&module).expect("a module of the world").validate(true).encode().expect("a component")
}
