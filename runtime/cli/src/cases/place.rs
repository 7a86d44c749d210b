//! Reading the parsed TOML of a case file: every wrong key and value becomes a problem with its place, and reading goes on.

use std::ops::Range;
use stygian_api::{Problem, suggest};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value where it stands.
pub(crate) type Placed<'i> = Spanned<DeValue<'i>>;

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) at: Range<usize>,
}

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) problems: Vec<Problem>,
}

impl Reading {
    pub(crate) fn problem(&mut self, at: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self.problems.push(Problem { at: Some(at), message: message.into(), hint });
    }

    /// Tells the keys of a table that are not known.
    pub(crate) fn only_keys(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for (key, _) in table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            self.problem(key.span(), format!("unknown key `{}`", key.get_ref()), suggest(key.get_ref(), known));
        }
    }

    pub(crate) fn table<'v, 'i>(&mut self, value: &'v Placed<'i>, what: &str) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.problem(value.span(), format!("{what} must be a table"), "");
        }
        table
    }

    pub(crate) fn list<'v, 'i>(&mut self, value: &'v Placed<'i>, what: &str) -> Vec<&'v Placed<'i>> {
        match value.get_ref().as_array() {
            Some(list) => list.iter().collect(),
            None => {
                self.problem(value.span(), format!("{what} must be a list"), "");
                Vec::new()
            }
        }
    }

    pub(crate) fn text(&mut self, value: &Placed<'_>, what: &str) -> Option<String> {
        let text = value.get_ref().as_str().map(ToOwned::to_owned);
        if text.is_none() {
            self.problem(value.span(), format!("{what} must be a text"), "");
        }
        text
    }

    pub(crate) fn flag(&mut self, value: &Placed<'_>, what: &str) -> bool {
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.problem(value.span(), format!("{what} must be true or false"), "");
        }
        flag.unwrap_or_default()
    }

    /// A number that is not negative.
    pub(crate) fn number(&mut self, value: &Placed<'_>, what: &str) -> Option<f64> {
        let number = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number: &f64| number.is_finite() && *number >= 0.0);
        if number.is_none() {
            self.problem(value.span(), format!("{what} must be a number that is not negative"), "");
        }
        number
    }
}
