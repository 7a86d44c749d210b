//! Hostile plugins: each gets its own error within its limit, the host goes on as before, and its memory stays as it was.

use crate::guests::Guest;
use crate::host::{CONTEXT, load, operator, rows};
use stygian_core::{ByteSize, Span};
use stygian_sandbox::{BadOutput, CallError, ColumnFault, Limits, Plugin, SandboxError, Situation, TimeLimit};

/// Plugins of one kind, a file each, and the situation that each comes to. Who calls this has `hostile`, which makes a plugin, and `check`,
/// which calls it.
macro_rules! cases {
    ($folder:literal: $($name:ident => $situation:pat,)*) => {
        $(
            #[test]
            fn $name() {
                let plugin = hostile(stringify!($name), include_str!(concat!($folder, "/", stringify!($name), ".wat")));
                check(&plugin, |situation| matches!(situation, $situation));
            }
        )*

        /// All of them, for the test of memory.
        pub(super) fn all() -> Vec<Plugin> {
            vec![$(hostile(stringify!($name), include_str!(concat!($folder, "/", stringify!($name), ".wat"))),)*]
        }
    };
}

mod aggregate;
mod migration;
mod state;

/// Rows of a call.
const ROWS: usize = 50;

/// Less than the defaults, so that each limit is reached soon.
fn limits() -> Limits {
    Limits { call_cpu: Span::millis(50), output_rows: 500, ..Limits::default() }
}

fn hostile(name: &str, wat: &str) -> Plugin {
    load(name, &Guest::default().build(wat)).expect("a plugin").with_limits(limits())
}

fn run(plugin: &Plugin) -> CallError {
    let batch = rows(ROWS);
    operator(plugin, &batch).process(CONTEXT, &batch).expect_err("a failed call")
}

/// That a plugin which does nothing wrong still works.
fn assert_host_is_well() {
    let batch = rows(ROWS);
    let plugin = load("good", &Guest::default().build("(func $process (param i32 i32 i32))")).expect("a plugin");
    operator(&plugin, &batch).process(CONTEXT, &batch).expect("a good call");
}

/// That a plugin fails as expected, and does it again where it is called twice: by a fresh instance each time.
fn check(plugin: &Plugin, expected: impl Fn(&Situation) -> bool) {
    let error = run(plugin);
    assert!(expected(&error.situation), "{error:?}");
    assert_eq!((error.operator.as_str(), error.plugin.as_str(), error.rows.clone()), ("node", "guest@1.2.3", 0..ROWS));
    assert_host_is_well();

    let batch = rows(ROWS);
    let mut operator = operator(plugin, &batch);
    assert_the_same([(); 2].map(|()| operator.process(CONTEXT, &batch).expect_err("a failed call")));
}

/// That errors differ in nothing but numbers, such as of the time that was used.
fn assert_the_same(twice: [CallError; 2]) {
    let digits_apart = twice.map(|error| error.to_string().replace(|c: char| c.is_ascii_digit(), ""));
    assert_eq!(digits_apart[0], digits_apart[1], "a fresh instance does the same");
}

use BadOutput::*;
use Situation::*;

cases! {
    "hostile":
    spins => Timeout { limit: TimeLimit::Cpu(_), .. },
    eats_memory => OutOfMemory { limit: ByteSize(0x400_0000), .. },
    recurses => StackOverflow { .. },
    traps => Trap { panic: None, .. },
    reads_outside => Trap { panic: None, .. },
    panics => Trap { panic: Some(_), .. },
    floods_rows => TooManyRows { limit: 500 },
    claims_rows => TooManyRows { limit: 500 },
    floods_batches => TooManyBatches { limit: 1000 },
    floods_logs => TooManyLogs { limit: 100 },
    floods_host_calls => TooManyHostCalls { limit: 10_000 },
    floods_dead_letters => TooManyDeadLetters { limit: 4096 },
    huge_log => TooManyBytes { .. },
    huge_text => TooManyBytes { .. },
    lying_offsets => BadOutput(Column { fault: ColumnFault::Offset { index: 1, offset: 1_048_576, .. }, .. }),
    negative_offset => BadOutput(Column { fault: ColumnFault::Offset { index: 0, offset: -1, .. }, .. }),
    bad_utf8 => BadOutput(Column { fault: ColumnFault::NotUtf8 { row: 0 }, .. }),
    bad_utf8_log => BadOutput(Malformed(_)),
    wrong_column_count => BadOutput(ColumnCount { expected: 2, found: 1, .. }),
    wrong_type => BadOutput(Column { fault: ColumnFault::Type { found: "int32", .. }, .. }),
    unknown_type => BadOutput(Malformed(_)),
    too_few_values => BadOutput(Column { fault: ColumnFault::Length { expected: ROWS, found: 7, .. }, .. }),
    list_outside => BadOutput(Malformed(_)),
    nulls_where_none_may_be => BadOutput(Column { fault: ColumnFault::Null { row: 0 }, .. }),
    row_out_of_range => BadOutput(NoSuchRow { function: "select", row: 50, rows: 50 }),
    dead_row_out_of_range => BadOutput(NoSuchRow { function: "dead-letter", row: 50, rows: 50 }),
    not_ascending => BadOutput(NotAscending { previous: 1, row: 0, .. }),
    parent_out_of_range => BadOutput(NoSuchRow { function: "emit", row: 50, rows: 50 }),
    wrong_shape => BadOutput(WrongShape { function: "emit", .. }),
    no_such_output => BadOutput(NoSuchOutput { index: 9, declared: 3 }),
    dead_twice => BadOutput(DeadTwice { row: 3 }),
    returns_an_error => GuestError(_),
}

