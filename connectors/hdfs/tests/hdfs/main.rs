//! The client on a real HDFS behind Kerberos: a pair of NameNodes and a DataNode, which most cases share.
//!
//! A process has one identity, by its environment: so this program starts itself again as the user `pipeline`, and that once more for cases
//! that are to be somebody else (`child`). Cases that only use HDFS run side by side; then, one by one, those that break it. What is read
//! back is read by WebHDFS, which is not our client. Texts for people are golden (`golden`).

mod breaking;
mod child;
mod config;
mod errors;
mod failover;
mod files;
mod golden;
mod lossy;
mod lost;
mod objects;
mod probes;
mod world;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::sync::Arc;
use world::World;

pub(crate) type Case = (&'static str, fn(&World) -> anyhow::Result<()>);

/// Most of them wait for HDFS.
const AT_ONCE: usize = 16;

fn main() -> anyhow::Result<ExitCode> {
    if std::env::var_os(child::TASK).is_some() {
        child::run();
        return Ok(ExitCode::SUCCESS);
    }
    let mut arguments = Arguments::from_args();
    if std::env::var_os(world::FOLDER).is_none() && !arguments.list {
        return world::again_as_pipeline();
    }
    let world = if arguments.list { None } else { Some(Arc::new(World::start()?)) };
    let together = [files::CASES, objects::CASES, lost::CASES, config::CASES, errors::CASES, probes::CASES].concat();
    arguments.test_threads = Some(AT_ONCE);
    let first = libtest_mimic::run(&arguments, trials(&together, world.as_ref()));
    arguments.test_threads = Some(1);
    let second = libtest_mimic::run(&arguments, trials(&[breaking::CASES, failover::CASES].concat(), world.as_ref()));
    Ok(if first.has_failed() || second.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn trials(cases: &[Case], world: Option<&Arc<World>>) -> Vec<Trial> {
    let trial = |(name, case): &Case| {
        let (world, case) = (world.cloned(), *case);
        Trial::test(*name, move || match world {
            Some(world) => case(&world).map_err(|error| format!("{error:#}").into()),
            None => Ok(()),
        })
    };
    cases.iter().map(trial).collect()
}
