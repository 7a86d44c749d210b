//! `dedup = {...}`: which rows repeat each other.

use crate::keys::DedupKeys;
use crate::nodes::DedupUse;
use crate::parse_operator::named_twice;
use crate::reader::Reading;
use toml::Spanned;

const HINT: &str = "write `{ by = [\"id\"], within = \"1h\" }`";

pub(crate) fn check(keys: Spanned<DedupKeys>, reading: &mut Reading<'_>) -> Option<DedupUse> {
    let at = keys.span();
    let DedupKeys { by, within } = keys.into_inner();
    let before = reading.problems.len();
    match &by {
        None => reading.problem(at.clone(), "`dedup` needs `by`: the columns by which rows repeat each other", Some(HINT.into())),
        Some(by) if by.get_ref().is_empty() => reading.problem(by.span(), "at least one column is needed", Some(HINT.into())),
        Some(by) => named_twice(by.get_ref(), reading),
    }
    match &within {
        None => reading.problem(at.clone(), "`dedup` needs `within`: how long a row is remembered", Some(HINT.into())),
        Some(within) if !(1_000..i64::MAX / 20).contains(&within.get_ref().micros()) => {
            reading.problem(within.span(), "`within` must be 1 ms or more, and no geological age", None);
        }
        Some(_) => {}
    }
    let (by, within) = (by?.into_inner(), within?.into_inner());
    (reading.problems.len() == before).then_some(DedupUse { by, within, at })
}
