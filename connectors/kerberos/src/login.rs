//! The login: the named principal's ticket, taken at once and kept alive.
//!
//! MIT krb5 keeps the ticket alive by itself, for whoever in the process uses the default credential: at half of the ticket's life (and
//! whenever 30 s or less are left) it takes a new one with the keytab; if that fails, it goes on with the old one and tries again at uses
//! 30 s or more later (once expired, at every use). It does so only when the credential is *used*, which on an idle stream nobody does:
//! hence [`Login::touch`].

use crate::error::KerberosError;
use crate::facts::Facts;
use crate::identity::Prepared;
use crate::mit::{cache, gss};
use crate::principal::Principal;
use crate::probe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The shortest and the longest time between two touches.
const TOUCH_AT_LEAST: Duration = Duration::from_secs(5);
const TOUCH_AT_MOST: Duration = Duration::from_secs(300);

/// The ticket of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Whose it is, with its realm, as the KDC writes it.
    pub principal: String,
    /// The life it has left.
    pub expires: Duration,
}

/// What a touch found.
#[derive(Debug)]
pub struct Touch {
    /// The life the ticket has left; never 0.
    pub remaining: Duration,
    /// Why the ticket could not be renewed, if it was due. Nothing fails yet, but everything will once the ticket has ended: worth a warning.
    pub failing: Option<KerberosError>,
}

/// A ticket for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceTicket {
    /// The service's principal.
    pub principal: String,
    /// The life it has left.
    pub expires: Duration,
}

/// A process that is logged in. From here on the process's default credential, which librdkafka and hdfs-native use, is the principal's.
///
/// All its methods may be called from any thread, and several at once; no lock is held while a KDC is waited for. Those that may ask a KDC say
/// so: they block, so they do not belong on a thread of an async runtime. What bounds them is MIT's own patience: a KDC that refuses the
/// connection costs nothing, one that is silent costs some 30 s (27 measured) for each request, or `request_timeout` of krb5.conf if that is less
/// (MIT releases after 1.20 know it).
#[derive(Debug)]
pub struct Login {
    principal: Principal,
    /// The principal as the KDC writes it.
    known_as: String,
    facts: Facts,
    ticket: Clock,
    /// How many logins were tried apart from the ticket's cache: each has a cache of its own.
    tries: AtomicU64,
}

/// When the ticket ends and how long it lived when it was new, in seconds; by the wall clock, as tickets are.
#[derive(Debug)]
struct Clock {
    ends: AtomicU64,
    life: AtomicU64,
}

impl Prepared {
    /// Logs in: asks the KDC for the ticket of the *named* principal, with its key from the keytab, into the process's ticket cache. Blocks as
    /// [`Login`] says.
    pub fn login(&self) -> Result<Login, KerberosError> {
        let named = self.principal();
        let failed = |failure: gss::Failure| error(&self.principal, &self.facts, &failure, "log in");
        let (ours, life) = gss::acquire(Some(&named), None).map_err(failed)?;
        let (default, _) = gss::acquire(None, None).map_err(failed)?;
        // The KDC may write the name in another way than the keytab (`canonicalize` in krb5.conf), so both are asked.
        let (known_as, default) = (ours.principal().map_err(failed)?, default.principal().map_err(failed)?);
        if known_as != default {
            let text = format!("the default credential is that of {default}, not of {known_as}");
            return Err(KerberosError::Other { doing: "log in".into(), text });
        }
        let ticket = Clock { ends: AtomicU64::new(0), life: AtomicU64::new(0) };
        ticket.set(life);
        Ok(Login { principal: self.principal.clone(), known_as, facts: self.facts.clone(), ticket, tries: AtomicU64::new(0) })
    }
}

impl Login {
    /// The ticket as of the last login or touch.
    pub fn ticket(&self) -> Ticket {
        Ticket { principal: self.known_as.clone(), expires: self.remaining() }
    }

    /// The life the ticket has left, 0 if it has ended; for a metric. Asks nobody and takes no lock. As of the last touch: if another user of the
    /// credential made MIT renew it since, it is more.
    pub fn remaining(&self) -> Duration {
        self.ticket.remaining()
    }

    /// How often to call [`Login::touch`]: a quarter of the ticket's life, at least 5 s and at most 5 minutes. A third of the life is the most
    /// that still leaves a touch between the half of it, when renewing begins, and its end, with time to spare.
    pub fn touch_interval(&self) -> Duration {
        (self.ticket.life() / 4).clamp(TOUCH_AT_LEAST, TOUCH_AT_MOST)
    }

