//! The words that people see for every problem of wiring and expressions.

use crate::common::{HEAD, facts, fields, output, plugin, source, told};
use stygian_core::{OutputShape, OutputSpec, PluginInterfaces, StreamKind};
use stygian_pipeline::Pipeline;

#[test]
fn tells_wrong_columns_in_every_expression() {
    let facts = facts();
    let text = r#"
[operator.f]
input = 'clicks'
filter = 'amont > 0'
[operator.s]
input = 'clicks'
select = { a = 'amount + prise', b = "price" }
[operator.b]
input = 'clicks'
branch = { x = 'amount > 0', y = "item \u003d itm" }
"#;
    let expected = r#"
error: there is no column `amont`; did you mean `amount`? The columns are buyer, item, amount, at
  --> shop.toml:13:11
   |
13 | filter = 'amont > 0'
   |           ^^^^^

error: there is no column `prise`; the columns are buyer, item, amount, at
  --> shop.toml:16:26
   |
16 | select = { a = 'amount + prise', b = "price" }
   |                          ^^^^^

error: there is no column `price`; the columns are buyer, item, amount, at
  --> shop.toml:16:39
   |
16 | select = { a = 'amount + prise', b = "price" }
   |                                       ^^^^^

error: there is no column `itm`; did you mean `item`? The columns are buyer, item, amount, at
  --> shop.toml:19:34
   |
19 | branch = { x = 'amount > 0', y = "item \u003d itm" }
   |                                  ^^^^^^^^^^^^^^^^^
"#;
    assert_eq!(told(&[HEAD, text.trim_start()].concat(), &facts), expected.trim_start_matches('\n'));
}

#[test]
fn tells_windows_without_event_time_and_wrong_keys() {
    let facts = facts();
    let text = r#"
[operator.gone]
input = 'clicks'
select = { buyer = 'buyer' }
[operator.w]
input = 'gone'
window = { tumbling = '1h' }
key_by = ['byer']
aggregate = { n = 'count(*)', sum = 'sum(amont)' }
[operator.v]
input = 'clicks'
window = { tumbling = '1h' }
key_by = ['buyer']
aggregate = { buyer = 'count(*)' }
"#;
    let expected = r#"
error: windows need an event time, and `gone` has none
  --> shop.toml:16:10
   |
16 | window = { tumbling = '1h' }
   |          ^^^^^^^^^^^^^^^^^^^
   |
   = help: name its column as `event_time` of the source, and keep it under its name in every `select` on the way; or write `time = "processing"` for windows of the time at which rows come by

error: there is no column `byer`
  --> shop.toml:17:11
   |
17 | key_by = ['byer']
   |           ^^^^^^
   |
   = help: did you mean `buyer`?

error: there is no column `amont`; the columns are buyer
  --> shop.toml:18:42
   |
18 | aggregate = { n = 'count(*)', sum = 'sum(amont)' }
   |                                          ^^^^^

error: two columns of the result are called `buyer` (the window itself makes window_start, window_end and window_time, and `top` makes rank); rename one
  --> shop.toml:21:10
   |
21 | window = { tumbling = '1h' }
   |          ^^^^^^^^^^^^^^^^^^^
"#;
    assert_eq!(told(&[HEAD, text.trim_start()].concat(), &facts), expected.trim_start_matches('\n'));
}

#[test]
fn tells_what_top_misses() {
    let text = r#"
[operator.a]
input = 'clicks'
top = { by = 'amont desc', n = 3 }
[operator.early]
input = 'clicks'
window = { tumbling = '1h', early = '1s' }
aggregate = { n = 'count(*)' }
[operator.b]
input = 'early'
key_by = ['m']
top = { by = 'n desc', n = 3 }
[operator.ranked]
input = 'clicks'
select = { rank = 'amount', at = 'at' }
[operator.c]
input = 'ranked'
window = { tumbling = '1h' }
top = { by = 'rank desc', n = 3 }
"#;
    let expected = r#"
error: `top` needs windows, and the rows of `clicks` are not results of some by event time
  --> shop.toml:13:7
   |
13 | top = { by = 'amont desc', n = 3 }
   |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: give it a `window`, or let it read a window whose `window_start`, `window_end` and `window_time` are kept

error: there is no column `amont`
  --> shop.toml:13:14
   |
13 | top = { by = 'amont desc', n = 3 }
   |              ^^^^^^^^^^^^
   |
   = help: did you mean `amount`?

error: there is no column `m`
  --> shop.toml:20:11
   |
20 | key_by = ['m']
   |           ^^^
   |
   = help: known: window_start, window_end, window_time, revision, n

error: results of `early` are replaced later, and `top` gives out each window once
  --> shop.toml:21:7
   |
21 | top = { by = 'n desc', n = 3 }
   |       ^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: leave `early` and `allowed_lateness` out of that window

error: two columns of the result are called `rank` (the window itself makes window_start, window_end and window_time, and `top` makes rank); rename one
  --> shop.toml:28:7
   |
28 | top = { by = 'rank desc', n = 3 }
   |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#;
    assert_eq!(told(&[HEAD, text.trim_start()].concat(), &facts()), expected.trim_start_matches('\n'));
}

