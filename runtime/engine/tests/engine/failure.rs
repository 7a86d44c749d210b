//! Every failure reaches the job under its own name, and nothing that was not finished becomes visible.

use crate::parts::*;
use arrow_array::RecordBatch;
use stygian_api::ConnectorError;
use stygian_engine::{CallContext, JobError, JobSpec, Operator, OperatorError, Output, Partitioning, Target};

/// Fails or panics on a number.
struct Fragile {
    panics: bool,
}

impl Operator for Fragile {
    fn process(&mut self, rows: RecordBatch, _context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        let bad = keyed_numbers(std::slice::from_ref(&rows), "key", "n").iter().any(|(_, n)| *n == 13);
        if bad && self.panics {
            panic!("thirteen");
        }
        if bad {
            return Err(arrow_schema::ArrowError::ComputeError("thirteen".to_owned()).into());
        }
        out.push(0, rows);
        Ok(())
    }
}

fn behind_an_exchange(panics: bool, out: &Collect) -> JobSpec {
    let fixed = Fixed { endless: true, ..Fixed::of(vec![vec![batch(&[("a", 1, 0)]), batch(&[("a", 2, 1), ("b", 13, 2)])]]) };
    let fragile = stage("fragile", vec![vec![Target::Outlet(0)]], move |_| Ok(Fragile { panics }));
    job(vec![
        task("events", 2, source(fixed, vec![Target::Outlet(0)]), vec![], vec![to(1, Partitioning::Forward)]),
        task("fragile", 2, stygian_engine::Head::Exchange, vec![fragile], vec![sink("out", out)]),
    ])
}

#[test]
fn an_operators_error_names_it_and_its_rows() {
    let out = Collect::default();
    let error = run(behind_an_exchange(false, &out)).expect_err("row 13");
    assert_eq!(error.to_string(), "operator `fragile` (subtask 0) failed on rows 0 to 1 of a batch");
    assert!(error.chain().ends_with("thirteen"), "{}", error.chain());
    assert!(out.rows().is_empty(), "nothing is committed");
}

#[test]
fn a_panic_names_its_task() {
    let error = run(behind_an_exchange(true, &Collect::default())).expect_err("row 13");
    assert!(matches!(&error, JobError::Panic { task, message } if task == "fragile" && message == "thirteen"), "{error:?}");
}

#[test]
fn a_sinks_error_names_its_path() {
    let full = |_: &RecordBatch| std::future::ready(Err(ConnectorError::io("write", "/full/part-0", "no space left on device")));
    let out = Collect::default().before_write(full);
    let fixed = Fixed { endless: true, ..Fixed::of(vec![vec![batch(&[("a", 1, 0)])]]) };
    let spec = job(vec![task("all", 1, source(fixed, vec![Target::Outlet(0)]), vec![], vec![sink("out", &out)])]);
    let error = run(spec).expect_err("the disk is full");
    assert_eq!(error.chain(), "sink `out` failed: could not write /full/part-0: no space left on device");
}

#[test]
fn a_sources_error_names_it() {
    let fixed = Fixed { fails: true, ..Fixed::of(vec![vec![batch(&[("a", 1, 0)])]]) };
    let out = Collect::default();
    let spec = job(vec![task("all", 1, source(fixed, vec![Target::Outlet(0)]), vec![], vec![sink("out", &out)])]);
    let error = run(spec).expect_err("the disk is gone");
    assert_eq!(error.chain(), "source `events` failed: could not read split 0: the disk is gone");
    assert!(out.rows().is_empty(), "an unfinished stream is not committed");
}

#[test]
fn a_job_that_does_not_fit_together_does_not_start() {
    let out = Collect::default();
    let spec = job(vec![task("all", 1, source(Fixed::of(vec![]), vec![Target::Outlet(1)]), vec![], vec![sink("out", &out)])]);
    assert!(matches!(run(spec), Err(JobError::Wiring(_))));
}
