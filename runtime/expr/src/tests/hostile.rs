//! Text that nobody meant well with: no panic, no overflow of the stack, always a place within the text.

use super::{rows, schema};
use crate::{Aggregate, ExprError, Expression, MAX_SQL_BYTES};
use proptest::prelude::*;

/// Compiles and evaluates; whatever comes of it must be orderly.
fn try_all(sql: &str) {
    let checked = |error: ExprError| {
        let message = error.to_string();
        assert!(!message.contains("the planner failed") && !message.contains("cannot cope"), "{sql}: {message}");
        if let (Some(at), Some(text)) = (error.at(), error.sql()) {
            assert!(text.get(at.clone()).is_some(), "{sql}: {at:?}");
        }
    };
    match Expression::compile(sql, &schema()) {
        Ok(expression) => {
            for rows in [rows(), rows().slice(1, 1), rows().slice(0, 0)] {
                match expression.evaluate(&rows) {
                    Ok(array) => assert_eq!((array.len(), array.data_type()), (rows.num_rows(), expression.data_type()), "{sql}"),
                    Err(error) => checked(error),
                }
            }
        }
        Err(error) => checked(error),
    }
    if let Err(error) = Aggregate::compile(sql, &schema()) {
        checked(error);
    }
}

const SEEDS: &[&str] = &[
    "amount * 2 + n > 7 and not flag",
    "case when kind like 'c%' then upper(user) else coalesce(user, 'none') end",
    "date_trunc('hour', at) + interval '1 day' - interval '2' month",
    "extract(year from at) between 1969 and 2024",
    "cast(n as decimal(10, 2)) / price",
    "regexp_replace(kind, '(a|b)+', '\\1', 'g') || repeat(kind, 3)",
    "substring(user from 2 for 3) in ('a', 'b', null)",
    "count(distinct user) filter (where kind = 'buy')",
    "quantile(amount, 0.95)",
    "approx_percentile_cont(0.5) within group (order by amount desc)",
    "sum(price * 2)",
    "address['city'] is not distinct from address.city",
    "to_char(at, '%Y-%m-%d') = '2024-02-29' or day > date '2020-01-01'",
    "lpad(kind, 5, 'xy') <> trim(leading 'c' from kind)",
    "at at time zone 'Europe/Vienna'",
    "position('c' in kind) + strpos(kind, 'k') + ascii(kind) + bit_length(kind)",
    "power(n, 2) + log(10, 100) + factorial(5) + gcd(n, 3) + round(amount, 1)",
    "(select max(x) from y) = any(1) and x -> 'a' @> [1,2,{a:3}]",
];

const PIECES: &[&str] = &[
    "(",
    ")",
    "'",
    "\"",
    ",",
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "::",
    "=",
    "<",
    "null",
    "not ",
    " and ",
    " or ",
    "case ",
    "when ",
    " then ",
    " end",
    "cast(",
    " as int64)",
    " as text)",
    "interval ",
    "0",
    "-1",
    "1e308",
    "9223372036854775807",
    "99999999999999999999999",
    "''",
    "'ä'",
    "n",
    "kind",
    "at",
    "day",
    "price",
    "raw",
    "flag",
    "\u{0}",
    "\u{202e}",
    "--",
    "/*",
    "*/",
    "$1",
    "[",
    "]",
    "{",
    "}",
    ".",
    " in (",
    " between ",
    " like ",
    " is ",
    "distinct ",
    " over (",
    " filter (where ",
    " within group (order by ",
    ";",
    "@",
    "->",
    "|",
    "repeat(",
    "lpad(",
    "power(",
    "factorial(",
    "chr(",
    "date_bin(",
    "to_timestamp(",
    "make_date(",
    "substr(",
    "left(",
    "round(",
    "to_char(",
    "regexp_like(",
    "regexp_replace(",
    "split_part(",
    "date_trunc(",
    "date_part(",
    "trunc(",
    "levenshtein(",
    "from_unixtime(",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn mutated_sql_never_panics(
        seed in 0..SEEDS.len(),
        other in 0..SEEDS.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..PIECES.len(), 0_usize..6), 0..6),
        cut in any::<prop::sample::Index>(),
        join in any::<bool>(),
    ) {
        let mut sql: Vec<char> = SEEDS[seed].chars().collect();
        if join {
            sql.truncate(cut.index(sql.len()));
            sql.extend(SEEDS[other].chars());
        }
        for (at, piece, removed) in edits {
            let at = at.index(sql.len() + 1);
            let until = sql.len().min(at + removed);
            sql.splice(at..until, PIECES[piece].chars());
        }
        try_all(&sql.into_iter().collect::<String>());
    }

    #[test]
    fn assembled_sql_never_panics(pieces in prop::collection::vec(0..PIECES.len(), 0..12)) {
        try_all(&pieces.into_iter().map(|piece| PIECES[piece]).collect::<String>());
    }
}

