//! Adds `revenue_class` to user behaviour events: what a purchase is worth.

use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Event<'a> {
    kind: &'a str,
    amount: f64,
}

/// The column that is added.
#[derive(OutputRow)]
pub struct Class {
    revenue_class: &'static str,
}

/// The pipeline's `config` table.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrich {
    /// Purchases from this price on are `high`.
    high_from: f64,
}

impl Map for Enrich {
    type Config = Self;
    type In<'a> = Event<'a>;
    type Out<'a> = Class;
    const EXTENDS: bool = true;

    fn open(config: Self) -> Result<Self, String> {
        if config.high_from > 0.0 { Ok(config) } else { Err("`high_from` must be greater than 0".into()) }
    }

    fn map(&self, event: Event<'_>) -> Result<Class, Reject> {
        let revenue_class = match event.kind {
            "purchase" if event.amount >= self.high_from => "high",
            "purchase" => "low",
            _ => "none",
        };
        Ok(Class { revenue_class })
    }
}

stygian_sdk::export!(map Enrich);

#[cfg(test)]
mod tests {
    use super::*;
    use stygian_testing::{Harness, json, rows};

    #[test]
    fn adds_the_class_and_leaves_the_rest_alone() {
        let run = Harness::map::<Enrich>(json!({ "high_from": 100 })).unwrap().run(rows![
            { "user": "ann", "kind": "purchase", "amount": 100.0 },
            { "user": "bob", "kind": "purchase", "amount": 99.99 },
            { "user": "cid", "kind": "click", "amount": 500.0 },
        ]);
        let expected = rows![
            { "user": "ann", "kind": "purchase", "amount": 100.0, "revenue_class": "high" },
            { "user": "bob", "kind": "purchase", "amount": 99.99, "revenue_class": "low" },
            { "user": "cid", "kind": "click", "amount": 500.0, "revenue_class": "none" },
        ];
        assert_eq!(run.unwrap().main(), expected);
    }

    #[test]
    fn wants_a_price_above_zero() {
        let refused = |config| Harness::map::<Enrich>(config).unwrap_err().to_string();
        assert!(refused(json!({ "high_from": 0 })).contains("`high_from` must be greater than 0"));
        assert!(refused(json!({})).contains("missing field `high_from`"));
    }
}
