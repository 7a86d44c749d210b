//! What a registry is asked, and what its answers mean: what it does not have, what it refuses, and what may pass.

use crate::registry::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use stygian_api::ConnectorError;
use stygian_formats::MAX_SCHEMA_BYTES;
use ureq::http::Response;
use ureq::{Body, Error};

/// The longest answer: a schema as a JSON text is up to twice as long.
const MOST: u64 = 2 * MAX_SCHEMA_BYTES as u64 + 64 * 1024;
/// How long to wait before asking again, at first and at most.
pub(crate) const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The media type of the interface.
const MEDIA: &str = "application/vnd.schemaregistry.v1+json";

/// A schema as a registry has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Registered {
    /// As JSON.
    pub(crate) schema: String,
    /// "AVRO" unless said.
    #[serde(rename = "schemaType")]
    pub(crate) kind: Option<String>,
    /// Schemas that it names types of.
    #[serde(default)]
    pub(crate) references: Vec<Reference>,
    /// In its subject, where it was asked for by that.
    pub(crate) version: Option<u32>,
    pub(crate) id: Option<u32>,
}

/// A schema that another one names a type of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Reference {
    pub(crate) subject: String,
    pub(crate) version: u32,
}

/// What a registry says to what it does not do.
#[derive(Debug, Default, Deserialize)]
struct Complaint {
    #[serde(default)]
    error_code: u32,
    #[serde(default)]
    message: String,
}

/// Why there is no answer, as the cause of an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);

impl Client {
    /// The schema of an id; `None`: there is none.
    pub(crate) fn schema(&self, id: u32) -> Result<Option<Registered>, ConnectorError> {
        self.ask(&format!("schema {id}"), &format!("/schemas/ids/{id}"), None)
    }

    /// The newest schema of a subject; `None`: there is no such subject.
    pub(crate) fn latest(&self, subject: &str) -> Result<Option<Registered>, ConnectorError> {
        self.ask(&format!("the latest schema of subject `{subject}`"), &format!("/subjects/{}/versions/latest", escaped(subject)), None)
    }

    /// A version of a subject; `None`: there is no such subject, or version.
    pub(crate) fn version(&self, of: &Reference) -> Result<Option<Registered>, ConnectorError> {
        let Reference { subject, version } = of;
        self.ask(&format!("version {version} of subject `{subject}`"), &format!("/subjects/{}/versions/{version}", escaped(subject)), None)
    }

    /// The id of a schema in a subject, which has it from now on.
    pub(crate) fn register(&self, subject: &str, schema: &str) -> Result<u32, ConnectorError> {
        let what = format!("to register a schema in subject `{subject}`");
        let answer: Option<Id> =
            self.ask(&what, &format!("/subjects/{}/versions", escaped(subject)), Some(&json!({ "schema": schema })))?;
        answer.map(|answer| answer.id).ok_or_else(|| self.refused(&what, "it does not know how".into(), "look at `url`"))
    }

    /// The id of a schema in a subject; `None`: it is not there.
    pub(crate) fn look_up(&self, subject: &str, schema: &str) -> Result<Option<u32>, ConnectorError> {
        let what = format!("for a schema in subject `{subject}`");
        let answer: Option<Id> = self.ask(&what, &format!("/subjects/{}", escaped(subject)), Some(&json!({ "schema": schema })))?;
        Ok(answer.map(|answer| answer.id))
    }

