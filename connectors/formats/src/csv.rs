//! How a CSV file is written: the options that its splitter, decoder and encoder share.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// How records of CSV are written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CsvOptions {
    /// Whether the first record of every file names the columns. With it, the columns of a source are found by name and others are passed
    /// over; without it, the file's columns are those of the schema in the same order. Default: true.
    pub header: bool,
    /// The character between fields, one ASCII character. Default: ",". Change it for files with semicolons or tabs ("\t").
    pub delimiter: AsciiChar,
    /// The character around fields that hold delimiters or line ends, one ASCII character; doubled inside such a field. Default: "\"".
    pub quote: AsciiChar,
    /// The text that stands for null, quoted or not. Default: "" (so an empty text is read as null). Change it to "NA" or "\\N" for
    /// files that write nulls so; a column of text can then hold empty texts.
    pub null: String,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { header: true, delimiter: AsciiChar(b','), quote: AsciiChar(b'"'), null: String::new() }
    }
}

impl CsvOptions {
    /// The fields of the first record, unquoted.
    pub(crate) fn fields(&self, record: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = csv_core::ReaderBuilder::new();
        let mut reader = reader.delimiter(self.delimiter.0).quote(self.quote.0).terminator(csv_core::Terminator::Any(b'\n')).build();
        // Unquoting never makes text longer, and there are at most as many fields as bytes.
        let (mut text, mut ends) = (vec![0; record.len() + 1], vec![0; record.len() + 2]);
        let (result, _, written, mut count) = reader.read_record(record, &mut text, &mut ends);
        if result == csv_core::ReadRecordResult::InputEmpty {
            // No input is the end of input.
            count += reader.read_record(&[], &mut text[written..], &mut ends[count..]).3;
        }
        let mut start = 0;
        ends[..count].iter().map(|end| text[std::mem::replace(&mut start, *end)..*end].to_vec()).collect()
    }
}

/// One printable ASCII character or a tab, written as a text of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsciiChar(pub u8);

impl<'de> Deserialize<'de> for AsciiChar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_bytes() {
            [byte @ (b'\t' | b' '..=b'~')] => Ok(Self(*byte)),
            _ => Err(serde::de::Error::custom(format!("`{}` is not one ASCII character", stygian_core::escape(&text, 20)))),
        }
    }
}

impl JsonSchema for AsciiChar {
    fn schema_name() -> Cow<'static, str> {
        "character".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "minLength": 1, "maxLength": 1, "examples": [";"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_options_and_names_what_is_wrong() {
        let options: CsvOptions = toml::from_str("delimiter = \"\\t\"\nnull = \"NA\"").expect("options");
        assert_eq!(options, CsvOptions { delimiter: AsciiChar(b'\t'), null: "NA".into(), ..CsvOptions::default() });
        let wrong = toml::from_str::<CsvOptions>("delimiter = \"ab\"").expect_err("two");
        assert_eq!(wrong.message(), "`ab` is not one ASCII character");
        assert!(toml::from_str::<CsvOptions>("delimiter = \"é\"").is_err());
        assert!(toml::from_str::<CsvOptions>("headers = true").expect_err("unknown").message().contains("unknown field `headers`"));
    }

    #[test]
    fn unquotes_the_fields_of_a_record() {
        let fields = CsvOptions::default().fields(b"a,\"b,\"\"c\"\"\n\",,d");
        assert_eq!(fields, [b"a".as_slice(), b"b,\"c\"\n", b"", b"d"]);
        assert_eq!(CsvOptions::default().fields(b"a"), [b"a"]);
    }
}
