//! What to do about each situation.

use crate::error::KerberosError;

impl KerberosError {
    /// What to do about it: sentences for the person who runs the program, without a full stop at the end.
    pub fn hint(&self) -> String {
        match self {
            Self::KeytabTooOpen { path, .. } => format!(
                "run: chmod 600 {}; or, if its group must read it, set `allow_readable_keytab = true` under `[kerberos]`",
                path.display()
            ),
            Self::KeytabLacksPrincipal { path, principal, .. } => {
                format!(
                    "name one of those under `[kerberos]`, or have the key added: kadmin -q 'ktadd -k {} {principal}' (which makes a new key: other keytabs of that \
                 principal have to be replaced)",
                    path.display()
                )
            }
            Self::NoKdc { realm, config } => {
                format!("add to {config}, under [realms]: {realm} = {{ kdc = HOST }}; or let DNS be asked: dns_lookup_kdc = true")
            }
            Self::WrongKey { principal, .. } => format!(
                "the principal's key was changed after the keytab was written, or the keytab's is of a type that the KDC does not use: have it written \
                 again (kadmin -q 'ktadd {}', which makes a new key once more: replace all its keytabs); `kadmin -q getprinc` tells the KDC's versions and types",
                principal.as_deref().unwrap_or("PRINCIPAL")
            ),
            Self::UnknownPrincipal { principal } => format!(
                "check its spelling, upper and lower case and its realm; if it is new, have it added: kadmin -q 'addprinc -randkey {}'",
                principal.as_deref().unwrap_or("PRINCIPAL")
            ),
            Self::WrongRealm { host, .. } => format!(
                "say in krb5.conf, under [domain_realm], which realm the host is in: {} = REALM; if it is in another realm, this one has to trust that \
                 one and [realms] has to name its KDC",
                host.as_deref().unwrap_or("HOST")
            ),
            other => other.fixed_hint().into(),
        }
    }

    /// The hints that depend on nothing.
    fn fixed_hint(&self) -> &'static str {
        match self {
            Self::KeytabMissing { .. } => {
                "check the path under `[kerberos]`; a relative one starts at the folder the program was started in"
            }
            Self::KeytabUnreadable { .. } => "let the user that runs this own the keytab, with mode 600",
            Self::NotAKeytab { .. } => {
                "check the path; `klist -k FILE` lists what a keytab holds; copy it again as a binary file if it was damaged on its way"
            }
            Self::BadPrincipal { .. } => "a principal is written name@REALM or service/host@REALM",
            Self::NoRealm { .. } => "write the principal as name@REALM, or set default_realm in krb5.conf",
            Self::ConfigMissing { .. } => "check the path under `[kerberos]`, or leave it out to use the system's /etc/krb5.conf",
            Self::ConfigUnreadable { .. } => "let the user that runs this read it; it holds no secret",
            Self::ConfigInvalid { .. } => "compare its sections and braces with `man krb5.conf`, also those of the files it includes",
            Self::TooLate { .. } => "this is a mistake in the program: nothing may be started before Kerberos is prepared",
            Self::ClockSkew { .. } => "set this machine's clock by NTP (`timedatectl` says whether it is), and check the KDC's",
            Self::KdcAway { .. } => {
                "check that a KDC runs and that a firewall lets its port (88, TCP and UDP) through; otherwise krb5.conf has the wrong address"
            }
            Self::UnknownService { .. } => {
                "the service's host has to be written as its principal is, with its full name; check `sasl.kerberos.service.name` (kafka by default) and, \
                 in krb5.conf, `rdns = false` and `dns_canonicalize_hostname = false`"
            }
            Self::NoSaslPlugin => {
                "install it: apt install libsasl2-modules-gssapi-mit (Debian, Ubuntu), dnf install cyrus-sasl-gssapi (Fedora, RHEL)"
            }
            Self::TicketExpired { .. } => {
                "the ticket could not be renewed in time: see the errors before this one for why; it is taken anew by itself once that has passed"
            }
            Self::Locked { .. } => "have it unlocked, or allowed to have tickets: kadmin -q 'modprinc -unlock PRINCIPAL' or '+allow_tix'",
            Self::PrincipalExpired { password: true, .. } => {
                "have the password's end date removed, which a service's principal should not have"
            }
            Self::PrincipalExpired { .. } => "have the account's end date moved",
            Self::Encryption { .. } => {
                "have the keytab written again with a type that all allow (aes256-cts-hmac-sha1-96), and check permitted_enctypes in krb5.conf"
            }
            Self::NoCredential => "name principal and keytab under `[kerberos]`",
            Self::Other { .. } => "`stygian doctor` goes through the steps one by one",
            // Those above that put a name into theirs.
            Self::KeytabTooOpen { .. }
            | Self::KeytabLacksPrincipal { .. }
            | Self::NoKdc { .. }
            | Self::WrongKey { .. }
            | Self::UnknownPrincipal { .. }
            | Self::WrongRealm { .. } => "",
        }
    }
}
