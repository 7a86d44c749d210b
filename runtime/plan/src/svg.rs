//! A plan as a picture: SVG without scripts, fonts or anything else from outside.
//!
//! Rows flow from left to right: a node stands in the column of its longest way from a source. Every task has a band of its own, in which
//! its nodes form a tree without crossings; only what leaves a task goes from band to band. All text is cut and escaped.

use crate::plan::{Edge, Exchange, NodeIndex, NodeKind, Plan, PlanNode};
use std::fmt::Write as _;
use stygian_core::escape;

/// Heights and gaps, in pixels.
const NODE: f64 = 44.0;
const ROW_GAP: f64 = 16.0;
const COLUMN_GAP: f64 = 96.0;
const MARGIN: f64 = 20.0;
const BAND_HEAD: f64 = 26.0;
const BAND_FOOT: f64 = 14.0;
const BAND_GAP: f64 = 22.0;
/// A letter of the small and of the bold font, about.
const SMALL: f64 = 6.3;
const BOLD: f64 = 7.8;
/// Letters of a detail that are shown; all of it is in the tooltip.
const SHOWN: usize = 38;
/// Letters of a way's names that are shown.
const SHOWN_NAMES: usize = 20;

const STYLE: &str = "text{font:12px ui-sans-serif,system-ui,sans-serif;fill:#1c2733}.name{font-weight:600;font-size:13px}\
.detail,.note{font-size:11px;fill:#53616f}.band{fill:#f3f6f9;stroke:#cfd8e1}.node{stroke-width:1.5}\
.edge{fill:none;stroke:#7b8894;stroke-width:1.4}.exchange{stroke:#0b6bcb;stroke-width:2;stroke-dasharray:6 4}.by{font-size:11px;fill:#0b6bcb}\
.by,.out{font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}.out{fill:#53616f}";

/// Where a node is drawn.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    column: usize,
    /// From the top of its band.
    row: usize,
    x: f64,
    y: f64,
    width: f64,
}

/// A task's band.
#[derive(Clone, Copy, Debug)]
struct Band {
    top: f64,
    height: f64,
    left: f64,
    right: f64,
}

struct Layout {
    places: Vec<Place>,
    bands: Vec<Band>,
    width: f64,
    height: f64,
}

impl Plan {
    /// The plan as an SVG document.
    pub fn explain_svg(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = self.draw(&Layout::of(self), &mut text);
        text
    }

