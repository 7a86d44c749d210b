//! Keeps sound user behaviour events: drops robots, and sends events of unknown kind or senseless amount to the dead letters.

use stygian_sdk::prelude::*;

/// The columns that the filter reads; all others stay outside and go on untouched.
#[derive(Row)]
pub struct Event<'a> {
    user: &'a str,
    kind: &'a str,
    amount: Option<f64>,
}

/// The pipeline's `config` table.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clean {
    /// Users whose names begin so are robots; none: there are no robots.
    robot_prefix: Option<String>,
}

impl Filter for Clean {
    type Config = Self;
    type Row<'a> = Event<'a>;

    fn open(config: Self) -> Result<Self, String> {
        if config.robot_prefix.as_deref() == Some("") { Err("`robot_prefix` is empty: all would be robots".into()) } else { Ok(config) }
    }

    fn keep(&self, event: Event<'_>) -> Result<bool, Reject> {
        match event.kind {
            "click" | "purchase" => {}
            kind => return Err(format!("unknown kind `{kind}`").into()),
        }
        let amount = event.amount.ok_or("amount is absent")?;
        if !(amount >= 0.0 && amount.is_finite()) {
            return Err(format!("amount {amount} makes no sense").into());
        }
        Ok(!self.robot_prefix.as_ref().is_some_and(|prefix| event.user.starts_with(prefix.as_str())))
    }
}

stygian_sdk::export!(filter Clean);

#[cfg(test)]
mod tests;
