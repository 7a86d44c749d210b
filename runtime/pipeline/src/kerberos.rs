//! `[kerberos]`: who a job is to clusters that are guarded by Kerberos.

use crate::reader::Reading;
use schemars::JsonSchema;
use serde::Deserialize;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;

/// The one identity of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kerberos {
    /// The principal; without a realm, of the default realm.
    pub principal: String,
    /// The file with its keys; relative paths start at the pipeline file's folder.
    pub keytab: PathBuf,
    /// The configuration of Kerberos; `None`: the system's.
    pub krb5_conf: Option<PathBuf>,
    /// Whether a keytab is taken that others can read.
    pub allow_readable_keytab: bool,
}

/// Who the job is to Kafka and HDFS clusters that are guarded by Kerberos. The job logs in at its start, renews its ticket by itself, and keeps it in memory, where no other
/// program can use it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "kerberos")]
pub(crate) struct KerberosKeys {
    /// The principal, such as "clicks@EXAMPLE.ORG"; without a realm, of the default realm.
    #[schemars(with = "String")]
    principal: Option<Spanned<String>>,
    /// The file with its keys, which only its owner can read; relative paths start at the pipeline file's folder.
    #[schemars(with = "String")]
    keytab: Option<Spanned<String>>,
    /// The configuration of Kerberos. Default: the system's, "/etc/krb5.conf".
    #[schemars(with = "String")]
    krb5_conf: Option<Spanned<String>>,
    /// Whether a keytab is taken that others than its owner can read: whoever can read it can be the job. Default: false.
    allow_readable_keytab: bool,
}

impl KerberosKeys {
    pub(crate) fn check(self, at: Range<usize>, reading: &mut Reading<'_>) -> Option<Kerberos> {
        let keytab = self.keytab.map(|keytab| path("keytab", keytab, reading));
        let krb5_conf = self.krb5_conf.map(|conf| path("krb5_conf", conf, reading));
        if let Some(principal) = &self.principal {
            check_principal(principal, reading);
        }
        let (Some(principal), Some(keytab)) = (self.principal, keytab) else {
            let hint = "write `principal = \"clicks@EXAMPLE.ORG\"` and `keytab = \"clicks.keytab\"`";
            reading.problem(at, "`[kerberos]` needs a `principal` and a `keytab`", Some(hint.into()));
            return None;
        };
        Some(Kerberos { principal: principal.into_inner(), keytab, krb5_conf, allow_readable_keytab: self.allow_readable_keytab })
    }
}

fn path(name: &str, path: Spanned<String>, reading: &mut Reading<'_>) -> PathBuf {
    if path.get_ref().is_empty() {
        reading.problem(path.span(), format!("`{name}` is empty"), Some("it is the path of a file".into()));
    }
    PathBuf::from(path.into_inner())
}

fn check_principal(principal: &Spanned<String>, reading: &mut Reading<'_>) {
    let text = principal.get_ref().as_str();
    let (name, realm) = text.split_once('@').unwrap_or((text, "default"));
    if name.is_empty() || realm.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let hint = "write it as `klist -k KEYTAB` shows it, such as \"clicks@EXAMPLE.ORG\"";
        reading.problem(principal.span(), format!("`{}` is no principal", stygian_core::escape(text, 64)), Some(hint.into()));
    }
}
