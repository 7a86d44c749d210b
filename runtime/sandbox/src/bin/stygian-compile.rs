//! The compiling process as a program of its own, for the tests. The `stygian` binary has it as a hidden subcommand.

use std::process::ExitCode;

fn main() -> ExitCode {
    stygian_sandbox::compile_worker()
}
