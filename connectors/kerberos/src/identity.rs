//! Who this process is: the identity as configured, and the process prepared to take it.
//!
//! Preparing goes by two steps, which `doctor` shows apart: the environment with krb5.conf, then the keytab.

use crate::config::{Config, Kdcs};
use crate::error::KerberosError;
use crate::facts::Facts;
use crate::keytab::{KeytabKey, MAX_BYTES, keys};
use crate::mit::environment;
use crate::principal::Principal;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The one identity of a process.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The principal, `name@REALM` or `service/host@REALM`; without a realm it is in krb5.conf's default realm.
    pub principal: String,
    /// The keytab that holds the principal's key.
    pub keytab: PathBuf,
    /// The krb5.conf to use in place of the system's (which is `KRB5_CONFIG` where that is set, else `/etc/krb5.conf`).
    pub krb5_conf: Option<PathBuf>,
    /// Whether a keytab that its group or everyone may read is accepted.
    pub allow_readable_keytab: bool,
}

/// A variable of the environment that had a value from outside, which was overwritten or removed. Worth a warning: whoever set it expected
/// something of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overwritten {
    /// The variable's name.
    pub variable: &'static str,
    /// The value it had.
    pub value: String,
}

/// A process whose environment points MIT krb5 to its keytab and to a private ticket cache in memory; nothing was asked of a KDC yet.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) principal: Principal,
    pub(crate) facts: Facts,
    pub(crate) by_dns: bool,
    overwritten: Vec<Overwritten>,
}

/// Prepares the process to be `identity`: checks krb5.conf and keytab, points MIT krb5 to them through the environment (`KRB5_CONFIG` if one is
/// named, `KRB5_CLIENT_KTNAME`, `KRB5CCNAME`; `KRB5_TRACE` is removed, as it makes the library write what it does to a file) and turns
/// core dumps off, which would hold the key. `KRB5_KTNAME`, the keytab of those who *accept* connections, is left alone: no client reads it.
///
/// To be called once, first thing in `main`: it changes the environment, so it refuses ([`KerberosError::TooLate`]) if any other thread runs.
/// It reads files only and asks no KDC (DNS only if krb5.conf has no default realm and lets DNS be asked for it).
pub fn prepare(identity: &Identity) -> Result<Prepared, KerberosError> {
    Configured::new(identity)?.with_keytab()
}

impl Prepared {
    /// The principal, with its realm.
    pub fn principal(&self) -> String {
        self.principal.to_string()
    }

    /// The keys that the keytab holds of the principal.
    pub fn keys(&self) -> &[KeytabKey] {
        &self.facts.keys
    }

    /// What came from outside and was overwritten.
    pub fn overwritten(&self) -> &[Overwritten] {
        &self.overwritten
    }
}

/// The first step of preparing: the environment is set and krb5.conf was read.
pub(crate) struct Configured {
    identity: Identity,
    keytab: PathBuf,
    principal: Principal,
    overwritten: Vec<Overwritten>,
    pub(crate) config: Config,
    pub(crate) realm: String,
    pub(crate) kdcs: Kdcs,
}

impl Configured {
    pub(crate) fn new(identity: &Identity) -> Result<Self, KerberosError> {
        let bad = |reason| KerberosError::BadPrincipal { principal: identity.principal.clone(), reason };
        let mut principal = Principal::parse(&identity.principal).map_err(bad)?;
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
        let keytab = absolute(&identity.keytab);
        let krb5_conf = identity.krb5_conf.as_deref().map(absolute);
        let overwritten = point_to(&keytab, krb5_conf.as_deref())?;
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }); // lowering a limit is always allowed
        let config = Config::read(krb5_conf.as_deref())?;
        let realm = principal.realm.clone().or_else(|| config.default_realm.clone());
        let realm = realm.ok_or_else(|| KerberosError::NoRealm { principal: identity.principal.clone(), config: config.shown.clone() })?;
        principal.realm = Some(realm.clone());
        let kdcs = config.kdcs(&realm)?;
        Ok(Self { identity: identity.clone(), keytab, principal, overwritten, config, realm, kdcs })
    }

    /// The second step: the keytab is one, is ours alone, and holds the principal.
    pub(crate) fn with_keytab(self) -> Result<Prepared, KerberosError> {
        let path = &self.identity.keytab;
        let all = read(path, &self.keytab, self.identity.allow_readable_keytab)?;
        let principal = self.principal.to_string();
        let ours: Vec<KeytabKey> = all.iter().filter(|key| key.principal == principal).cloned().collect();
        if ours.is_empty() {
            return Err(KerberosError::KeytabLacksPrincipal { path: path.clone(), principal, keys: all });
        }
        let facts =
            Facts { principal: Some(principal), realm: Some(self.realm), keys: ours, addresses: self.kdcs.addresses, ..Facts::default() };
        Ok(Prepared { principal: self.principal, facts, by_dns: self.kdcs.by_dns, overwritten: self.overwritten })
    }
}

fn point_to(keytab: &Path, krb5_conf: Option<&Path>) -> Result<Vec<Overwritten>, KerberosError> {
    let mut client_keytab = OsString::from("FILE:");
    client_keytab.push(keytab);
    let cache = format!("MEMORY:stygian-{}", std::process::id());
    let mut variables = vec![("KRB5_CLIENT_KTNAME", Some(client_keytab)), ("KRB5CCNAME", Some(cache.into())), ("KRB5_TRACE", None)];
    if let Some(path) = krb5_conf {
        variables.push(("KRB5_CONFIG", Some(path.into())));
    }
    let before = environment::set(&variables).map_err(|threads| KerberosError::TooLate { threads })?;
    let shown = |(variable, value): (&'static str, OsString)| Overwritten { variable, value: value.to_string_lossy().into_owned() };
    Ok(before.into_iter().map(shown).collect())
}

/// The keys that a keytab lists; `shown` is its path as the user gave it.
fn read(shown: &Path, path: &Path, allow_readable: bool) -> Result<Vec<KeytabKey>, KerberosError> {
    let unreadable = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => KerberosError::KeytabMissing { path: shown.into() },
        _ => KerberosError::KeytabUnreadable { path: shown.into(), source },
    };
    let not_one = |reason: String| KerberosError::NotAKeytab { path: shown.into(), reason };
    // Before it is opened, as opening a pipe waits for its other end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(not_one("it is not a file".into()));
    }
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o044 != 0 && !allow_readable {
        return Err(KerberosError::KeytabTooOpen { path: shown.into(), mode });
    }
    if found.len() > MAX_BYTES {
        return Err(not_one(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    keys(&bytes).map_err(|why| not_one(why.to_string()))
}
