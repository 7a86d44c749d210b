//! The ticket over time: renewed, and through a KDC that is away for a short and for a long time. Tickets live 40 s here; MIT renews when 30 s or
//! less are left, so whenever a KDC answers there are about that many.

use crate::errors::Case;
use crate::golden::compare;
use crate::run::{Running, World};
use crate::settings::Settings;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use stygian_cluster::Server;

const LIFE: Duration = Duration::from_secs(40);

pub(crate) const CASES: &[Case] = &[
    ("a_ticket_is_renewed_for_longer_than_it_lives", |_| renewed("touch")),
    ("a_ticket_is_renewed_unnoticed_by_others_who_use_it", |_| renewed("crowd")),
    ("a_kdc_away_for_less_than_half_a_life_is_not_noticed", short_outage),
    ("a_kdc_away_for_longer_than_a_life_is_recovered_from", long_outage),
];

fn start(task: &'static str) -> Result<(World, Running)> {
    let world = World::with_tickets_of(LIFE)?;
    let mut running = world.begin(&Settings { task, services: vec!["kafka@localhost"], ..world.user("pipeline") })?;
    running.until(|line| line.starts_with("service: "), is_error)?;
    Ok((world, running))
}

/// The life left that a line tells of.
fn remaining(line: &str) -> Option<u64> {
    line.strip_prefix("touched: ")?.split(' ').next()?.parse().ok()
}

fn is_error(line: &str) -> bool {
    line.starts_with("error: ")
}

fn is_trouble(line: &str) -> bool {
    is_error(line) || line.contains("failing")
}

/// Reads touches up to the first with another life than one second less than the one before.
fn until_renewed(running: &mut Running) -> Result<u64> {
    let mut before = u64::MAX;
    loop {
        let line = running.until(|line| remaining(line).is_some(), is_trouble)?;
        let now = remaining(&line).context("no life")?;
        if now > before {
            return Ok(now);
        }
        before = now;
    }
}

fn end(mut running: Running) -> Result<()> {
    drop(running.input.take());
    while running.line()?.is_some() {}
    Ok(())
}

fn renewed(task: &'static str) -> Result<()> {
    let (world, mut running) = start(task)?;
    for _ in 0..5 {
        let life = until_renewed(&mut running)?;
        ensure!(life >= 38, "renewed, but for {life} s only");
    }
    end(running)?;
    drop(world); // which runs as long as the child
    Ok(())
}

fn short_outage(_: &World) -> Result<()> {
    let (world, mut running) = start("touch")?;
    until_renewed(&mut running)?;
    world.cluster.kill(Server::Kdc)?;
    running.until(|line| remaining(line).is_some_and(|life| life <= 21), is_trouble)?;
    world.cluster.start_server(Server::Kdc)?;
    until_renewed(&mut running)?;
    end(running)
}

fn long_outage(_: &World) -> Result<()> {
    let (world, mut running) = start("touch")?;
    world.cluster.kill(Server::Kdc)?;
    let failing = running.until(|line| line.contains("failing"), is_error)?;
    let life = remaining(&failing).context("no life")?;
    ensure!((15..20).contains(&life), "a renewal that fails was told when {life} s were left");
    let error = running.until(is_error, |line| line.starts_with("touched: 0"))?;
    compare("outage", &format!("{}\n{error}\n", failing.replace(&life.to_string(), "SOME")))?;
    world.cluster.start_server(Server::Kdc)?;
    let line = running.until(|line| remaining(line).is_some(), |_| false)?;
    ensure!(remaining(&line).is_some_and(|life| life >= 38), "{line}");
    until_renewed(&mut running)?;
    end(running)
}