    fn draw(&self, layout: &Layout, to: &mut String) -> std::fmt::Result {
        let (width, height) = (layout.width, layout.height);
        writeln!(
            to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">"
        )?;
        writeln!(to, "<title>{}</title>\n<style>{STYLE}</style>", shown(&format!("pipeline {}", self.name), 200))?;
        writeln!(
            to,
            "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"9\" markerHeight=\"9\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
             <path d=\"M0 0 8 4 0 8z\" fill=\"#7b8894\"/></marker></defs>"
        )?;
        writeln!(to, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>")?;
        writeln!(to, "<text class=\"name\" x=\"{MARGIN}\" y=\"24\">{}</text>", shown(&self.name, 200))?;
        for (number, (chain, band)) in self.chains.iter().zip(&layout.bands).enumerate() {
            let subtasks = chain.parallelism.get();
            let label = format!("task {} · {subtasks} {}", number + 1, if subtasks == 1 { "subtask" } else { "subtasks" });
            band.draw(&label, to)?;
        }
        let ways: Vec<(Way, Place)> =
            self.nodes.iter().zip(&layout.places).flat_map(|(node, place)| self.ways(node).into_iter().map(|way| (way, *place))).collect();
        for (way, place) in &ways {
            way.draw(layout.places[way.edge.from], *place, to)?;
        }
        // No line runs over a name.
        for (way, place) in &ways {
            way.draw_names(*place, to)?;
        }
        for (node, place) in self.nodes.iter().zip(&layout.places) {
            self.draw_node(node, place, to)?;
        }
        writeln!(to, "<text class=\"note\" x=\"{MARGIN}\" y=\"{:.0}\">{}</text>\n</svg>", height - 12.0, shown(self.guarantees(), 300))
    }

    fn draw_node(&self, node: &PlanNode, place: &Place, to: &mut String) -> std::fmt::Result {
        let (kind, detail) = self.words(node);
        let Place { x, y, width, .. } = *place;
        let (fill, stroke) = colours(&node.kind);
        writeln!(to, "<g><title>{}</title>", shown(&label(&format!("{kind} {}", node.id), &detail), 2_000))?;
        writeln!(
            to,
            "<rect class=\"node\" x=\"{x:.0}\" y=\"{y:.0}\" width=\"{width:.0}\" height=\"{NODE}\" rx=\"6\" fill=\"{fill}\" stroke=\"{stroke}\"/>"
        )?;
        writeln!(to, "<text class=\"name\" x=\"{:.0}\" y=\"{:.0}\">{}</text>", x + 10.0, y + 18.0, shown(node.id.as_str(), SHOWN))?;
        writeln!(
            to,
            "<text class=\"detail\" x=\"{:.0}\" y=\"{:.0}\">{}</text></g>",
            x + 10.0,
            y + 34.0,
            shown(&label(kind, &detail), SHOWN)
        )
    }

    /// The ways into a node, one for all edges from the same node.
    fn ways(&self, node: &PlanNode) -> Vec<Way> {
        let mut ways: Vec<Way> = Vec::new();
        for edge in &node.inputs {
            let name = self.nodes[edge.from].outputs.get(edge.output).and_then(|output| output.name.as_deref()).unwrap_or_default();
            match ways.iter_mut().find(|way| way.edge.from == edge.from) {
                Some(way) => way.outputs = format!("{}, {name}", way.outputs),
                None => ways.push(Way { edge: edge.clone(), outputs: name.to_owned(), by: self.hashed_by(edge) }),
            }
        }
        ways
    }

    /// The nodes of a chain that read this one.
    fn children(&self, chain: usize, of: NodeIndex) -> Vec<NodeIndex> {
        let reads = |node: &&NodeIndex| self.nodes[**node].inputs.iter().any(|edge| edge.from == of);
        let nodes = self.chains[chain].nodes.iter().skip(1);
        nodes.filter(reads).copied().collect()
    }
}

/// How rows get from one node to another.
struct Way {
    /// One of its edges.
    edge: Edge,
    /// The outputs they come from; empty for those without a name.
    outputs: String,
    /// What they are exchanged by; empty where they are not.
    by: String,
}

impl Way {
    fn draw(&self, from: Place, place: Place, to: &mut String) -> std::fmt::Result {
        let (x1, y1) = (from.x + from.width, from.y + NODE / 2.0);
        let (x2, y2) = (place.x - 2.0, place.y + NODE / 2.0);
        let bend = (x2 - x1).max(40.0) / 2.0;
        let class = if self.edge.exchange == Exchange::Forward { "edge" } else { "edge exchange" };
        writeln!(
            to,
            "<path class=\"{class}\" marker-end=\"url(#tip)\" d=\"M{x1:.0} {y1:.0}C{:.0} {y1:.0} {:.0} {y2:.0} {x2:.0} {y2:.0}\"/>",
            x1 + bend,
            x2 - bend
        )
    }

    /// Near its end: there the ways out of a node have parted.
    fn draw_names(&self, place: Place, to: &mut String) -> std::fmt::Result {
        let (x, y) = (place.x - 12.0, place.y + NODE / 2.0);
        for (class, name, y) in [("out", &self.outputs, y - 5.0), ("by", &self.by, y + 14.0)] {
            if !name.is_empty() {
                writeln!(to, "<text class=\"{class}\" x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"end\">{}</text>", shown(name, SHOWN_NAMES))?;
            }
        }
        Ok(())
    }
}

impl Layout {
    fn of(plan: &Plan) -> Self {
        let mut places = columns(plan);
        let mut rows = vec![0; plan.chains.len()];
        for (number, chain) in plan.chains.iter().enumerate() {
            if let Some(head) = chain.nodes.first() {
                stack(plan, number, *head, &mut rows[number], &mut places);
            }
        }
        let right = across(plan, &mut places);
        let mut layout = Self { places, bands: Vec::new(), width: right, height: 36.0 };
        for (number, chain) in plan.chains.iter().enumerate() {
            layout.band(&chain.nodes, rows[number]);
        }
        layout.width = layout.width.max(plan.guarantees().len() as f64 * SMALL + 2.0 * MARGIN);
        layout.height += BAND_HEAD;
        layout
    }

