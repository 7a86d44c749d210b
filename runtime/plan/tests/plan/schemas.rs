//! The schema of every stream, by the rules for each kind of operator.

use crate::common::{CLICKS, HEAD, facts, fields, output, planned, plugin, source, told};
use std::sync::Arc;
use stygian_core::{DeadLetters, OutputShape, PluginInterfaces, StreamKind};
use stygian_plan::{Exchange, Facts, NodeKind, Plan};

/// `name: columns; event time` of an output.
fn stream(plan: &Plan, node: &str, output: usize) -> String {
    let (_, node) = plan.node(node).expect("a node");
    let output = &node.outputs[output];
    let columns: Vec<String> = output
        .schema
        .columns()
        .fields()
        .iter()
        .map(|field| {
            let null = if field.is_nullable() { "" } else { "!" };
            format!("{}{null}", field.name())
        })
        .collect();
    let name = output.name.as_deref().unwrap_or("-");
    format!("{name}: {}; {}", columns.join(" "), output.schema.event_time_name().unwrap_or("-"))
}

fn of(text: &str, node: &str, output: usize) -> String {
    stream(&planned(&format!("{HEAD}{text}"), &facts()), node, output)
}

#[test]
fn dead_letters_come_last_of_every_node_but_sinks() {
    let plan = planned(HEAD, &facts());
    for node in &plan.nodes {
        match &node.kind {
            NodeKind::Sink(_) => assert!(node.outputs.is_empty()),
            _ => {
                let last = node.outputs.last().expect("an output");
                assert_eq!((last.name.as_deref(), last.schema.columns()), (Some("dead_letters"), &DeadLetters::schema()));
            }
        }
    }
}

#[test]
fn a_plugin_adds_replaces_or_makes_columns() {
    let plan = planned(HEAD, &facts());
    assert_eq!(stream(&plan, "clean", 0), "good: buyer! item amount at! price!; at");
    assert_eq!(stream(&plan, "clean", 1), "bad: buyer! item amount at!; at");
    let mut facts = facts();
    let replace = OutputShape::Extended(fields(&["item text not null", "at text", "n int64"]));
    let own = OutputShape::Own(fields(&["at timestamp_utc", "x int8"]));
    facts.plugins.insert("clean".into(), plugin(&["buyer text"], vec![output("a", replace), output("b", own)]));
    let plan = planned(HEAD, &facts);
    assert_eq!(stream(&plan, "clean", 0), "a: buyer! item! amount at n; -", "another type is another column");
    assert_eq!(stream(&plan, "clean", 1), "b: at x; at", "same name and type stay the event time");
}

#[test]
fn a_plugin_names_another_event_time() {
    let mut facts = facts();
    let mut spec = output("a", OutputShape::Own(fields(&["then timestamp"])));
    spec.event_time = Some("then".into());
    facts.plugins.insert("clean".into(), plugin(&["buyer text"], vec![spec]));
    assert_eq!(stream(&planned(HEAD, &facts), "clean", 0), "a: then; then");
    let plan = planned(&HEAD.replace("event_time = 'at'\n", ""), &facts);
    assert_eq!(stream(&plan, "clean", 0), "a: then; -");
    assert_eq!(plan.warnings[0].message, "output `a` has no event time, because `clicks` has none");
}

#[test]
fn a_plugin_reads_its_columns_wherever_they_are() {
    let mut facts = facts();
    facts.plugins.insert("clean".into(), plugin(&["at timestamp_utc", "buyer text"], vec![output("a", OutputShape::Selected)]));
    let plan = planned(HEAD, &facts);
    let NodeKind::Plugin(plugin) = &plan.node("clean").expect("a node").1.kind else { panic!("no plugin") };
    assert_eq!((plugin.columns.as_slice(), plugin.config.as_str()), ([3, 0].as_slice(), "{}"));
}

#[test]
fn select_keeps_the_event_time_under_its_name_only() {
    let select = |columns: &str| {
        of(&format!("[operator.s]\ninput='clean.good'\nselect={{ {columns} }}\n[sink.s2]\ninput='s'\nconnector='x'\n"), "s", 0)
    };
    assert_eq!(select("at = 'at', price = 'price * 2'"), "-: at! price!; at");
    assert_eq!(select("at = 'buyer', then = 'at'"), "-: at! then!; -");
    let text = "[operator.s]\ninput='clean.good'\nselect={ then = 'at' }\nevent_time='then'\n[sink.s2]\ninput='s'\nconnector='x'\n";
    assert_eq!(of(text, "s", 0), "-: then!; then");
}

