//! `stygian test` with windows that aggregate by a plugin, to which a row that counts twice is another result: by the clock, with
//! early results, and with results that are replaced.

use crate::given::hold;

/// By user, natively and by the plugin.
const PIPELINE: &str = r#"
name = "means"

[source.events]
connector = "files"
path = "nowhere/events.jsonl"
format = "json"
schema = { user = "text not null", value = "int64", at = "timestamp_utc not null" }
event_time = "at"
watermark_delay = "1day"

[operator.minutes]
input = "events"
window = { tumbling = "1m", time = "processing" }
key_by = ["user"]
aggregate = { total = "sum(value)", own = { plugin = "mean@0.1" } }

[operator.visits]
input = "events"
window = { session = "30s", time = "processing" }
key_by = ["user"]
aggregate = { total = "sum(value)", own = { plugin = "mean@0.1" } }

[operator.soon]
input = "events"
window = { tumbling = "1h", early = "10s" }
key_by = ["user"]
aggregate = { total = "sum(value)", own = { plugin = "mean@0.1" } }

[operator.often]
input = "events"
window = { sliding = "1h", slide = "30m", early = "10s" }
key_by = ["user"]
aggregate = { total = "sum(value)", own = { plugin = "mean@0.1" } }

[operator.replaced]
input = "events"
window = { tumbling = "1h", allowed_lateness = "30m" }
key_by = ["user"]
aggregate = { total = "sum(value)", own = { plugin = "mean@0.1" } }

[sink.minutes_out]
input = "minutes"
connector = "console"

[sink.visits_out]
input = "visits"
connector = "console"

[sink.soon_out]
input = "soon"
connector = "console"

[sink.often_out]
input = "often"
connector = "console"

[sink.replaced_out]
input = "replaced"
connector = "console"
"#;

#[test]
fn rows_count_once_in_windows_of_processing_time() {
    hold(
        PIPELINE,
        r#"
[defaults.events]
at = 2026-01-01T00:00:00Z

[[test]]
name = "the clock ends a minute, and the end of the input the next"
start = 2026-01-01T12:00:30Z
given.events = [{ user = "ann", value = 4 }, { user = "bob" }, { user = "ann", value = 5 }]
advance = "29s"

[[test.step]]
given.events = [{ user = "ann", value = 9 }, { user = "ann" }]
advance = "1s"

[[test.step]]
given.events = [{ user = "ann", value = 100 }, { user = "bob", value = 7 }]
advance = "5s"

[[test.step]]
given.events = [{ user = "bob", value = 8 }]

[test.expect]
minutes = [
    { window_end = 2026-01-01T12:01:00Z, user = "ann", total = 18, own_count = 3, own_sum = 18, own_mean = 6.0 },
    { window_end = 2026-01-01T12:01:00Z, user = "bob", own_count = 0 },
    { window_end = 2026-01-01T12:02:00Z, user = "ann", total = 100, own_count = 1, own_sum = 100, own_mean = 100.0 },
    { window_end = 2026-01-01T12:02:00Z, user = "bob", total = 15, own_count = 2, own_sum = 15, own_mean = 7.5 },
]

[[test]]
name = "half a minute without rows ends a visit"
start = 2026-01-01T12:00:00Z
end = false
given.events = [{ user = "ann", value = 4 }, { user = "bob", value = 1 }]
advance = "20s"

[[test.step]]
given.events = [{ user = "ann", value = 6 }]
advance = "20s"

# Bob's has ended ten seconds ago.
[[test.step]]
given.events = [{ user = "ann", value = 2 }, { user = "bob", value = 20 }]
advance = "30s"

# Those of both end at this moment.
[[test.step]]
given.events = [{ user = "ann", value = 100 }]
advance = "10s"

[[test.step]]
given.events = [{ user = "ann" }, { user = "ann", value = 50 }]
advance = "29s"

[[test.step]]
advance = "1s"

# Open at the stop.
[[test.step]]
given.events = [{ user = "ann", value = 1000 }]
advance = "29s"

[test.expect]
visits = [
    { window_start = 2026-01-01T12:00:00Z, window_end = 2026-01-01T12:00:30Z, user = "bob", total = 1, own_count = 1, own_sum = 1 },
    { window_start = 2026-01-01T12:00:00Z, window_end = 2026-01-01T12:01:10Z, user = "ann", total = 12, own_count = 3, own_sum = 12 },
    { window_start = 2026-01-01T12:00:40Z, window_end = 2026-01-01T12:01:10Z, user = "bob", total = 20, own_count = 1, own_sum = 20 },
    { window_start = 2026-01-01T12:01:10Z, window_end = 2026-01-01T12:01:50Z, user = "ann", total = 150, own_count = 2, own_sum = 150 },
]
"#,
    );
}