    /// Asks once. `None`: it says that there is no such thing.
    fn ask<T: for<'de> Deserialize<'de>>(&self, what: &str, path: &str, body: Option<&Value>) -> Result<Option<T>, ConnectorError> {
        let url = format!("{}{path}", self.url);
        let authorized = |key: &str| self.authorization.as_ref().map(|value| (key.to_owned(), value.clone()));
        let answer = match body {
            None => {
                let request = self.agent.get(&url).header("Accept", MEDIA);
                let request = match authorized("Authorization") {
                    Some((key, value)) => request.header(key, value),
                    None => request,
                };
                request.call()
            }
            Some(body) => {
                let request = self.agent.post(&url).header("Accept", MEDIA).content_type(MEDIA);
                let request = match authorized("Authorization") {
                    Some((key, value)) => request.header(key, value),
                    None => request,
                };
                request.send(body.to_string())
            }
        };
        let mut answer = answer.map_err(|error| self.failed(what, &error))?;
        let status = answer.status().as_u16();
        let bytes = read(&mut answer).map_err(|error| self.failed(what, &error))?;
        if status == 200 {
            let odd = |error: serde_json::Error| {
                self.refused(what, format!("its answer is none of a registry's: {error}"), "look at `url`, which may need a path")
            };
            return serde_json::from_slice(&bytes).map(Some).map_err(odd);
        }
        let complaint: Complaint = serde_json::from_slice(&bytes).unwrap_or_default();
        if status == 404 && matches!(complaint.error_code, 40401..=40403) {
            return Ok(None);
        }
        Err(self.complained(what, status, &complaint))
    }

    fn complained(&self, what: &str, status: u16, complaint: &Complaint) -> ConnectorError {
        let words = match complaint.message.as_str() {
            "" => format!("it answers {status}"),
            words => format!("it answers {status}: {}", stygian_core::escape(words, 600)),
        };
        match status {
            401 | 403 => self.refused(what, words, "look at `user` and `password` of `registry`, and what they may do there"),
            404 | 405 => self.refused(what, words, "look at `url` of `registry`, which may need a path"),
            409 => self.refused(
                what,
                format!("the schema is not compatible with those that the subject has; {words}"),
                "make the columns what readers of the subject can take, or write to another `subject`",
            ),
            408 | 429 | 500.. => ConnectorError::io("ask", self.asked(what), Words(format!("{words}; look whether it is well"))),
            _ => self.refused(what, words, "look at `registry` and `subject`"),
        }
    }

    /// There was no answer.
    fn failed(&self, what: &str, error: &Error) -> ConnectorError {
        match error {
            Error::BodyExceedsLimit(most) => self.refused(what, format!("its answer has more than {most} bytes"), "look at `url`"),
            Error::NativeTls(_) | Error::Tls(_) | Error::Der(_) | Error::Pem(_) => {
                self.refused(what, error.to_string(), "look at `ca` of `registry`, and at the name in its certificate")
            }
            Error::TooManyRedirects | Error::RedirectFailed | Error::BadUri(_) | Error::Protocol(_) | Error::Http(_) => {
                self.refused(what, error.to_string(), "look at `url` of `registry`")
            }
            other => {
                let hint = "look whether it runs, and at `url` of `registry`";
                ConnectorError::io("ask", self.asked(what), Words(format!("{}; {hint}", stygian_core::escape(&other.to_string(), 300))))
            }
        }
    }

    fn refused(&self, what: &str, reason: String, hint: &str) -> ConnectorError {
        ConnectorError::refused(format!("cannot ask {}", self.asked(what)), reason, hint)
    }

    fn asked(&self, what: &str) -> String {
        let what = if what.starts_with("to ") || what.starts_with("for ") { what.to_owned() } else { format!("for {what}") };
        format!("the schema registry at {} {what}", self.url)
    }
}

#[derive(Deserialize)]
struct Id {
    id: u32,
}

fn read(answer: &mut Response<Body>) -> Result<Vec<u8>, Error> {
    answer.body_mut().with_config().limit(MOST).read_to_vec()
}

/// Asks again while what fails may pass, and there is time. Blocks.
pub(crate) fn patiently<T>(within: Duration, mut ask: impl FnMut() -> Result<T, ConnectorError>) -> Result<T, ConnectorError> {
    let (until, mut pause) = (Instant::now() + within, PAUSES.0);
    loop {
        match ask() {
            Err(error) if error.may_pass() && Instant::now() + pause < until => {
                tracing::debug!("{error}");
                std::thread::sleep(pause);
                pause = (pause * 2).min(PAUSES.1);
            }
            answer => return answer,
        }
    }
}

/// As a part of a path: RFC 3986's unreserved characters, the others as bytes in hex.
fn escaped(subject: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    subject.bytes().map(escape).collect()
}
