//! What Kerberos needs, checked step by step, and a form for the steps of others.
//!
//! A [`Checkup`] is a list of steps that are run one by one as it is iterated, and that ends behind the first that fails: what comes after it
//! could only fail for the same reason. [`kerberos`] makes the steps of Kerberos; whoever knows of Kafka or HDFS adds its own with
//! [`Checkup::then`], which run with the ticket of these.

mod steps;

use std::collections::VecDeque;
pub use steps::kerberos;

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Passed,
    /// It works, but something about it should be changed.
    Warned,
    /// It does not work; no further step is run.
    Failed,
}

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The step's name, as a heading: `keytab`, `service kafka/broker`.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// What was found, or what is wrong: a sentence without a full stop.
    pub detail: String,
    /// What to do, if there is something to be done.
    pub hint: Option<String>,
}

/// What a step answers when it works: what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound {
    /// All is well.
    Well(String),
    /// It works, but this should be changed: what was found, and what to do.
    But(String, String),
}

/// What a step answers when it does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong.
    pub detail: String,
    /// What to do, if that is known.
    pub hint: Option<String>,
}

type Run<'a> = Box<dyn FnOnce() -> Result<Sound, Trouble> + Send + 'a>;

/// Steps that are run as this is iterated.
#[derive(Default)]
pub struct Checkup<'a> {
    steps: VecDeque<(String, Run<'a>)>,
}

impl<'a> Checkup<'a> {
    /// Adds a step behind those that are there. It is run when its turn comes, on the thread that iterates, and may block.
    #[must_use]
    pub fn then(mut self, name: impl Into<String>, run: impl FnOnce() -> Result<Sound, Trouble> + Send + 'a) -> Self {
        self.steps.push_back((name.into(), Box::new(run)));
        self
    }
}

impl Iterator for Checkup<'_> {
    type Item = Finding;

    fn next(&mut self) -> Option<Finding> {
        let (name, run) = self.steps.pop_front()?;
        Some(match run() {
            Ok(Sound::Well(detail)) => Finding { name, outcome: Outcome::Passed, detail, hint: None },
            Ok(Sound::But(detail, hint)) => Finding { name, outcome: Outcome::Warned, detail, hint: Some(hint) },
            Err(Trouble { detail, hint }) => {
                self.steps.clear();
                Finding { name, outcome: Outcome::Failed, detail, hint }
            }
        })
    }
}

impl From<crate::KerberosError> for Trouble {
    fn from(error: crate::KerberosError) -> Self {
        let reason = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Self { detail: format!("{error}{reason}"), hint: Some(error.hint()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble() -> Trouble {
        Trouble { detail: "no".into(), hint: None }
    }

    #[test]
    fn a_checkup_ends_behind_the_first_step_that_fails() {
        let checkup = Checkup::default()
            .then("one", || Ok(Sound::Well("yes".into())))
            .then("two", || Ok(Sound::But("yes".into(), "change it".into())))
            .then("three", || Err(trouble()))
            .then("four", || panic!("this is not run"));
        let found: Vec<_> = checkup.map(|finding| (finding.name, finding.outcome)).collect();
        let expected = [("one", Outcome::Passed), ("two", Outcome::Warned), ("three", Outcome::Failed)];
        assert_eq!(found, expected.map(|(name, outcome)| (name.to_owned(), outcome)));
    }

    #[test]
    fn a_step_is_run_only_when_its_turn_comes() {
        let mut checkup = Checkup::default().then("one", || Ok(Sound::Well(String::new()))).then("two", || panic!("this is not run"));
        assert!(checkup.next().is_some());
    }
}
