//! A checked pipeline.

use crate::captures::Captures;
use crate::checkpoint::Checkpoint;
use crate::hdfs::Hdfs;
use crate::kerberos::Kerberos;
use crate::nodes::{OperatorNode, SinkNode, SourceNode};
use crate::parse;
use crate::restart::Restart;
use crate::settings::Settings;
use crate::state::State;
use std::sync::Arc;
use stygian_api::{Options, Problem, Problems};

/// The largest pipeline file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The output of every source and operator with the rows it refused.
pub const DEAD_LETTERS: &str = "dead_letters";
/// The output of a branch with the rows that meet no condition.
pub const OTHER: &str = "other";
/// The output of a window with the rows that came too late.
pub const LATE: &str = "late";

/// A pipeline whose nodes have unique names, exactly one kind each, and inputs that exist, without a cycle.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// What the job is called.
    pub name: String,
    /// The whole file.
    pub text: Arc<str>,
    /// Settings of the job.
    pub settings: Settings,
    /// Limits of all plugins; the sandbox knows the keys.
    pub limits: Options,
    /// What is saved of plugin calls that failed.
    pub captures: Captures,
    /// Its checkpoints; `None`: it makes none.
    pub checkpoint: Option<Checkpoint>,
    /// When it is started again after a failure; without checkpoints it never is.
    pub restart: Restart,
    /// Where keyed state is held.
    pub state: State,
    /// Who the job is to guarded clusters; `None`: nobody.
    pub kerberos: Option<Kerberos>,
    /// How HDFS is reached.
    pub hdfs: Hdfs,
    /// Where rows come from, in the order of the file.
    pub sources: Vec<SourceNode>,
    /// What is done with them, in the order of the file.
    pub operators: Vec<OperatorNode>,
    /// Where they go, in the order of the file.
    pub sinks: Vec<SinkNode>,
    /// What works, but probably not as it was meant.
    pub warnings: Vec<Problem>,
}

impl Pipeline {
    /// Reads a pipeline file.
    ///
    /// # Errors
    /// Every problem of the file. Only where it is no TOML, just the problems of syntax.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let (pipeline, problems) = parse::parse(text)?;
        if problems.is_empty() { Ok(pipeline) } else { Err(Problems(problems)) }
    }

    /// As [`Pipeline::parse`], but gives what is sound of a file with problems beside them, so that connectors can be asked about theirs
    /// and all are told at once. Such a pipeline must not be planned: what a node names need not exist.
    ///
    /// # Errors
    /// Where the file is no TOML, or too large.
    pub fn parse_sound_parts(text: &str) -> Result<(Self, Vec<Problem>), Problems> {
        parse::parse(text)
    }
}
