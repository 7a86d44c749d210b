//! A subtask behind an exchange: takes an element from its inputs and hands it to its chain, until the inputs end.

use crate::chain::Chain;
use crate::checkpoints::Participant;
use crate::error::JobError;
use crate::inputs::Inputs;
use crate::operator::Dropped;
use crate::spec::Target;
use std::time::{Duration, Instant};
use stygian_core::StreamElement;

/// How long to sleep where nothing waits to be sent: any element wakes the task before.
const LONG: Duration = Duration::from_secs(3600);

/// Runs until all inputs have ended.
pub(crate) async fn run(mut inputs: Inputs, mut chain: Chain, mut participant: Option<Participant>) -> Result<Dropped, JobError> {
    chain.begin()?;
    chain.send().await?;
    loop {
        let due = chain.due().unwrap_or_else(|| Instant::now() + LONG);
        let element = tokio::select! {
            biased;
            element = inputs.next() => Some(element?),
            () = tokio::time::sleep_until(due.into()) => None,
            () = chain.timer() => None,
        };
        chain.fire_due()?;
        match element {
            Some(StreamElement::Batch(rows)) => chain.rows(&[Target::Stage(0)], &rows)?,
            Some(StreamElement::Watermark(watermark)) => chain.watermark(watermark)?,
            Some(StreamElement::Barrier(id)) => {
                // First those downstream, so that they need not wait for the snapshot.
                chain.barrier(id)?;
                chain.send().await?;
                if let Some(participant) = &mut participant {
                    let taken = chain.snapshot(id, participant)?;
                    participant.acknowledge(taken);
                }
            }
            Some(StreamElement::Idle) => chain.idle()?,
            Some(StreamElement::EndOfInput) => {
                let taken = participant.as_mut().map(|participant| chain.last_snapshot(participant)).transpose()?;
                let dropped = chain.end()?;
                chain.send().await?;
                return match participant.zip(taken) {
                    // What is held is in the checkpoint.
                    Some((participant, taken)) => participant.ended(taken).await.map(|()| Dropped::default()),
                    None => Ok(dropped),
                };
            }
            None => {}
        }
        chain.release_due()?;
        chain.send().await?;
    }
}
