//! The command line as clap reads it. What is checked beyond its shape is checked where it is used.

use clap::{CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Run streaming pipelines whose operators are WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "stygian", version, propagate_version = true, arg_required_else_help = true, max_term_width = 110)]
#[command(after_help = "Examples:
  stygian plugin new clean            make a crate for an operator
  stygian plugin build clean          compile it to a component
  stygian check pipeline.toml         find what is wrong with a pipeline
  stygian test pipeline.toml          run it on given rows and compare what comes out
  stygian run pipeline.toml           run it until its input ends or Ctrl-C")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline in the foreground.
    Run(RunArgs),
    /// Find every problem of a pipeline, without running it.
    Check(PipelineArgs),
    /// Try what a pipeline needs from outside, step by step: Kerberos, brokers, topics, rights.
    #[command(after_help = "Examples:
  stygian doctor pipeline.toml
  stygian doctor pipeline.toml --output json | jq 'select(.outcome != \"ok\")'

The steps are krb5.conf, keytab, KDC, clock, ticket, a ticket for each service; then for every source and sink its brokers, its topic, and the right to
read or write it; then what exactly-once needs. Nothing is written, and a running job is not disturbed. It ends at the first step that fails.
Exit status: 0 all is well, 1 a step failed, 2 the pipeline is wrong.")]
    Doctor(PipelineArgs),
    /// Show what a pipeline would run: tasks, exchanges, schemas, guarantees.
    Explain(ExplainArgs),
    /// Run a pipeline on given rows and compare what comes out with what is expected.
    Test(CasesArgs),
    /// Make, build, test and look into plugins.
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Tell how a running job is, or which jobs run.
    Status(StatusArgs),
    /// Have a running job make a savepoint: a checkpoint that stands alone, to go on from later or elsewhere.
    Savepoint(SavepointArgs),
    /// Stop a running job gracefully, and wait until it has stopped.
    Stop(StopArgs),
    /// List, look into and verify the checkpoints of a job.
    Checkpoints {
        #[command(subcommand)]
        command: CheckpointsCommand,
    },
    /// Look at the transactions that a pipeline's job writes to Kafka by, and end those of a job that is gone.
    Transactions {
        #[command(subcommand)]
        command: TransactionsCommand,
    },
    /// Print the JSON Schema of the pipeline file, for editors.
    #[command(after_help = "Example:
  stygian schema > pipeline.schema.json
  # then, as the first line of a pipeline:  #:schema ./pipeline.schema.json")]
    Schema,
    /// List the connectors, or the options of one.
    Connectors {
        /// The connector to describe.
        name: Option<String>,
    },
    /// Print a completion script.
    #[command(after_help = "Example:
  stygian completions bash > ~/.local/share/bash-completion/completions/stygian")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Compile a component from stdin to stdout; called by `stygian` itself.
    #[command(hide = true)]
    CompileComponent,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  stygian check pipeline.toml
  stygian check pipeline.toml --set settings.parallelism=4 --output json")]
pub(crate) struct PipelineArgs {
    /// The pipeline file.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) pipeline: PathBuf,
    /// Change a key of the file: `settings.parallelism=4`, `source.events.path="other.jsonl"`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Where to look for plugins by name, before `plugins` beside the pipeline file and the user's folder.
    #[arg(long = "plugins", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) plugins: Vec<PathBuf>,
    /// How to say what is found.
    #[arg(long, value_enum, default_value_t = OutputStyle::Text)]
    pub(crate) output: OutputStyle,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  stygian explain pipeline.toml
  stygian explain pipeline.toml --format json | jq .tasks
  stygian explain pipeline.toml --format svg > pipeline.svg")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// As what. Default: as `--output` says.
    #[arg(long, value_enum)]
    pub(crate) format: Option<ExplainFormat>,
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// A picture.
    Svg,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Cases stand in `NAME.test.toml` beside `NAME.toml`, for example:

  [defaults.events]                     # columns that given rows leave out
  kind = \"click\"

