//! What of krb5.conf matters here: the default realm, and where a realm's KDCs are.

use crate::error::KerberosError;
use crate::mit::profile::Profile;
use std::path::{Path, PathBuf};

/// Where MIT looks when nothing else is said.
const SYSTEM: &str = "/etc/krb5.conf";
/// A KDC's port when an address names none.
const PORT: u16 = 88;

/// The configuration, as MIT read it.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file or files, as text for people.
    pub(crate) shown: String,
    pub(crate) default_realm: Option<String>,
}

/// How the KDCs of a realm are found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kdcs {
    /// Their addresses as krb5.conf writes them.
    pub(crate) addresses: Vec<String>,
    /// Whether DNS may name some where krb5.conf does not.
    pub(crate) by_dns: bool,
}

impl Config {
    /// Reads the configuration the environment points to; `named` is the file that the user named, if one was.
    pub(crate) fn read(named: Option<&Path>) -> Result<Self, KerberosError> {
        if let Some(path) = named {
            readable(path)?;
        }
        let shown = shown(named);
        let profile = Profile::read().map_err(|text| KerberosError::ConfigInvalid { path: shown.clone(), text })?;
        Ok(Self { shown, default_realm: profile.default_realm() })
    }

    /// The KDCs of a realm; fails where neither the configuration nor DNS can name one.
    pub(crate) fn kdcs(&self, realm: &str) -> Result<Kdcs, KerberosError> {
        let kdcs = kdcs(realm);
        if kdcs.addresses.is_empty() && !kdcs.by_dns {
            return Err(KerberosError::NoKdc { realm: realm.into(), config: self.shown.clone() });
        }
        Ok(kdcs)
    }
}

/// What the configuration says of the KDCs of a realm at this moment; nothing if it cannot be read.
pub(crate) fn kdcs(realm: &str) -> Kdcs {
    let Ok(profile) = Profile::read() else { return Kdcs::default() };
    let addresses = profile.values(&["realms", realm, "kdc"]);
    let switch = |name| profile.values(&["libdefaults", name]).first().map(|value| is_true(value));
    let by_dns = switch("dns_lookup_kdc").or_else(|| switch("dns_fallback")).unwrap_or(true);
    Kdcs { addresses, by_dns }
}

fn readable(path: &Path) -> Result<(), KerberosError> {
    let unreadable = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => KerberosError::ConfigMissing { path: path.into() },
        _ => KerberosError::ConfigUnreadable { path: path.into(), source },
    };
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(KerberosError::ConfigInvalid { path: path.display().to_string(), text: "it is not a file".into() });
    }
    std::fs::File::open(path).map(drop).map_err(unreadable)
}

fn shown(named: Option<&Path>) -> String {
    named
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("KRB5_CONFIG").map(PathBuf::from))
        .unwrap_or_else(|| SYSTEM.into())
        .display()
        .to_string()
}

fn is_true(value: &str) -> bool {
    !["n", "no", "f", "false", "nil", "0", "off"].contains(&value.to_ascii_lowercase().as_str())
}

/// Host and port of a KDC's address as krb5.conf writes it; `None` for what is not a plain address (a proxy by HTTPS, a socket).
pub(crate) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    if address.contains("//") || address.starts_with('/') {
        return None;
    }
    let port_of = |port: &str| port.parse().ok();
    if let Some(bracketed) = address.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        return Some((host, rest.strip_prefix(':').map_or(Some(PORT), port_of)?));
    }
    match address.split_once(':') {
        // More than one colon and no brackets: an address of IPv6 alone.
        Some((_, rest)) if rest.contains(':') => Some((address, PORT)),
        Some((host, port)) => Some((host, port_of(port)?)),
        None => Some((address, PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_takes_each_form_that_krb5_conf_allows() {
        assert_eq!(host_and_port("kdc.example.com"), Some(("kdc.example.com", 88)));
        assert_eq!(host_and_port("127.0.0.1:21000"), Some(("127.0.0.1", 21000)));
        assert_eq!(host_and_port("[::1]:750"), Some(("::1", 750)));
        assert_eq!(host_and_port("[::1]"), Some(("::1", 88)));
        assert_eq!(host_and_port("fe80::1"), Some(("fe80::1", 88)));
        assert_eq!(host_and_port("https://proxy/KdcProxy"), None);
        assert_eq!(host_and_port("host:port"), None);
    }

    #[test]
    fn switches_are_read_as_mit_reads_them() {
        assert!(is_true("true") && is_true("1") && is_true("yes"));
        assert!(!is_true("False") && !is_true("0") && !is_true("off"));
    }
}
