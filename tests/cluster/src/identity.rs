//! Where things are, and who one can be there.

use crate::access::Listener;
use crate::cluster::Cluster;
use crate::hdfs_config;
use crate::kafka_config;
use crate::krb5::{Krb5Conf, REALM};
use crate::options::Hdfs;
use crate::registry;
use crate::tools::write;
use crate::webhdfs::Entry;
use anyhow::{Result, ensure};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Child;

/// Kerberos.
impl Cluster {
    /// The realm of the cluster.
    pub fn realm(&self) -> &'static str {
        REALM
    }

    /// The `krb5.conf` of clients: tickets live as long as the options say.
    pub fn krb5_conf(&self) -> PathBuf {
        self.kdc.conf("client-krb5.conf")
    }

    /// What [`Cluster::krb5_conf`] says, to be changed for [`Cluster::krb5_variant`].
    pub fn krb5(&self) -> Krb5Conf {
        Krb5Conf::new(self.ports.kdc, self.options.ticket_life)
    }

    /// Writes another `krb5.conf` under a name of its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn krb5_variant(&self, name: &str, says: &Krb5Conf) -> Result<PathBuf> {
        let path = self.kdc.conf(&format!("{name}-krb5.conf"));
        write(&path, &says.text())?;
        Ok(path)
    }

    /// The keytab of a user: `pipeline`, `stranger`, `admin`, or one that was added. It holds this one principal.
    pub fn keytab(&self, user: &str) -> PathBuf {
        self.kdc.keytab(user)
    }

    /// Adds a principal, such as `late` or `kafka/other`, and gives its keytab.
    ///
    /// # Errors
    /// When it exists.
    pub fn add_principal(&self, name: &str) -> Result<PathBuf> {
        self.kdc.add(name)
    }

    /// Gives a principal a new key and a new keytab. The keytab that there was stays as it is, with a key that is no longer right.
    ///
    /// # Errors
    /// When there is no such principal.
    pub fn rotate_key(&self, name: &str) -> Result<PathBuf> {
        self.kdc.rotate(name)
    }

    /// Removes a principal; its keytab stays.
    ///
    /// # Errors
    /// When there is no such principal.
    pub fn remove_principal(&self, name: &str) -> Result<()> {
        self.kdc.remove(name)
    }

    /// What a child process is to find in its environment to be a user: libkrb5 then logs in with the keytab when it has to, and keeps its
    /// tickets in memory. Also where Hadoop's configuration is.
    pub fn env(&self, user: &str) -> Vec<(&'static str, OsString)> {
        vec![
            ("KRB5_CONFIG", self.krb5_conf().into()),
            ("KRB5_CLIENT_KTNAME", format!("FILE:{}", self.keytab(user).display()).into()),
            ("KRB5CCNAME", "MEMORY:stygian".into()),
            ("HADOOP_CONF_DIR", self.hadoop_conf().into()),
        ]
    }
}

/// Kafka.
impl Cluster {
    /// The address of a listener, as a client's `bootstrap.servers`.
    ///
    /// # Errors
    /// When the cluster has no such listener.
    pub fn address(&self, listener: Listener) -> Result<String> {
        ensure!(self.options.kafka, "this cluster was started without Kafka");
        let port = match listener {
            Listener::SaslPlaintext => self.ports.sasl,
            Listener::SaslSsl => self.ports.sasl_ssl,
            Listener::Ssl => self.ports.ssl,
            Listener::Plaintext => {
                ensure!(self.options.plaintext, "this cluster was started without a plaintext listener");
                self.ports.plaintext
            }
        };
        Ok(format!("localhost:{port}"))
    }

    /// The authority that signed the servers' and the users' certificates, as PEM.
    pub fn ca(&self) -> PathBuf {
        self.tls.file("ca.pem")
    }

    /// An authority that signed nothing of the cluster's: who trusts it alone trusts no server.
    pub fn other_ca(&self) -> PathBuf {
        self.tls.file("other-ca.pem")
    }

    /// A user's certificate and its key, as PEM. That of `untrusted` says that it is `pipeline`'s and is signed by the other authority.
    pub fn certificate(&self, user: &str) -> (PathBuf, PathBuf) {
        (self.tls.file(&format!("{user}.crt")), self.tls.file(&format!("{user}.key")))
    }

    /// A user's password, for SCRAM and PLAIN.
    pub fn password(&self, user: &str) -> String {
        kafka_config::password(user)
    }
}

