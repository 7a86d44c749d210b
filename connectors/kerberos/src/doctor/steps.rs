//! The steps of Kerberos: krb5.conf, keytab, KDC, clock, ticket, and a ticket for each service.

use super::{Checkup, Sound, Trouble};
use crate::config::host_and_port;
use crate::identity::{Configured, Identity, Prepared};
use crate::login::Login;
use crate::probe::{self, Answer};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The clocks may differ by this much where krb5.conf says nothing else (its `clockskew`).
const USUAL_CLOCKSKEW: i64 = 300;
/// A difference that is worth a word though nothing fails yet.
const NOTABLE_SECONDS: i64 = 5;

/// What earlier steps leave to later ones.
#[derive(Default)]
struct Found {
    configured: Option<Configured>,
    prepared: Option<Prepared>,
    answer: Option<Answer>,
    login: Option<Login>,
}

/// The steps of Kerberos for an identity, with a service ticket for each of `services` (a service's name and a host: `("kafka", "broker")`).
///
/// As the first step prepares the process (see [`crate::prepare`]), it has to be run before any thread is started. Steps that others add behind
/// these find the process logged in.
pub fn kerberos<'a>(identity: &Identity, services: &[(String, String)]) -> Checkup<'a> {
    let found = Arc::new(Mutex::new(Found::default()));
    let step = |run: fn(&mut Found) -> Result<Sound, Trouble>| {
        let found = Arc::clone(&found);
        move || run(&mut found.lock().unwrap_or_else(PoisonError::into_inner))
    };
    let first = {
        let (found, identity) = (Arc::clone(&found), identity.clone());
        move || configuration(&mut found.lock().unwrap_or_else(PoisonError::into_inner), &identity)
    };
    let mut checkup = Checkup::default()
        .then("krb5.conf", first)
        .then("keytab", step(keytab))
        .then("KDC", step(kdc))
        .then("clock", step(clock))
        .then("ticket", step(ticket));
    for (service, host) in services {
        let (found, service, host) = (Arc::clone(&found), service.clone(), host.clone());
        checkup = checkup.then(format!("service {service}/{host}"), move || {
            let found = found.lock().unwrap_or_else(PoisonError::into_inner);
            let ticket = found.login.as_ref().ok_or_else(out_of_order)?.service_ticket(&service, &host)?;
            Ok(Sound::Well(format!("the KDC gave a ticket for {}", ticket.principal)))
        });
    }
    checkup
}

fn configuration(found: &mut Found, identity: &Identity) -> Result<Sound, Trouble> {
    let configured = Configured::new(identity)?;
    let kdcs = match configured.kdcs.addresses.as_slice() {
        [] => "its KDCs are found by DNS".to_owned(),
        some => format!("its KDCs are {}", some.join(", ")),
    };
    let detail = format!("{}: the realm is {}, {kdcs}", configured.config.shown, configured.realm);
    found.configured = Some(configured);
    Ok(Sound::Well(detail))
}

fn keytab(found: &mut Found) -> Result<Sound, Trouble> {
    let prepared = found.configured.take().ok_or_else(out_of_order)?.with_keytab()?;
    let keys: Vec<String> = prepared.keys().iter().map(ToString::to_string).collect();
    let detail = format!("it holds {}", keys.join(", "));
    let strange: Vec<&str> = prepared.overwritten().iter().map(|variable| variable.variable).collect();
    found.prepared = Some(prepared);
    if strange.is_empty() {
        return Ok(Sound::Well(detail));
    }
    let hint = format!("{} from outside is not used: remove it where the program is started", strange.join(", "));
    Ok(Sound::But(detail, hint))
}

fn kdc(found: &mut Found) -> Result<Sound, Trouble> {
    let prepared = found.prepared.as_ref().ok_or_else(out_of_order)?;
    if prepared.facts.addresses.is_empty() && prepared.by_dns {
        return Ok(Sound::Well("found by DNS, so it is tried with the ticket only".into()));
    }
    let addresses = &prepared.facts.addresses;
    match probe::ask(addresses, &prepared.principal) {
        Ok(answer) => {
            let detail = format!("{} answers", answer.address);
            let silent = answer.silent.join("; ");
            found.answer = Some(answer);
            if silent.is_empty() {
                return Ok(Sound::Well(detail));
            }
            let hint = "each ticket waits for those that do not answer first: see to them, or take them out of krb5.conf".into();
            Ok(Sound::But(format!("{detail}, but not those before it ({silent})"), hint))
        }
        // By a proxy or a socket, which only MIT speaks to.
        Err(_) if addresses.iter().any(|address| host_and_port(address).is_none()) => {
            Ok(Sound::Well("reached in a way that is tried with the ticket only".into()))
        }
        Err(reasons) => {
            let away = crate::KerberosError::KdcAway { realm: prepared.facts.realm.clone(), addresses: addresses.clone() };
            Err(Trouble { detail: format!("{away}: {}", reasons.join("; ")), hint: Some(away.hint()) })
        }
    }
}

fn clock(found: &mut Found) -> Result<Sound, Trouble> {
    let Some(ahead) = found.answer.as_ref().and_then(|answer| answer.ahead_seconds) else {
        return Ok(Sound::Well("the KDC did not tell its time".into()));
    };
    let skew = crate::KerberosError::ClockSkew { ahead_seconds: Some(ahead) };
    match ahead.saturating_abs() {
        small if small < NOTABLE_SECONDS => Ok(Sound::Well("it agrees with the KDC's".into())),
        // krb5.conf may allow more or less, and MIT makes up for it where it can: the next step tells whether it is too much.
        some if some <= USUAL_CLOCKSKEW => Ok(Sound::But(skew.to_string(), skew.hint())),
        _ => Err(skew.into()),
    }
}

fn ticket(found: &mut Found) -> Result<Sound, Trouble> {
    let login = found.prepared.as_ref().ok_or_else(out_of_order)?.login()?;
    let ticket = login.ticket();
    found.login = Some(login);
    let detail = format!("{} is logged in, its ticket lives {}", ticket.principal, shown(ticket.expires));
    if ticket.expires < Duration::from_secs(600) {
        let hint =
            "tickets this short leave little time when the KDC is away: raise ticket_lifetime in krb5.conf, or the KDC's max_life".into();
        return Ok(Sound::But(detail, hint));
    }
    Ok(Sound::Well(detail))
}

fn shown(life: Duration) -> String {
    match life.as_secs() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7_200 => format!("{} minutes", (seconds + 30) / 60),
        seconds => format!("{} hours", (seconds + 1_800) / 3_600),
    }
}

/// Steps are run in order and only after those before them passed, so this is never seen.
fn out_of_order() -> Trouble {
    Trouble { detail: "an earlier step has not been run".into(), hint: None }
}