  [[test]]
  name = \"an hour's clicks are averaged\"
  given.events = [
    { user = \"ann\", amount = 1.0, at = 2026-01-01T00:10:00Z },
    { user = \"ann\", amount = 3.0, at = 2026-01-01T00:20:00Z },
  ]
  watermark = 2026-01-01T01:00:00Z      # event time goes on: the window fires
  expect.users = [{ user = \"ann\", average = 2.0 }]
  expect.clean.dead_letters = []

Given are rows of sources; expected are those of a sink, a node or `node.output`, as a list, as `{ file = \"rows.jsonl\" }`, or as
`{ rows = [...], ordered = true, tolerance = 0.01 }`. Columns that no expected row names are not compared. More `given`, `watermark` and
`advance = \"5s\"` (processing time) follow in `[[test.step]]`. Then the input ends, unless `end = false`. `fails = \"words\"` expects the job
to fail. `[schema]` names the columns of sources whose connector cannot be asked: `events = { user = \"text\" }`.

Examples:
  stygian test pipeline.toml
  stygian test pipeline.toml --case late.toml --only averaged --output json
Exit status: 0 all passed, 1 a test failed, 2 the pipeline or a case is wrong.")]
pub(crate) struct CasesArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// A file of cases, instead of the one beside the pipeline.
    #[arg(long = "case", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) cases: Vec<PathBuf>,
    /// Only the cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  stygian run pipeline.toml
  stygian run pipeline.toml --set settings.parallelism=2 --metrics 127.0.0.1:9464
  stygian run pipeline.toml --output json > summary.json

Ctrl-C stops reading, works off what was read, finishes and renames open files; a second Ctrl-C leaves at once. A job with `[checkpoint]`
makes a last checkpoint then, and goes on from it when it is run again; so it does from its last one after a crash. While it runs,
`stygian status`, `savepoint` and `stop` speak to it.
Exit status: 0 done, 2 the pipeline is wrong, 1 it failed while running.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// At Ctrl-C, fire the windows that are still open (as if the input had ended) instead of dropping them.
    #[arg(long)]
    pub(crate) drain: bool,
    /// Start from nothing, whatever checkpoints there are. What was written before stays.
    #[arg(long, conflicts_with_all = ["recover_latest", "from_savepoint"])]
    pub(crate) fresh: bool,
    /// Go on from what lies in this folder (a savepoint, or the checkpoints of a job that has stopped) instead of the job's own checkpoints.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "recover_latest")]
    pub(crate) from_savepoint: Option<PathBuf>,
    /// Go on from the newest checkpoint that is whole where the newest one is damaged. What was written after it is not withdrawn.
    #[arg(long)]
    pub(crate) recover_latest: bool,
    /// Forget what a checkpoint holds of a node that is no longer in the pipeline. May be given more than once.
    #[arg(long, value_name = "NODE")]
    pub(crate) drop_state: Vec<String>,
    /// Serve metrics for Prometheus: a port (on the loopback interface) or an address with a port.
    #[arg(long, value_name = "ADDR", value_parser = metrics_address)]
    pub(crate) metrics: Option<SocketAddr>,
    /// No live line and no summary.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  stygian status
  stygian status clicks --output json | jq .checkpoints.last

Jobs of this user on this machine that `stygian run` runs. Without a job: a line for each.
Exit status: 0, 1 one does not answer, 2 there is no such job.")]
pub(crate) struct StatusArgs {
    /// The job: its pipeline's name, the number of its process, or both (`clicks.4711`).
    pub(crate) job: Option<String>,
    /// How to say it.
    #[arg(long, value_enum, default_value_t = OutputStyle::Text)]
    pub(crate) output: OutputStyle,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JobArgs {
    /// The job: its pipeline's name, the number of its process, or both (`clicks.4711`).
    pub(crate) job: String,
    /// How to say what has become of it.
    #[arg(long, value_enum, default_value_t = OutputStyle::Text)]
    pub(crate) output: OutputStyle,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  stygian savepoint clicks
  stygian savepoint clicks /backup/clicks-before-upgrade
  stygian run clicks.toml --from-savepoint /backup/clicks-before-upgrade

The job goes on. The savepoint is complete when this command ends: all output before it is visible, and its folder needs no other.
Exit status: 0 it is there, 1 it could not be made, 2 there is no such job.")]
pub(crate) struct SavepointArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// An empty folder, or one to be made. Default: `stygian/savepoints/JOB/TIME` in `$XDG_STATE_HOME` or `~/.local/state`.
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  stygian stop clicks
  stygian stop clicks --savepoint=/backup/clicks
  stygian stop clicks --drain

As Ctrl-C does: reading stops, what was read is worked off, and a job with `[checkpoint]` makes a last checkpoint, from which it goes on when
it is run again. Where a savepoint cannot be begun, the job goes on.
Exit status: 0 it has stopped, 1 it failed or there is no savepoint, 2 there is no such job.")]
pub(crate) struct StopArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Make the last checkpoint a savepoint, in this folder or where `stygian savepoint` would put it.
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, value_hint = ValueHint::DirPath, conflicts_with = "drain")]
    pub(crate) savepoint: Option<Option<PathBuf>>,
    /// Count this as the end of the input, so that open windows fire.
    #[arg(long)]
    pub(crate) drain: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointsCommand {
    /// One line a checkpoint.
    #[command(after_help = "Example:
  stygian checkpoints list ~/.local/state/stygian/checkpoints/my-job
Exit status: 0, or 1 if one cannot be read.")]
    List(FolderArgs),
    /// What a checkpoint holds: the newest, or that of an id.
    #[command(after_help = "Example:
  stygian checkpoints inspect checkpoints 17 --output json")]
    Inspect(FolderArgs),
    /// Read every file that the checkpoints need and check every checksum.
    #[command(after_help = "Example:
  stygian checkpoints verify checkpoints
Exit status: 0 all are whole, 1 something is damaged, which is told.")]
    Verify(FolderArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TransactionsCommand {
    /// Show the job's transactional ids, and the checkpoint that was committed last.
    #[command(after_help = "Example:
  stygian transactions list clicks.toml
Changes nothing, and the job may be running.")]
    List(PipelineArgs),
    /// Abort what the job has open, so that who reads committed records need not wait for it to time out.
    #[command(after_help = "Example:
  stygian transactions abort clicks.toml

For a job that is gone for good, or for longer than its `transaction_timeout`. A process that still runs the job is fenced: it fails, and must be
started again. Nothing that was committed is lost: the job goes on from its last checkpoint when it is run again. Transactions of others are not
touched.")]
    Abort(PipelineArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct FolderArgs {
    /// The checkpoints' folder: what `folder` of `[checkpoint]` says.
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// Only this checkpoint.
    pub(crate) id: Option<u64>,
    /// How to say what is found.
    #[arg(long, value_enum, default_value_t = OutputStyle::Text)]
    pub(crate) output: OutputStyle,
}

/// How output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputStyle {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Make a new plugin crate.
    New(NewArgs),
    /// Compile a plugin crate to a component.
    Build(BuildArgs),
    /// Run a plugin in the sandbox on rows of a file and show what comes out.
    Test(TestArgs),
    /// Show what a component is: interfaces, schemas, imports.
    Inspect(InspectArgs),
    /// Make a call again that failed in a job, from the file its inputs were saved in.
    Replay(ReplayArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  stygian plugin new clean --kind filter
  cd clean && cargo test && stygian plugin build")]
pub(crate) struct NewArgs {
    /// The plugin's name, and the folder to make for it.
    pub(crate) name: String,
    /// What its operator does with a row.
    #[arg(long, value_enum, default_value_t = KindArg::Filter)]
    pub(crate) kind: KindArg,
    /// The folder to make, if it is not called like the plugin.
    #[arg(long, value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
    /// A checkout of Stygian, whose SDK the crate uses. Default: the one that this program was built from.
    #[arg(long, value_hint = ValueHint::DirPath)]
    pub(crate) checkout: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KindArg {
    /// Keeps it or not.
    Filter,
    /// Makes one of it.
    Map,
    /// Makes any number of it, for several outputs.
    FlatMap,
    /// Works on it with the state of its key, and with timers.
    Keyed,
    /// Adds it to an accumulator, of which a window's result is made.
    Aggregate,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  stygian plugin build
  stygian plugin build plugins/clean plugins/route --out plugins")]
pub(crate) struct BuildArgs {
    /// Plugin crates. Default: the present folder.
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) crates: Vec<PathBuf>,
    /// Where to put the components. Default: `target/plugins` of the crate's workspace.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
    /// Use no network.
    #[arg(long)]
    pub(crate) offline: bool,
    /// Refuse to change the lock file.
    #[arg(long)]
    pub(crate) locked: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  stygian plugin test clean.wasm --input rows.jsonl --config '{\"robot_prefix\": \"bot-\"}'

Every call is also made on a fresh instance; a difference means that the plugin keeps something between calls, which is an error.")]
pub(crate) struct TestArgs {
    /// The component.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plugin: PathBuf,
    /// JSON lines with the plugin's input columns.
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub(crate) input: PathBuf,
    /// The configuration, as JSON.
    #[arg(long, default_value = "{}")]
    pub(crate) config: String,
    /// Rows of a call.
    #[arg(long, default_value_t = 1024)]
    pub(crate) rows: usize,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  stygian plugin inspect clean.wasm --config '{\"robot_prefix\": \"bot-\"}'")]
pub(crate) struct InspectArgs {
    /// The component.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plugin: PathBuf,
    /// The configuration, as JSON, under which it is asked to describe itself.
    #[arg(long, default_value = "{}")]
    pub(crate) config: String,
    /// How to say it.
    #[arg(long, value_enum, default_value_t = OutputStyle::Text)]
    pub(crate) output: OutputStyle,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  stygian plugin replay clean-18c2f-1.capture
  stygian plugin replay clean-18c2f-1.capture --plugin clean.wasm     # does the new build do better?

A job saves the inputs of failed calls (see `[captures]` of the pipeline) and names the file. The file has the plugin in it, so that it
can be replayed on another machine; it holds users' data. The call is made in the sandbox, with the limits it had.
Exit status: 0 the call goes well now, 1 it fails, 2 the file or the plugin cannot be used.")]
pub(crate) struct ReplayArgs {
    /// The capture.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) capture: PathBuf,
    /// A component to use instead of the one in the capture.
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub(crate) plugin: Option<PathBuf>,
    /// How to say what comes of it.
    #[arg(long, value_enum, default_value_t = OutputStyle::Text)]
    pub(crate) output: OutputStyle,
}

/// The command line without what only the program itself calls: completions would show it.
pub(crate) fn visible() -> clap::Command {
    let whole = Args::command();
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new("stygian").version(env!("CARGO_PKG_VERSION")).args(whole.get_arguments().cloned()).subcommands(shown)
}

/// An address; a port alone is one of the loopback interface.
fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.trim_start_matches(':').parse::<u16>();
    match (port, text.parse::<SocketAddr>()) {
        (Ok(port), _) => Ok(SocketAddr::from(([127, 0, 0, 1], port))),
        (_, Ok(address)) => Ok(address),
        _ => Err("write a port (9464) or an address with a port (127.0.0.1:9464)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn metrics_are_served_on_loopback_unless_told_otherwise() {
        assert_eq!(metrics_address("9464"), Ok(SocketAddr::from(([127, 0, 0, 1], 9464))));
        assert_eq!(metrics_address(":9464"), Ok(SocketAddr::from(([127, 0, 0, 1], 9464))));
        assert_eq!(metrics_address("0.0.0.0:1"), Ok(SocketAddr::from(([0, 0, 0, 0], 1))));
        assert!(metrics_address("localhost").is_err());
    }
}
