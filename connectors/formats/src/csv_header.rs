//! The header of a CSV file, and which of its columns a schema wants.

use crate::{CsvOptions, FormatError};
use arrow_schema::SchemaRef;

/// The column names of a CSV file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvHeader(Vec<String>);

impl CsvHeader {
    /// Reads the first record of a file.
    ///
    /// # Errors
    /// When a name is no UTF-8.
    pub fn parse(record: &[u8], options: &CsvOptions) -> Result<Self, FormatError> {
        let record = record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record);
        let names = options.fields(record).into_iter().map(String::from_utf8);
        names.collect::<Result<Vec<_>, _>>().map(Self).map_err(|_| FormatError::Header("is not UTF-8".into()))
    }

    /// The header of a file that has exactly these columns.
    pub fn of(schema: &SchemaRef) -> Self {
        Self(schema.fields().iter().map(|field| field.name().clone()).collect())
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Where each column of the schema stands in the file.
    ///
    /// # Errors
    /// When a column is not in the header, or is twice.
    pub fn positions(&self, schema: &SchemaRef) -> Result<Vec<usize>, FormatError> {
        let position = |field: &std::sync::Arc<arrow_schema::Field>| {
            let name = field.name();
            let mut found = self.0.iter().enumerate().filter(|(_, column)| *column == name);
            match (found.next(), found.next()) {
                (Some((at, _)), None) => Ok(at),
                (Some(_), Some(_)) => Err(FormatError::Header(format!("has two columns `{name}`"))),
                (None, _) => Err(FormatError::Header(format!("has no column `{name}`; it has {}", self.shown()))),
            }
        };
        schema.fields().iter().map(position).collect()
    }

    fn shown(&self) -> String {
        stygian_core::escape(&self.0.join(", "), 200)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::{DataType, Field, Schema};

    fn schema(names: &[&str]) -> SchemaRef {
        Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>()).into()
    }

    #[test]
    fn finds_columns_by_name() {
        let header = CsvHeader::parse(b"\xef\xbb\xbfa,\"b c\",d,d", &CsvOptions::default()).expect("a header");
        assert_eq!(header.names(), ["a", "b c", "d", "d"]);
        assert_eq!(header.positions(&schema(&["b c", "a"])).expect("both"), [1, 0]);
        let message = |names: &[&str]| header.positions(&schema(names)).expect_err("wrong").to_string();
        assert_eq!(message(&["x"]), "the header has no column `x`; it has a, b c, d, d");
        assert_eq!(message(&["d"]), "the header has two columns `d`");
        assert_eq!(CsvHeader::parse(b"a,\xff", &CsvOptions::default()).expect_err("no text").to_string(), "the header is not UTF-8");
    }
}
