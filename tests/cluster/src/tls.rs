//! Certificates: an authority, the servers' and one for each user; and another authority that nobody trusts.

use crate::folder::Folder;
use crate::kdc::USERS;
use crate::tools::{command, run, write};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The certificates of a cluster, as PEM.
#[derive(Debug)]
pub(crate) struct Tls {
    folder: PathBuf,
}

impl Tls {
    pub(crate) fn create(folder: &Folder) -> Result<Self> {
        let tls = Self { folder: folder.join("tls") };
        tls.authority("ca")?;
        tls.authority("other-ca")?;
        tls.signed("server", "localhost", "ca")?;
        for user in USERS {
            tls.signed(user, user, "ca")?;
        }
        tls.signed("untrusted", USERS[0], "other-ca")?;
        // The broker wants key and chain in one file.
        let parts = ["server.key", "server.crt", "ca.pem"].map(|part| std::fs::read_to_string(tls.file(part)));
        let parts: std::io::Result<Vec<String>> = parts.into_iter().collect();
        write(&tls.file("server.pem"), &parts?.concat())?;
        Ok(tls)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn authority(&self, name: &str) -> Result<()> {
        let (subject, key, certificate) = (format!("/CN={name}"), format!("{name}.key"), format!("{name}.pem"));
        self.openssl(&["req", "-x509", "-days", "30", "-subj", &subject, "-out", &certificate], Some(&key))
    }

    /// A certificate for servers on this host and for clients of a name.
    fn signed(&self, file: &str, name: &str, authority: &str) -> Result<()> {
        let [key, request, certificate] = ["key", "csr", "crt"].map(|kind| format!("{file}.{kind}"));
        let (ca, ca_key) = (format!("{authority}.pem"), format!("{authority}.key"));
        write(&self.file("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")?;
        self.openssl(&["req", "-subj", &format!("/CN={name}"), "-out", &request], Some(&key))?;
        let sign = ["x509", "-req", "-days", "30", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"];
        self.openssl(&[&sign[..], &["-extfile", "names", "-out", &certificate]].concat(), None)
    }

    fn openssl(&self, args: &[&str], new_key: Option<&str>) -> Result<()> {
        let new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout"];
        let key = new_key.into_iter().flat_map(|key| new.into_iter().chain([key]));
        let mut openssl = command("openssl", args.iter().copied().chain(key))?;
        run(openssl.current_dir(Path::new(&self.folder)), None).context("cannot make certificates")?;
        Ok(())
    }
}
