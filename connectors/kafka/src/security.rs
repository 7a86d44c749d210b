//! How a cluster is reached and who we are to it.

use crate::client::OptionError;
use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use stygian_api::Secret;

/// What connections are guarded by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Nothing.
    #[default]
    Plaintext,
    /// TLS; the client is known by its certificate, if it has one.
    Ssl,
    /// A login (`mechanism`) without TLS.
    SaslPlaintext,
    /// A login (`mechanism`) inside TLS.
    SaslSsl,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

/// How a login goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// By Kerberos, as the principal of `[kerberos]`.
    #[default]
    #[serde(rename = "gssapi")]
    Gssapi,
    /// By user name and password, which stays with us.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// The same with a longer hash.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
    /// By user name and password, which the broker is told; only inside TLS.
    #[serde(rename = "plain")]
    Plain,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Gssapi => "GSSAPI",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::Plain => "PLAIN",
        }
    }
}

/// How a cluster is reached: `security = { protocol = "sasl_ssl", ca = "/etc/ssl/kafka-ca.pem" }`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// What connections are guarded by. Default: "plaintext".
    #[serde(default)]
    pub protocol: Protocol,
    /// How a login goes, with a `protocol` that has one. Default: "gssapi".
    pub mechanism: Option<Mechanism>,
    /// The first part of the brokers' principals, "kafka" of "kafka/broker1@REALM". Default: "kafka".
    pub service: Option<String>,
    /// A PEM file of the certificates that brokers' certificates are signed by. Default: those that the system trusts.
    pub ca: Option<PathBuf>,
    /// A PEM file of our own certificate, with those that lead to the one the broker trusts.
    pub certificate: Option<PathBuf>,
    /// A PEM file of the key to our certificate.
    pub key: Option<PathBuf>,
    /// What the key is encrypted with.
    pub key_password: Option<Secret>,
    /// Who logs in by scram or plain.
    pub username: Option<String>,
    /// With this password.
    pub password: Option<Secret>,
    /// Whether a broker's certificate must be for the host name that it was reached by. Default: true. Without it whoever has any certificate of the
    /// same authority can pretend to be a broker.
    pub verify_hostname: Option<bool>,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol.name())?;
        if self.protocol.is_sasl() { write!(f, "/{}", self.mechanism().name()) } else { Ok(()) }
    }
}

