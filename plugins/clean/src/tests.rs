use super::*;
use stygian_testing::{Harness, json, rows};

#[test]
fn drops_robots_and_keeps_all_columns_of_the_rest() {
    let clean = Harness::filter::<Clean>(json!({ "robot_prefix": "bot-" })).unwrap();
    let run = clean.run(rows![
        { "user": "ann", "item": "lamp", "kind": "click", "amount": 0.0, "at": "2026-01-01T00:00:00Z" },
        { "user": "bot-7", "kind": "purchase", "amount": 5.0 },
        { "user": "robot-7", "kind": "purchase", "amount": 5.0 },
    ]);
    let expected = rows![
        { "user": "ann", "item": "lamp", "kind": "click", "amount": 0.0, "at": "2026-01-01T00:00:00Z" },
        { "user": "robot-7", "kind": "purchase", "amount": 5.0 },
    ];
    assert_eq!(run.unwrap().main(), expected);
}

#[test]
fn sends_what_makes_no_sense_to_the_dead_letters() {
    let run = Harness::filter::<Clean>(json!({})).unwrap().run(rows![
        { "user": "ann", "kind": "view", "amount": 1.0 },
        { "user": "ann", "kind": "click", "amount": null },
        { "user": "ann", "kind": "click", "amount": -1.5 },
        { "user": "ann", "kind": "click", "amount": "NaN" },
        { "user": "ann", "kind": "click", "amount": 1.5 },
    ]);
    let run = run.unwrap();
    let reasons =
        [(0, "unknown kind `view`"), (1, "amount is absent"), (2, "amount -1.5 makes no sense"), (3, "amount NaN makes no sense")];
    assert_eq!(run.dead_reasons(), reasons);
    assert_eq!(run.main().len(), 1);
}

#[test]
fn refuses_a_prefix_that_all_names_have_and_keys_it_does_not_know() {
    let refused = |config| Harness::filter::<Clean>(config).unwrap_err().to_string();
    assert!(refused(json!({ "robot_prefix": "" })).contains("`robot_prefix` is empty"));
    assert!(refused(json!({ "robots": "bot-" })).contains("unknown field `robots`, expected `robot_prefix`"));
}
