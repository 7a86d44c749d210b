//! `stygian test`: a pipeline run on given rows, and what comes out compared with what is expected.
//!
//! The way of a case: `file` (text -> cases, every problem with its place) -> `rows` (values -> columns) -> `play` (the real plan, engine and
//! sandbox, with sources that give what the case says and sinks that keep what they get, on one thread, step by step) -> `compare` ->
//! `report`. No clock of the machine has a part in it: event time comes from the rows and from the case, processing time from the case.

mod compare;
mod file;
mod place;
mod play;
mod report;
mod rows;
mod script;
mod streams;
mod values;

pub(crate) use script::Script;

use crate::args::{CasesArgs, OutputStyle};
use crate::failure::Failure;
use crate::load::load_on_given_rows;
use crate::terminal::Terminal;
use file::CaseFile;
use report::{Outcome, Report};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use stygian_api::Problems;
use stygian_pipeline::render;

/// Runs every case; the status is 1 where one fails.
pub(crate) fn test(args: &CasesArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let mut report = Report::default();
    for path in files(args)? {
        let file = read(&path, terminal)?;
        play_file(args, &file, terminal, &mut report)?;
    }
    if report.outcomes.is_empty() {
        let wanted = args.only.as_deref().unwrap_or_default();
        return Err(Failure::Input(format!("error: there is no case whose name contains `{wanted}`\n")));
    }
    match args.pipeline.output {
        OutputStyle::Json => terminal.out(&format!("{:#}\n", report.json(&args.pipeline.pipeline)))?,
        OutputStyle::Text => terminal.out(&report.summary())?,
    }
    Ok(if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files with cases: those named, or the one beside the pipeline.
fn files(args: &CasesArgs) -> Result<Vec<PathBuf>, Failure> {
    if !args.cases.is_empty() {
        return Ok(args.cases.clone());
    }
    let beside = args.pipeline.pipeline.with_extension("test.toml");
    if beside.is_file() {
        return Ok(vec![beside]);
    }
    let (pipeline, beside) = (args.pipeline.pipeline.display(), beside.display());
    Err(Failure::Input(format!(
        "error: there are no cases for {pipeline}: write them to {beside}, or name their file with `--case`; `stygian help test` shows one\n"
    )))
}

fn read(path: &Path, terminal: &Terminal) -> Result<CaseFile, Failure> {
    let text = crate::load::read(path, "the cases").map_err(Failure::input)?;
    CaseFile::parse(path, &text).map_err(|problems| shown(&problems, &text, path, terminal))
}

fn shown(problems: &Problems, text: &str, path: &Path, terminal: &Terminal) -> Failure {
    Failure::Input(render(problems, text, &path.display().to_string(), terminal.err_has_color()))
}

/// Plays the cases of one file, telling each as it ends.
fn play_file(args: &CasesArgs, file: &CaseFile, terminal: &Terminal, report: &mut Report) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut loaded = runtime.block_on(load_on_given_rows(&args.pipeline, terminal, &file.schemas))?;
    let ready = streams::ready(file, &mut loaded).map_err(|problems| shown(&problems, &file.text, &file.path, terminal))?;
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    for case in ready.iter().filter(|case| wanted(&case.name)) {
        let outcome = Outcome { file: file.path.clone(), name: case.name.clone(), result: play::play(&loaded, case)? };
        if args.pipeline.output == OutputStyle::Text {
            terminal.out(&outcome.text())?;
        }
        report.outcomes.push(outcome);
    }
    Ok(())
}
