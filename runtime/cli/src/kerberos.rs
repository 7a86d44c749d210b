//! Who this process is to guarded clusters: `[kerberos]` is read and the process logged in before anything else, while there is one thread.

use crate::args::PipelineArgs;
use crate::failure::Failure;
use crate::load;
use crate::terminal::Terminal;
use anyhow::anyhow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stygian_core::escape;
use stygian_kerberos::{Identity, KerberosError, Login, prepare};
use stygian_pipeline::{Pipeline, apply_set};

/// The identity that a pipeline file names; `None`: none, or the file has problems, which are told when it is loaded.
pub(crate) fn identity(args: &PipelineArgs) -> Option<Identity> {
    let (pipeline, _) = Pipeline::parse_sound_parts(&text(args)?).ok()?;
    let kerberos = pipeline.kerberos?;
    let base = args.pipeline.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(Identity {
        principal: kerberos.principal,
        keytab: base.join(kerberos.keytab),
        krb5_conf: kerberos.krb5_conf.map(|conf| base.join(conf)),
        allow_readable_keytab: kerberos.allow_readable_keytab,
    })
}

/// The pipeline file as it is to be read, with what `--set` changes of it; `None`: it cannot be, which is told when it is loaded.
pub(crate) fn text(args: &PipelineArgs) -> Option<String> {
    let text = load::read(&args.pipeline, "the pipeline").ok()?;
    apply_set(&text, &args.sets).ok()
}

/// Logs this process in, if its pipeline says as whom. To be called while it has one thread.
///
/// # Errors
/// When there is no ticket to be had.
pub(crate) fn log_in(args: &PipelineArgs, terminal: &Terminal) -> Result<Option<Arc<Login>>, Failure> {
    let Some(identity) = identity(args) else { return Ok(None) };
    let prepared = prepare(&identity).map_err(|error| failed(&error))?;
    for overwritten in prepared.overwritten() {
        let (variable, value) = (overwritten.variable, escape(&overwritten.value, 200));
        terminal.err(&format!("{variable} was `{value}`, and is not used: [kerberos] says who this job is\n"));
    }
    Ok(Some(Arc::new(prepared.login().map_err(|error| failed(&error))?)))
}

/// Keeps the ticket alive, in the background, to the end of the process.
///
/// # Errors
/// When there can be no thread for it.
pub(crate) fn keep_alive(login: Arc<Login>) -> anyhow::Result<()> {
    let touch = move || {
        let mut told = String::new();
        loop {
            std::thread::sleep(login.touch_interval());
            let (failing, left) = match login.touch() {
                Ok(touch) => (touch.failing, touch.remaining),
                Err(error) => (Some(error), Duration::ZERO),
            };
            let text = failing.map(|error| with_hint(&error)).unwrap_or_default();
            if text != told {
                match text.as_str() {
                    "" => tracing::info!("the Kerberos ticket is renewed again"),
                    text => tracing::warn!("the Kerberos ticket, which lives {} s more, cannot be renewed: {text}", left.as_secs()),
                }
                told = text;
            }
        }
    };
    std::thread::Builder::new().name("kerberos".into()).spawn(touch)?;
    Ok(())
}

/// What is wrong here stays so; a KDC that is away may come back.
fn failed(error: &KerberosError) -> Failure {
    let text = with_hint(error);
    match error {
        KerberosError::KdcAway { .. } => anyhow!(text).into(),
        _ => Failure::input(anyhow!(text)),
    }
}

fn with_hint(error: &KerberosError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}; {}", error.hint())
}