#[test]
fn panic_messages_and_errors_are_shown_without_escape_sequences() {
    let error = run(&hostile("panics", include_str!("hostile/panics.wat")));
    assert!(error.to_string().contains("(said by the guest)"), "{error}");
    assert!(error.to_string().starts_with("operator `node` (plugin guest@1.2.3), `process` of rows 0 to 49: "), "{error}");
    let error = run(&hostile("returns", include_str!("hostile/returns_an_error.wat")));
    assert!(error.to_string().contains("said\\u{1b}by the guest"), "{error}");
}

#[test]
fn only_the_rows_of_the_failed_call_are_named() {
    let plugin = hostile(
        "late",
        "(global $calls (mut i32) (i32.const 0)) (func $process (param i32 i32 i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (if (i32.eq (global.get $calls) (i32.const 3)) (then unreachable)))",
    );
    let plugin = plugin.with_limits(Limits { rows_per_call: 20, ..Limits::default() });
    assert_eq!(run(&plugin).rows, 40..50);
}

#[test]
fn the_wall_clock_stops_calls_whose_cpu_limit_is_too_high() {
    let plugin = hostile("spins", include_str!("hostile/spins.wat"));
    let plugin = plugin.with_limits(Limits { call_cpu: Span::secs(600), call_wall: Span::millis(50), ..Limits::default() });
    let error = run(&plugin);
    assert!(matches!(error.situation, Timeout { limit: TimeLimit::Wall(_), .. }), "{error:?}");
}

#[test]
fn imports_of_clock_file_socket_and_randomness_are_refused_by_name() {
    let wanted = [
        ("wasi:clocks/monotonic-clock@0.2.0", "now", "(result i64)", "have no clock"),
        ("wasi:filesystem/preopens@0.2.0", "count", "(result i32)", "have no files"),
        ("wasi:sockets/instance-network@0.2.0", "network", "(result i32)", "have no network"),
        ("wasi:random/random@0.2.0", "get-random-u64", "(result i64)", "have no randomness"),
    ];
    for (interface, function, core, hint) in wanted {
        let guest = Guest::default().imports(interface, function, core);
        let error = load("wasi", &guest.build("(func $process (param i32 i32 i32) (drop (call $foreign)))")).expect_err("a refusal");
        assert!(matches!(&error, SandboxError::ForeignImport { import, .. } if import == interface), "{error:?}");
        assert!(error.to_string().contains(hint), "{error}");
    }
    assert_host_is_well();
}

/// Pages of memory that this process holds.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split(' ').nth(1).expect("a second number").parse::<u64>().expect("a number") * 4096
}

#[test]
fn memory_of_the_host_stays_as_it_was() {
    let (plugins, keyed, migrating, aggregates) = (all(), state::all(), migration::all(), aggregate::all());
    let round = || {
        plugins.iter().for_each(|plugin| drop(run(plugin)));
        keyed.iter().for_each(|plugin| drop(state::run(plugin)));
        migrating.iter().for_each(|plugin| drop(migration::run(plugin)));
        aggregates.iter().for_each(|plugin| drop(aggregate::run(plugin)));
    };
    round();
    let before = resident();
    for _ in 0..8 {
        round();
    }
    // A leak of one 64 MiB instance a round would be half a gigabyte; other tests run beside this one.
    let grown = resident().saturating_sub(before);
    assert!(grown < 256 << 20, "{grown} bytes more");
}
