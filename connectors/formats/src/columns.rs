//! The `schema` option of a source: column names with their types, in the file's order.

use arrow_schema::{Schema, SchemaRef};
use schemars::JsonSchema;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use stygian_core::{ColumnType, Field};

/// At most this many columns.
const MAX_COLUMNS: usize = 1_000;
/// At most this many bytes in a column's name.
const MAX_NAME: usize = 256;

/// Columns, written as a table such as `{ user = "text not null", at = "timestamp_utc" }`; their order is the table's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(pub Vec<Field>);

impl Columns {
    /// As an Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.0.iter().map(Field::arrow).collect::<Vec<_>>()))
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ColumnsVisitor)
    }
}

struct ColumnsVisitor;

impl<'de> Visitor<'de> for ColumnsVisitor {
    type Value = Columns;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of column names with their types, such as { user = \"text not null\", at = \"timestamp_utc\" }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Columns, A::Error> {
        let mut columns: Vec<Field> = Vec::new();
        while let Some((name, written)) = table.next_entry::<String, String>()? {
            let shown = stygian_core::escape(&name, 64);
            if name.is_empty() || name.len() > MAX_NAME {
                return Err(A::Error::custom(format!("the column name `{shown}` has {} bytes, not 1 to {MAX_NAME}", name.len())));
            }
            if columns.len() == MAX_COLUMNS {
                return Err(A::Error::custom(format!("there are more than {MAX_COLUMNS} columns")));
            }
            let field = Field::parse(&name, &written).map_err(|e| A::Error::custom(format!("column `{shown}`: {e}")))?;
            columns.push(field);
        }
        if columns.is_empty() { Err(A::Error::custom("there is no column")) } else { Ok(Columns(columns)) }
    }
}

impl JsonSchema for Columns {
    fn schema_name() -> Cow<'static, str> {
        "columns".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": format!("Column names with their types, in order: {}. A type is nullable unless `not null` follows.", ColumnType::NAMES),
            "additionalProperties": { "type": "string", "examples": ["text not null", "int64"] },
            "minProperties": 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Columns, String> {
        toml::from_str::<std::collections::BTreeMap<String, Columns>>(text)
            .map_err(|e| e.message().to_owned())
            .map(|mut all| all.remove("schema").expect("a schema"))
    }

    #[test]
    fn keeps_the_order_of_the_file() {
        let columns = read("schema = { user = \"text not null\", at = \"timestamp_utc\", amount = \"decimal(10, 2)\" }").expect("columns");
        let written: Vec<String> = columns.0.iter().map(ToString::to_string).collect();
        assert_eq!(written, ["user text not null", "at timestamp_utc", "amount decimal(10, 2)"]);
        assert_eq!(columns.schema().field(1), &Field::parse("at", "timestamp_utc").expect("a type").arrow());
    }

    #[test]
    fn says_which_column_is_wrong() {
        assert!(
            read("schema = { user = \"txt\" }").expect_err("no type").starts_with("column `user`: `txt` is no column type; use one of")
        );
        assert_eq!(read("schema = {}"), Err("there is no column".into()));
        assert_eq!(read("schema = { \"\" = \"text\" }"), Err("the column name `` has 0 bytes, not 1 to 256".into()));
        assert!(read("schema = [\"user\"]").expect_err("no table").contains("expected a table of column names"));
        let many: String = (0..=MAX_COLUMNS).map(|n| format!("c{n} = \"text\"\n")).collect();
        assert_eq!(read(&format!("[schema]\n{many}")), Err("there are more than 1000 columns".into()));
    }
}