    /// Gives a task its band, below those before it.
    fn band(&mut self, nodes: &[NodeIndex], rows: usize) {
        let top = self.height;
        let (mut left, mut right) = (f64::MAX, 0.0_f64);
        for node in nodes {
            let place = &mut self.places[*node];
            place.y = top + BAND_HEAD + place.row as f64 * (NODE + ROW_GAP);
            (left, right) = (left.min(place.x), right.max(place.x + place.width));
        }
        let height = BAND_HEAD + rows as f64 * (NODE + ROW_GAP) - ROW_GAP + BAND_FOOT;
        self.bands.push(Band { top, height, left: left - 14.0, right: right + 14.0 });
        self.height = top + height + BAND_GAP;
    }
}

impl Band {
    fn draw(&self, label: &str, to: &mut String) -> std::fmt::Result {
        let Self { top, height, left, right } = *self;
        let width = (right - left).max(label.chars().count() as f64 * SMALL + 24.0);
        writeln!(to, "<rect class=\"band\" x=\"{left:.0}\" y=\"{top:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" rx=\"8\"/>")?;
        writeln!(to, "<text class=\"note\" x=\"{:.0}\" y=\"{:.0}\">{}</text>", left + 12.0, top + 17.0, shown(label, 60))
    }
}

/// The column of every node; edges always lead to a later one.
fn columns(plan: &Plan) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::with_capacity(plan.nodes.len());
    for node in &plan.nodes {
        let column = node.inputs.iter().map(|edge| places[edge.from].column + 1).max().unwrap_or(0);
        places.push(Place { column, ..Place::default() });
    }
    places
}

/// Rows of a subtree: the first child beside its parent, the others below all that came before.
fn stack(plan: &Plan, chain: usize, node: NodeIndex, next: &mut usize, places: &mut [Place]) {
    // Chains of a pipeline are as deep as it has operators, which are few enough for a stack.
    places[node].row = *next;
    let children = plan.children(chain, node);
    if children.is_empty() {
        *next += 1;
    }
    for child in children {
        stack(plan, chain, child, next, places);
    }
}

/// Columns as wide as their widest node. Returns the right edge of the picture.
fn across(plan: &Plan, places: &mut [Place]) -> f64 {
    let columns = places.iter().map(|place| place.column + 1).max().unwrap_or(0);
    let mut x = MARGIN + 14.0;
    for column in 0..columns {
        let here = || plan.nodes.iter().enumerate().filter(|(index, _)| places[*index].column == column);
        let width = here().map(|(_, node)| width(plan, node)).fold(90.0, f64::max);
        let indices: Vec<NodeIndex> = here().map(|(index, _)| index).collect();
        for index in indices {
            (places[index].x, places[index].width) = (x, width);
        }
        x += width + COLUMN_GAP;
    }
    x - COLUMN_GAP + MARGIN + 14.0
}

fn width(plan: &Plan, node: &PlanNode) -> f64 {
    let (kind, detail) = plan.words(node);
    let letters = |text: &str| text.chars().count().min(SHOWN + 1) as f64;
    (letters(node.id.as_str()) * BOLD).max(letters(&label(kind, &detail)) * SMALL) + 20.0
}

fn label(kind: &str, detail: &str) -> String {
    if detail.is_empty() { kind.to_owned() } else { format!("{kind}: {detail}") }
}

/// Fill and stroke.
fn colours(kind: &NodeKind) -> (&'static str, &'static str) {
    match kind {
        NodeKind::Source(_) => ("#e7f5ec", "#3b8f5a"),
        NodeKind::Sink(_) => ("#fdf0e3", "#c27a2c"),
        NodeKind::Plugin(_) => ("#efe9fb", "#7552c0"),
        NodeKind::Window(..) | NodeKind::Top(_) => ("#e4effb", "#2f6fb3"),
        _ => ("#ffffff", "#7b8894"),
    }
}

/// Text without control characters and markup, cut to `most` letters.
fn shown(text: &str, most: usize) -> String {
    let mut letters: Vec<char> = escape(text, most + 1).chars().collect();
    if letters.len() > most {
        letters.truncate(most);
        letters.push('…');
    }
    let mut out = String::with_capacity(letters.len());
    for letter in letters {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}
