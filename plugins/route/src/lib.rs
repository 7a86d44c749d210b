//! Parts user behaviour events into purchases, with their price, and clicks as they came.

use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Event<'a> {
    user: &'a str,
    item: &'a str,
    kind: &'a str,
    amount: f64,
    at: TimestampUtc,
}

/// A purchase.
#[derive(OutputRow)]
pub struct Purchase<'a> {
    user: &'a str,
    item: &'a str,
    price: f64,
    at: TimestampUtc,
}

/// The operator's outputs: `route.purchases`, which is also `route`, and `route.clicks`.
#[derive(Outputs)]
pub struct Routes<'a> {
    purchases: Output<Purchase<'a>>,
    clicks: SelectedOutput,
}

/// The flat-map.
pub struct Route;

impl FlatMap for Route {
    type Config = NoConfig;
    type Row<'a> = Event<'a>;
    type Outputs<'a> = Routes<'a>;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn flat_map<'a>(&self, event: Event<'a>, out: &mut Routes<'a>) -> Result<(), Reject> {
        match event.kind {
            "click" => out.clicks.keep(),
            "purchase" => out.purchases.push(Purchase { user: event.user, item: event.item, price: event.amount, at: event.at }),
            kind => return Err(format!("unknown kind `{kind}`").into()),
        }
        Ok(())
    }
}

stygian_sdk::export!(flat_map Route);

#[cfg(test)]
mod tests {
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
}
