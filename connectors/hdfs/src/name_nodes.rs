//! Each NameNode asked for itself, without going on to the next: who is there, who is active, and what the others say.

use crate::conf::Conf;
use crate::fault::Fault;
use crate::recognise::{Meaning, fault, meaning, words};
use crate::task::{Failed, run};
use futures::future::join_all;
use hdfs_native::{Client, ClientBuilder, HdfsError};
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long one NameNode may take to answer a question about nothing in particular.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a NameNode answered.
#[derive(Debug)]
pub(crate) enum State {
    /// It serves.
    Active,
    /// It is there, and does not serve.
    Standby,
    /// It could not be reached; why.
    Away(String),
    /// There is a connection or not, and no answer.
    Silent,
    /// It serves nobody, or not us.
    Refuses(Fault),
}

/// The addresses of a name with what each answered.
#[derive(Debug)]
pub(crate) struct Asked(pub(crate) Vec<(String, State)>);

/// A client of a name, or of one address.
pub(crate) fn client(conf: &Conf, name: &str, threads: &Handle, only_once: bool) -> Result<Client, HdfsError> {
    let mut all: Vec<(String, String)> = conf.all().map(|(name, value)| (name.clone(), value.clone())).collect();
    if only_once {
        all.push(("dfs.client.failover.max.attempts".to_owned(), "0".to_owned()));
    }
    let mut builder = ClientBuilder::new().with_url(format!("hdfs://{name}")).with_config(all).with_io_runtime(threads.clone());
    if let Some(folder) = &conf.folder {
        // Otherwise the library would take the environment's folder, and what is not said in ours would come from there.
        builder = builder.with_config_dir(folder.display().to_string());
    }
    builder.build()
}

/// Asks all addresses of a name at once.
pub(crate) async fn ask(conf: &Conf, name: &str, threads: &Handle) -> Asked {
    let one = |address: String| async move {
        let state = ask_one(conf, &address, threads).await;
        (address, state)
    };
    Asked(join_all(conf.name_nodes(name).into_iter().map(one)).await)
}

async fn ask_one(conf: &Conf, address: &str, threads: &Handle) -> State {
    let client = match client(conf, address, threads, true) {
        Ok(client) => client,
        Err(error) => return State::Refuses(fault(&error, "/", conf)),
    };
    match run(threads, Instant::now() + PATIENCE, async move { client.get_file_info("/").await.map(|_| ()) }).await {
        Ok(()) => State::Active,
        Err(Failed::Late(_)) => State::Silent,
        Err(Failed::Panicked(text)) => State::Refuses(Fault::Panicked { text }),
        // So it does with who comes without the login that it wants.
        Err(Failed::Library(HdfsError::IOError(error))) if error.kind() == ErrorKind::ConnectionAborted && !conf.is_kerberos() => {
            let text =
                format!("it ends the connection, and hadoop.security.authentication in {} is `{}`", conf.shown(), conf.authentication());
            State::Refuses(Fault::LoginRefused { text })
        }
        Err(Failed::Library(HdfsError::IOError(error))) => State::Away(words(&error.to_string())),
        Err(Failed::Library(error)) if meaning(&error) == Meaning::NotDone => State::Standby,
        // It answers as the one that serves, whatever we may do there.
        Err(Failed::Library(error)) => match fault(&error, "/", conf) {
            Fault::NotAllowed { .. } | Fault::SafeMode { .. } => State::Active,
            fault => State::Refuses(fault),
        },
    }
}

impl Asked {
    /// Each with its answer, for people.
    pub(crate) fn told(&self) -> Vec<String> {
        let told = |(address, state): &(String, State)| match state {
            State::Active => format!("{address} is active"),
            State::Standby => format!("{address} is standby"),
            State::Away(why) => format!("{address}: {why}"),
            State::Silent => format!("{address} gives no answer within {} s", PATIENCE.as_secs()),
            State::Refuses(fault) => format!("{address}: {fault}"),
        };
        self.0.iter().map(told).collect()
    }

    /// The address of the active one.
    pub(crate) fn active(&self) -> Option<&str> {
        self.0.iter().find(|(_, state)| matches!(state, State::Active)).map(|(address, _)| address.as_str())
    }

    /// Why a call had no answer within a time.
    pub(crate) fn fault(self, limit: Duration) -> Fault {
        let asked = self.told();
        let mut states = self.0.iter().map(|(_, state)| state);
        if self.active().is_some() || states.clone().any(|state| matches!(state, State::Silent)) {
            return Fault::Late { limit, asked };
        }
        if states.clone().any(|state| matches!(state, State::Standby)) {
            return Fault::NoActive { asked };
        }
        if states.all(|state| matches!(state, State::Away(_))) {
            return Fault::Away { asked };
        }
        let refused = |(_, state)| if let State::Refuses(fault) = state { Some(fault) } else { None };
        self.0.into_iter().find_map(refused).unwrap_or(Fault::Away { asked })
    }
}
