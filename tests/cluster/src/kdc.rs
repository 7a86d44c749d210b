//! The KDC: its database, its principals and their keytabs.
//!
//! Everything about principals goes through `kadmin.local`, which works on the database itself, whether the KDC runs or not.

use crate::folder::Folder;
use crate::krb5::{Krb5Conf, REALM};
use crate::process::{Launch, Process, Server};
use crate::tools::{command, find, run, write};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The users that every cluster has.
pub(crate) const USERS: [&str; 3] = ["pipeline", "stranger", "admin"];

/// The services of a host, and whose keys their keytabs hold: Hadoop's servers also speak HTTP.
const SERVICES: [(&str, &[&str]); 4] = [("kafka", &["kafka"]), ("nn", &["nn", "HTTP"]), ("dn", &["dn", "HTTP"]), ("HTTP", &["HTTP"])];

/// The KDC of a cluster.
#[derive(Debug)]
pub(crate) struct Kdc {
    root: PathBuf,
    port: u16,
}

impl Kdc {
    /// Makes the database and the principals.
    pub(crate) fn create(folder: &Folder, port: u16, client_life: Duration) -> Result<Self> {
        let kdc = Self { root: folder.path().to_owned(), port };
        write(&kdc.conf("krb5.conf"), &Krb5Conf::new(port, Duration::from_secs(10 * 3600)).text())?;
        write(&kdc.conf("client-krb5.conf"), &Krb5Conf::new(port, client_life).text())?;
        write(&kdc.conf("kdc.conf"), &kdc.text())?;
        write(&kdc.root.join("kdc/kadm5.acl"), "")?;
        let mut create = command("kdb5_util", ["-r", REALM, "create", "-s", "-P", "master"])?;
        run(create.envs(kdc.env()), None).context("cannot create the database of the KDC")?;
        let mut queries = String::new();
        let host_services = SERVICES.map(|(name, _)| format!("{name}/localhost"));
        for principal in host_services.iter().map(String::as_str).chain(USERS) {
            queries += &format!("addprinc -randkey {principal}\n");
        }
        for (name, principals) in SERVICES {
            for principal in principals {
                queries += &format!("ktadd -k {} -norandkey {principal}/localhost\n", kdc.keytab(name).display());
            }
        }
        for user in USERS {
            queries += &format!("ktadd -k {} -norandkey {user}\n", kdc.keytab(user).display());
        }
        kdc.administer(&queries)?;
        for name in SERVICES.iter().map(|(name, _)| *name).chain(USERS) {
            ensure!(kdc.keytab(name).is_file(), "kadmin.local wrote no keytab {}", kdc.keytab(name).display());
        }
        Ok(kdc)
    }

    /// The server, not started yet.
    pub(crate) fn process(&self) -> Result<Process> {
        let args = ["-n", "-r", REALM].map(OsString::from).to_vec();
        let launch = Launch { program: find("krb5kdc")?, args, env: self.env().to_vec() };
        Ok(Process::new(Server::Kdc, launch, &self.root.join("log")))
    }

    /// A file of the configuration.
    pub(crate) fn conf(&self, name: &str) -> PathBuf {
        self.root.join("conf").join(name)
    }

    /// Where a principal's keytab is.
    pub(crate) fn keytab(&self, name: &str) -> PathBuf {
        self.root.join("keytabs").join(format!("{}.keytab", name.replace('/', "-")))
    }

    /// A new principal with a random key, in a keytab of its own.
    pub(crate) fn add(&self, name: &str) -> Result<PathBuf> {
        let keytab = self.keytab(name);
        ensure!(!keytab.exists(), "{name} has a keytab already: {}", keytab.display());
        self.administer(&format!("addprinc -randkey {name}\n"))?;
        self.write_keytab(name, &keytab)?;
        Ok(keytab)
    }

    /// A new key for a principal, in a new keytab; the old one stays as it is.
    pub(crate) fn rotate(&self, name: &str) -> Result<PathBuf> {
        self.administer(&format!("cpw -randkey {name}\n"))?;
        let named = |n: u32| self.keytab(&format!("{name}.{n}"));
        let keytab = (2..).map(named).find(|keytab| !keytab.exists()).context("too many keytabs")?;
        self.write_keytab(name, &keytab)?;
        Ok(keytab)
    }

    /// Forgets a principal; its keytabs stay.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        self.administer(&format!("delprinc -force {name}\n"))
    }

    fn write_keytab(&self, name: &str, keytab: &Path) -> Result<()> {
        self.administer(&format!("ktadd -k {} -norandkey {name}\n", keytab.display()))?;
        ensure!(keytab.is_file(), "kadmin.local wrote no keytab for {name}");
        Ok(())
    }

    /// Runs lines of `kadmin.local`. It ends well whatever becomes of them; what it says when one fails begins with the line's command.
    fn administer(&self, queries: &str) -> Result<()> {
        let mut administer = command("kadmin.local", ["-r", REALM])?;
        let output = crate::tools::output(administer.envs(self.env()), Some(queries.as_bytes()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let failed = |line: &&str| {
            ["add_principal:", "change_password:", "delete_principal:", "kadmin.local:"].iter().any(|word| line.starts_with(word))
        };
        let errors: Vec<&str> = said.lines().filter(failed).collect();
        ensure!(output.status.success() && errors.is_empty(), "kadmin.local cannot do `{}`:\n{said}", queries.trim());
        Ok(())
    }

    fn env(&self) -> [(&'static str, OsString); 2] {
        [("KRB5_CONFIG", self.conf("krb5.conf").into()), ("KRB5_KDC_PROFILE", self.conf("kdc.conf").into())]
    }

    fn text(&self) -> String {
        let (root, port) = (self.root.display(), self.port);
        format!(
            "[kdcdefaults]\n  kdc_listen = 127.0.0.1:{port}\n  kdc_tcp_listen = 127.0.0.1:{port}\n[realms]\n  {REALM} = {{\n    \
             database_name = {root}/kdc/principal\n    key_stash_file = {root}/kdc/stash\n    acl_file = {root}/kdc/kadm5.acl\n    \
             max_life = 1d\n    max_renewable_life = 0\n    \
             supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal\n    \
             default_principal_flags = +preauth\n  }}\n[logging]\n  kdc = FILE:{root}/log/krb5kdc.log\n  default = FILE:{root}/log/krb5.log\n"
        )
    }
}
