//! The program of a child: it does what the environment tells, by the public API, and prints all it learns.
#![allow(clippy::print_stdout, clippy::print_stderr)] // this is how it answers

use crate::settings::CHILD;
use std::env::var;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stygian_kerberos::doctor::{Sound, kerberos};
use stygian_kerberos::{Identity, KerberosError, Login, Prepared, prepare};

/// How many threads a crowd has.
const CROWD: usize = 4;

pub(crate) fn run() {
    let identity = Identity {
        principal: var("CASE_PRINCIPAL").unwrap_or_default(),
        keytab: var("CASE_KEYTAB").unwrap_or_default().into(),
        krb5_conf: var("CASE_KRB5_CONF").ok().map(Into::into),
        allow_readable_keytab: var("CASE_ALLOW_READABLE").is_ok(),
    };
    let services: Vec<(String, String)> = var("CASE_SERVICES")
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|text| text.split_once('@'))
        .map(|(service, host)| (service.to_owned(), host.to_owned()))
        .collect();
    let task = var(CHILD).unwrap_or_default();
    let done = match task.as_str() {
        "doctor" => {
            checkup(&identity, &services);
            Ok(())
        }
        "threads" => beside_a_thread(&identity),
        _ => login(&identity, &services, &task),
    };
    if let Err(error) = done {
        tell(&error);
    }
}

fn login(identity: &Identity, services: &[(String, String)], task: &str) -> Result<(), KerberosError> {
    let prepared = prepare(identity)?;
    for variable in prepared.overwritten() {
        println!("overwritten: {} = {}", variable.variable, variable.value);
    }
    let core = rustix::process::getrlimit(rustix::process::Resource::Core);
    println!("core dumps: {}", if core.maximum == Some(0) { "off" } else { "on" });
    debug(identity, &prepared);
    let login = prepared.login()?;
    println!("logged in: {} for {} s", login.ticket().principal, login.ticket().expires.as_secs());
    for (service, host) in services {
        println!("service: {}", login.service_ticket(service, host)?.principal);
    }
    match task {
        "touch" => touch_until_input_ends(&login, 0),
        "crowd" => touch_until_input_ends(&login, CROWD),
        _ => {}
    }
    eprintln!("{login:?}");
    Ok(())
}

/// What a debugger of our own would print; to be searched for secrets.
fn debug(identity: &Identity, prepared: &Prepared) {
    eprintln!("{identity:?} {prepared:?} {:?}", prepared.keys());
    eprintln!("{:?} {:?}", std::env::args().collect::<Vec<_>>(), std::env::vars().collect::<Vec<_>>());
}

/// Touches every second, beside threads that use the credential as busy clients do.
fn touch_until_input_ends(login: &Login, others: usize) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            over.store(true, Ordering::Relaxed);
        });
        for _ in 0..others {
            scope.spawn(|| use_credential(login, &over));
        }
        while !over.load(Ordering::Relaxed) {
            match login.touch() {
                Ok(touch) => {
                    let failing = touch.failing.map(|error| format!(", failing: {error}")).unwrap_or_default();
                    println!("touched: {} s{failing}", touch.remaining.as_secs());
                }
                Err(error) => println!("error: {error}"),
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
}

fn use_credential(login: &Login, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        if let Err(error) = login.service_ticket("kafka", "localhost") {
            println!("error: {error}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn checkup(identity: &Identity, services: &[(String, String)]) {
    let steps = kerberos(identity, services).then("another's step", || Ok(Sound::Well("was run".into())));
    for finding in steps {
        println!("{:?}: {}: {}", finding.outcome, finding.name, finding.detail);
        if let Some(hint) = finding.hint {
            println!("    hint: {hint}");
        }
    }
}

fn beside_a_thread(identity: &Identity) -> Result<(), KerberosError> {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || receiver.recv().is_ok());
    let outcome = prepare(identity).map(|_| ());
    drop(sender);
    let _ = other.join();
    outcome
}

fn tell(error: &KerberosError) {
    let reason = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    println!("error: {error}{reason}\nhint: {}", error.hint());
    eprintln!("{error:?}");
}
