//! The words that people see for every kind of problem.

#![allow(clippy::expect_used, clippy::panic)] // Tests and their helpers say what they expect by failing.

use stygian_api::{Problem, Problems};
use stygian_pipeline::{Pipeline, render, render_warnings};

const ENDS: &str = "[source.a]\nconnector = 'files'\n[sink.z]\ninput = 'a'\nconnector = 'files'\n";

fn told(text: &str) -> String {
    let text = text.trim_start();
    let problems = Pipeline::parse(text).expect_err("problems");
    render(&problems, text, "clicks.toml", false)
}

/// The same behind the parts that every pipeline needs.
fn told_of(text: &str) -> String {
    told(&format!("name = 'clicks'\n{ENDS}{}", text.trim_start()))
}

fn warned(text: &str) -> String {
    let text = format!("name = 'clicks'\n{ENDS}{}", text.trim_start());
    render_warnings(&Pipeline::parse(&text).expect("only warnings").warnings, &text, "clicks.toml", false)
}

#[test]
fn tells_all_errors_of_syntax() {
    let text = r#"
name = "clicks
[source.a]
connector = "files"
path = x y
[sink.z]
input = = 'a'
"#;
    let expected = r#"
error: invalid basic string, expected `"`
 --> clicks.toml:1:15
  |
1 | name = "clicks
  |               ^

error: string values must be quoted, expected literal string
 --> clicks.toml:4:8
  |
4 | path = x y
  |        ^^^

error: extra `=`, expected nothing
 --> clicks.toml:6:9
  |
6 | input = = 'a'
  |         ^

error: unexpected key or value, expected newline, `#`
 --> clicks.toml:6:11
  |
6 | input = = 'a'
  |           ^
"#;
    assert_eq!(told(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_what_an_empty_file_lacks() {
    let text = r#""#;
    let expected = r#"
error: the pipeline has no name
--> clicks.toml
 = help: put `name = "my-job"` at the top

error: the pipeline has no source
--> clicks.toml
 = help: add `[source.events]`

error: the pipeline has no sink
--> clicks.toml
 = help: add `[sink.report]`
"#;
    assert_eq!(told(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_problems_of_all_parts_at_once() {
    let text = r#"
nme = 'x'
name = 'Clicks'
[settings]
paralelism = 3
batch_rows = 0
parallelism = 2000
channel_bytes = 'lots'
[sources.a]
[operator.f]
input = 'a'
filter = 1
"#;
    let expected = r#"
error: unknown key `nme`
 --> clicks.toml:1:1
  |
1 | nme = 'x'
  | ^^^
  |
  = help: did you mean `name`?

error: `Clicks` is not a valid name
 --> clicks.toml:2:8
  |
2 | name = 'Clicks'
  |        ^^^^^^^^
  |
  = help: begin with a letter a to z; then letters, digits, `_` and `-`; at most 64

error: unknown key `paralelism`
 --> clicks.toml:4:1
  |
4 | paralelism = 3
  | ^^^^^^^^^^
  |
  = help: did you mean `parallelism`?

error: `batch_rows` is 0, it must be 1 to 1048576
 --> clicks.toml:5:14
  |
5 | batch_rows = 0
  |              ^

error: `parallelism` is 2000, it must be 1 to 1024
 --> clicks.toml:6:15
  |
6 | parallelism = 2000
  |               ^^^^

error: `lots` is not a size; write a number and a unit, such as "512 KiB" or "8 MiB"
 --> clicks.toml:7:17
  |
7 | channel_bytes = 'lots'
  |                 ^^^^^^

error: unknown key `sources`
 --> clicks.toml:8:2
  |
8 | [sources.a]
  |  ^^^^^^^
  |
  = help: did you mean `source`?

error: there is no source or operator `a`
  --> clicks.toml:10:9
   |
10 | input = 'a'
   |         ^^^
   |
   = help: known: f

error: invalid type: integer `1`, expected a string
  --> clicks.toml:11:10
   |
11 | filter = 1
   |          ^

error: the pipeline has no source
--> clicks.toml
 = help: add `[source.events]`

error: the pipeline has no sink
--> clicks.toml
 = help: add `[sink.report]`
"#;
    assert_eq!(told(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_more_subtasks_than_key_groups() {
    let text = r#"
[settings]
parallelism = 8
max_parallelism = 4
"#;
    let expected = r#"
error: `parallelism` is 8, but there are only 4 key groups
 --> clicks.toml:8:15
  |
8 | parallelism = 8
  |               ^
  |
  = help: lower `parallelism` or raise `max_parallelism`: a subtask without a key group would do nothing
"#;
    assert_eq!(told_of(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_operators_of_no_kind_or_several() {
    let text = r#"
[operator.none]
input = 'a'
[operator.two]
input = 'a'
filter = 'x'
select = { x = 'x' }
[operator.wrong]
input = 'a'
filter = 'x'
key_by = ['x']
filtr = 'y'
"#;
    let expected = r#"
error: operator `none` does nothing
 --> clicks.toml:7:11
  |
7 | [operator.none]
  |           ^^^^
  |
  = help: give it one of plugin, filter, select, union, branch, dedup, window, top

error: operator `two` has several kinds: filter, select
 --> clicks.toml:9:11
  |
9 | [operator.two]
  |           ^^^
  |
  = help: make an operator of each and join them by `input`

error: `key_by` goes with `window` or `top` or `plugin`, not with `filter`
  --> clicks.toml:16:1
   |
16 | key_by = ['x']
   | ^^^^^^

error: unknown key `filtr`
  --> clicks.toml:17:1
   |
17 | filtr = 'y'
   | ^^^^^
   |
   = help: did you mean `filter`?
"#;
    assert_eq!(told_of(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_inputs_that_are_not_there() {
    let text = r#"
[operator.f]
input = 'aa'
filter = 'x'
[operator.g]
filter = 'x'
[operator.h]
input = 'z'
filter = 'x'
[operator.i]
input = 'f.late'
filter = 'x'
[operator.j]
input = '.x'
filter = 'x'
"#;
    let expected = r#"
error: there is no source or operator `aa`
 --> clicks.toml:8:9
  |
8 | input = 'aa'
  |         ^^^^
  |
  = help: did you mean `a`?

error: operator `g` has no `input`
  --> clicks.toml:10:11
   |
10 | [operator.g]
   |           ^
   |
   = help: write `input = "NODE"`: the stream it reads

error: `z` is a sink, which nothing can read
  --> clicks.toml:13:9
   |
13 | input = 'z'
   |         ^^^
   |
   = help: read what the sink reads

error: `f` has no output `late`
  --> clicks.toml:16:9
   |
16 | input = 'f.late'
   |         ^^^^^^^^
   |
   = help: known: `f`, `f.dead_letters`

error: `.x` names no stream
  --> clicks.toml:19:9
   |
19 | input = '.x'
   |         ^^^^
   |
   = help: write `NODE` or `NODE.OUTPUT`
"#;
    assert_eq!(told_of(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_unions_and_branches_that_cannot_be() {
    let text = r#"
[operator.u]
inputs = ['a', 'a']
union = true
[operator.v]
input = 'a'
union = false
[operator.w]
inputs = ['a']
union = true
[operator.b]
input = 'a'
branch = { cheap = 'x', other = 'y' }
[operator.c]
input = 'b'
filter = 'x'
[operator.d]
input = 'b.chep'
filter = 'x'
"#;
    let expected = r#"
error: `a` is read twice
 --> clicks.toml:8:16
  |
8 | inputs = ['a', 'a']
  |                ^^^
  |
  = help: every row would be doubled

error: a union reads `inputs`, not `input`
  --> clicks.toml:11:1
   |
11 | input = 'a'
   | ^^^^^
   |
   = help: write `inputs = ["a", "b"]`

error: `union` can only be true
  --> clicks.toml:12:9
   |
12 | union = false
   |         ^^^^^
   |
   = help: leave the key out

error: a union needs two inputs or more
  --> clicks.toml:14:10
   |
14 | inputs = ['a']
   |          ^^^^^

error: every branch has an output `other` of its own
  --> clicks.toml:18:25
   |
18 | branch = { cheap = 'x', other = 'y' }
   |                         ^^^^^

error: `b` has several outputs
  --> clicks.toml:20:9
   |
20 | input = 'b'
   |         ^^^
   |
   = help: read one of `b.cheap`, `b.other`, `b.dead_letters`

error: `b` has no output `chep`
  --> clicks.toml:23:9
   |
23 | input = 'b.chep'
   |         ^^^^^^^^
   |
   = help: known: `b.cheap`, `b.other`, `b.dead_letters`
"#;
    assert_eq!(told_of(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_a_cycle_with_its_whole_path() {
    let text = r#"
[operator.f]
input = 'g'
filter = 'x'
[operator.g]
input = 'h.x'
filter = 'x'
[operator.h]
input = 'f'
plugin = 'p'
[operator.s]
input = 's'
filter = 'x'
"#;
    let expected = r#"
error: these read each other in a cycle: f -> h -> g -> f
  --> clicks.toml:14:9
   |
14 | input = 'f'
   |         ^^^
   |
   = help: rows flow one way: from sources to sinks

error: `s` reads its own rows
  --> clicks.toml:17:9
   |
17 | input = 's'
   |         ^^^
   |
   = help: rows flow one way: from sources to sinks
"#;
    assert_eq!(told_of(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_windows_that_cannot_be() {
    let text = r#"
[operator.v]
input = 'a'
window = { tumbling = '1h', slide = '1m' }
[operator.w]
input = 'a'
window = { sliding = '1h', slide = '7m' }
aggregate = { n = 'count(*)', m = 3 }
[operator.x]
input = 'a'
window = { tumbling = '1h', offset = '2h' }
aggregate = {}
[operator.y]
input = 'a'
window = { tumbling = '1x' }
aggregate = { n = 'count(*)' }
key_by = ['u', 'u']
[operator.z1]
input = 'a'
window = { sliding = '1h' }
aggregate = { n = 'count(*)' }
"#;
    let expected = r#"
error: operator `v` has no `aggregate`
 --> clicks.toml:7:11
  |
7 | [operator.v]
  |           ^
  |
  = help: write `aggregate = { n = "count(*)" }`

error: a window is either tumbling, or sliding with a slide, or a session
 --> clicks.toml:9:10
  |
9 | window = { tumbling = '1h', slide = '1m' }
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write `{ tumbling = "1h" }`, `{ sliding = "1h", slide = "10m" }` or `{ session = "30m" }`

error: `slide` is 7m, it must divide the size 1h
  --> clicks.toml:12:36
   |
12 | window = { sliding = '1h', slide = '7m' }
   |                                    ^^^^

error: aggregate `m` is of type integer
  --> clicks.toml:13:35
   |
13 | aggregate = { n = 'count(*)', m = 3 }
   |                                   ^
   |
   = help: write an SQL aggregate, "sum(amount)", or a plugin, `{ plugin = "spread@0.1" }`

error: `offset` is 2h, it must be less than 1h
  --> clicks.toml:16:38
   |
16 | window = { tumbling = '1h', offset = '2h' }
   |                                      ^^^^
   |
   = help: windows repeat, so a smaller offset says the same

error: at least one column is needed
  --> clicks.toml:17:13
   |
17 | aggregate = {}
   |             ^^
   |
   = help: write `{ name = "expression" }`

error: `1x` is not a duration; write numbers and units, such as "5ms", "10s" or "1h 30m"
  --> clicks.toml:20:23
   |
20 | window = { tumbling = '1x' }
   |                       ^^^^

error: `u` is named twice
  --> clicks.toml:22:16
   |
22 | key_by = ['u', 'u']
   |                ^^^

error: a sliding window needs `slide`
  --> clicks.toml:25:10
   |
25 | window = { sliding = '1h' }
   |          ^^^^^^^^^^^^^^^^^^
   |
   = help: write `{ tumbling = "1h" }`, `{ sliding = "1h", slide = "10m" }` or `{ session = "30m" }`
"#;
    assert_eq!(told_of(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_what_does_not_go_with_sessions_and_clocks() {
    let text = r#"
[operator.v]
input = 'a'
window = { session = '30m', allowed_lateness = '1m', early = '5s', offset = '1m' }
aggregate = { n = 'count(*)' }
[operator.w]
input = 'a'
window = { tumbling = '30m', allowed_lateness = '1m', time = 'processing' }
aggregate = { n = 'count(*)' }
[operator.x]
input = 'a'
dedup = { by = [], within = '0s' }
[operator.y]
input = 'a'
dedup = { by = ['u', 'u'] }
"#;
    let expected = r#"
error: `allowed_lateness` does not go with `session`
 --> clicks.toml:9:48
  |
9 | window = { session = '30m', allowed_lateness = '1m', early = '5s', offset = '1m' }
  |                                                ^^^^
  |
  = help: a session that goes on has other bounds, so its later result could not replace the earlier one

error: `early` does not go with `session`
 --> clicks.toml:9:62
  |
9 | window = { session = '30m', allowed_lateness = '1m', early = '5s', offset = '1m' }
  |                                                              ^^^^
  |
  = help: a session that goes on has other bounds, so its later result could not replace the earlier one

error: `offset` does not go with `session`
 --> clicks.toml:9:77
  |
9 | window = { session = '30m', allowed_lateness = '1m', early = '5s', offset = '1m' }
  |                                                                             ^^^^
  |
  = help: a session begins with its first row

error: `allowed_lateness` does not go with `time = "processing"`
  --> clicks.toml:13:49
   |
13 | window = { tumbling = '30m', allowed_lateness = '1m', time = 'processing' }
   |                                                 ^^^^
   |
   = help: no row is late in processing time: leave it out

error: at least one column is needed
  --> clicks.toml:17:16
   |
17 | dedup = { by = [], within = '0s' }
   |                ^^
   |
   = help: write `{ by = ["id"], within = "1h" }`

error: `within` must be 1 ms or more, and no geological age
  --> clicks.toml:17:29
   |
17 | dedup = { by = [], within = '0s' }
   |                             ^^^^

error: `dedup` needs `within`: how long a row is remembered
  --> clicks.toml:20:9
   |
20 | dedup = { by = ['u', 'u'] }
   |         ^^^^^^^^^^^^^^^^^^^
   |
   = help: write `{ by = ["id"], within = "1h" }`

error: `u` is named twice
  --> clicks.toml:20:22
   |
20 | dedup = { by = ['u', 'u'] }
   |                      ^^^
"#;
    assert_eq!(told_of(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_problems_of_sources_and_sinks() {
    let text = r#"
name = 'x'
[source.a]
watermark_delay = '5s'
[sink.a]
connector = 'files'
[source.B]
connector = 3
"#;
    let expected = r#"
error: source `a` has no `connector`
 --> clicks.toml:2:9
  |
2 | [source.a]
  |         ^
  |
  = help: write `connector = "files"` or another that `stygian connectors` lists

error: `watermark_delay` means nothing without `event_time`
 --> clicks.toml:3:19
  |
3 | watermark_delay = '5s'
  |                   ^^^^
  |
  = help: add `event_time = "COLUMN"`

error: sink `a` has no `input`
 --> clicks.toml:4:7
  |
4 | [sink.a]
  |       ^
  |
  = help: write `input = "NODE"`: what the sink writes

error: there is a source `a` already
 --> clicks.toml:4:7
  |
4 | [sink.a]
  |       ^
  |
  = help: names are unique among sources, operators and sinks

error: `B` is not a valid name
 --> clicks.toml:6:9
  |
6 | [source.B]
  |         ^
  |
  = help: begin with a letter a to z; then letters, digits, `_` and `-`; at most 64

error: invalid type: integer `3`, expected a string
 --> clicks.toml:7:13
  |
7 | connector = 3
  |             ^
"#;
    assert_eq!(told(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_problems_of_a_plugin() {
    let text = r#"
[operator.p]
input = 'a'
plugin = 'Clean@x'
config = { x = nan }
instances = 'new'
"#;
    let expected = r#"
error: `Clean@x` names no plugin; write a path to a component ("./clean.wasm") or a name and a version ("clean@1.2")
 --> clicks.toml:9:10
  |
9 | plugin = 'Clean@x'
  |          ^^^^^^^^^

error: `NaN` cannot be handed to a plugin
  --> clicks.toml:10:10
   |
10 | config = { x = nan }
   |          ^^^^^^^^^^^
   |
   = help: JSON has no such number

error: unknown variant `new`, expected `reuse` or `fresh`
  --> clicks.toml:11:13
   |
11 | instances = 'new'
   |             ^^^^^
"#;
    assert_eq!(told_of(text), expected.trim_start_matches('\n'));
}

#[test]
fn tells_an_event_time_that_is_not_selected() {
    let text = r#"
[operator.s]
input = 'a'
select = { at = 'at', user = 'user' }
event_time = 'att'
"#;
    let expected = r#"
error: `att` is not among the selected columns
  --> clicks.toml:10:14
   |
10 | event_time = 'att'
   |              ^^^^^
   |
   = help: did you mean `at`?
"#;
    assert_eq!(told_of(text), expected.trim_start_matches('\n'));
}

#[test]
fn warns_of_what_nobody_reads() {
    let text = r#"
[source.b]
connector = 'files'
[operator.f]
input = 'a'
filter = 'x'
[operator.s]
input = 'a'
branch = { cheap = 'x', dear = 'y' }
[operator.t]
input = 's.cheap'
filter = 'x'
"#;
    let expected = r#"
warning: nobody reads source `b`
 --> clicks.toml:7:9
  |
7 | [source.b]
  |         ^
  |
  = help: read it by `input = "b"`, or remove it

warning: nobody reads operator `f`
 --> clicks.toml:9:11
  |
9 | [operator.f]
  |           ^
  |
  = help: read it by `input = "f"`, or remove it

warning: nobody reads the output `s.dear`
  --> clicks.toml:12:11
   |
12 | [operator.s]
   |           ^
   |
   = help: its rows are dropped

warning: nobody reads operator `t`
  --> clicks.toml:15:11
   |
15 | [operator.t]
   |           ^
   |
   = help: read it by `input = "t"`, or remove it
"#;
    assert_eq!(warned(text), expected.trim_start_matches('\n'));
}

#[test]
fn colours_only_when_told_to() {
    let problems = Problems(vec![Problem::at(0..4, "bad")]);
    assert!(render(&problems, "name", "x", true).contains("\u{1b}["));
    assert!(!render(&problems, "name", "x", false).contains("\u{1b}["));
}

#[test]
fn renders_any_place_of_any_text() {
    for (start, end) in [(0, 0), (5, 5), (3, 90), (90, 95), (1, 2), (4, 3)] {
        let problems = Problems(vec![Problem::at(start..end, "bad\u{1b}[2J").hint("h\ni")]);
        for text in ["", "\n", "äöü\u{1b}[31m\r\n\tx", "a\nb"] {
            let shown = render(&problems, text, "x", false);
            assert!(shown.starts_with("error: bad\\u{1b}[2J\n") && !shown.contains('\u{1b}'), "{shown}");
        }
    }
}

#[test]
fn refuses_files_that_are_too_large() {
    let large = " ".repeat(stygian_pipeline::MAX_FILE_BYTES + 1);
    assert_eq!(told(&format!("x{large}")), "error: the file has 1048578 bytes, at most 1048576 are read\n--> clicks.toml\n");
    let nodes: String = (0..1001).map(|n| format!("[sink.s{n}]\n")).collect();
    assert!(told(&format!("name = 'x'\n{nodes}")).contains("the pipeline has 1001 nodes, at most 1000 are allowed"));
}

#[test]
fn shows_the_first_problems_of_very_many() {
    let many: String = (0..500).map(|n| format!("k{n} = 1\n")).collect();
    let shown = told(&many);
    assert_eq!(shown.matches("error: ").count(), 101);
    assert!(shown.contains("error: and 403 more problems\n"), "{shown}");
}

#[test]
fn tells_wrong_words_for_failing_plugins_and_captures() {
    let text = r#"
[operator.b]
input = "a"
filter = "n > 0"
on_error = "skip"
[operator.c]
input = "a"
plugin = "c@1"
on_error = "ignore"
[operator.d]
input = "a"
plugin = "d@1"
on_error = "skip"
max_poison_rate = 1.5
[captures]
max_files = 0
folder = ""
"#;
    let found = told_of(text);
    for part in [
        "`on_error` goes with `plugin`, not with `filter`",
        "unknown variant `ignore`, expected one of `fail`, `skip`, `dead-letter`",
        "`max_poison_rate` is 1.5, it must be 0 to 1",
        "`max_files` is 0, it must be 1 to 1000",
        "to save nothing, write `save = false`",
        "`folder` is empty",
    ] {
        assert!(found.contains(part), "`{part}` is missing: {found}");
    }
}

#[test]
fn warns_of_a_poison_rate_that_nothing_is_held_against() {
    let found = warned("[operator.c]\ninput = 'a'\nplugin = 'c@1'\nmax_poison_rate = 0.1\n[sink.y]\ninput = 'c'\nconnector = 'files'\n");
    assert!(found.contains("`max_poison_rate` means nothing where the first such row fails the job"), "{found}");
}

#[test]
fn tells_what_top_cannot_be() {
    let text = r#"
[operator.t]
input = 'a'
top = {}
[operator.u]
input = 'a'
window = { session = '1h' }
top = { by = ['x up', 'x desc', 'x asc', 3], n = 0 }
[operator.v]
input = 'a'
window = { tumbling = '1h', time = 'processing', early = '1s' }
top = { by = 'total', n = 10001 }
aggregate = { n = 'count(*)' }
[operator.w]
input = 'a'
window = { tumbling = '1h', allowed_lateness = '1s' }
top = { by = 'x desc', n = 1 }
"#;
    let expected = r#"
error: `top` needs `by`: the columns that order rows
 --> clicks.toml:9:7
  |
9 | top = {}
  |       ^^
  |
  = help: write `{ by = "total desc", n = 3 }`

error: `top` needs `n`: how many rows
 --> clicks.toml:9:7
  |
9 | top = {}
  |       ^^
  |
  = help: write `{ by = "total desc", n = 3 }`

error: `top` does not go with `session`
  --> clicks.toml:12:10
   |
12 | window = { session = '1h' }
   |          ^^^^^^^^^^^^^^^^^^
   |
   = help: a session is of one key; write `{ tumbling = "1h" }`

error: "x up" is no column with its direction
  --> clicks.toml:13:14
   |
13 | top = { by = ['x up', 'x desc', 'x asc', 3], n = 0 }
   |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: write "total desc" for the greatest first, "total asc" for the least, or a list of such texts

error: `x` is named twice
  --> clicks.toml:13:14
   |
13 | top = { by = ['x up', 'x desc', 'x asc', 3], n = 0 }
   |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: 3 is no column with its direction
  --> clicks.toml:13:14
   |
13 | top = { by = ['x up', 'x desc', 'x asc', 3], n = 0 }
   |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: write "total desc" for the greatest first, "total asc" for the least, or a list of such texts

error: `n` is 0, it must be 1 to 10000
  --> clicks.toml:13:50
   |
13 | top = { by = ['x up', 'x desc', 'x asc', 3], n = 0 }
   |                                                  ^

error: `time = "processing"` does not go with `top`
  --> clicks.toml:16:10
   |
16 | window = { tumbling = '1h', time = 'processing', early = '1s' }
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: windows of `top` are of event time

error: `early` does not go with `top`
  --> clicks.toml:16:10
   |
16 | window = { tumbling = '1h', time = 'processing', early = '1s' }
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: the first rows of a window are given out once, when it ends

error: "total" is no column with its direction
  --> clicks.toml:17:14
   |
17 | top = { by = 'total', n = 10001 }
   |              ^^^^^^^
   |
   = help: write "total desc" for the greatest first, "total asc" for the least, or a list of such texts

error: `n` is 10001, it must be 1 to 10000
  --> clicks.toml:17:27
   |
17 | top = { by = 'total', n = 10001 }
   |                           ^^^^^

error: `aggregate` goes with `window`, not with `top`
  --> clicks.toml:18:1
   |
18 | aggregate = { n = 'count(*)' }
   | ^^^^^^^^^

error: `allowed_lateness` does not go with `top`
  --> clicks.toml:21:10
   |
21 | window = { tumbling = '1h', allowed_lateness = '1s' }
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: the first rows of a window are given out once, when it ends
"#;
    assert_eq!(told_of(text), expected.trim_start_matches('\n'));
}

#[test]
fn state_on_disk_needs_its_backend_and_some_memory() {
    let expected = r#"
error: `memory` is 2.0 MiB, it must be 4.0 MiB or more
 --> clicks.toml:9:10
  |
9 | memory = '2 MiB'
  |          ^^^^^^^
  |
  = help: it is for all subtasks together; "256 MiB" is the default

error: `folder` is empty
  --> clicks.toml:10:10
   |
10 | folder = ''
   |          ^^
   |
   = help: leave it out for the user's folder
"#;
    assert_eq!(told_of("[state]\nbackend = 'disk'\nmemory = '2 MiB'\nfolder = ''\n"), expected.trim_start());
    let expected = r#"
error: `memory` is of state on disk, and this job's is in memory
 --> clicks.toml:8:10
  |
8 | memory = '1 GiB'
  |          ^^^^^^^
  |
  = help: write `backend = "disk"`, or leave `memory` out
"#;
    assert_eq!(told_of("[state]\nmemory = '1 GiB'\n"), expected.trim_start());
    let told = told_of("[state]\nbackend = 'rocks'\n");
    assert!(told.contains("unknown variant `rocks`, expected `memory` or `disk`"), "{told}");
}
