//! The table of numbers against the library's own words, and the texts that other libraries print.

use super::*;
use crate::mit::profile::{Profile, message};

#[test]
fn each_number_of_the_table_has_the_words_that_its_cause_is_known_by() {
    let _tables = Profile::read(); // the library loads its words with its first context
    for (number, name, cause) in CODES {
        let words = message(*number);
        assert!(!words.starts_with("Unknown code"), "{name}: {words}");
        if let Some(told) = Cause::of_text(&words) {
            assert_eq!(told, *cause, "{name}: {words}");
        }
    }
}

#[test]
fn the_numbers_are_those_of_the_names() {
    let _tables = Profile::read();
    let words = |name: &str| CODES.iter().find(|(_, known, _)| *known == name).map(|(number, _, _)| message(*number)).unwrap_or_default();
    assert_eq!(words("KRB5KDC_ERR_NAME_EXP"), "Client's entry in database has expired");
    assert_eq!(words("KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN"), "Client not found in Kerberos database");
    assert_eq!(words("KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN"), "Server not found in Kerberos database");
    assert_eq!(words("KRB5KDC_ERR_ETYPE_NOSUPP"), "KDC has no support for encryption type");
    assert_eq!(words("KRB5KDC_ERR_CLIENT_REVOKED"), "Client's credentials have been revoked");
    assert_eq!(words("KRB5KDC_ERR_KEY_EXP"), "Password has expired");
    assert_eq!(words("KRB5KDC_ERR_PREAUTH_FAILED"), "Preauthentication failed");
    assert_eq!(words("KRB5KRB_AP_ERR_BAD_INTEGRITY"), "Decrypt integrity check failed");
    assert_eq!(words("KRB5KRB_AP_ERR_TKT_EXPIRED"), "Ticket expired");
    assert_eq!(words("KRB5KRB_AP_ERR_SKEW"), "Clock skew too great");
    assert_eq!(words("KRB5_KDCREP_SKEW"), "Clock skew too great in KDC reply");
    assert_eq!(words("KRB5_KDC_UNREACH"), "Cannot contact any KDC for requested realm");
    assert_eq!(words("KRB5_REALM_UNKNOWN"), "Cannot find KDC for requested realm");
    assert_eq!(words("KRB5_KT_NOTFOUND"), "Key table entry not found");
    assert_eq!(words("KRB5_PREAUTH_FAILED"), "Generic preauthentication failure");
    assert_eq!(words("KRB5_REALM_CANT_RESOLVE"), "Cannot resolve network address for KDC in requested realm");
    assert_eq!(words("KRB5_CONFIG_NODEFREALM"), "Configuration file does not specify default realm");
}

#[test]
fn a_missing_realm_of_a_service_is_not_a_missing_service() {
    let code = KRB5 + 7;
    assert_eq!(Cause::of(code, "Server krbtgt/OTHER@R not found in Kerberos database"), Some(Cause::WrongRealm));
    assert_eq!(Cause::of(code, "Server kafka/h@R not found in Kerberos database"), Some(Cause::UnknownService));
}

#[test]
fn a_number_that_says_nothing_leaves_it_to_the_words() {
    assert_eq!(Cause::of(100_001, "Cannot contact any KDC for realm 'R'"), Some(Cause::KdcAway));
    assert_eq!(Cause::of(100_001, "something else"), None);
}

#[test]
fn what_has_nothing_to_do_with_kerberos_is_not_recognised() {
    for text in ["Connection refused", "Broker transport failure", "", "Topic not found", "Client 'x' not found"] {
        assert_eq!(Cause::of_text(text), None, "{text}");
    }
}
