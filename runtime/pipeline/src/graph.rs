//! How the nodes are joined: names are unique and well formed, inputs name outputs that exist, no operator reads itself, and what
//! nobody reads is told as a warning.

use crate::nodes::{InputRef, OperatorKind};
use crate::pipeline::{DEAD_LETTERS, LATE, OTHER};
use crate::reader::Reading;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use stygian_api::suggest;
use toml::Spanned;

/// The outputs of a node.
#[derive(Debug, Default)]
struct Outputs {
    /// Whether the plain name of the node is an output.
    main: bool,
    /// Read as `node.name`, besides dead letters.
    named: Vec<String>,
    /// Whether there may be more (a plugin says, and the planner checks).
    open: bool,
}

#[derive(Debug)]
struct Declaration {
    at: Range<usize>,
    /// `None`: a sink.
    outputs: Option<Outputs>,
    inputs: Vec<InputRef>,
    kind: &'static str,
}

/// Every name of the file, also of nodes that have problems.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    nodes: BTreeMap<String, Declaration>,
}

impl Declared {
    pub(crate) fn source(&mut self, name: &Spanned<String>, reading: &mut Reading<'_>) {
        let outputs = Outputs { main: true, ..Outputs::default() };
        self.add(name, "source", Some(outputs), Vec::new(), reading);
    }

    pub(crate) fn operator(&mut self, name: &Spanned<String>, inputs: &[InputRef], kind: Option<&OperatorKind>, reading: &mut Reading<'_>) {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let outputs = match kind {
            None | Some(OperatorKind::Plugin(_)) => Outputs { main: true, named: Vec::new(), open: true },
            Some(OperatorKind::Filter(_) | OperatorKind::Select(_) | OperatorKind::Union) => {
                Outputs { main: true, named: Vec::new(), open: false }
            }
            Some(OperatorKind::Window(_) | OperatorKind::Dedup(_) | OperatorKind::Top(_)) => {
                Outputs { main: true, named: texts(&[LATE]), open: false }
            }
            Some(OperatorKind::Branch(branches)) => {
                let names = branches.iter().map(|branch| branch.name.get_ref()).filter(|name| *name != OTHER).cloned();
                Outputs { main: false, named: names.chain([OTHER.to_owned()]).collect(), open: false }
            }
        };
        self.add(name, "operator", Some(outputs), inputs.to_vec(), reading);
    }

    pub(crate) fn sink(&mut self, name: &Spanned<String>, input: Option<&InputRef>, reading: &mut Reading<'_>) {
        self.add(name, "sink", None, input.cloned().into_iter().collect(), reading);
    }

    fn add(
        &mut self,
        name: &Spanned<String>,
        kind: &'static str,
        outputs: Option<Outputs>,
        inputs: Vec<InputRef>,
        reading: &mut Reading<'_>,
    ) {
        check_name(name.get_ref(), name.span(), reading);
        if let Some(other) = self.nodes.get(name.get_ref()) {
            let article = if other.kind == "operator" { "an" } else { "a" };
            let message = format!("there is {article} {} `{}` already", other.kind, name.get_ref());
            reading.problem(name.span(), message, Some("names are unique among sources, operators and sinks".into()));
            return;
        }
        self.nodes.insert(name.get_ref().clone(), Declaration { at: name.span(), outputs, inputs, kind });
    }
}

/// Checks how the nodes are joined.
pub(crate) fn check(declared: &Declared, reading: &mut Reading<'_>) {
    for node in declared.nodes.values() {
        for input in &node.inputs {
            check_input(declared, input, reading);
        }
    }
    find_cycles(declared, reading);
    warn_unread(declared, reading);
}

/// Whether a name is `[a-z][a-z0-9_-]{0,63}`.
pub(crate) fn check_name(name: &str, at: Range<usize>, reading: &mut Reading<'_>) -> bool {
    let tail = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let good = name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(tail);
    if !good {
        let hint = "begin with a letter a to z; then letters, digits, `_` and `-`; at most 64";
        reading.problem(at, format!("`{name}` is not a valid name"), Some(hint.into()));
    }
    good
}

