use super::*;
use stygian_testing::{Harness, json, rows};

#[test]
fn parts_purchases_from_clicks() {
    let run = Harness::flat_map::<Route>(json!({})).unwrap().run(rows![
        { "user": "ann", "item": "lamp", "kind": "click", "amount": 0.0, "at": "2026-01-01T00:00:00Z", "session": 9 },
        { "user": "bob", "item": "desk", "kind": "purchase", "amount": 80.5, "at": "2026-01-01T00:00:01.25Z", "session": 9 },
        { "user": "cid", "item": "vase", "kind": "view", "amount": 0.0, "at": "2026-01-01T00:00:02Z" },
    ]);
    let run = run.unwrap();
    assert_eq!(run.main(), rows![{ "user": "bob", "item": "desk", "price": 80.5, "at": "2026-01-01T00:00:01.25Z" }]);
    let click = rows![{ "user": "ann", "item": "lamp", "kind": "click", "amount": 0.0, "at": "2026-01-01T00:00:00Z", "session": 9 }];
    assert_eq!(run.rows("clicks"), click);
    assert_eq!(run.dead_reasons(), [(2, "unknown kind `view`")]);
}

#[test]
fn names_its_main_output_first_and_has_no_configuration() {
    let route = Harness::flat_map::<Route>(json!({})).unwrap();
    let names: Vec<_> = route.description().outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["purchases", "clicks"]);
    assert!(Harness::flat_map::<Route>(json!({ "x": 1 })).unwrap_err().to_string().contains("unknown field `x`"));
}