#[test]
fn a_branch_has_its_outputs_in_order_and_other() {
    let text = "[operator.b]\ninput='clicks'\nbranch={ z = 'amount > 1', a = 'amount > 2' }\n[sink.s]\ninput='b.a'\nconnector='x'\n";
    let names: Vec<String> = (0..3).map(|n| of(text, "b", n)).collect();
    let columns = "buyer! item amount at!; at";
    assert_eq!(names, [format!("z: {columns}"), format!("a: {columns}"), format!("other: {columns}")]);
    let plan = planned(&format!("{HEAD}{text}"), &facts());
    assert_eq!(plan.node("s").expect("a sink").1.inputs[0].output, 1);
}

#[test]
fn a_window_puts_out_bounds_keys_and_aggregates_and_late_rows() {
    let text = "[operator.w]\ninput='clean.good'\nwindow={ tumbling = '1h' }\nkey_by=['item']\naggregate={ n = 'count(*)', most = 'max(amount)' }\n[sink.s]\ninput='w'\nconnector='x'\n";
    assert_eq!(of(text, "w", 0), "-: window_start! window_end! window_time! item n! most; window_time");
    assert_eq!(of(text, "w", 1), "late: buyer! item amount at! price!; at");
}

#[test]
fn windows_that_revise_have_a_revision_and_those_by_the_clock_no_event_time() {
    let window = |window: &str| {
        let text = format!("[operator.w]\ninput = 'clicks'\nwindow = {window}\nkey_by = ['item']\naggregate = {{ n = 'count(*)' }}\n");
        of(&text, "w", 0)
    };
    let plain = "-: window_start! window_end! window_time! item n!; window_time";
    let revised = "-: window_start! window_end! window_time! revision! item n!; window_time";
    assert_eq!(window("{ session = '30m' }"), plain);
    assert_eq!(window("{ tumbling = '1h', allowed_lateness = '1m' }"), revised);
    assert_eq!(window("{ sliding = '1h', slide = '1m', early = '10s' }"), revised);
    assert_eq!(window("{ tumbling = '1h', time = 'processing' }"), plain.replace("; window_time", "; -"));
}

/// A user's aggregate as far as the planner looks at it.
#[derive(Debug)]
struct Own(arrow_schema::Fields, stygian_expr::ExternalAccumulators);

impl stygian_expr::ExternalFunction for Own {
    fn open(&self) -> Result<Box<dyn stygian_expr::ExternalAggregate>, stygian_expr::ExternalError> {
        Err("only planned".into())
    }

    fn results(&self) -> &arrow_schema::Fields {
        &self.0
    }

    fn accumulators(&self) -> &stygian_expr::ExternalAccumulators {
        &self.1
    }
}

fn facts_with_own(results: &[&str]) -> Facts {
    let mut facts = facts();
    let mut description = Arc::unwrap_or_clone(plugin(&["amount float64"], vec![output("out", OutputShape::Own(fields(results)))]));
    description.interfaces = PluginInterfaces { aggregate: true, ..PluginInterfaces::default() };
    let results: Vec<arrow_schema::Field> = fields(results).iter().map(stygian_core::Field::arrow).collect();
    facts.aggregates.insert("w.spread".into(), Arc::new(Own(results.into(), stygian_expr::ExternalAccumulators::default())));
    facts.plugins.insert("w.spread".into(), Arc::new(description));
    facts
}

const OWN: &str = "[operator.w]
input = 'clicks'
window = { session = '30m' }
key_by = ['item']
aggregate = { n = 'count(*)', spread = { plugin = 'spread@0.1', config = { least = 1 } }, most = 'max(amount)' }
";

#[test]
fn an_own_aggregate_makes_a_column_of_its_name_or_several_behind_it() {
    let of = |results: &[&str]| stream(&planned(&format!("{HEAD}{OWN}"), &facts_with_own(results)), "w", 0);
    assert_eq!(of(&["x float64"]), "-: window_start! window_end! window_time! item n! spread most; window_time");
    let several = "-: window_start! window_end! window_time! item n! spread_low! spread_high most; window_time";
    assert_eq!(of(&["low float64 not null", "high float64"]), several);
}

