//! Lines and columns of the parser as bytes of the text.
//!
//! The parser counts lines and characters from 1; a range returned from here lies within the text, on character boundaries.

use datafusion_sql::sqlparser::tokenizer::{Location, Span};
use std::ops::Range;

/// The bytes that `span` covers; `None` for the empty span that stands for "unknown".
pub(crate) fn bytes(sql: &str, span: Span) -> Option<Range<usize>> {
    let start = offset(sql, span.start)?;
    let end = offset(sql, span.end)?;
    (start <= end).then_some(start..end)
}

/// The same range, up to the bracket that closes the first one opened in it or right behind it: a parser's span of a call ends with its last
/// argument.
pub(crate) fn with_brackets(sql: &str, at: Range<usize>) -> Range<usize> {
    let (mut open, mut quote) = (0_usize, None);
    for (offset, c) in sql[at.start..].char_indices() {
        let place = at.start + offset;
        match (quote, c) {
            (Some(begun), _) if begun == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => open += 1,
            (None, ')') if open == 0 => break,
            (None, ')') => {
                open -= 1;
                if open == 0 && place >= at.end {
                    return at.start..place + 1;
                }
            }
            (None, _) if place >= at.end && open == 0 && !c.is_whitespace() => break,
            (None, _) => {}
        }
    }
    at
}

/// The word (or the one character) that begins at `location`; the end of the text is an empty range.
pub(crate) fn word_at(sql: &str, location: Location) -> Option<Range<usize>> {
    let start = offset(sql, location)?;
    let rest = &sql[start..];
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let length = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
    Some(start..start + length)
}

/// The location at the end of a parser's message (`... at Line: 1, Column: 8`), and the message without it.
pub(crate) fn split_message(message: &str) -> (&str, Option<Location>) {
    let Some((head, tail)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    let location = tail.split_once(", Column: ").and_then(|(line, column)| {
        let digits = column.trim_end_matches(|c: char| !c.is_ascii_digit());
        Some(Location { line: line.parse().ok()?, column: digits.parse().ok()? })
    });
    if location.is_some() { (head, location) } else { (message, None) }
}

fn offset(sql: &str, location: Location) -> Option<usize> {
    let (line, column) = (usize::try_from(location.line).ok()?.checked_sub(1)?, usize::try_from(location.column).ok()?.checked_sub(1)?);
    let start = if line == 0 { 0 } else { sql.match_indices('\n').nth(line - 1)?.0 + 1 };
    let within = sql[start..].char_indices().nth(column).map_or(sql.len() - start, |(at, _)| at);
    Some(start + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_bytes_behind_wide_characters_and_lines() {
        let sql = "'ä' =\n  böse";
        let span = Span { start: Location { line: 2, column: 3 }, end: Location { line: 2, column: 7 } };
        assert_eq!(&sql[bytes(sql, span).expect("known")], "böse");
        assert_eq!(bytes(sql, Span::empty()), None);
        assert_eq!(word_at(sql, Location { line: 2, column: 3 }).map(|r| &sql[r]), Some("böse"));
    }

    #[test]
    fn takes_in_the_bracket_that_closes_a_call() {
        let sql = "1 + f(a, g(')'), \"b)\" ) + (c)";
        let whole = |part: &str| {
            let start = sql.find(part).expect("a part");
            &sql[with_brackets(sql, start..start + part.len())]
        };
        assert_eq!(whole("f(a, g(')'), \"b)\""), "f(a, g(')'), \"b)\" )");
        assert_eq!(whole("g(')'"), "g(')')");
        assert_eq!(whole("a"), "a", "the bracket is another's");
        assert_eq!(whole("1"), "1");
    }

    #[test]
    fn splits_the_place_from_a_message() {
        assert_eq!(split_message("Expected: x at Line: 3, Column: 14"), ("Expected: x", Some(Location { line: 3, column: 14 })));
        assert_eq!(split_message("no place"), ("no place", None));
    }
}