#[test]
fn tells_what_a_plugin_misses() {
    let mut facts = facts();
    facts.plugins.insert("one".into(), plugin(&["byer text", "buyer int64"], vec![output("rows", OutputShape::Selected)]));
    facts
        .plugins
        .insert("two".into(), plugin(&["buyer text", "item text not null", "amount int64"], vec![output("rows", OutputShape::Selected)]));
    let text = r#"
[operator.few]
input = 'clicks'
select = { buyer = 'buyer' }
[operator.one]
input = 'few'
plugin = './cleaner.wasm'
[operator.two]
input = 'clicks'
plugin = 'cleaner'
[operator.three]
input = 'clean.ugly'
filter = 'true'
"#;
    let expected = r#"
error: plugin cleaner reads a column `byer`, which `few` does not have
  --> shop.toml:15:9
   |
15 | input = 'few'
   |         ^^^^^
   |
   = help: did you mean `buyer`?

error: plugin cleaner reads column `buyer` as int64, but it is text
  --> shop.toml:15:9
   |
15 | input = 'few'
   |         ^^^^^
   |
   = help: convert it with a `select` before: `cast(buyer as bigint)`

error: plugin cleaner needs a value in every row of column `item`, which may be null here
  --> shop.toml:18:9
   |
18 | input = 'clicks'
   |         ^^^^^^^^
   |
   = help: give it one with a `select` before (`coalesce(item, ...)`), or make it an `Option` in the plugin

error: plugin cleaner reads column `amount` as int64, but it is float64
  --> shop.toml:18:9
   |
18 | input = 'clicks'
   |         ^^^^^^^^
   |
   = help: convert it with a `select` before: `cast(amount as bigint)`

error: the plugin of `clean` has no output `ugly`
  --> shop.toml:21:9
   |
21 | input = 'clean.ugly'
   |         ^^^^^^^^^^^^
   |
   = help: known: good, bad, dead_letters
"#;
    assert_eq!(told(&[HEAD, text.trim_start()].concat(), &facts), expected.trim_start_matches('\n'));
}

#[test]
fn tells_keys_that_do_not_fit_a_plugin() {
    let mut facts = facts();
    let mut keyed = plugin(&[], vec![output("rows", OutputShape::Selected)]).as_ref().clone();
    keyed.interfaces = PluginInterfaces { keyed_operator: true, ..PluginInterfaces::default() };
    keyed.inputs[0].key = fields(&["shop text not null", "day date"]);
    for name in ["few", "types", "nulls", "good"] {
        facts.plugins.insert(name.into(), keyed.clone().into());
    }
    let text = r#"
[operator.days]
input = 'clicks'
select = { buyer = 'buyer', item = 'item', day = 'cast(at as date)' }
[operator.few]
input = 'days'
plugin = 'keyed'
key_by = ['buyer']
[operator.types]
input = 'clicks'
plugin = 'keyed'
key_by = ['amount', 'at']
[operator.nulls]
input = 'days'
plugin = 'keyed'
key_by = ['item', 'day']
[operator.good]
input = 'days'
plugin = 'keyed'
key_by = ['buyer', 'day']
"#;
    let expected = r#"
error: plugin cleaner has a key of 2 columns (shop text not null, day date), and `key_by` names 1
  --> shop.toml:17:10
   |
17 | key_by = ['buyer']
   |          ^^^^^^^^^
   |
   = help: name a column for each, in this order

error: plugin cleaner has a key of text, but column `amount` is float64
  --> shop.toml:21:11
   |
21 | key_by = ['amount', 'at']
   |           ^^^^^^^^
   |
   = help: convert it with a `select` before: `cast(amount as varchar)`

error: plugin cleaner has a key of date, but column `at` is timestamp_utc
  --> shop.toml:21:21
   |
21 | key_by = ['amount', 'at']
   |                     ^^^^
   |
   = help: convert it with a `select` before: `cast(at as date)`

error: the key of plugin cleaner has a value in every row, and column `item` may be null here
  --> shop.toml:25:11
   |
25 | key_by = ['item', 'day']
   |           ^^^^^^
   |
   = help: give it one with a `select` before (`coalesce(item, ...)`), or make the key an `Option` in the plugin
"#;
    assert_eq!(told(&[HEAD, text.trim_start()].concat(), &facts), expected.trim_start_matches('\n'));
}

