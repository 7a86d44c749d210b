//! The login and its errors on a real KDC.
//!
//! A process has one identity, so every case is a process: this program starts itself again (`child`) with the case's settings in its
//! environment, and looks at what it printed. What a person would read, error and hint, is golden: it is compared with a file of `golden/`, word for
//! word (`STYGIAN_GOLDEN=write` writes them). Everything a child prints is searched for keys and tickets (`secrets`).

mod child;
mod doctor;
mod errors;
mod golden;
mod outages;
mod run;
mod secrets;
mod settings;

use libtest_mimic::{Arguments, Trial};
use run::World;
use std::process::ExitCode;
use std::sync::Arc;

/// Most cases only wait, so all of them run at once.
const AT_ONCE: usize = 32;

fn main() -> anyhow::Result<ExitCode> {
    if std::env::var_os(settings::CHILD).is_some() {
        child::run();
        return Ok(ExitCode::SUCCESS);
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let world = if arguments.list { None } else { Some(Arc::new(World::start()?)) };
    let mut trials = Vec::new();
    for (name, case) in errors::CASES.iter().chain(doctor::CASES).chain(outages::CASES).chain(secrets::CASES) {
        let world = world.clone();
        trials.push(Trial::test(*name, move || match world {
            Some(world) => case(&world).map_err(|error| format!("{error:#}").into()),
            None => Ok(()),
        }));
    }
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}
