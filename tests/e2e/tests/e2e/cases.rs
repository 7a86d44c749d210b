//! Every case at parallelism 1 and 3, and what a wrong pipeline is told.

use stygian_e2e::Case;

fn check(name: &str) {
    for parallelism in [1, 3] {
        let checked = Case::named(name).and_then(|case| case.check(parallelism));
        checked.unwrap_or_else(|error| panic!("{name} at parallelism {parallelism}: {error:#}"));
    }
}

macro_rules! cases {
    ($folder:literal: $($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(concat!($folder, stringify!($name)));
        }
    )*};
}

cases! { "":
    aircraft
    behaviour
    dedup
    flights
    formats
    fraud
    late
    means
    means_revised
    poison
    processing
    revisions
    routes
    sessions
    sliding
    top
}

/// Every case once more with checkpoints, killed a few times on its way.
macro_rules! killed {
    ($($name:ident)*) => {
        mod killed {
            use stygian_e2e::Case;
            $(
                #[test]
                fn $name() {
                    for (parallelism, seed) in [(1, 1), (3, 2)] {
                        let case = Case::named(stringify!($name)).expect("a case");
                        case.check_killed(parallelism, seed, 3).unwrap_or_else(|error| panic!("{} at parallelism {parallelism}: {error:#}", stringify!($name)));
                    }
                }
            )*
        }
    };
}

killed! {
    aircraft
    behaviour
    dedup
    flights
    formats
    fraud
    late
    means
    means_revised
    poison
    processing
    revisions
    routes
    sessions
    sliding
    top
}

cases! { "errors/":
    cycle
    missing_plugin
    no_such_input
    plugin_config
    syntax
    unknown_keys
    window_without_time
    wrong_schema
    wrong_sql
    wrong_types
}

/// Killed at every place that has a name.
#[test]
fn places() {
    for (at, point) in stygian_e2e::KILL_POINTS.into_iter().enumerate() {
        let (name, parallelism) = ("flights", if at % 2 == 0 { 1 } else { 3 });
        let checked = Case::named(name).and_then(|case| case.check_killed_at(point, parallelism));
        checked.unwrap_or_else(|error| panic!("{point} of {name} at parallelism {parallelism}: {error:#}"));
    }
}

/// As above, of a job whose files are merged.
#[test]
fn places_of_merging() {
    for (at, point) in stygian_e2e::MERGE_POINTS.into_iter().enumerate() {
        let (name, parallelism) = ("dedup", if at % 2 == 0 { 1 } else { 3 });
        let checked = Case::named(name).and_then(|case| case.check_killed_at(point, parallelism));
        checked.unwrap_or_else(|error| panic!("{point} of {name} at parallelism {parallelism}: {error:#}"));
    }
}

/// The exclusive manifest alone keeps two processes on one job apart, as where there is no lock.
#[test]
fn two_processes_without_a_lock() {
    for (name, parallelism, seed) in [("fraud", 1, 1), ("sessions", 3, 2)] {
        let checked = Case::named(name).and_then(|case| case.check_two_processes(parallelism, seed, 3));
        checked.unwrap_or_else(|error| panic!("{name} at parallelism {parallelism}: {error:#}"));
    }
}
