//! Kerberos for a process that runs for weeks: a login from a keytab at start-up, kept alive, and errors that say what is wrong.
//!
//! One process has one identity. [`prepare`] points MIT krb5 to the identity's keytab and to a private ticket cache in memory, before any thread
//! exists; [`Prepared::login`] takes the named principal's ticket at once, so that a wrong keytab fails now and not an hour later;
//! [`Login::touch`], called in the background, lets MIT renew it in time. librdkafka and hdfs-native then use the process's default
//! credential and need nothing else: no kinit, no ticket file, no password.
//!
//! What goes wrong comes out as a [`KerberosError`], whose variant is the cause and whose `hint` says what to do; causes are also recognised
//! in the texts of those two libraries ([`KerberosError::from_text`]). [`doctor`] walks through all that Kerberos needs, step by step.
//!
//! From the ground up: `principal` and `keytab` read what people and files write, `mit` calls the libraries, `config` asks krb5.conf, `cause` and `facts`
//! turn a library's status into an error, `identity` and `login` are the way in, `der` and `probe` ask a KDC for its time, `doctor` uses
//! them all.

mod cause;
mod config;
mod der;
pub mod doctor;
mod error;
mod facts;
mod hint;
mod identity;
mod keytab;
mod login;
mod mit;
mod principal;
mod probe;

pub use error::KerberosError;
pub use identity::{Identity, Overwritten, Prepared, prepare};
pub use keytab::KeytabKey;
pub use login::{Login, ServiceTicket, Ticket, Touch};
pub use mit::ending::leave;
