//! A short run of `chaos-secure`.

use stygian_chaos::{QUICK, secure};

#[test]
fn a_job_between_guarded_topics_survives_its_broker_its_kdc_and_its_own_end() {
    let mut told = Vec::new();
    let outcome = secure(QUICK, QUICK.len(), 5, &mut |text| told.push(text.to_owned())).expect("a cluster");
    assert!(outcome.is_clean(), "{}\n{}", outcome.json(), told.join("\n"));
    assert_eq!(outcome.kinds.len(), QUICK.len() - 1, "{}", outcome.json());
    assert!(outcome.rows > 500, "{}", outcome.json());
}
