//! How a client comes to the broker: where, and by what it says who it is.

use crate::cluster::Cluster;
use crate::kafka_config::password;
use anyhow::{Result, ensure};

/// A listener of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// A login, nothing encrypted.
    SaslPlaintext,
    /// A login within TLS.
    SaslSsl,
    /// TLS with a certificate of the client.
    Ssl,
    /// Nothing; only where [`Options::plaintext`](crate::Options::plaintext) asks for it. Who comes here is `ANONYMOUS`.
    Plaintext,
}

/// How a client proves who it is at a SASL listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Kerberos: by the environment of the process, see [`Cluster::env`](crate::Cluster::env).
    Gssapi,
    /// A salted challenge.
    ScramSha256,
    /// A salted challenge with the longer hash.
    ScramSha512,
    /// The password as it is.
    Plain,
}

/// A user at a listener.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where.
    pub listener: Listener,
    /// How, at a SASL listener; of no matter at others.
    pub mechanism: Mechanism,
    /// Who.
    pub user: String,
}

impl Access {
    /// With a ticket, nothing encrypted.
    pub fn kerberos(user: &str) -> Self {
        Self::new(Listener::SaslPlaintext, Mechanism::Gssapi, user)
    }

    /// With a password, nothing encrypted, and without any need of the KDC.
    pub fn password(user: &str) -> Self {
        Self::new(Listener::SaslPlaintext, Mechanism::Plain, user)
    }

    /// With all named.
    pub fn new(listener: Listener, mechanism: Mechanism, user: &str) -> Self {
        Self { listener, mechanism, user: user.to_owned() }
    }

    fn security(&self) -> &'static str {
        match self.listener {
            Listener::SaslPlaintext => "SASL_PLAINTEXT",
            Listener::SaslSsl => "SASL_SSL",
            Listener::Ssl => "SSL",
            Listener::Plaintext => "PLAINTEXT",
        }
    }
}

impl Mechanism {
    fn word(self) -> &'static str {
        match self {
            Self::Gssapi => "GSSAPI",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::Plain => "PLAIN",
        }
    }
}

impl Cluster {
    /// What a client built on librdkafka (rdkafka, kcat) needs to be told. With GSSAPI the process also needs
    /// [`Cluster::env`](crate::Cluster::env).
    ///
    /// # Errors
    /// When the cluster has no such listener.
    pub fn client_settings(&self, access: &Access) -> Result<Vec<(&'static str, String)>> {
        let mut settings = vec![
            ("bootstrap.servers", self.address(access.listener)?),
            ("security.protocol", access.security().to_owned()),
            ("broker.address.family", "v4".to_owned()),
        ];
        if matches!(access.listener, Listener::SaslSsl | Listener::Ssl) {
            settings.push(("ssl.ca.location", self.ca().display().to_string()));
        }
        match (access.listener, access.mechanism) {
            (Listener::Plaintext, _) => {}
            (Listener::Ssl, _) => {
                let (certificate, key) = self.certificate(&access.user);
                ensure!(certificate.is_file(), "there is no certificate of {}", access.user);
                settings.push(("ssl.certificate.location", certificate.display().to_string()));
                settings.push(("ssl.key.location", key.display().to_string()));
            }
            (_, Mechanism::Gssapi) => {
                settings.push(("sasl.mechanism", Mechanism::Gssapi.word().to_owned()));
                settings.push(("sasl.kerberos.service.name", "kafka".to_owned()));
                // No kinit: libkrb5 itself logs in with the keytab and renews.
                settings.push(("sasl.kerberos.min.time.before.relogin", "0".to_owned()));
            }
            (_, mechanism) => {
                settings.push(("sasl.mechanism", mechanism.word().to_owned()));
                settings.push(("sasl.username", access.user.clone()));
                settings.push(("sasl.password", password(&access.user)));
            }
        }
        Ok(settings)
    }
}
