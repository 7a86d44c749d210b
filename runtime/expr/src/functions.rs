//! The functions that expressions may call, and why others are refused.
//!
//! Allowed is what gives the same result for the same rows on every replay and needs nothing from outside. A function that
//! DataFusion adds later is refused until it is listed here. Functions whose result can be much longer than what they are given
//! run under the byte cap of [`crate::MAX_RESULT_BYTES`].

use crate::capped::{self, Growth};
use crate::concat;
use datafusion_expr::{AggregateUDF, ScalarUDF};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Conditions and choices; text; numbers; times; patterns. Deterministic, all of them.
const SCALARS: [&str; 98] = [
    // conditions and choices
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "nvl",
    "nvl2",
    "get_field",
    "arrow_typeof",
    // text
    "ascii",
    "bit_length",
    "btrim",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "levenshtein",
    "lower",
    "ltrim",
    "octet_length",
    "overlay",
    "repeat",
    "replace",
    "rtrim",
    "split_part",
    "starts_with",
    "to_hex",
    "upper",
    "character_length",
    "find_in_set",
    "initcap",
    "left",
    "lpad",
    "reverse",
    "right",
    "rpad",
    "strpos",
    "substr",
    "substr_index",
    "translate",
    // numbers
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log2",
    "log10",
    "nanvl",
    "pi",
    "power",
    "radians",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    // times
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "make_time",
    "to_char",
    "to_date",
    "to_local_time",
    "to_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    // patterns
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
];

/// Those of [`SCALARS`] whose result can grow, and by how much.
const GROWING: [(&str, Growth); 8] = [
    ("concat", Growth::Sum),
    ("concat_ws", Growth::Joined),
    ("lpad", Growth::Padded),
    ("overlay", Growth::Sum),
    ("regexp_replace", Growth::PatternReplaced),
    ("repeat", Growth::Repeated),
    ("replace", Growth::Replaced),
    ("rpad", Growth::Padded),
];

const CLOCK: &str = "its result changes from one run to the next, so a replay would give other rows; use the event time column";
const CHANCE: &str = "its result is random, so a replay would give other rows; compute it from a column";
const ORDER: &str = "its result depends on the order in which rows arrive; use min, max or count";
const OUTSIDE: &str = "it speaks of files or of the program, which expressions know nothing of";

/// Functions that people will try, and why not.
const REFUSED: [(&str, &str); 26] = [
    ("now", CLOCK),
    ("current_timestamp", CLOCK),
    ("current_date", CLOCK),
    ("current_time", CLOCK),
    ("localtime", CLOCK),
    ("localtimestamp", CLOCK),
    ("today", CLOCK),
    ("random", CHANCE),
    ("rand", CHANCE),
    ("uuid", CHANCE),
    ("gen_random_uuid", CHANCE),
    ("first_value", ORDER),
    ("last_value", ORDER),
    ("nth_value", ORDER),
    ("any_value", ORDER),
    ("array_agg", ORDER),
    ("string_agg", ORDER),
    ("version", OUTSIDE),
    ("input_file_name", OUTSIDE),
    ("file_row_index", OUTSIDE),
    ("current_user", OUTSIDE),
    ("current_catalog", OUTSIDE),
    ("session_user", OUTSIDE),
    ("user", OUTSIDE),
    ("row_number", "it numbers rows by the order in which they arrive"),
    ("grouping", "it belongs to grouping sets, which windows do not have"),
];

/// Aggregates whose result does not depend on the order of the rows (approximate ones: hardly).
const AGGREGATES: [&str; 29] = [
    "avg",
    "count",
    "max",
    "min",
    "sum",
    "stddev",
    "stddev_pop",
    "var",
    "var_pop",
    "corr",
    "covar_pop",
    "covar_samp",
    "median",
    "percentile_cont",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
];

/// Our own other names for aggregates. A quantile is exact, as the median is: an approximate one would depend on how rows came in batches.
const AGGREGATE_ALIASES: [(&str, &str); 1] = [("quantile", "percentile_cont")];

/// All callable functions by every name they go by, in lower case.
pub(crate) struct Functions {
    pub(crate) scalars: BTreeMap<String, Arc<ScalarUDF>>,
    pub(crate) aggregates: BTreeMap<String, Arc<AggregateUDF>>,
    pub(crate) concat_operator: Arc<ScalarUDF>,
}

pub(crate) static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| {
    let mut scalars = BTreeMap::new();
    for function in datafusion_functions::all_default_functions() {
        if !SCALARS.contains(&function.name()) {
            continue;
        }
        let growth = GROWING.iter().find(|(name, _)| *name == function.name()).map(|(_, growth)| *growth);
        let function = match growth {
            Some(growth) => capped::wrap(function, growth),
            None => function,
        };
        for name in function.aliases().iter().map(String::as_str).chain([function.name()]) {
            scalars.insert(name.to_owned(), function.clone());
        }
    }
    let mut aggregates = BTreeMap::new();
    for function in datafusion_functions_aggregate::all_default_aggregate_functions() {
        if AGGREGATES.contains(&function.name()) {
            for name in function.aliases().iter().map(String::as_str).chain([function.name()]) {
                aggregates.insert(name.to_owned(), function.clone());
            }
        }
    }
    for (alias, name) in AGGREGATE_ALIASES {
        if let Some(function) = aggregates.get(name).cloned() {
            aggregates.insert(alias.to_owned(), function);
        }
    }
    Functions { scalars, aggregates, concat_operator: concat::operator() }
});

/// Why a function is refused, if it is one that people know.
pub(crate) fn refused(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason)
}

/// The names of all functions that expressions may call, sorted.
pub fn function_names() -> impl Iterator<Item = &'static str> + Clone {
    FUNCTIONS.scalars.keys().map(String::as_str)
}

/// The names of all functions that windows may aggregate with, sorted.
pub fn aggregate_names() -> impl Iterator<Item = &'static str> + Clone {
    FUNCTIONS.aggregates.keys().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_function_exists() {
        let exist: Vec<_> = SCALARS.iter().filter(|name| !FUNCTIONS.scalars.contains_key(**name)).collect();
        assert!(exist.is_empty(), "{exist:?}");
        let exist: Vec<_> = AGGREGATES.iter().filter(|name| !FUNCTIONS.aggregates.contains_key(**name)).collect();
        assert!(exist.is_empty(), "{exist:?}");
    }

    #[test]
    fn no_allowed_function_is_volatile_or_a_clock() {
        for (name, function) in &FUNCTIONS.scalars {
            assert_eq!(function.signature().volatility, datafusion_expr::Volatility::Immutable, "{name}");
            assert_eq!(refused(name), None, "{name}");
        }
    }
}
