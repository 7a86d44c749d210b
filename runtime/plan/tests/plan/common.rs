//! A small world to plan in: one source of clicks, and plugins that say what they are told to.

use std::sync::Arc;
use stygian_core::{Field, InputSpec, OutputShape, OutputSpec, PluginDescription, PluginInterfaces, RequestedLimits, StreamKind};
use stygian_pipeline::{Pipeline, render};
use stygian_plan::{Facts, Plan, SourceFacts, plan};

/// `["buyer text", "at timestamp_utc not null"]` as fields.
pub(crate) fn fields(texts: &[&str]) -> Vec<Field> {
    let field = |text: &&str| {
        let (name, rest) = text.split_once(' ').expect("a name and a type");
        Field::parse(name, rest).expect("a type")
    };
    texts.iter().map(field).collect()
}

pub(crate) fn source(texts: &[&str]) -> SourceFacts {
    let fields: Vec<arrow_schema::Field> = fields(texts).iter().map(Field::arrow).collect();
    SourceFacts { columns: Arc::new(arrow_schema::Schema::new(fields)), bounded: true }
}

pub(crate) fn output(name: &str, shape: OutputShape) -> OutputSpec {
    OutputSpec { name: name.into(), kind: StreamKind::Append, shape, event_time: None }
}

pub(crate) fn plugin(reads: &[&str], outputs: Vec<OutputSpec>) -> Arc<PluginDescription> {
    Arc::new(PluginDescription {
        name: "cleaner".into(),
        version: "1.2.0".parse().expect("a version"),
        interfaces: PluginInterfaces { operator: true, ..PluginInterfaces::default() },
        inputs: vec![InputSpec { name: "rows".into(), columns: fields(reads), key: Vec::new() }],
        outputs,
        slots: Vec::new(),
        timers: Vec::new(),
        limits: RequestedLimits::default(),
    })
}

pub(crate) const CLICKS: [&str; 4] = ["buyer text not null", "item text", "amount float64", "at timestamp_utc not null"];

/// Facts of a source `clicks`, and of a plugin operator `clean` that reads `amount` and has outputs `good` and `bad`.
pub(crate) fn facts() -> Facts {
    let mut facts = Facts::default();
    facts.sources.insert("clicks".into(), source(&CLICKS));
    let shapes = vec![output("good", OutputShape::Extended(fields(&["price float64 not null"]))), output("bad", OutputShape::Selected)];
    facts.plugins.insert("clean".into(), plugin(&["amount float64"], shapes));
    facts
}

pub(crate) const HEAD: &str = "name = 'shop'
[source.clicks]
connector = 'files'
event_time = 'at'
[operator.clean]
input = 'clicks'
plugin = 'cleaner@1.2'
[sink.all]
connector = 'files'
input = 'clean'
";

pub(crate) fn planned(text: &str, facts: &Facts) -> Plan {
    match Pipeline::parse(text).and_then(|pipeline| plan(&pipeline, facts)) {
        Ok(plan) => plan,
        Err(problems) => panic!("{}", render(&problems, text, "shop.toml", false)),
    }
}

/// What is wrong with a pipeline, as people see it.
pub(crate) fn told(text: &str, facts: &Facts) -> String {
    let pipeline = Pipeline::parse(text).expect("a checked pipeline");
    let problems = plan(&pipeline, facts).expect_err("problems");
    render(&problems, text, "shop.toml", false)
}
