//! Waiting for schemas: messages are held back until the registry was asked for every id in them.
//!
//! A fetch waits only a moment; the asking goes on beside it, one question after the other, with pauses where the registry is away, until an
//! answer comes or patience ends.

use crate::avro::told;
use crate::client::PATIENCE;
use crate::queue::Taken;
use crate::registry_client::PAUSES;
use crate::schemas::Schemas;
use std::sync::Arc;
use std::time::Duration;
use stygian_api::ConnectorError;
use stygian_formats::avro_framed;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How a reader of Avro messages learns their schemas.
pub(crate) struct Learning {
    schemas: Arc<Schemas>,
    held: Option<Held>,
}

/// Messages that wait.
struct Held {
    taken: Taken,
    ids: Vec<u32>,
    asking: Option<JoinHandle<Result<(), ConnectorError>>>,
    until: Instant,
    /// When to ask again, and how long to wait after that.
    again: (Instant, Duration),
}

impl Learning {
    pub(crate) fn new(schemas: Arc<Schemas>) -> Self {
        Self { schemas, held: None }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.held.is_some()
    }

    /// What was taken, if all its schemas are known; else it is held back.
    pub(crate) fn pass(&mut self, taken: Taken) -> Option<Taken> {
        let ids = self.schemas.unknown(ids(&taken));
        if ids.is_empty() {
            return Some(taken);
        }
        let now = Instant::now();
        self.held = Some(Held { taken, ids, asking: None, until: now + PATIENCE, again: (now, PAUSES.0) });
        None
    }

    /// Waits a moment; gives back what was held once all its schemas are known.
    pub(crate) async fn wait(&mut self, moment: Duration) -> Result<Option<Taken>, ConnectorError> {
        let Some(held) = &mut self.held else { return Ok(None) };
        let is_known = held.step(&self.schemas, moment).await?;
        Ok(if is_known { self.held.take().map(|held| held.taken) } else { None })
    }
}

/// The ids in the frames of messages, each once; mostly one.
fn ids(taken: &Taken) -> Vec<u32> {
    let (mut ids, mut last) = (Vec::new(), None);
    for range in &taken.ranges {
        let Some(Ok((id, _))) = taken.payloads.get(range.clone()).map(avro_framed) else { continue };
        if last != Some(id) {
            ids.push(id);
            last = Some(id);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl Held {
    async fn step(&mut self, schemas: &Arc<Schemas>, moment: Duration) -> Result<bool, ConnectorError> {
        let now = Instant::now();
        if self.asking.is_none() && now < self.again.0 {
            tokio::time::sleep_until(self.again.0.min(now + moment)).await;
            return Ok(false);
        }
        let asking = self.asking.get_or_insert_with(|| {
            let (schemas, ids) = (schemas.clone(), self.ids.clone());
            tokio::task::spawn_blocking(move || schemas.learn(&schemas.unknown(ids)))
        });
        let Ok(answered) = tokio::time::timeout(moment, asking).await else { return Ok(false) };
        self.asking = None;
        match answered {
            Ok(Ok(())) => Ok(true),
            Ok(Err(error)) if error.may_pass() && Instant::now() < self.until => {
                tracing::warn!("{}; asking again", told(&error));
                let pause = self.again.1;
                self.again = (Instant::now() + pause, (pause * 2).min(PAUSES.1));
                Ok(false)
            }
            Ok(Err(error)) => Err(error),
            Err(error) => Err(ConnectorError::io("ask", "the schema registry", error)),
        }
    }
}
