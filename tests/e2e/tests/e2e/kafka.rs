//! Cases over a real Kafka cluster behind Kerberos.

use std::sync::OnceLock;
use stygian_cluster::Options;
use stygian_e2e::Rig;

/// The cluster that all share who do not break it.
pub(crate) fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| Rig::start(&Options::default()).expect("a cluster"))
}

#[test]
fn a_case_reads_and_writes_topics() {
    for parallelism in [1, 3] {
        rig().case("behaviour").expect("a case").check(parallelism).expect("as expected");
    }
}

#[test]
fn a_job_that_is_killed_loses_and_doubles_nothing_in_topics() {
    let case = rig().case("behaviour").expect("a case");
    let killed = case.check_killed(3, 7, 5).expect("as expected");
    assert!(killed.times > 0, "it was never killed");
}

#[test]
fn a_job_is_killed_around_its_transactions() {
    let case = rig().case("behaviour").expect("a case");
    let points = ["ended", "transaction-open", "transaction-committed", "manifest-written", "transaction-open"];
    case.check_killed_at(1, &points).expect("as expected");
}
