//! The schemas that a source's messages were written by, learned from the registry as their ids come up.
//!
//! Readers learn (`learning`), on threads that may wait; decoders look up what was learned, on threads that may not. What messages are handed
//! on for was asked before, so an id that is not here is one that the registry does not have.

use crate::registry::Client;
use crate::registry_client::{Reference, Registered};
use crate::registry_references::inlined;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use stygian_api::ConnectorError;
use stygian_formats::{WriterSchema, WriterSchemas};

/// How long "there is none" is believed.
const NONE_FOR: Duration = Duration::from_secs(30);
/// Ids that may be remembered beside those of good schemas; beyond that they are asked for anew.
pub(crate) const MOST: usize = if cfg!(test) { 100 } else { 10_000 };
/// Schemas that one may refer to, directly or not.
const MOST_REFERENCES: usize = 100;

/// See the module's text.
pub(crate) struct Schemas {
    pub(crate) client: Client,
    known: RwLock<HashMap<u32, Entry>>,
}

#[derive(Clone)]
enum Entry {
    Good(Arc<WriterSchema>),
    /// Why messages of it cannot be read.
    Bad(Arc<str>),
    /// The registry had none then.
    None(Instant),
}

impl Entry {
    fn is_there(&self) -> bool {
        !matches!(self, Self::None(_))
    }

    fn is_good(&self) -> bool {
        matches!(self, Self::Good(_))
    }
}

impl Schemas {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, known: RwLock::default() }
    }

    /// Of these ids, those to ask for.
    pub(crate) fn unknown(&self, ids: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let is_known = |id: &u32| match known.get(id) {
            Some(Entry::None(when)) => when.elapsed() < NONE_FOR,
            Some(_) => true,
            None => false,
        };
        ids.into_iter().filter(|id| !is_known(id)).collect()
    }

    /// Asks for these, once each. Blocks.
    pub(crate) fn learn(&self, ids: &[u32]) -> Result<(), ConnectorError> {
        for id in ids {
            let entry = match self.client.schema(*id)? {
                Some(registered) => match self.read(&registered)? {
                    Ok(schema) => Entry::Good(Arc::new(schema)),
                    Err(reason) => Entry::Bad(reason.into()),
                },
                None => Entry::None(Instant::now()),
            };
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            // Those that there are stay, however many that there are not come up: what is held back for them must find them.
            for worth in [Entry::is_there, Entry::is_good] {
                if known.len() >= MOST {
                    known.retain(|_, entry| worth(entry));
                }
            }
            known.insert(*id, entry);
        }
        Ok(())
    }

    /// What the registry has, as a schema; or why it is none. Blocks, where it refers to others.
    pub(crate) fn read(&self, registered: &Registered) -> Result<Result<WriterSchema, String>, ConnectorError> {
        if let Some(kind) = registered.kind.as_ref().filter(|kind| *kind != "AVRO") {
            return Ok(Err(format!("it is of {}, not of Avro", stygian_core::escape(kind, 20))));
        }
        if registered.references.is_empty() {
            return Ok(WriterSchema::read(&registered.schema));
        }
        let mut texts = Vec::new();
        if let Err(reason) = self.referred(&registered.references, &mut texts, &mut Vec::new())? {
            return Ok(Err(reason));
        }
        Ok(inlined(&registered.schema, &texts).and_then(|schema| WriterSchema::read(&schema)))
    }

    /// The texts of what is referred to, each after those that it refers to itself.
    fn referred(
        &self,
        references: &[Reference],
        texts: &mut Vec<String>,
        seen: &mut Vec<Reference>,
    ) -> Result<Result<(), String>, ConnectorError> {
        for reference in references {
            if seen.contains(reference) {
                continue;
            }
            if seen.len() >= MOST_REFERENCES {
                return Ok(Err(format!("it refers to more than {MOST_REFERENCES} others")));
            }
            seen.push(reference.clone());
            let Some(found) = self.client.version(reference)? else {
                let Reference { subject, version } = reference;
                return Ok(Err(format!("it refers to version {version} of subject `{subject}`, which the registry does not have")));
            };
            if let Err(reason) = self.referred(&found.references, texts, seen)? {
                return Ok(Err(reason));
            }
            texts.push(found.schema);
        }
        Ok(Ok(()))
    }
}

impl WriterSchemas for Schemas {
    fn writer(&self, id: u32) -> Result<Arc<WriterSchema>, String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(&id) {
            Some(Entry::Good(schema)) => Ok(schema.clone()),
            Some(Entry::Bad(reason)) => Err(stygian_core::escape(&format!("schema {id} cannot be used: {reason}"), 300)),
            Some(Entry::None(_)) | None => Err(format!("the registry at {} has no schema with id {id}", self.client.url)),
        }
    }
}
