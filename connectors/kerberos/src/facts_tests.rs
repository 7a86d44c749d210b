//! Texts as librdkafka 2.0.2 and hdfs-native 0.14 printed them, against a real KDC, and what is made of them.

use super::*;
use crate::keytab::KeytabKey;

/// What librdkafka puts around the words of Cyrus SASL.
fn rdkafka(words: &str) -> String {
    format!(
        "sasl_plaintext://localhost:34001/bootstrap: Failed to initialize SASL authentication: SASL handshake failed (start (-1)): SASL(-1): \
         generic failure: GSSAPI Error: {words} (after 12ms in state AUTH_REQ)"
    )
}

const UNSPECIFIED: &str = "Unspecified GSS failure.  Minor code may provide more information";
const NO_CREDENTIALS: &str = "No credentials were supplied, or the credentials were unavailable or inaccessible";

fn told(text: &str) -> String {
    KerberosError::from_text(text).map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn from_text_recognises_what_librdkafka_prints() {
    for (words, expected) in [
        (
            format!("{UNSPECIFIED} (Server nokafka/localhost@TEST.LOCAL not found in Kerberos database)"),
            "the KDC does not know the service nokafka/localhost@TEST.LOCAL",
        ),
        (
            format!("{UNSPECIFIED} (Server krbtgt/OTHER.REALM@TEST.LOCAL not found in Kerberos database)"),
            "the host is taken to be in the realm OTHER.REALM, where no ticket can be had for it",
        ),
        (format!("{UNSPECIFIED} (Ticket expired)"), "the ticket has ended"),
        (format!("{NO_CREDENTIALS} (Clock skew too great)"), "the clock of this machine and that of the KDC are too far apart"),
        (format!("{NO_CREDENTIALS} (Preauthentication failed)"), "the KDC does not accept the key of the principal"),
        (
            format!("{NO_CREDENTIALS} (Client 'gone@TEST.LOCAL' not found in Kerberos database)"),
            "the KDC does not know the principal gone@TEST.LOCAL",
        ),
        (
            format!("{NO_CREDENTIALS} (No Kerberos credentials available (default cache: MEMORY:a))"),
            "there is no Kerberos ticket, and no keytab to get one with",
        ),
    ] {
        assert_eq!(told(&rdkafka(&words)), expected);
    }
    let away = KerberosError::from_text(&rdkafka(&format!("{NO_CREDENTIALS} (Cannot contact any KDC for realm 'NO.SUCH.REALM')")));
    assert_eq!(away.unwrap().to_string(), "no KDC of the realm NO.SUCH.REALM answers");
}

#[test]
fn from_text_recognises_a_missing_sasl_plugin() {
    // Printed with SASL_PATH set to an empty folder: first to the log, then as the reason of the failure.
    for text in [
        "sasl_plaintext://localhost:34001/bootstrap: Cyrus/libsasl2 is missing a GSSAPI module: make sure the libsasl2-modules-gssapi-mit or \
         cyrus-sasl-gssapi packages are installed",
        "sasl_plaintext://localhost:34001/bootstrap: Failed to initialize SASL authentication: SASL handshake failed (start (-4)): SASL(-4): no \
         mechanism available: No worthy mechs found (after 0ms in state AUTH_REQ)",
    ] {
        let error = KerberosError::from_text(text).unwrap();
        assert_eq!(error.to_string(), "the SASL plugin for Kerberos (GSSAPI) is not installed");
        assert!(error.hint().contains("apt install libsasl2-modules-gssapi-mit"));
    }
}

#[test]
fn from_text_recognises_what_hdfs_native_prints() {
    assert_eq!(told("GSSAPIError(851968, 2529638944, \"Unspecified GSS failure; Ticket expired\")"), "the ticket has ended");
    assert_eq!(told("GSSAPI error: The context has expired"), "the ticket has ended");
}

#[test]
fn a_login_adds_what_it_knows() {
    let key = KeytabKey { principal: "a@R".into(), version: 3, encryption: 18 };
    let facts = Facts {
        principal: Some("a@R".into()),
        realm: Some("R".into()),
        keys: vec![key],
        addresses: vec!["kdc:88".into()],
        ..Facts::default()
    };
    let told = |text: &str| facts.recognise(text).unwrap().to_string();
    assert_eq!(
        told("(Preauthentication failed)"),
        "the KDC does not accept the key of the principal a@R (in the keytab: version 3, aes256-cts-hmac-sha1-96)"
    );
    assert_eq!(told("(Cannot contact any KDC for realm 'R')"), "no KDC of the realm R answers (krb5.conf names kdc:88)");
    assert_eq!(told("(Ticket expired)"), "the ticket of a@R has ended");
    let asked = Facts { service: Some("kafka/h@R".into()), ..Facts::default() };
    let unknown = asked.recognise("Server not found in Kerberos database").unwrap();
    assert_eq!(unknown.to_string(), "the KDC does not know the service kafka/h@R");
}

#[test]
fn what_acts_on_a_terminal_is_made_visible() {
    let error = Facts::default().failure(1, "odd\n\u{1b}[31mtext", "log in");
    assert_eq!(error.to_string(), "could not log in: odd\\n\\u{1b}[31mtext");
}