#[test]
fn tells_plugins_that_cannot_be_used() {
    let mut facts = facts();
    let own = |text: &str| OutputShape::Own(fields(&[text]));
    let timed = OutputSpec { event_time: Some("x".into()), ..output("a", own("x int64")) };
    let changes = OutputSpec { kind: StreamKind::Changelog, ..output("a", own("x int64")) };
    facts.plugins.insert("one".into(), plugin(&[], vec![timed, changes, output("dead_letters", OutputShape::Selected)]));
    let mut keyed = plugin(&[], Vec::new()).as_ref().clone();
    keyed.interfaces.operator = false;
    facts.plugins.insert("two".into(), keyed.into());
    let text = r#"
[operator.one]
input = 'clicks'
plugin = 'cleaner'
[operator.two]
input = 'clicks'
plugin = 'cleaner'
[operator.three]
input = 'clicks'
plugin = 'cleaner'
[operator.after]
input = 'three'
filter = 'nothing_is_said_of_this > 0'
"#;
    let expected = r#"
error: plugin cleaner 1.2.0 is not usable here: its output `a` cannot be: column `x` is int64, an event time must be a timestamp
  --> shop.toml:13:10
   |
13 | plugin = 'cleaner'
   |          ^^^^^^^^^
   |
   = help: this is a fault of the plugin, or of its configuration

error: plugin cleaner 1.2.0 is not usable here: its output `a` cannot be: a changelog has a column `_operation` of type text
  --> shop.toml:13:10
   |
13 | plugin = 'cleaner'
   |          ^^^^^^^^^
   |
   = help: this is a fault of the plugin, or of its configuration

error: plugin cleaner 1.2.0 is not usable here: it names two outputs `dead_letters`
  --> shop.toml:13:10
   |
13 | plugin = 'cleaner'
   |          ^^^^^^^^^
   |
   = help: this is a fault of the plugin, or of its configuration

error: plugin cleaner 1.2.0 exports none of the contract's operators
  --> shop.toml:16:10
   |
16 | plugin = 'cleaner'
   |          ^^^^^^^^^
   |
   = help: build it anew with the SDK

error: nothing is known of the plugin of `three`
  --> shop.toml:19:10
   |
19 | plugin = 'cleaner'
   |          ^^^^^^^^^
   |
   = help: it could not be found, or did not say what it is
"#;
    assert_eq!(told(&[HEAD, text.trim_start()].concat(), &facts), expected.trim_start_matches('\n'));
}

#[test]
fn tells_unions_of_different_columns() {
    let facts = facts();
    let text = r#"
[operator.s]
input = 'clicks'
select = { buyer = 'buyer', item = 'item', amount = "cast(amount as bigint)", at = 'at' }
[operator.u]
inputs = ['clicks', 'clean.bad', 'clean', 's', 'clicks.dead_letters']
union = true
"#;
    let expected = r#"
error: `clean` cannot be joined to `clicks`: it has a column `price` more
  --> shop.toml:15:34
   |
15 | inputs = ['clicks', 'clean.bad', 'clean', 's', 'clicks.dead_letters']
   |                                  ^^^^^^^
   |
   = help: bring both to the same columns with a `select` before the union

error: `s` cannot be joined to `clicks`: column `amount` is int64 instead of float64
  --> shop.toml:15:43
   |
15 | inputs = ['clicks', 'clean.bad', 'clean', 's', 'clicks.dead_letters']
   |                                           ^^^
   |
   = help: bring both to the same columns with a `select` before the union

error: `clicks.dead_letters` cannot be joined to `clicks`: it has no column `buyer`
  --> shop.toml:15:48
   |
15 | inputs = ['clicks', 'clean.bad', 'clean', 's', 'clicks.dead_letters']
   |                                                ^^^^^^^^^^^^^^^^^^^^^
   |
   = help: bring both to the same columns with a `select` before the union
"#;
    assert_eq!(told(&[HEAD, text.trim_start()].concat(), &facts), expected.trim_start_matches('\n'));
}

