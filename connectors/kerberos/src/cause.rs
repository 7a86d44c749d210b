//! What lies behind an error of a Kerberos library: by the number of MIT's error table where there is one, else by its words.
//!
//! librdkafka (through Cyrus SASL) and hdfs-native hand out only a text, which ends with the same words of MIT's.

/// A cause that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    ClockSkew,
    UnknownPrincipal,
    WrongKey,
    KdcAway,
    UnknownService,
    WrongRealm,
    NoSaslPlugin,
    TicketExpired,
    Revoked,
    PrincipalExpired,
    KeyExpired,
    Encryption,
    NoCredential,
    NoDefaultRealm,
}

/// The first number of MIT's table `krb5`; the protocol's error codes are counted from here.
const KRB5: i32 = -1_765_328_384;

/// Number in MIT's table, name in `krb5.h`, cause.
const CODES: &[(i32, &str, Cause)] = &[
    (KRB5 + 1, "KRB5KDC_ERR_NAME_EXP", Cause::PrincipalExpired),
    (KRB5 + 6, "KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN", Cause::UnknownPrincipal),
    (KRB5 + 7, "KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN", Cause::UnknownService),
    (KRB5 + 14, "KRB5KDC_ERR_ETYPE_NOSUPP", Cause::Encryption),
    (KRB5 + 18, "KRB5KDC_ERR_CLIENT_REVOKED", Cause::Revoked),
    (KRB5 + 21, "KRB5KDC_ERR_CLIENT_NOTYET", Cause::Revoked),
    (KRB5 + 23, "KRB5KDC_ERR_KEY_EXP", Cause::KeyExpired),
    (KRB5 + 24, "KRB5KDC_ERR_PREAUTH_FAILED", Cause::WrongKey),
    (KRB5 + 29, "KRB5KDC_ERR_SVC_UNAVAILABLE", Cause::KdcAway),
    (KRB5 + 31, "KRB5KRB_AP_ERR_BAD_INTEGRITY", Cause::WrongKey),
    (KRB5 + 32, "KRB5KRB_AP_ERR_TKT_EXPIRED", Cause::TicketExpired),
    (KRB5 + 33, "KRB5KRB_AP_ERR_TKT_NYV", Cause::ClockSkew),
    (KRB5 + 37, "KRB5KRB_AP_ERR_SKEW", Cause::ClockSkew),
    (KRB5 + 68, "KRB5KDC_ERR_WRONG_REALM", Cause::WrongRealm),
    (KRB5 + 148, "KRB5_KDCREP_SKEW", Cause::ClockSkew),
    (KRB5 + 150, "KRB5_PROG_ETYPE_NOSUPP", Cause::Encryption),
    (KRB5 + 154, "KRB5_REALM_UNKNOWN", Cause::WrongRealm),
    (KRB5 + 156, "KRB5_KDC_UNREACH", Cause::KdcAway),
    (KRB5 + 181, "KRB5_KT_NOTFOUND", Cause::Encryption),
    (KRB5 + 188, "KRB5_BAD_ENCTYPE", Cause::Encryption),
    (KRB5 + 195, "KRB5_FCC_NOFILE", Cause::NoCredential),
    (KRB5 + 210, "KRB5_PREAUTH_FAILED", Cause::WrongKey),
    (KRB5 + 217, "KRB5_ERR_HOST_REALM_UNKNOWN", Cause::WrongRealm),
    (KRB5 + 220, "KRB5_REALM_CANT_RESOLVE", Cause::KdcAway),
    (KRB5 + 224, "KRB5_CONFIG_NODEFREALM", Cause::NoDefaultRealm),
    (KRB5 + 236, "KRB5_NOPERM_ETYPE", Cause::Encryption),
    (KRB5 + 237, "KRB5_CONFIG_ETYPE_NOSUPP", Cause::Encryption),
];

