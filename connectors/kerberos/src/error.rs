//! What can go wrong with Kerberos, each situation by its name; `hint` says what to do about it.

use crate::keytab::KeytabKey;
use std::path::PathBuf;

/// A situation in which Kerberos does not work.
///
/// Nothing secret is in any of these: a keytab's keys are known by owner, version and type only.
#[derive(Debug, thiserror::Error)]
pub enum KerberosError {
    /// The keytab is not there.
    #[error("there is no keytab {}", path.display())]
    KeytabMissing {
        /// The path, as it was given.
        path: PathBuf,
    },
    /// The keytab is there but cannot be read.
    #[error("could not read the keytab {}", path.display())]
    KeytabUnreadable {
        /// The path, as it was given.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than the keytab's owner may read it.
    #[error("the keytab {} may be read by {} (mode {mode:04o})", path.display(), readers(*mode))]
    KeytabTooOpen {
        /// The path, as it was given.
        path: PathBuf,
        /// The file's permission bits.
        mode: u32,
    },
    /// The file is not a keytab, or a damaged one.
    #[error("{} is not a keytab: {reason}", path.display())]
    NotAKeytab {
        /// The path, as it was given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The keytab has no key of the principal.
    #[error("the keytab {} has no key of {principal}; it holds {}", path.display(), holds(keys))]
    KeytabLacksPrincipal {
        /// The path, as it was given.
        path: PathBuf,
        /// The principal, with its realm.
        principal: String,
        /// The keys that the keytab does hold.
        keys: Vec<KeytabKey>,
    },
    /// The configured principal is no principal.
    #[error("{principal:?} is not a principal: {reason}")]
    BadPrincipal {
        /// The text, as it was given.
        principal: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The principal is without a realm, and krb5.conf has no default.
    #[error("the principal {principal} names no realm, and {config} has no default_realm")]
    NoRealm {
        /// The principal, as it was given.
        principal: String,
        /// The configuration's file or files.
        config: String,
    },
    /// The krb5.conf that was named is not there.
    #[error("there is no krb5.conf {}", path.display())]
    ConfigMissing {
        /// The path, as it was given.
        path: PathBuf,
    },
    /// The krb5.conf that was named cannot be read.
    #[error("could not read {}", path.display())]
    ConfigUnreadable {
        /// The path, as it was given.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The krb5.conf cannot be understood.
    #[error("{path} is not a valid krb5.conf: {text}")]
    ConfigInvalid {
        /// The configuration's file or files.
        path: String,
        /// The library's words.
        text: String,
    },
    /// No KDC of the principal's realm is named, and DNS may not be asked.
    #[error("{config} names no KDC of the realm {realm}")]
    NoKdc {
        /// The realm.
        realm: String,
        /// The configuration's file or files.
        config: String,
    },
    /// The process has threads already, so its environment cannot be changed any more.
    #[error("Kerberos has to be prepared before any thread is started, but {threads} run")]
    TooLate {
        /// How many threads there are; 0 if that cannot be told.
        threads: usize,
    },
    /// The clocks of this machine and of the KDC (or of the service) are too far apart.
    #[error("the clock of this machine {}", skew(*ahead_seconds))]
    ClockSkew {
        /// How far this machine's clock is ahead of the KDC's (negative: behind), in seconds, where the KDC told its time.
        ahead_seconds: Option<i64>,
    },
    /// The KDC has no such principal.
    #[error("the KDC does not know {}", client(principal.as_deref()))]
    UnknownPrincipal {
        /// The principal, where the text or the login tells it.
        principal: Option<String>,
    },
    /// The KDC does not accept the principal's key: its password or keys were changed after the keytab was written, or it is another's.
    #[error("the KDC does not accept the key of {}{}", client(principal.as_deref()), from_keytab(keys))]
    WrongKey {
        /// The principal, where the text or the login tells it.
        principal: Option<String>,
        /// The principal's keys in the keytab, where that is known.
        keys: Vec<KeytabKey>,
    },
    /// No KDC of the realm answers.
    #[error("no KDC{} answers{}", of_realm(realm.as_deref()), tried(addresses))]
    KdcAway {
        /// The realm, where the text or the login tells it.
        realm: Option<String>,
        /// The addresses that krb5.conf names for it.
        addresses: Vec<String>,
    },
    /// The KDC has no such service.
    #[error("the KDC does not know the service {}", service.as_deref().unwrap_or("that was asked for"))]
    UnknownService {
        /// The service's principal, where the text or the call tells it.
        service: Option<String>,
    },
    /// A host was taken to be in a realm that has no KDC, or that this realm does not trust.
    #[error("{} is taken to be in {}, where no ticket can be had for it", host.as_deref().unwrap_or("the host"), realm.as_deref().map_or("another realm".into(), |realm| format!("the realm {realm}")))]
    WrongRealm {
        /// The host, where the call tells it.
        host: Option<String>,
        /// The realm it was taken to be in, where the text tells it.
        realm: Option<String>,
    },
    /// Cyrus SASL has no plugin for Kerberos.
    #[error("the SASL plugin for Kerberos (GSSAPI) is not installed")]
    NoSaslPlugin,
    /// The ticket has ended and no other could be had.
    #[error("the ticket{} has ended", of(principal.as_deref()))]
    TicketExpired {
        /// The principal, where the login tells it.
        principal: Option<String>,
    },
    /// The principal is locked at the KDC.
    #[error("the KDC has locked {}", client(principal.as_deref()))]
    Locked {
        /// The principal, where the login tells it.
        principal: Option<String>,
    },
    /// The principal, or its password, has an end date that has passed.
    #[error("{} of {} has expired at the KDC", if *password { "the password" } else { "the account" }, client(principal.as_deref()))]
    PrincipalExpired {
        /// The principal, where the login tells it.
        principal: Option<String>,
        /// Whether only its password has expired.
        password: bool,
    },
    /// No encryption type is allowed on both sides and in the keytab.
    #[error("the KDC, krb5.conf and the keys of {} have no encryption type in common{}", client(principal.as_deref()), from_keytab(keys))]
    Encryption {
        /// The principal, where the login tells it.
        principal: Option<String>,
        /// The principal's keys in the keytab, where that is known.
        keys: Vec<KeytabKey>,
    },
    /// There is no ticket, and no keytab that one could be had with.
    #[error("there is no Kerberos ticket, and no keytab to get one with")]
    NoCredential,
    /// Anything else, in the library's words.
    #[error("could not {doing}: {text}")]
    Other {
        /// What was tried.
        doing: String,
        /// The library's words.
        text: String,
    },
}

fn readers(mode: u32) -> &'static str {
    match (mode & 0o040 != 0, mode & 0o004 != 0) {
        (true, true) => "its group and everyone",
        (true, false) => "its group",
        _ => "everyone",
    }
}

fn holds(keys: &[KeytabKey]) -> String {
    if keys.is_empty() { "no keys".into() } else { list(keys) }
}

fn list(keys: &[KeytabKey]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn client(principal: Option<&str>) -> String {
    principal.map_or_else(|| "the principal".into(), |principal| format!("the principal {principal}"))
}

fn of(principal: Option<&str>) -> String {
    principal.map(|principal| format!(" of {principal}")).unwrap_or_default()
}

fn of_realm(realm: Option<&str>) -> String {
    realm.map(|realm| format!(" of the realm {realm}")).unwrap_or_default()
}

fn tried(addresses: &[String]) -> String {
    if addresses.is_empty() { String::new() } else { format!(" (krb5.conf names {})", addresses.join(", ")) }
}

fn from_keytab(keys: &[KeytabKey]) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let versions: Vec<String> = keys.iter().map(|key| format!("version {}, {}", key.version, key.encryption_name())).collect();
    format!(" (in the keytab: {})", versions.join("; "))
}

fn skew(ahead: Option<i64>) -> String {
    match ahead {
        None => "and that of the KDC are too far apart".into(),
        Some(seconds) if seconds < 0 => format!("is {} s behind the KDC's", seconds.unsigned_abs()),
        Some(seconds) => format!("is {seconds} s ahead of the KDC's"),
    }
}
