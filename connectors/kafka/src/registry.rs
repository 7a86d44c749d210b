//! A schema registry, as a pipeline file tells of it: by Confluent's REST interface, which others have, too (Apicurio under
//! `/apis/ccompat/v7`, Karapace).

use crate::client::OptionError;
use base64::prelude::{BASE64_STANDARD, Engine};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stygian_api::{Secret, with_causes};
use ureq::Agent;
use ureq::config::Config;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a question may take as a whole.
const ANSWER: Duration = Duration::from_secs(10);
/// How often an answer may be "ask there".
const REDIRECTS: u32 = 3;

/// Where schemas of Avro messages are: `registry = { url = "https://registry:8081", user = "me", password = { file = "password" } }`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Its address, by http or https, with the path that its interface is under, if any.
    pub url: String,
    /// Who asks, by Basic authentication; needs `password`. Default: nobody in particular.
    pub user: Option<String>,
    /// With this password, which is told only inside TLS or on this machine.
    pub password: Option<Secret>,
    /// A PEM file of the certificates that its certificate is signed by. Default: those that the system trusts.
    pub ca: Option<PathBuf>,
}

/// A registry that can be asked.
pub(crate) struct Client {
    pub(crate) agent: Agent,
    /// Without a slash at its end.
    pub(crate) url: String,
    /// The header that says who asks.
    pub(crate) authorization: Option<String>,
}

impl Registry {
    /// A client of it, which has asked nothing yet; paths start at `base`.
    pub(crate) fn client(&self, base: &Path) -> Result<Client, OptionError> {
        let wrong = |message: String| OptionError("registry", message);
        let url = self.checked_url()?;
        let authorization = match (&self.user, &self.password) {
            (Some(user), Some(password)) if !user.contains(':') => {
                let password = password.read(base).map_err(|error| wrong(with_causes(&error)))?;
                Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{}", password.reveal()))))
            }
            (Some(_), Some(_)) => return Err(wrong("a `user` has no colon in it".into())),
            (None, None) => None,
            _ => return Err(wrong("a `user` needs its `password`, and a `password` its `user`".into())),
        };
        let roots = match &self.ca {
            Some(ca) => RootCerts::new_with_certs(&certificates(&base.join(ca))?),
            None => RootCerts::PlatformVerifier,
        };
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
        let config = Config::builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            .max_redirects(REDIRECTS)
            .proxy(None)
            .user_agent("stygian")
            .tls_config(tls)
            .build();
        Ok(Client { agent: config.new_agent(), url, authorization })
    }

    fn checked_url(&self) -> Result<String, OptionError> {
        let wrong = |message: String| Err(OptionError("registry", message));
        let shown = stygian_core::escape(&self.url, 100);
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.contains('@') {
            return wrong("a `url` holds no user and password; they are options of their own".into());
        }
        let is_plain = self.url.chars().all(|c| c.is_ascii_graphic()) && !rest.contains(['?', '#']);
        if !matches!(scheme, "http" | "https") || host.is_empty() || !is_plain {
            return wrong(format!("`{shown}` is no registry's address; write http://host:8081 or https://host:8081"));
        }
        if scheme == "http" && self.ca.is_some() {
            return wrong("`ca` is of TLS, and the `url` is of http; write https".into());
        }
        if scheme == "http" && self.password.is_some() && !is_here(host) {
            return wrong("the password would be sent in the clear; write https in `url`".into());
        }
        Ok(self.url.trim_end_matches('/').to_owned())
    }
}

fn is_here(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, OptionError> {
    let wrong = |reason: String| OptionError("registry", format!("cannot read {}: {reason}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item.map_err(|error| wrong(error.to_string()))? {
            PemItem::Certificate(certificate) => certificates.push(certificate),
            _ => return Err(wrong("it holds something else than certificates".into())),
        }
    }
    if certificates.is_empty() { Err(wrong("it holds no certificate".into())) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stygian_api::Options;

    fn told(text: &str) -> String {
        #[derive(Debug, Deserialize, JsonSchema)]
        struct Node {
            registry: Registry,
        }
        let node: Node = Options::of_text(&format!("registry = {text}")).read().expect("options");
        node.registry.client(Path::new("/no/such/folder")).err().map(|error| error.1).unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases = [
            (r#"{ url = "registry:8081" }"#, "`registry:8081` is no registry's address; write http://host:8081 or https://host:8081"),
            (r#"{ url = "ftp://r" }"#, "`ftp://r` is no registry's address; write http://host:8081 or https://host:8081"),
            (r#"{ url = "http://me:secret@r" }"#, "a `url` holds no user and password; they are options of their own"),
            (r#"{ url = "http://r", ca = "x" }"#, "`ca` is of TLS, and the `url` is of http; write https"),
            (r#"{ url = "https://r", user = "me" }"#, "a `user` needs its `password`, and a `password` its `user`"),
            (
                r#"{ url = "http://r:8081", user = "me", password = { env = "X" } }"#,
                "the password would be sent in the clear; write https in `url`",
            ),
            (
                r#"{ url = "http://localhost:8081", user = "me", password = { env = "STYGIAN_NO_SUCH_SECRET" } }"#,
                "the environment has no variable `STYGIAN_NO_SUCH_SECRET`, which should hold a secret",
            ),
            (r#"{ url = "https://r", ca = "ca.pem" }"#, "cannot read /no/such/folder/ca.pem: No such file or directory (os error 2)"),
            (r#"{ url = "http://localhost:8081/apis/ccompat/v7/" }"#, ""),
        ];
        for (text, expected) in cases {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")];
        for (text, expected) in cases {
            assert_eq!(BASE64_STANDARD.encode(text), expected);
        }
    }
}
