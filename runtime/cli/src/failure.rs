//! How a command fails: what the user gave is wrong (status 2), or something failed while it ran (status 1).

use crate::terminal::Terminal;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The pipeline (or another input) is wrong; the text is ready to be shown.
    Input(String),
    /// It failed while it ran.
    Run(anyhow::Error),
}

impl Failure {
    /// What the user gave is wrong.
    pub(crate) fn input(error: impl Into<anyhow::Error>) -> Self {
        Self::Input(format!("error: {:#}\n", error.into()))
    }

    /// The same, of something that went well when the job was started first.
    pub(crate) fn in_a_run(self) -> Self {
        match self {
            Self::Input(_) => Self::Run(anyhow::anyhow!(self.text())),
            run @ Self::Run(_) => run,
        }
    }

    /// What it says, without the word `error`.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Input(text) => text.trim_start_matches("error: ").trim_end().to_owned(),
            Self::Run(error) => format!("{error:#}"),
        }
    }

    /// Tells it.
    pub(crate) fn report(self, terminal: &Terminal) -> ExitCode {
        match self {
            Self::Input(text) => {
                terminal.err(&text);
                ExitCode::from(2)
            }
            Self::Run(error) => {
                terminal.err(&format!("error: {error:#}\n"));
                ExitCode::FAILURE
            }
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Run(error.into())
    }
}