fn check_input(declared: &Declared, input: &InputRef, reading: &mut Reading<'_>) {
    let readable = |node: &&Declaration| node.outputs.is_some();
    let Some(node) = declared.nodes.get(&input.node) else {
        let known: Vec<&str> = declared.nodes.iter().filter(|(_, node)| readable(node)).map(|(name, _)| name.as_str()).collect();
        let hint = if known.is_empty() { "there is no source or operator yet".to_owned() } else { suggest(&input.node, &known) };
        reading.problem(input.at.clone(), format!("there is no source or operator `{}`", input.node), Some(hint));
        return;
    };
    let Some(outputs) = &node.outputs else {
        let hint = "read what the sink reads";
        reading.problem(input.at.clone(), format!("`{}` is a sink, which nothing can read", input.node), Some(hint.into()));
        return;
    };
    let list = || {
        let all = outputs.named.iter().map(String::as_str).chain([DEAD_LETTERS]);
        all.map(|output| format!("`{}.{output}`", input.node)).collect::<Vec<_>>().join(", ")
    };
    match input.output.as_deref() {
        None if !outputs.main => {
            let message = format!("`{}` has several outputs", input.node);
            reading.problem(input.at.clone(), message, Some(format!("read one of {}", list())));
        }
        Some(output) if !outputs.open && output != DEAD_LETTERS && !outputs.named.iter().any(|named| named == output) => {
            let main = if outputs.main { format!("`{}`, ", input.node) } else { String::new() };
            let message = format!("`{}` has no output `{output}`", input.node);
            reading.problem(input.at.clone(), message, Some(format!("known: {main}{}", list())));
        }
        _ => {}
    }
}

/// How far a node's search for cycles is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    OnPath,
    Done,
}

fn find_cycles<'a>(declared: &'a Declared, reading: &mut Reading<'_>) {
    let mut seen: BTreeMap<&'a str, Seen> = BTreeMap::new();
    for start in declared.nodes.keys() {
        walk_back(declared, start, &mut Vec::new(), &mut seen, reading);
    }
}

/// Follows inputs from `start`; `path` is how it was reached. An explicit stack, because the file decides how deep it goes.
fn walk_back<'a>(
    declared: &'a Declared,
    start: &'a str,
    path: &mut Vec<(&'a str, usize)>,
    seen: &mut BTreeMap<&'a str, Seen>,
    reading: &mut Reading<'_>,
) {
    if seen.contains_key(start) {
        return;
    }
    seen.insert(start, Seen::OnPath);
    path.push((start, 0));
    while let Some((name, next)) = path.last_mut() {
        let name = *name;
        let input = declared.nodes.get(name).and_then(|node| node.inputs.get(*next));
        *next += 1;
        let Some(input) = input else {
            seen.insert(name, Seen::Done);
            path.pop();
            continue;
        };
        let Some((upstream, _)) = declared.nodes.get_key_value(&input.node) else { continue };
        match seen.get(upstream.as_str()) {
            Some(Seen::Done) => {}
            Some(Seen::OnPath) => tell_cycle(path, upstream, input, reading),
            None => {
                seen.insert(upstream, Seen::OnPath);
                path.push((upstream, 0));
            }
        }
    }
}

fn tell_cycle(path: &[(&str, usize)], upstream: &str, input: &InputRef, reading: &mut Reading<'_>) {
    let from = path.iter().position(|(name, _)| *name == upstream).unwrap_or(0);
    // The path runs against the rows, so it is told backwards.
    let mut names: Vec<&str> = path[from..].iter().rev().map(|(name, _)| *name).collect();
    names.insert(0, upstream);
    let message = match names.as_slice() {
        [name, _] => format!("`{name}` reads its own rows"),
        _ => format!("these read each other in a cycle: {}", names.join(" -> ")),
    };
    reading.problem(input.at.clone(), message, Some("rows flow one way: from sources to sinks".into()));
}

fn warn_unread(declared: &Declared, reading: &mut Reading<'_>) {
    let mut reads: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
    for input in declared.nodes.values().flat_map(|node| &node.inputs) {
        reads.entry(&input.node).or_default().insert(input.output.as_deref());
    }
    let nothing = BTreeSet::new();
    for (name, node) in &declared.nodes {
        let Some(outputs) = &node.outputs else { continue };
        let read = reads.get(name.as_str()).unwrap_or(&nothing);
        if read.iter().all(|output| *output == Some(DEAD_LETTERS)) {
            let message = format!("nobody reads {} `{name}`", node.kind);
            reading.warning(node.at.clone(), message, Some(format!("read it by `input = \"{name}\"`, or remove it")));
        } else if !outputs.main {
            for output in outputs.named.iter().filter(|output| *output != OTHER && !read.contains(&Some(output.as_str()))) {
                let message = format!("nobody reads the output `{name}.{output}`");
                reading.warning(node.at.clone(), message, Some("its rows are dropped".into()));
            }
        }
    }
}