#[test]
fn an_aggregate_whose_plugin_does_not_aggregate_is_a_problem() {
    let mut facts = facts_with_own(&["x float64"]);
    facts.plugins.insert("w.spread".into(), plugin(&["amount float64"], vec![output("out", OutputShape::Selected)]));
    assert!(told(&format!("{HEAD}{OWN}"), &facts).contains("error: plugin cleaner 1.2.0 does not aggregate"));
    facts.plugins.remove("w.spread");
    assert!(told(&format!("{HEAD}{OWN}"), &facts).contains("error: nothing is known of the plugin of `w.spread`"));
}

#[test]
fn dedup_passes_rows_as_they_are_and_late_ones_apart() {
    let text = "[operator.once]\ninput = 'clicks'\ndedup = { by = ['buyer'], within = '1h' }\n";
    assert_eq!(of(text, "once", 0), "-: buyer! item amount at!; at");
    assert_eq!(of(text, "once", 1), "late: buyer! item amount at!; at");
}

#[test]
fn top_gives_rows_a_rank_and_keeps_the_windows_they_come_with() {
    let text = "[operator.dear]\ninput = 'clicks'\nwindow = { tumbling = '1h' }\nkey_by = ['buyer']\ntop = { by = 'amount desc', n = 3 }\n";
    assert_eq!(of(text, "dear", 0), "-: window_start! window_end! window_time! buyer! item amount at! rank!; window_time");
    assert_eq!(of(text, "dear", 1), "late: buyer! item amount at!; at");
    let text = "[operator.hours]\ninput = 'clicks'\nwindow = { tumbling = '1h' }\nkey_by = ['item']\naggregate = { n = 'count(*)' }\n\
                [operator.best]\ninput = 'hours'\ntop = { by = ['n desc', 'item asc'], n = 3 }\n";
    assert_eq!(of(text, "best", 0), "-: window_start! window_end! window_time! item n! rank!; window_time");
    // The rows of a window meet, and each window does so elsewhere.
    let plan = planned(&[HEAD, text, "[sink.s]\ninput='best'\nconnector='x'\n"].concat(), &facts());
    let best = plan.node("best").expect("a node").1;
    assert_eq!(best.inputs[0].exchange, Exchange::Hash { columns: vec![0] });
}

#[test]
fn a_union_is_nullable_where_one_input_is() {
    let mut facts = facts();
    facts.sources.insert("more".into(), source(&["buyer text", "item text not null", "amount float64", "at timestamp_utc not null"]));
    let text = format!(
        "{HEAD}[source.more]\nconnector='x'\nevent_time='at'\n[operator.u]\ninputs=['clicks','more','clean.bad']\nunion=true\n[sink.s]\ninput='u'\nconnector='x'\n"
    );
    assert_eq!(stream(&planned(&text, &facts), "u", 0), "-: buyer item amount at!; at");
    let plan = planned(&text.replace("[source.more]\nconnector='x'\nevent_time='at'", "[source.more]\nconnector='x'"), &facts);
    assert_eq!(stream(&plan, "u", 0), "-: buyer item amount at!; -");
    assert_eq!(plan.warnings[0].message, "the inputs of this union have different event times, so it has none");
}

#[test]
fn a_changelog_goes_through_unions_and_plugins_that_know_it_to_sinks() {
    let mut facts = Facts::default();
    facts.sources.insert("clicks".into(), source(&CLICKS));
    let mut spec = output("changes", OutputShape::Own(fields(&["buyer text", "_operation text not null"])));
    spec.kind = StreamKind::Changelog;
    facts.plugins.insert("clean".into(), plugin(&["buyer text"], vec![spec.clone()]));
    facts.plugins.insert("again".into(), plugin(&["_operation text"], vec![spec]));
    let text = format!(
        "{HEAD}[operator.again]\ninput='clean'\nplugin='x'\n[operator.u]\ninputs=['clean','again']\nunion=true\n[sink.s]\ninput='u'\nconnector='x'\n"
    );
    let plan = planned(&text, &facts);
    assert!(plan.sinks().all(|(_, schema)| schema.kind() == StreamKind::Changelog));
    let accepts = [("all".to_owned(), stygian_api::Accepts::Append), ("s".to_owned(), stygian_api::Accepts::Changelog)];
    let problems = plan.check_sinks(&accepts.into()).expect_err("one sink refuses").0;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message, "sink `all` takes rows that stay, but its input is a changelog");
    assert_eq!(&text[problems[0].at.clone().expect("a place")], "all");
}
