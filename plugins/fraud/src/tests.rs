use super::*;
use stygian_testing::{Harness, KeyedHarness, Value, json};

fn fraud() -> KeyedHarness<Fraud> {
    Harness::keyed(json!({ "small": 1, "large": 500, "within": "1m" }), &["card"]).unwrap()
}

fn charge(card: &str, second: u32, amount: f64) -> Value {
    json!({ "card": card, "amount": amount, "at": format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60) })
}

#[test]
fn a_small_charge_before_a_large_one_is_found() {
    let good = [charge("a", 0, 0.5), charge("b", 1, 900.0)];
    let run = fraud().run([good[0].clone(), good[1].clone(), charge("a", 59, 500.0)]).unwrap();
    let alert = json!({ "card": "a", "tried_at": good[0]["at"], "amount": 500.0, "at": "2026-01-01T00:00:59Z" });
    assert_eq!((run.main(), run.rows("good")), (&[alert][..], &good[..]));
    assert_eq!((run.values, run.timers.len()), (0, 0));
}

#[test]
fn charges_too_late_too_small_or_with_another_in_between_are_good() {
    for charges in [[(0, 0.5), (60, 900.0), (61, 900.0)], [(0, 0.5), (1, 499.0), (2, 900.0)], [(0, 2.0), (1, 500.0), (2, 500.0)]] {
        let charges = charges.map(|(second, amount)| charge("a", second, amount));
        let run = fraud().run(charges.clone()).unwrap();
        assert_eq!((run.main(), run.rows("good")), (&[][..], &charges[..]));
    }
}

#[test]
fn a_small_charge_is_forgotten_by_the_clock() {
    let run = fraud().stream().rows([charge("a", 0, 0.5)]).watermark("2026-01-01T00:01:00Z").run().unwrap();
    assert_eq!((run.values, run.timers.len()), (0, 0));
}

#[test]
fn a_charge_that_makes_no_sense_changes_nothing() {
    let run = fraud().run([charge("a", 0, 0.5), charge("a", 1, -1.0), charge("a", 2, 500.0)]).unwrap();
    assert_eq!((run.dead_reasons(), run.main().len()), (vec![(1, "a charge of -1")], 1));
}