#[test]
fn tells_what_cannot_read_a_changelog() {
    let mut facts = facts();
    let changes = OutputSpec { kind: StreamKind::Changelog, ..output("a", OutputShape::Own(fields(&["_operation text not null"]))) };
    facts.plugins.insert("p".into(), plugin(&[], vec![changes]));
    facts.plugins.insert("q".into(), plugin(&[], vec![output("a", OutputShape::Selected)]));
    let text = r#"
[operator.p]
input = 'clicks'
plugin = 'cleaner'
[operator.f]
input = 'p'
filter = 'true'
[operator.q]
input = 'p'
plugin = 'cleaner'
[operator.u]
inputs = ['p', 'append']
union = true
[operator.append]
input = 'clicks'
select = { _operation = "'x'" }
"#;
    let expected = r#"
error: `p` is a changelog, whose rows only plugins, unions and sinks can read
  --> shop.toml:15:9
   |
15 | input = 'p'
   |         ^^^
   |
   = help: an update or delete would lose its meaning here

error: `p` is a changelog, and plugin cleaner does not read its column `_operation`
  --> shop.toml:18:9
   |
18 | input = 'p'
   |         ^^^
   |
   = help: an update or delete would be taken for a new row

error: `append` cannot be joined to `p`: it is append instead of changelog
  --> shop.toml:21:16
   |
21 | inputs = ['p', 'append']
   |                ^^^^^^^^
   |
   = help: bring both to the same columns with a `select` before the union
"#;
    assert_eq!(told(&[HEAD, text.trim_start()].concat(), &facts), expected.trim_start_matches('\n'));
}

#[test]
fn tells_event_times_that_are_none() {
    let mut facts = facts();
    for name in ["more", "plain", "wrong"] {
        facts.sources.insert(name.into(), source(&["time int64"]));
    }
    let text = r#"
[source.more]
connector = 'files'
event_time = 'tme'
[source.plain]
connector = 'files'
[source.wrong]
connector = 'files'
event_time = 'time'
[operator.s]
input = 'plain'
select = { time = 'time' }
event_time = 'time'
[operator.t]
input = 'clicks'
select = { time = "'12:00'" }
event_time = 'time'
"#;
    let expected = r#"
error: there is no column `tme`
  --> shop.toml:13:14
   |
13 | event_time = 'tme'
   |              ^^^^^
   |
   = help: did you mean `time`?

error: column `time` is int64, an event time must be a timestamp
  --> shop.toml:18:14
   |
18 | event_time = 'time'
   |              ^^^^^^
   |
   = help: read it as `timestamp` or `timestamp_utc`

error: `plain` has no event time, so there are no watermarks to go with this one
  --> shop.toml:22:14
   |
22 | event_time = 'time'
   |              ^^^^^^
   |
   = help: name the event time at the source

error: column `time` is text, an event time must be a timestamp
  --> shop.toml:26:14
   |
26 | event_time = 'time'
   |              ^^^^^^
   |
   = help: read it as `timestamp` or `timestamp_utc`
"#;
    assert_eq!(told(&[HEAD, text.trim_start()].concat(), &facts), expected.trim_start_matches('\n'));
}

#[test]
fn tells_sources_of_which_nothing_is_known_unless_they_failed() {
    let mut facts = facts();
    facts.failed.insert("two".into());
    let text = r#"
[source.one]
connector = 'files'
[source.two]
connector = 'files'
[operator.f]
input = 'one'
filter = 'x'
[operator.g]
input = 'two'
filter = 'x'
"#;
    let expected = r#"
error: nothing is known of source `one`
  --> shop.toml:11:9
   |
11 | [source.one]
   |         ^^^
   |
   = help: its connector could not be asked for its columns
"#;
    assert_eq!(told(&[HEAD, text.trim_start()].concat(), &facts), expected.trim_start_matches('\n'));
}

/// The faulty texts, in the order of the file.
fn faults(text: &str) -> Vec<&str> {
    let pipeline = Pipeline::parse(text).expect("a checked pipeline");
    let problems = stygian_plan::plan(&pipeline, &facts()).expect_err("problems").0;
    problems.into_iter().map(|problem| &text[problem.at.expect("a place")]).collect()
}

#[test]
fn underlines_the_fault_within_an_expression() {
    let text = format!(
        "{HEAD}[operator.s]
input = 'clicks'
select = {{ a = 'now()', b = 'nosuch(amount)', c = '1 + random()' }}
         [operator.f]
input = 'clicks'
filter = 'amount'
         [operator.w]
input = 'clicks'
window = {{ tumbling = '1h' }}
aggregate = {{ a = 'sum(amont)', b = 'sum(item)', c = 'amount' }}
"
    );
    let found = faults(&text);
    assert_eq!(found[..5], ["now", "nosuch", "random", "'amount'", "amont"]);
    assert_eq!(found.len(), 7);
}

#[test]
fn says_nothing_where_all_has_been_said() {
    let mut facts = facts();
    facts.sources.clear();
    facts.failed.insert("clicks".into());
    assert_eq!(told(HEAD, &facts), "");
}
