//! Every named error, provoked.

use crate::golden::compare;
use crate::run::{World, mode};
use crate::settings::Settings;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use stygian_cluster::Server;

pub(crate) type Case = (&'static str, fn(&World) -> Result<()>);

pub(crate) const CASES: &[Case] = &[
    ("keytab_missing", |world| told(world, "keytab_missing", &with_keytab(world, Path::new("no.keytab")))),
    ("keytab_behind_a_file", |world| told(world, "keytab_unreadable", &with_keytab(world, &world.cluster.keytab("pipeline").join("x")))),
    ("keytab_open_to_its_group", |world| too_open(world, "keytab_open_to_group", 0o640)),
    ("keytab_open_to_everyone", |world| too_open(world, "keytab_open_to_everyone", 0o644)),
    ("keytab_open_to_everyone_but_allowed", allowed_to_be_open),
    ("keytab_of_garbage", |world| {
        let garbage = world.file("garbage.keytab", b"-----BEGIN PRIVATE KEY-----\n")?;
        told(world, "keytab_of_garbage", &with_keytab(world, &garbage))
    }),
    ("keytab_cut_short", |world| {
        let whole = std::fs::read(world.cluster.keytab("pipeline"))?;
        let cut = world.file("cut.keytab", whole.get(..whole.len() - 3).context("it is short")?)?;
        told(world, "keytab_cut_short", &with_keytab(world, &cut))
    }),
    ("keytab_without_the_principal", |world| {
        told(world, "keytab_without_principal", &with_keytab(world, &world.cluster.keytab("stranger")))
    }),
    ("keytab_is_a_folder", |world| told(world, "keytab_is_a_folder", &with_keytab(world, world.files.path()))),
    ("principal_of_another_realm", |world| {
        let settings = Settings { principal: "pipeline@OTHER.REALM".into(), ..world.user("pipeline") };
        told(world, "principal_of_another_realm", &settings)
    }),
    ("principal_malformed", |world| told(world, "principal_malformed", &Settings { principal: "a@b@c".into(), ..world.user("pipeline") })),
    ("principal_without_a_realm", |world| {
        let conf = world.krb5_conf("no-default.conf", "  default_realm = STYGIAN.TEST\n", "")?;
        told(world, "principal_without_realm", &with_conf(world, &conf))
    }),
    ("krb5_conf_missing", |world| told(world, "krb5_conf_missing", &with_conf(world, Path::new("no.conf")))),
    ("krb5_conf_malformed", |world| {
        let conf = world.file("bad.conf", b"[realms\n")?;
        told(world, "krb5_conf_malformed", &with_conf(world, &conf))
    }),
    ("krb5_conf_without_a_kdc", |world| {
        let mut says = world.cluster.krb5();
        says.kdc_port = None;
        let conf = world.cluster.krb5_variant("no-kdc", &says)?;
        told(world, "krb5_conf_without_kdc", &with_conf(world, &conf))
    }),
    ("prepared_beside_a_thread", |world| told(world, "prepared_beside_a_thread", &Settings { task: "threads", ..world.user("pipeline") })),
    ("clock_ahead", |world| clock(world, "clock_ahead", "+1 hour", 3_600)),
    ("clock_behind", |world| clock(world, "clock_behind", "-20 minutes", 1_200)),
    ("principal_removed", |world| {
        let keytab = world.cluster.add_principal("removed")?;
        world.cluster.remove_principal("removed")?;
        told(world, "principal_removed", &Settings { principal: "removed".into(), ..with_keytab(world, &keytab) })
    }),
    ("key_rotated", |world| {
        let old = world.cluster.add_principal("rotated")?;
        let new = world.cluster.rotate_key("rotated")?;
        told(world, "key_rotated", &Settings { principal: "rotated".into(), ..with_keytab(world, &old) })?;
        is_logged_in(world, &Settings { principal: "rotated".into(), ..with_keytab(world, &new) }, "rotated")
    }),
    ("principal_locked", |world| changed(world, "locked", "modprinc -allow_tix")),
    ("principal_expired", |world| changed(world, "expired", "modprinc -expire yesterday")),
    ("password_expired", |world| changed(world, "stale", "modprinc -pwexpire yesterday")),
    ("encryption_types_without_a_common_one", |world| {
        let conf = world.krb5_conf("camellia.conf", "[realms]", "  permitted_enctypes = camellia256-cts-cmac\n[realms]")?;
        told(world, "encryption_types", &with_conf(world, &conf))
    }),
    ("kdc_killed", |_| {
        let world = World::start()?;
        world.cluster.kill(Server::Kdc)?;
        told(&world, "kdc_killed", &world.user("pipeline"))
    }),
    ("kdc_silent", |_| {
        let world = World::start()?;
        world.cluster.pause(Server::Kdc)?;
        let outcome = told(&world, "kdc_killed", &world.user("pipeline"));
        world.cluster.resume(Server::Kdc)?;
        outcome
    }),
    ("service_unknown", |world| {
        told(world, "service_unknown", &Settings { services: vec!["nokafka@localhost"], ..world.user("pipeline") })
    }),
    ("service_in_a_wrong_realm", |world| {
        let conf = world.krb5_conf("mapped.conf", "localhost = STYGIAN.TEST", "localhost = OTHER.REALM")?;
        told(world, "service_in_wrong_realm", &Settings { services: vec!["kafka@localhost"], ..with_conf(world, &conf) })
    }),
    ("service_of_an_unmapped_host", |world| {
        told(world, "service_of_unmapped_host", &Settings { services: vec!["kafka@broker.example.org"], ..world.user("pipeline") })
    }),
    ("service_of_a_host_that_needs_no_mapping", |world| {
        let mut says = world.cluster.krb5();
        says.domain_realm = false;
        let conf = world.cluster.krb5_variant("unmapped", &says)?;
        let told = world.run(&Settings { services: vec!["kafka@localhost"], ..with_conf(world, &conf) })?;
        ensure!(told.contains("service: kafka/localhost@STYGIAN.TEST"), "{told}");
        Ok(())
    }),
    ("keytab_of_two_logs_the_named_one_in", two_principals),
    ("variables_from_outside_are_overwritten", overwritten),
];

fn with_keytab(world: &World, keytab: &Path) -> Settings {
    Settings { keytab: keytab.into(), ..world.user("pipeline") }
}

fn with_conf(world: &World, conf: &Path) -> Settings {
    Settings { krb5_conf: Some(conf.into()), ..world.user("pipeline") }
}

/// Compares the error and its hint.
fn told(world: &World, name: &str, settings: &Settings) -> Result<()> {
    compare(name, &error(world, settings)?)
}

/// What is told from the first error on.
fn error(world: &World, settings: &Settings) -> Result<String> {
    let told = world.run(settings)?;
    let error = told.find("error: ").with_context(|| format!("there is no error:\n{told}"))?;
    Ok(told.get(error..).unwrap_or_default().to_owned())
}

fn is_logged_in(world: &World, settings: &Settings, user: &str) -> Result<()> {
    let told = world.run(settings)?;
    ensure!(told.contains(&format!("logged in: {user}@{} for ", world.cluster.realm())), "{told}");
    Ok(())
}

fn too_open(world: &World, name: &str, bits: u32) -> Result<()> {
    let keytab = world.file(&format!("{name}.keytab"), &std::fs::read(world.cluster.keytab("pipeline"))?)?;
    mode(&keytab, bits)?;
    told(world, name, &with_keytab(world, &keytab))
}

fn allowed_to_be_open(world: &World) -> Result<()> {
    let keytab = world.file("allowed.keytab", &std::fs::read(world.cluster.keytab("pipeline"))?)?;
    mode(&keytab, 0o644)?;
    is_logged_in(world, &Settings { allow_readable: true, ..with_keytab(world, &keytab) }, "pipeline")
}

/// A clock that is wrong; the difference is told to the second, give or take what passes meanwhile.
fn clock(world: &World, name: &str, clock: &'static str, seconds: u64) -> Result<()> {
    let told = error(world, &Settings { clock: Some(clock), ..world.user("pipeline") })?;
    // On a busy machine the answer takes its time.
    let near: Vec<String> = (seconds - 5..=seconds + 5).map(|seconds| format!(" {seconds} s ")).collect();
    let near = near.iter().find(|near| told.contains(near.as_str())).with_context(|| format!("no such difference:\n{told}"))?;
    compare(name, &told.replace(near, " SECONDS s "))
}

/// A principal that something was done to at the KDC.
fn changed(world: &World, user: &str, query: &str) -> Result<()> {
    let keytab = world.cluster.add_principal(user)?;
    world.kadmin(&format!("{query} {user}"))?;
    told(world, &format!("principal_{user}"), &Settings { principal: user.into(), ..with_keytab(world, &keytab) })
}

/// Both ways round, as MIT alone would take the first.
fn two_principals(world: &World) -> Result<()> {
    let keytab = |user| std::fs::read(world.cluster.keytab(user));
    let (pipeline, stranger) = (keytab("pipeline")?, keytab("stranger")?);
    let both = [pipeline.as_slice(), stranger.get(2..).context("it is short")?].concat();
    let both = world.file("both.keytab", &both)?;
    for user in ["stranger", "pipeline"] {
        let settings = Settings { principal: user.into(), services: vec!["HTTP@localhost"], ..with_keytab(world, &both) };
        is_logged_in(world, &settings, user)?;
        // What the KDC saw of the default credential, which the service ticket was taken with.
        let log = std::fs::read_to_string(world.cluster.folder().join("log/krb5kdc.log"))?;
        let seen = format!("{user}@STYGIAN.TEST for HTTP/localhost@STYGIAN.TEST");
        ensure!(log.lines().any(|line| line.contains("TGS_REQ") && line.contains(&seen)), "the KDC did not see {seen}:\n{log}");
    }
    Ok(())
}

fn overwritten(world: &World) -> Result<()> {
    let trace = world.files.path().join("trace");
    let variables = vec![
        ("KRB5CCNAME", "FILE:/tmp/of-someone".into()),
        ("KRB5_CLIENT_KTNAME", "FILE:/tmp/of-someone.keytab".into()),
        ("KRB5_TRACE", trace.display().to_string()),
        ("KRB5_CONFIG", "/tmp/of-someone.conf".into()),
    ];
    let told = world.run(&Settings { variables, ..world.user("pipeline") })?;
    let (before, _) = told.split_once("logged in: ").with_context(|| format!("it is not logged in:\n{told}"))?;
    compare("overwritten", before)?;
    ensure!(!trace.exists(), "what the library does was traced");
    Ok(())
}