#[test]
fn rows_count_once_in_early_results_and_in_the_last_one() {
    hold(
        PIPELINE,
        r#"
[[test]]
name = "two early results with rows between them, then the last"
start = 2026-01-01T12:00:05Z
given.events = [
    { user = "ann", value = 5, at = 2026-01-01T00:10:00Z },
    { user = "bob", value = 7, at = 2026-01-01T00:20:00Z },
    { user = "cid", at = 2026-01-01T00:20:00Z },
]
advance = "5s"

[[test.step]]
given.events = [{ user = "ann", value = 9, at = 2026-01-01T00:40:00Z }, { user = "cid", value = 1, at = 2026-01-01T00:00:00Z }]
advance = "10s"

# Nothing came since.
[[test.step]]
advance = "60s"

# Told with the last results.
[[test.step]]
given.events = [{ user = "ann", value = 10, at = 2026-01-01T00:50:00Z }]

[test.expect]
soon = [
    { revision = 0, user = "ann", total = 5, own_count = 1, own_sum = 5, own_mean = 5.0 },
    { revision = 0, user = "bob", total = 7, own_count = 1, own_sum = 7, own_mean = 7.0 },
    { revision = 0, user = "cid", own_count = 0 },
    { revision = 1, user = "ann", total = 14, own_count = 2, own_sum = 14, own_mean = 7.0 },
    { revision = 1, user = "cid", total = 1, own_count = 1, own_sum = 1, own_mean = 1.0 },
    { revision = 2, user = "ann", total = 24, own_count = 3, own_sum = 24, own_mean = 8.0 },
    { revision = 1, user = "bob", total = 7, own_count = 1, own_sum = 7, own_mean = 7.0 },
    { revision = 2, user = "cid", total = 1, own_count = 1, own_sum = 1, own_mean = 1.0 },
]

[[test]]
name = "an early result before its time is none"
start = 2026-01-01T12:00:05Z
end = false
given.events = [{ user = "ann", value = 5, at = 2026-01-01T00:10:00Z }]
advance = "4s"
expect.soon = []

[[test]]
name = "windows that overlap have a revision each"
start = 2026-01-01T12:00:05Z
given.events = [{ user = "ann", value = 5, at = 2026-01-01T01:10:00Z }]
advance = "5s"

[[test.step]]
given.events = [{ user = "ann", value = 9, at = 2026-01-01T01:40:00Z }]
advance = "10s"

[test.expect]
often = [
    { window_end = 2026-01-01T01:30:00Z, revision = 0, user = "ann", total = 5, own_count = 1, own_sum = 5, own_mean = 5.0 },
    { window_end = 2026-01-01T02:00:00Z, revision = 0, user = "ann", total = 5, own_count = 1, own_sum = 5, own_mean = 5.0 },
    { window_end = 2026-01-01T02:00:00Z, revision = 1, user = "ann", total = 14, own_count = 2, own_sum = 14, own_mean = 7.0 },
    { window_end = 2026-01-01T02:30:00Z, revision = 0, user = "ann", total = 9, own_count = 1, own_sum = 9, own_mean = 9.0 },
    { window_end = 2026-01-01T01:30:00Z, revision = 1, user = "ann", total = 5, own_count = 1, own_sum = 5, own_mean = 5.0 },
    { window_end = 2026-01-01T02:00:00Z, revision = 2, user = "ann", total = 14, own_count = 2, own_sum = 14, own_mean = 7.0 },
    { window_end = 2026-01-01T02:30:00Z, revision = 1, user = "ann", total = 9, own_count = 1, own_sum = 9, own_mean = 9.0 },
]
"#,
    );
}

#[test]
fn rows_count_once_in_results_that_are_replaced() {
    hold(
        PIPELINE,
        r#"
[[test]]
name = "late rows replace a result for half an hour"
given.events = [{ user = "ann", value = 5, at = 2026-01-01T00:10:00Z }, { user = "ann", at = 2026-01-01T00:20:00Z }]
watermark = 2026-01-01T01:00:00Z

[[test.step]]
given.events = [
    { user = "ann", value = 9, at = 2026-01-01T00:30:00Z },
    { user = "bob", value = 4, at = 2026-01-01T00:40:00Z },
    { user = "ann", value = 3, at = 2026-01-01T01:10:00Z },
]
watermark = 2026-01-01T01:10:00Z

# Nothing came since.
[[test.step]]
watermark = 2026-01-01T01:20:00Z

[[test.step]]
given.events = [{ user = "ann", value = 1, at = 2026-01-01T00:50:00Z }]
watermark = 2026-01-01T01:30:00Z

# The window has closed.
[[test.step]]
given.events = [{ user = "ann", value = 100, at = 2026-01-01T00:55:00Z }]

[test.expect]
replaced = [
    { window_end = 2026-01-01T01:00:00Z, revision = 0, user = "ann", total = 5, own_count = 1, own_sum = 5, own_mean = 5.0 },
    { window_end = 2026-01-01T01:00:00Z, revision = 1, user = "ann", total = 14, own_count = 2, own_sum = 14, own_mean = 7.0 },
    { window_end = 2026-01-01T01:00:00Z, revision = 0, user = "bob", total = 4, own_count = 1, own_sum = 4, own_mean = 4.0 },
    { window_end = 2026-01-01T01:00:00Z, revision = 2, user = "ann", total = 15, own_count = 3, own_sum = 15, own_mean = 5.0 },
    { window_end = 2026-01-01T02:00:00Z, revision = 0, user = "ann", total = 3, own_count = 1, own_sum = 3, own_mean = 3.0 },
]
"replaced.late" = [{ user = "ann", value = 100 }]
"#,
    );
}
