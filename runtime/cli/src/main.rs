//! `stygian`: the one place where connectors, plugins and the engine are joined, and of `anyhow`, environment and exit codes.
//!
//! The way of a pipeline: `load` (file -> checked pipeline -> plan, with every connector and plugin asked) -> `wire` (plan -> job) -> `run`.
//! Exit status: 0 done, 2 what the user gave is wrong, 1 it failed while running, 130 cut off by a second Ctrl-C.

mod args;
mod cases;
mod checkpoints;
mod commit_point;
mod connectors;
mod control;
mod doctor;
mod dropped;
mod durable;
mod failure;
mod folders;
mod kept;
mod kerberos;
mod keyed_state;
mod live;
mod load;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod memory;
mod metrics;
mod plugin;
mod plugin_uses;
mod registry;
mod restart;
mod run;
mod schema;
mod show;
mod storage;
mod summary;
mod terminal;
mod transactions;
mod wire;

use args::{Args, Command, PluginCommand};
use clap::Parser;
use failure::Failure;
use std::process::ExitCode;
use terminal::Terminal;

fn main() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    memory::use_few_arenas();
    stygian_core::kill_point::arm();
    let args = Args::parse();
    let terminal = Terminal::new();
    terminal.start_log();
    let code = dispatch(args.command, &terminal).unwrap_or_else(|failure| failure.report(&terminal));
    stygian_kerberos::leave(status(code))
}

/// The statuses that there are: 0, 1 and 2.
fn status(code: ExitCode) -> u8 {
    match code {
        ExitCode::SUCCESS => 0,
        ExitCode::FAILURE => 1,
        _ => 2,
    }
}

fn dispatch(command: Command, terminal: &Terminal) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(options) => run::run(&options, terminal)?,
        Command::Check(options) => show::check(&options, terminal)?,
        Command::Doctor(options) => return doctor::run(&options, terminal),
        Command::Explain(options) => show::explain(&options, terminal)?,
        Command::Test(options) => return cases::test(&options, terminal),
        Command::Plugin { command: PluginCommand::New(options) } => plugin::new(&options, terminal)?,
        Command::Plugin { command: PluginCommand::Build(options) } => plugin::build(&options, terminal)?,
        Command::Plugin { command: PluginCommand::Test(options) } => plugin::test(&options, terminal)?,
        Command::Plugin { command: PluginCommand::Inspect(options) } => plugin::inspect(&options, terminal)?,
        Command::Plugin { command: PluginCommand::Replay(options) } => return plugin::replay(&options, terminal),
        Command::Status(options) => return control::status(&options, terminal),
        Command::Savepoint(options) => return control::savepoint(&options, terminal),
        Command::Stop(options) => return control::stop(&options, terminal),
        Command::Checkpoints { command } => return checkpoints::run(&command, terminal),
        Command::Transactions { command } => transactions::run(&command, terminal)?,
        Command::Schema => schema::print(terminal)?,
        Command::Connectors { name } => connectors::print(name.as_deref(), terminal)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut args::visible(), "stygian", &mut script);
            terminal.out(&String::from_utf8_lossy(&script))?;
        }
        Command::CompileComponent => return Ok(stygian_sandbox::compile_worker()),
    }
    Ok(ExitCode::SUCCESS)
}
