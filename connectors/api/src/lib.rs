//! What a connector and a format are: the traits between the engine and the outside world.
//!
//! A [`Connector`] turns the options of a pipeline node into a [`Source`] or a [`Sink`]. A source names its splits and opens a
//! [`SplitReader`] on each, which fetches raw [`Messages`] (decoded later by a [`Decoder`], on the compute threads) or finished
//! columns. A sink opens a [`SinkWriter`] a subtask; what the writer has finished waits as [`Pending`] until the [`Committer`] makes
//! it visible. Nothing here knows of the engine, of plugins or of any one connector.

mod commit_point;
pub mod conformance;
mod connector;
mod error;
mod format;
mod options;
mod probe;
mod problem;
mod secret;
mod sink;
mod source;

pub use commit_point::{CommitError, CommitPoint, CommitRecord};
pub use connector::{Connector, ConnectorContext, HdfsContext, in_hdfs};
pub use error::{ConnectorError, with_causes};
pub use format::{BadRow, Decoded, Decoder, Encoder, Messages};
pub use options::{Options, OptionsDoc, suggest};
pub use probe::Probe;
pub use problem::{Problem, Problems};
pub use secret::{Secret, SecretError, SecretText};
pub use sink::{Accepts, Committer, Merged, Orphan, Pending, Sink, SinkContext, SinkWriter};
pub use source::{Fetched, Mark, Source, Split, SplitProgress, SplitReader};