/// The schema registry.
impl Cluster {
    /// The registry's URL, as Confluent's clients take it. `None` without a registry.
    pub fn registry_url(&self) -> Option<String> {
        self.options.registry.then(|| registry::url(self.ports.registry))
    }
}

/// HDFS.
impl Cluster {
    /// Where HDFS is: `hdfs://HOST:PORT`, or of a pair `hdfs://NAME`. `None` without HDFS.
    pub fn hdfs_url(&self) -> Option<String> {
        (self.options.hdfs != Hdfs::None).then(|| hdfs_config::url(self.options.hdfs, &self.ports))
    }

    /// The folder with Hadoop's configuration (`HADOOP_CONF_DIR`).
    pub fn hadoop_conf(&self) -> PathBuf {
        self.folder().join("conf/hadoop")
    }

    /// Makes a folder in HDFS, and gives it to a user.
    ///
    /// # Errors
    /// When HDFS does not answer, or something is in the way.
    pub fn hdfs_make_folder(&self, path: &str, owner: &str) -> Result<()> {
        self.hdfs()?.make_folder(path, owner)
    }

    /// What is in a folder of HDFS.
    ///
    /// # Errors
    /// When there is none, or HDFS does not answer.
    pub fn hdfs_list(&self, path: &str) -> Result<Vec<Entry>> {
        self.hdfs()?.list(path)
    }

    /// The bytes of a file in HDFS.
    ///
    /// # Errors
    /// When there is none, or HDFS does not answer.
    pub fn hdfs_read(&self, path: &str) -> Result<Vec<u8>> {
        self.hdfs()?.read(path)
    }

    /// Writes a file in HDFS for a user; the folder must be there.
    ///
    /// # Errors
    /// When HDFS does not answer.
    pub fn hdfs_write(&self, path: &str, bytes: &[u8], owner: &str) -> Result<()> {
        self.hdfs()?.write(path, bytes, owner)
    }

    /// Adds to the end of a file in HDFS.
    ///
    /// # Errors
    /// When there is none, or HDFS does not answer.
    pub fn hdfs_append(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.hdfs()?.append(path, bytes)
    }

    /// Begins to add to the end of a file in HDFS, which stays open until the process ends that is given back: what is written into its standard input
    /// is added.
    ///
    /// # Errors
    /// When there is none, or HDFS does not answer.
    pub fn hdfs_begin_append(&self, path: &str) -> Result<Child> {
        self.hdfs()?.begin_append(path)
    }

    /// Removes a file of HDFS, or a folder with all in it; whether there was one.
    ///
    /// # Errors
    /// When HDFS does not answer.
    pub fn hdfs_remove(&self, path: &str) -> Result<bool> {
        self.hdfs()?.remove(path)
    }

    /// Sets the permissions of a file or folder of HDFS: `0o750`.
    ///
    /// # Errors
    /// When there is none, or HDFS does not answer.
    pub fn hdfs_chmod(&self, path: &str, mode: u32) -> Result<()> {
        self.hdfs()?.chmod(path, mode)
    }

    /// Adds an entry, such as `user:ann:rwx`, to the access list of a file or folder of HDFS.
    ///
    /// # Errors
    /// When there is none, it is no entry, or HDFS does not answer.
    pub fn hdfs_acl(&self, path: &str, entry: &str) -> Result<()> {
        self.hdfs()?.acl(path, entry)
    }

    /// Sets how many names a folder of HDFS may have in it, itself among them, and how many bytes in all replicas; `None`: any.
    ///
    /// # Errors
    /// When there is none, or HDFS does not answer.
    pub fn hdfs_quota(&self, path: &str, names: Option<u64>, bytes: Option<u64>) -> Result<()> {
        self.hdfs()?.quota(path, names, bytes)
    }

    /// Has HDFS take no changes (safe mode), or take them again. Takes a second.
    ///
    /// # Errors
    /// When a NameNode does not answer.
    pub fn hdfs_safe_mode(&self, on: bool) -> Result<()> {
        self.hdfs()?.safe_mode(on)
    }

    /// How many DataNodes the active NameNode hears from (for ten minutes after their end, too).
    ///
    /// # Errors
    /// When no NameNode is active.
    pub fn live_data_nodes(&self) -> Result<u64> {
        self.hdfs()?.live_data_nodes()
    }
}
