//! The checkup: all steps in order where all is well, and its end behind the first that fails.

use crate::errors::Case;
use crate::golden::compare;
use crate::run::World;
use crate::settings::Settings;
use anyhow::{Context, Result};
use std::path::Path;
use stygian_cluster::Server;

pub(crate) const CASES: &[Case] = &[
    ("doctor_finds_nothing_wrong", |world| told(world, "doctor_well", &healthy(world))),
    ("doctor_stops_at_a_missing_keytab", |world| {
        told(world, "doctor_keytab", &Settings { keytab: Path::new("no.keytab").into(), ..healthy(world) })
    }),
    ("doctor_stops_at_a_kdc_that_is_away", |_| {
        let world = World::start()?;
        world.cluster.kill(Server::Kdc)?;
        told(&world, "doctor_kdc", &healthy(&world))
    }),
    ("doctor_warns_of_a_kdc_that_is_away_before_one_that_answers", |world| {
        let text = std::fs::read_to_string(world.cluster.krb5_conf())?;
        let kdc = text.lines().find(|line| line.trim().starts_with("kdc = ")).context("there is no KDC")?;
        let conf = world.krb5_conf("two-kdcs.conf", kdc, &format!("    kdc = 127.0.0.1:1\n{kdc}"))?;
        told(world, "doctor_two_kdcs", &Settings { krb5_conf: Some(conf), services: Vec::new(), ..healthy(world) })
    }),
    ("doctor_stops_at_a_wrong_clock", |world| {
        let told = world.run(&Settings { clock: Some("+2 hours"), ..healthy(world) })?;
        let near: Vec<String> = (7_195..=7_205).map(|seconds| format!(" {seconds} s ")).collect();
        compare("doctor_clock", &near.iter().fold(told, |told, near| told.replace(near, " SECONDS s ")))
    }),
    ("doctor_stops_at_an_unknown_service", |world| {
        told(world, "doctor_service", &Settings { services: vec!["nokafka@localhost", "kafka@localhost"], ..healthy(world) })
    }),
    ("doctor_warns_of_variables_from_outside", |world| {
        told(world, "doctor_variables", &Settings { variables: vec![("KRB5CCNAME", "FILE:/tmp/of-someone".into())], ..healthy(world) })
    }),
];

fn healthy(world: &World) -> Settings {
    Settings { task: "doctor", services: vec!["kafka@localhost", "nn@localhost"], ..world.user("pipeline") }
}

fn told(world: &World, name: &str, settings: &Settings) -> Result<()> {
    compare(name, &world.run(settings)?)
}