    /// Uses the credential, so that MIT renews it if that is due. Fails once the ticket has ended and none can be had; called again, it
    /// recovers by itself as soon as the cause has passed. Blocks as [`Login`] says, twice as long when the ticket is overdue, as it then tries
    /// once more to learn why.
    pub fn touch(&self) -> Result<Touch, KerberosError> {
        let mut remaining = self.use_credential()?;
        let mut failing = None;
        if self.ticket.is_overdue(remaining) {
            failing = self.try_apart().err();
            if remaining.is_zero() && failing.is_none() {
                remaining = self.use_credential()?;
            }
        }
        if remaining.is_zero() {
            return Err(failing.unwrap_or_else(|| KerberosError::TicketExpired { principal: self.facts.principal.clone() }));
        }
        Ok(Touch { remaining, failing })
    }

    /// Gets a ticket for a service on a host, as a client of it would, to learn whether that works: `service_ticket("kafka", "broker.example.com")`.
    /// Blocks as [`Login`] says.
    pub fn service_ticket(&self, service: &str, host: &str) -> Result<ServiceTicket, KerberosError> {
        let principal = self.service_principal(service, host);
        let facts = Facts { service: Some(principal.clone()), host: Some(host.into()), ..self.facts.clone() };
        let doing = format!("get a ticket for {principal}");
        let failed = |failure: gss::Failure| error(&self.principal, &facts, &failure, &doing);
        let (credential, _) = gss::acquire(None, None).map_err(failed)?;
        let expires = gss::first_step(&credential, service, host).map_err(failed)?;
        Ok(ServiceTicket { principal, expires })
    }

    /// What [`KerberosError::from_text`] recognises in a library's text, with the principal, its keys and its KDCs filled in.
    pub fn recognise(&self, text: &str) -> Option<KerberosError> {
        self.facts.recognise(text)
    }

    fn service_principal(&self, service: &str, host: &str) -> String {
        let named = gss::service_principal(service, host).unwrap_or_else(|_| format!("{service}/{host}@"));
        // Mapped to no realm: the KDC of our own is asked.
        if named.ends_with('@') { named + self.facts.realm.as_deref().unwrap_or_default() } else { named }
    }

    fn use_credential(&self) -> Result<Duration, KerberosError> {
        let (_, remaining) = gss::acquire(None, None).map_err(|failure| self.error(&failure))?;
        self.ticket.set(remaining);
        Ok(remaining)
    }

    /// Logs in into a cache that nobody uses, to learn why a renewal fails: MIT keeps that to itself as long as there is an old ticket.
    fn try_apart(&self) -> Result<(), KerberosError> {
        let cache = format!("MEMORY:stygian-{}-try-{}", std::process::id(), self.tries.fetch_add(1, Ordering::Relaxed));
        let outcome = gss::acquire(self.facts.principal.as_deref(), Some(&cache)).map(drop);
        cache::destroy(&cache);
        outcome.map_err(|failure| self.error(&failure))
    }

    fn error(&self, failure: &gss::Failure) -> KerberosError {
        error(&self.principal, &self.facts, failure, "renew the ticket")
    }
}

/// The error of a status, with the skew of the clocks measured if that is the cause.
fn error(principal: &Principal, facts: &Facts, failure: &gss::Failure, doing: &str) -> KerberosError {
    match facts.failure(failure.code, &failure.text, doing) {
        KerberosError::ClockSkew { .. } => {
            let answer = probe::ask(&facts.addresses, principal).ok();
            KerberosError::ClockSkew { ahead_seconds: answer.and_then(|answer| answer.ahead_seconds) }
        }
        error => error,
    }
}

impl Clock {
    fn set(&self, remaining: Duration) {
        let ends = now() + remaining.as_secs();
        let before = self.ends.swap(ends, Ordering::Relaxed);
        // A second of rounding is no renewal.
        if ends > before + 1 {
            self.life.store(remaining.as_secs(), Ordering::Relaxed);
        }
    }

    fn remaining(&self) -> Duration {
        Duration::from_secs(self.ends.load(Ordering::Relaxed).saturating_sub(now()))
    }

    fn life(&self) -> Duration {
        Duration::from_secs(self.life.load(Ordering::Relaxed))
    }

    /// Whether a ticket with so much left should have been renewed by a use of it just now.
    fn is_overdue(&self, remaining: Duration) -> bool {
        remaining + Duration::from_secs(1) < self.life() / 2
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_overdue_below_half_of_the_life_it_had_when_it_was_new() {
        let clock = Clock { ends: AtomicU64::new(0), life: AtomicU64::new(0) };
        clock.set(Duration::from_secs(100));
        assert!(!clock.is_overdue(Duration::from_secs(50)));
        clock.set(Duration::from_secs(40));
        assert_eq!(clock.life(), Duration::from_secs(100));
        assert!(clock.is_overdue(Duration::from_secs(40)));
        clock.set(Duration::from_secs(200));
        assert_eq!(clock.life(), Duration::from_secs(200));
        assert!(clock.remaining() <= Duration::from_secs(200) && clock.remaining() > Duration::from_secs(190));
    }
}
