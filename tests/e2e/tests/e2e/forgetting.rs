//! State that expires, and timers of the clock, of a plugin in the sandbox.

use crate::given::hold;
use crate::poison::stygian;
use crate::process::{end, free_port, metric, signal, start, wait_for};
use std::fmt::Write as _;
use stygian_e2e::components;

/// By processing time; by event time with `event_time` in place of the comment.
const PIPELINE: &str = r#"
name = "pages"

[source.views]
connector = "files"
path = "nowhere/views.jsonl"
format = "json"
schema = { user = "text not null", page = "text not null", at = "timestamp_utc" }
# by

[operator.recent]
input = "views"
plugin = "recent@0.1"
key_by = ["user"]

[sink.known]
input = "recent"
connector = "console"
"#;

/// The value and the list were last written at 10:20 and the map's entry `a` at 10:00, `b` at 10:20: what expires, expires an hour later.
const BY_EVENT_TIME: &str = r#"
[[test]]
name = "what was last written an hour before the watermark is forgotten"
given.views = [{ user = "ann", page = "a", at = 2026-01-01T10:00:00Z }]
end = false

[[test.step]]
given.views = [{ user = "ann", page = "b", at = 2026-01-01T10:20:00Z }]
watermark = 2026-01-01T10:59:59.999999Z

[[test.step]]
given.views = [{ user = "ann", page = "c", at = 2026-01-01T10:20:00Z }]
watermark = 2026-01-01T11:00:00Z

[[test.step]]
given.views = [{ user = "ann", page = "b", at = 2026-01-01T10:10:00Z }]
watermark = 2026-01-01T11:20:00Z

[[test.step]]
given.views = [{ user = "ann", page = "b", at = 2026-01-01T11:30:00Z }]
advance = "29m"

[test.expect]
known = { rows = [
    { rows = 1, pages = "a", of_page = "a=1", ever = 1 },
    { rows = 2, pages = "a b", of_page = "a=1 b=1", ever = 2 },
    { rows = 3, pages = "a b c", of_page = "a=1 b=1 c=1", ever = 3 },
    { rows = 4, pages = "a b c b", of_page = "b=2 c=1", ever = 4 },
    { rows = 1, pages = "b", of_page = "b=1", ever = 5 },
], ordered = true }
"#;

#[test]
fn state_lives_by_the_watermark_where_there_is_event_time() {
    let pipeline = PIPELINE.replace("# by", "event_time = \"at\"");
    hold(&pipeline, BY_EVENT_TIME);
}

/// Rows at 12:00, 12:20, 13:19:59 and 14:19:59; a user is quiet half an hour after a row.
const BY_THE_CLOCK: &str = r#"
[[test]]
name = "what was last written an hour ago is forgotten"
start = 2026-01-01T12:00:00Z
given.views = [{ user = "ann", page = "a" }]
advance = "20m"
end = false

[[test.step]]
given.views = [{ user = "ann", page = "b" }, { user = "bob", page = "x" }]
advance = "59m 59s"

[[test.step]]
given.views = [{ user = "ann", page = "c" }]
advance = "1h"

[[test.step]]
given.views = [{ user = "ann", page = "d" }]

[test.expect]
known = [
    { user = "ann", quiet = false, rows = 1, pages = "a", of_page = "a=1", ever = 1 },
    { user = "ann", quiet = false, rows = 2, pages = "a b", of_page = "a=1 b=1", ever = 2 },
    { user = "bob", quiet = false, rows = 1, pages = "x", of_page = "x=1", ever = 1 },
    { user = "ann", quiet = true, rows = 2, pages = "a b", of_page = "b=1", ever = 2 },
    { user = "bob", quiet = true, rows = 1, pages = "x", of_page = "x=1", ever = 1 },
    { user = "ann", quiet = false, rows = 3, pages = "a b c", of_page = "b=1 c=1", ever = 3 },
    { user = "ann", quiet = true, rows = 0, pages = "", of_page = "", ever = 3 },
    { user = "ann", quiet = false, rows = 1, pages = "d", of_page = "d=1", ever = 4 },
]

[[test]]
name = "a timer that is set anew does not fire at its old time"
given.views = [{ user = "ann", page = "a" }]
advance = "29m 59s"
end = false

[[test.step]]
given.views = [{ user = "ann", page = "b" }]
advance = "29m 59s"

[test.expect]
known = [{ quiet = false, rows = 1 }, { quiet = false, rows = 2 }]
"#;

#[test]
fn state_lives_and_timers_fire_by_the_clock_where_there_is_no_event_time() {
    hold(PIPELINE, BY_THE_CLOCK);
}

/// How many keys a running job says that it keeps: nothing of them where there are none.
fn keys(port: u16) -> Option<u64> {
    let reads = metric(port, "stygian_rows_in_total{node=\"recent\",kind=\"operator\"}");
    reads.map(|_| metric(port, "stygian_state_keys{node=\"recent\",kind=\"operator\"}").unwrap_or(0))
}

/// A view by each of a hundred users.
fn views() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut views = String::new();
    (0..100).for_each(|n| writeln!(views, "{{\"user\":\"user-{n}\",\"page\":\"a\"}}").expect("text"));
    std::fs::write(folder.path().join("views.jsonl"), views).expect("written");
    folder
}

#[test]
fn a_job_that_would_keep_too_much_fails_and_says_what() {
    let cases = [
        ("keys = 50", "keys, over the limit of 50 a subtask (`state.keys`), when slot `"),
        ("bytes = '1 KiB'", "over the limit of 1.0 KiB a subtask (`state.bytes`), when slot `"),
        ("timers = 50", "there are 100 timers waiting, over the limit of 50 a subtask (`state.timers`)"),
    ];
    for (limit, says) in cases {
        let folder = views();
        let pipeline = PIPELINE.replace("nowhere/", "").replace("key_by", &format!("state = {{ {limit} }}\nkey_by"));
        std::fs::write(folder.path().join("pages.toml"), pipeline).expect("written");
        let args = ["run", "pages.toml", "--plugins", components().to_str().expect("text")];
        let ended = stygian(folder.path(), &args);
        assert_eq!(ended.status, Some(1), "{}", ended.err);
        assert!(ended.err.contains("operator `recent`") && ended.err.contains(says), "{}", ended.err);
    }
}

#[test]
fn what_expires_by_the_clock_makes_room_though_no_row_comes() {
    let folder = views();
    let pipeline = PIPELINE.replace("nowhere/", "").replace("# by", "follow = true\n\n[settings]\nmax_parallelism = 4");
    let pipeline = pipeline.replace("key_by", "config = { brief = true }\nkey_by");
    let port = free_port();
    let plugins = components().to_str().expect("text");
    let child = start(folder.path(), &pipeline, &["--plugins", plugins, "--metrics", &port.to_string()]);
    wait_for("what is kept", || keys(port).filter(|keys| *keys == 100));
    wait_for("room", || keys(port).filter(|keys| *keys == 0));
    signal(&child, "-INT");
    assert_eq!(end(child).2, Some(0));
}
