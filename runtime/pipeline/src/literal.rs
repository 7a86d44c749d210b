//! A text of the pipeline file with the place it stands at, so that a fault within it (a column in an SQL expression) can be underlined.

use std::ops::Range;
use toml::Spanned;

/// A string value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// The text without quotes and escapes.
    pub text: String,
    /// Where it stands in the file, quotes included.
    pub at: Range<usize>,
    /// Whether the file holds the text as it is between two one-byte quotes.
    plain: bool,
}

impl Literal {
    /// A string of the file `file`.
    pub(crate) fn new(value: Spanned<String>, file: &str) -> Self {
        let at = value.span();
        let text = value.into_inner();
        let source = file.get(at.clone()).unwrap_or_default();
        let inner = source.get(1..source.len().saturating_sub(1));
        let plain = source.starts_with(['"', '\'']) && inner == Some(text.as_str());
        Self { text, at, plain }
    }

    /// Where a part of the text stands in the file; the whole string where it is written with escapes or over several lines.
    pub fn part(&self, part: Range<usize>) -> Range<usize> {
        let fits = part.start <= part.end && part.end <= self.text.len();
        if !(self.plain && fits) {
            return self.at.clone();
        }
        let start = self.at.start + 1;
        start + part.start..start + part.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(file: &str) -> Literal {
        let table = toml::de::DeTable::parse(file).expect("TOML");
        let value = &table.get_ref()["x"];
        let text = value.get_ref().as_str().expect("a string").to_owned();
        Literal::new(Spanned::new(value.span(), text), file)
    }

    #[test]
    fn finds_a_part_of_a_plain_string() {
        for file in ["x = \"amount > 0\"", "x = 'amount > 0'"] {
            assert_eq!(&file[literal(file).part(0..6)], "amount");
            assert_eq!(&file[literal(file).part(9..10)], "0");
        }
    }

    #[test]
    fn names_the_whole_string_where_it_is_not_plain() {
        for file in ["x = \"a \\u003e 0\"", "x = \"\"\"a > 0\"\"\"", "x = '''\na > 0'''"] {
            assert_eq!(&file[literal(file).part(0..1)], &file[4..]);
        }
        let file = "x = 'abc'";
        assert_eq!(literal(file).part(2..9), 4..9);
    }
}
