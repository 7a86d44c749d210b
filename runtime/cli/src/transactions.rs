//! `stygian transactions`: the transactions that a pipeline's job commits by, looked at and ended from outside the job.

use crate::args::{OutputStyle, TransactionsCommand};
use crate::commit_point;
use crate::durable::Durable;
use crate::failure::Failure;
use crate::kerberos;
use crate::load::load;
use crate::terminal::Terminal;
use anyhow::anyhow;
use serde_json::json;
use std::sync::Arc;
use stygian_api::{CommitPoint, CommitRecord};

/// Runs one of the commands.
pub(crate) fn run(command: &TransactionsCommand, terminal: &Terminal) -> Result<(), Failure> {
    let (TransactionsCommand::List(args) | TransactionsCommand::Abort(args)) = command;
    kerberos::log_in(args, terminal)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let loaded = runtime.block_on(load(args, terminal))?;
    let Some(point) = loaded.commit_point.clone() else {
        let reason = "no sink of it writes by transactions: it has no sink of Kafka, no [checkpoint], or mode = \"at-least-once\"";
        return Err(Failure::input(anyhow!("job `{}` has no transactions: {reason}", loaded.plan.name)));
    };
    let aborts = matches!(command, TransactionsCommand::Abort(_));
    // Held while its transactions are ended: whoever runs the job on this machine holds it.
    let _lock = if aborts { Durable::open(&loaded)? } else { None };
    let record = runtime.block_on(record(&point, aborts))?;
    let committed = record.as_ref().map_or_else(|| "nothing was committed yet".to_owned(), |record| format!("{record} was committed last"));
    match args.output {
        OutputStyle::Json => {
            let record = record.map(|record| json!({ "job": record.job, "checkpoint": record.checkpoint }));
            let told = json!({ "job": loaded.plan.name, "transactional_ids": point.ids(), "committed": record, "aborted": aborts });
            terminal.out(&format!("{told}\n"))?;
        }
        OutputStyle::Text if aborts => {
            terminal.out(&format!("{}: what was open is aborted, and whoever had them is fenced; {committed}\n", point.name()))?;
        }
        OutputStyle::Text => terminal.out(&format!("{}: {committed}\n", point.name()))?,
    }
    Ok(())
}

async fn record(point: &Arc<dyn CommitPoint>, aborts: bool) -> Result<Option<CommitRecord>, Failure> {
    if aborts { commit_point::fence(&**point).await } else { commit_point::asked(point.look().await) }
}
