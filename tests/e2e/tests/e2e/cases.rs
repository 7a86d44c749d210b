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
    late
    poison
    processing
    revisions
    routes
    sessions
    sliding
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