#[test]
fn functions_take_extreme_arguments() {
    let numbers =
        ["0", "-1", "1", "9223372036854775807", "-9223372036854775808", "1e308", "-1e308", "'x'", "null", "n", "kind", "at", "price"];
    for name in crate::function_names() {
        for a in numbers {
            try_all(&format!("{name}({a})"));
            for b in ["0", "-1", "9223372036854775807", "'ä'", "null", "n", "at"] {
                try_all(&format!("{name}({a}, {b})"));
                try_all(&format!("{name}(kind, {a}, {b})"));
            }
        }
    }
}

#[test]
fn deep_and_long_text_is_refused() {
    let chains = [
        "(".repeat(60_000),
        format!("{}1{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("{}true", "not ".repeat(8_000)),
        format!("{}1", "- ".repeat(16_000)),
        format!("1{}", "+1".repeat(30_000)),
        format!("1{}", "+1".repeat(8_000)),
        format!("flag{}", " or flag".repeat(5_000)),
        format!("flag{}", " or flag".repeat(300)),
        "case when flag then ".repeat(3_000),
        "upper(".repeat(5_000),
        format!("n{}", "::text".repeat(5_000)),
        format!("n{}", " is null".repeat(5_000)),
        format!("address{}", "['city']".repeat(5_000)),
        format!("address{}", ".city".repeat(5_000)),
        "interval ".repeat(7_000),
        "position(".repeat(5_000),
        "interval position(".repeat(3_000),
        "(interval -".repeat(3_000),
        format!("1{}", "\n--".repeat(5_000)),
        "x".repeat(MAX_SQL_BYTES + 1),
        "/*".repeat(30_000),
        "[".repeat(30_000),
        "{a:".repeat(10_000),
    ];
    for sql in chains {
        // Small, as a worker's stack may be.
        let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
            try_all(&sql);
            (Expression::compile(&sql, &schema()).is_ok(), sql)
        });
        let (compiled, sql) = thread.expect("a thread").join().expect("no panic");
        assert!(!compiled || sql.contains("--"), "{}", &sql[..20]);
    }
}

#[test]
fn the_deepest_permitted_expression_runs_on_a_small_stack() {
    for sql in [
        format!("n{}", "+n".repeat(198)),
        format!("flag{}", " or flag is null".repeat(198)),
        format!("kind{}", "||kind".repeat(198)),
        format!("{}kind{}", "upper(".repeat(90), ")".repeat(90)),
        format!("{}n{}", "case when flag then n else ".repeat(45), " end".repeat(45)),
    ] {
        let expression = Expression::compile(&sql, &schema()).unwrap_or_else(|e| panic!("{}: {e}", &sql[..30]));
        let run = move || expression.evaluate(&rows()).map(|array| array.len()).map_err(|e| e.to_string());
        let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(run).expect("a thread");
        assert_eq!(thread.join().expect("no overflow"), Ok(3), "{}", &sql[..30]);
    }
}

#[test]
fn long_lists_are_no_depth() {
    let list: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let sql = format!("n in ({})", list.join(","));
    let found = Expression::compile(&sql, &schema()).expect("a list").evaluate(&rows()).expect("a mask");
    assert_eq!(found.len(), 3);
}
