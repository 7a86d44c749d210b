//! "did you mean" for names of columns and functions.

/// How many names a message lists at most.
const LISTED: usize = 40;

/// The end of a message about an unknown `name`: the nearest of `known`, then the known ones, for example
/// "; did you mean `amount`? The columns are amount, user".
pub(crate) fn hint<'a>(name: &str, kind: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let nearest = nearest(name, known.clone());
    let meant = nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let all: Vec<&str> = known.clone().take(LISTED).collect();
    let more = known.count().saturating_sub(LISTED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    match (all.is_empty(), meant.is_empty()) {
        (true, _) => format!("; there are no {kind}"),
        (false, true) => format!("; the {kind} are {}{rest}", all.join(", ")),
        (false, false) => format!("{meant} The {kind} are {}{rest}", all.join(", ")),
    }
}

/// The known name that is nearest, if one is near enough to be meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_and_all() {
        let known = ["amount", "user_id"];
        assert_eq!(hint("Amount", "columns", known.into_iter()), "; did you mean `amount`? The columns are amount, user_id");
        assert_eq!(hint("zzz", "columns", known.into_iter()), "; the columns are amount, user_id");
        assert_eq!(hint("zzz", "columns", [].into_iter()), "; there are no columns");
    }
}