/// Words that tell a cause, the most telling first: a text is searched for all in this order.
const WORDS: &[(&str, Cause)] = &[
    ("missing a GSSAPI module", Cause::NoSaslPlugin),
    ("No worthy mechs found", Cause::NoSaslPlugin),
    ("no mechanism available", Cause::NoSaslPlugin),
    ("Clock skew too great", Cause::ClockSkew),
    ("Ticket not yet valid", Cause::ClockSkew),
    ("Server krbtgt/", Cause::WrongRealm),
    ("Cannot find KDC for realm", Cause::WrongRealm),
    ("Cannot determine realm for", Cause::WrongRealm),
    ("Wrong realm", Cause::WrongRealm),
    ("Cannot contact any KDC", Cause::KdcAway),
    ("Cannot resolve network address for KDC", Cause::KdcAway),
    ("Resource temporarily unavailable while getting initial credentials", Cause::KdcAway),
    ("Client not found in Kerberos database", Cause::UnknownPrincipal),
    ("Server not found in Kerberos database", Cause::UnknownService),
    ("Preauthentication failed", Cause::WrongKey),
    ("Decrypt integrity check failed", Cause::WrongKey),
    ("Ticket expired", Cause::TicketExpired),
    ("context has expired", Cause::TicketExpired),
    ("credentials have expired", Cause::TicketExpired),
    ("credentials have been revoked", Cause::Revoked),
    ("Client's entry in database has expired", Cause::PrincipalExpired),
    ("Password has expired", Cause::KeyExpired),
    ("KDC has no support for encryption type", Cause::Encryption),
    ("Program lacks support for encryption type", Cause::Encryption),
    ("Encryption type not permitted", Cause::Encryption),
    ("no suitable keys", Cause::Encryption),
    ("No Kerberos credentials available", Cause::NoCredential),
    ("No credentials cache found", Cause::NoCredential),
    ("does not specify default realm", Cause::NoDefaultRealm),
];

impl Cause {
    /// The cause behind a status of MIT's GSSAPI. Its number goes first, but for what only the words tell; a number that says nothing (the
    /// library renumbers a status that two mechanisms share) leaves it to the words.
    pub(crate) fn of(code: i32, text: &str) -> Option<Self> {
        let by_number = CODES.iter().find(|(number, _, _)| *number == code).map(|(_, _, cause)| *cause);
        match by_number {
            // A ticket for another realm's KDC was asked for: the service is not missing, its realm is wrong.
            Some(Self::UnknownService) if text.contains("krbtgt/") => Some(Self::WrongRealm),
            Some(cause) => Some(cause),
            None => Self::of_text(text),
        }
    }

    /// The cause that words tell of.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        if let Some(cause) = names_in_database(text) {
            return Some(cause);
        }
        WORDS.iter().find(|(words, _)| contains(text, words)).map(|(_, cause)| *cause)
    }
}

/// MIT names the one that is not known: `Client 'a@R' not found in Kerberos database`, `Server kafka/h@R not found in ...`.
fn names_in_database(text: &str) -> Option<Cause> {
    let (before, _) = text.split_once(" not found in Kerberos database")?;
    let client = before.rfind("Client ").map_or(-1, |at| i64::try_from(at).unwrap_or(i64::MAX));
    let server = before.rfind("Server ").map_or(-1, |at| i64::try_from(at).unwrap_or(i64::MAX));
    match client.cmp(&server) {
        std::cmp::Ordering::Greater => Some(Cause::UnknownPrincipal),
        std::cmp::Ordering::Less if before.contains("Server krbtgt/") => Some(Cause::WrongRealm),
        std::cmp::Ordering::Less => Some(Cause::UnknownService),
        std::cmp::Ordering::Equal => None,
    }
}

fn contains(text: &str, words: &str) -> bool {
    text.contains(words) || text.to_ascii_lowercase().contains(&words.to_ascii_lowercase())
}

#[cfg(test)]
#[path = "cause_tests.rs"]
mod tests;