impl Security {
    /// How a login goes.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism.unwrap_or_default()
    }

    /// Whether it takes a Kerberos ticket.
    pub fn is_kerberos(&self) -> bool {
        self.protocol.is_sasl() && self.mechanism() == Mechanism::Gssapi
    }

    /// Sets it; paths start at `base`.
    pub(crate) fn apply(&self, base: &Path, config: &mut ClientConfig) -> Result<(), OptionError> {
        self.check()?;
        config.set("security.protocol", self.protocol.name());
        if self.protocol.is_tls() {
            self.apply_tls(base, config)?;
        }
        if self.protocol.is_sasl() {
            self.apply_sasl(base, config)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), OptionError> {
        let wrong = |message: String| Err(OptionError("security", message));
        let tls = self.ca.is_some() || self.certificate.is_some() || self.key.is_some() || self.verify_hostname.is_some();
        let protocol = self.protocol.name();
        if tls && !self.protocol.is_tls() {
            return wrong(format!("`ca`, `certificate`, `key` and `verify_hostname` are of TLS, and protocol = \"{protocol}\" has none"));
        }
        if !self.protocol.is_sasl() && (self.mechanism.is_some() || self.username.is_some() || self.password.is_some()) {
            return wrong(format!("`mechanism`, `username` and `password` are of a login, and protocol = \"{protocol}\" has none"));
        }
        if self.certificate.is_some() != self.key.is_some() {
            return wrong("a `certificate` needs its `key`, and a `key` its `certificate`".into());
        }
        let by_password = self.protocol.is_sasl() && self.mechanism() != Mechanism::Gssapi;
        if by_password != (self.username.is_some() && self.password.is_some()) && self.protocol.is_sasl() {
            let mechanism = self.mechanism().name();
            let needs = if by_password { "needs" } else { "takes the principal of [kerberos], and no" };
            return wrong(format!("{mechanism} {needs} `username` and `password`"));
        }
        if self.mechanism() == Mechanism::Plain && self.protocol == Protocol::SaslPlaintext {
            return wrong("mechanism = \"plain\" would send the password in the clear; use protocol = \"sasl_ssl\", or scram".into());
        }
        Ok(())
    }

    fn apply_tls(&self, base: &Path, config: &mut ClientConfig) -> Result<(), OptionError> {
        for (key, path) in [("ssl.ca.location", &self.ca), ("ssl.certificate.location", &self.certificate), ("ssl.key.location", &self.key)]
        {
            let Some(path) = path else { continue };
            let path = base.join(path);
            std::fs::File::open(&path).map_err(|error| OptionError("security", format!("cannot read {}: {error}", path.display())))?;
            config.set(key, path.to_string_lossy());
        }
        if let Some(secret) = &self.key_password {
            config.set("ssl.key.password", read(secret, base)?);
        }
        if self.verify_hostname == Some(false) {
            config.set("ssl.endpoint.identification.algorithm", "none");
        }
        Ok(())
    }

    fn apply_sasl(&self, base: &Path, config: &mut ClientConfig) -> Result<(), OptionError> {
        config.set("sasl.mechanism", self.mechanism().name());
        if self.mechanism() == Mechanism::Gssapi {
            config.set("sasl.kerberos.service.name", self.service.as_deref().unwrap_or("kafka"));
            // The process has its ticket from elsewhere; librdkafka would run kinit.
            config.set("sasl.kerberos.min.time.before.relogin", "0");
        }
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            config.set("sasl.username", username).set("sasl.password", read(password, base)?);
        }
        Ok(())
    }
}

fn read(secret: &Secret, base: &Path) -> Result<String, OptionError> {
    let read = secret.read(base).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        OptionError("security", format!("{error}{cause}"))
    })?;
    Ok(read.reveal().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stygian_api::Options;

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Node {
        security: Security,
    }

    fn told(text: &str) -> String {
        let node: Node = Options::of_text(&format!("security = {text}")).read().expect("options");
        node.security.apply(Path::new("."), &mut ClientConfig::new()).expect_err("refused").1
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let cases = [
            (r#"{ ca = "x" }"#, "`ca`, `certificate`, `key` and `verify_hostname` are of TLS, and protocol = \"plaintext\" has none"),
            (
                r#"{ protocol = "ssl", mechanism = "gssapi" }"#,
                "`mechanism`, `username` and `password` are of a login, and protocol = \"ssl\" has none",
            ),
            (r#"{ protocol = "ssl", key = "x" }"#, "a `certificate` needs its `key`, and a `key` its `certificate`"),
            (r#"{ protocol = "sasl_ssl", mechanism = "plain" }"#, "PLAIN needs `username` and `password`"),
            (
                r#"{ protocol = "sasl_ssl", username = "me", password = { env = "X" } }"#,
                "GSSAPI takes the principal of [kerberos], and no `username` and `password`",
            ),
            (
                r#"{ protocol = "sasl_plaintext", mechanism = "plain", username = "me", password = { env = "X" } }"#,
                "mechanism = \"plain\" would send the password in the clear; use protocol = \"sasl_ssl\", or scram",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn kerberos_leaves_the_login_to_the_process() {
        let mut config = ClientConfig::new();
        let security = Security { protocol: Protocol::SaslPlaintext, ..Security::default() };
        security.apply(Path::new("."), &mut config).expect("fine");
        assert!(security.is_kerberos());
        assert_eq!(config.get("sasl.mechanism"), Some("GSSAPI"));
        assert_eq!(config.get("sasl.kerberos.min.time.before.relogin"), Some("0"));
        assert_eq!(security.to_string(), "sasl_plaintext/GSSAPI");
    }
}
