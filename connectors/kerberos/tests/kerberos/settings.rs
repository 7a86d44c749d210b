//! What a child is told, by its environment.

use std::path::{Path, PathBuf};

/// Set in the environment of a child.
pub(crate) const CHILD: &str = "STYGIAN_KERBEROS_CHILD";

/// What a child is to do.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) principal: String,
    pub(crate) keytab: PathBuf,
    pub(crate) krb5_conf: Option<PathBuf>,
    pub(crate) allow_readable: bool,
    /// `login`; `touch` (every second, until its input ends); `crowd` (the same, beside other users of the credential); `doctor`; `threads` (prepare beside another thread).
    pub(crate) task: &'static str,
    /// Services to get tickets for, as `service@host`.
    pub(crate) services: Vec<&'static str>,
    /// A clock that is wrong, as `faketime` takes it.
    pub(crate) clock: Option<&'static str>,
    /// Other variables of its environment.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Settings {
    pub(crate) fn new(principal: &str, keytab: &Path, krb5_conf: &Path) -> Self {
        Self {
            principal: principal.into(),
            keytab: keytab.into(),
            krb5_conf: Some(krb5_conf.into()),
            allow_readable: false,
            task: "login",
            services: Vec::new(),
            clock: None,
            variables: Vec::new(),
        }
    }

    /// As variables of an environment.
    pub(crate) fn to_env(&self) -> Vec<(&'static str, String)> {
        let mut env = vec![
            (CHILD, self.task.to_owned()),
            ("CASE_PRINCIPAL", self.principal.clone()),
            ("CASE_KEYTAB", self.keytab.display().to_string()),
            ("CASE_SERVICES", self.services.join(" ")),
        ];
        if let Some(path) = &self.krb5_conf {
            env.push(("CASE_KRB5_CONF", path.display().to_string()));
        }
        if self.allow_readable {
            env.push(("CASE_ALLOW_READABLE", "1".into()));
        }
        env.extend(self.variables.iter().cloned());
        env
    }
}
