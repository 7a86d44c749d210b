//! Every case at parallelism 1 and 3.

use stygian_e2e::Case;

macro_rules! cases {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            for parallelism in [1, 3] {
                let checked = Case::named(stringify!($name)).and_then(|case| case.check(parallelism));
                checked.unwrap_or_else(|error| panic!("{} at parallelism {parallelism}: {error:#}", stringify!($name)));
            }
        }
    )*};
}

cases! {
    behaviour
}
