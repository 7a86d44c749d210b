//! From a cause to an error that tells all that is known: of the login, of the call, of the library's words.

use crate::cause::Cause;
use crate::error::KerberosError;
use crate::keytab::KeytabKey;

/// What is known around an error.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) principal: Option<String>,
    pub(crate) realm: Option<String>,
    /// The principal's keys.
    pub(crate) keys: Vec<KeytabKey>,
    /// The KDCs of the realm as krb5.conf names them.
    pub(crate) addresses: Vec<String>,
    pub(crate) service: Option<String>,
    pub(crate) host: Option<String>,
}

impl KerberosError {
    /// Recognises a cause in an error text of a library that hands out nothing else: librdkafka and Cyrus SASL, hdfs-native. `None` if it tells
    /// of none (it may have nothing to do with Kerberos). [`crate::Login::recognise`] tells more, as it knows the principal.
    pub fn from_text(text: &str) -> Option<Self> {
        Facts::default().recognise(text)
    }
}

impl Facts {
    pub(crate) fn recognise(&self, text: &str) -> Option<KerberosError> {
        Some(self.error(Cause::of_text(text)?, text))
    }

    /// The error of a status of the library; `doing` says what was tried.
    pub(crate) fn failure(&self, code: i32, text: &str, doing: &str) -> KerberosError {
        match Cause::of(code, text) {
            Some(cause) => self.error(cause, text),
            None => KerberosError::Other { doing: doing.into(), text: printable(text) },
        }
    }

    fn error(&self, cause: Cause, text: &str) -> KerberosError {
        let principal = || self.principal.clone();
        match cause {
            // How much it is, the KDC has to be asked for.
            Cause::ClockSkew => KerberosError::ClockSkew { ahead_seconds: None },
            Cause::UnknownPrincipal => {
                KerberosError::UnknownPrincipal { principal: principal().or_else(|| quoted(text, "Client '", '\'')) }
            }
            Cause::WrongKey => KerberosError::WrongKey { principal: principal(), keys: self.keys.clone() },
            Cause::KdcAway => {
                let realm = quoted(text, "realm '", '\'').or_else(|| self.realm.clone());
                let ours = realm.is_some() && realm == self.realm;
                let addresses =
                    if ours { self.addresses.clone() } else { realm.as_deref().map(crate::config::kdcs).unwrap_or_default().addresses };
                KerberosError::KdcAway { realm, addresses }
            }
            Cause::UnknownService => KerberosError::UnknownService {
                // "Server not found" names none.
                service: quoted(text, "Server ", ' ').filter(|name| name != "not").or_else(|| self.service.clone()),
            },
            Cause::WrongRealm => KerberosError::WrongRealm { host: self.host.clone(), realm: realm_of(text) },
            Cause::NoSaslPlugin => KerberosError::NoSaslPlugin,
            Cause::TicketExpired => KerberosError::TicketExpired { principal: principal() },
            Cause::Revoked => KerberosError::Locked { principal: principal() },
            Cause::PrincipalExpired => KerberosError::PrincipalExpired { principal: principal(), password: false },
            Cause::KeyExpired => KerberosError::PrincipalExpired { principal: principal(), password: true },
            Cause::Encryption => KerberosError::Encryption { principal: principal(), keys: self.keys.clone() },
            Cause::NoCredential => KerberosError::NoCredential,
            Cause::NoDefaultRealm => {
                KerberosError::NoRealm { principal: principal().unwrap_or_else(|| "that was named".into()), config: "krb5.conf".into() }
            }
        }
    }
}

/// What stands between `before` and the next `end`.
fn quoted(text: &str, before: &str, end: char) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    let (name, _) = rest.split_once(end)?;
    (!name.is_empty()).then(|| printable(name))
}

/// The realm of which no ticket could be had.
fn realm_of(text: &str) -> Option<String> {
    quoted(text, "realm \"", '"').or_else(|| quoted(text, "realm '", '\'')).or_else(|| quoted(text, "krbtgt/", '@'))
}

/// A library's words with what would act on a terminal or break a line made visible.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|character| if character.is_control() { character.escape_default().collect::<Vec<_>>() } else { vec![character] })
        .collect()
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
