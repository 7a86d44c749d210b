//! The column types that cross into the sandbox, and how they are written: `"int64"`, `"text not null"`, `"decimal(10, 2)"`.
//!
//! A type is nullable unless it says `not null`. Types Arrow has beyond these (lists, structs, maps, ...) may flow through a
//! pipeline untouched; they have no [`ColumnType`].

use arrow_schema::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A column type of the contract between host and plugin; also the types a pipeline file can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// True or false.
    Bool,
    /// 8 bits, signed.
    Int8,
    /// 16 bits, signed.
    Int16,
    /// 32 bits, signed.
    Int32,
    /// 64 bits, signed.
    Int64,
    /// 8 bits, unsigned.
    UInt8,
    /// 16 bits, unsigned.
    UInt16,
    /// 32 bits, unsigned.
    UInt32,
    /// 64 bits, unsigned.
    UInt64,
    /// IEEE 754, 32 bits.
    Float32,
    /// IEEE 754, 64 bits.
    Float64,
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since 1970-01-01T00:00:00 of a clock without a zone.
    Timestamp,
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampUtc,
    /// A decimal number of `precision` digits (1 to 38), `scale` of them (0 to precision) behind the point; 128 bits.
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
}

/// A type as a pipeline file writes it; Arrow's name for those that have none.
pub fn type_name(data_type: &DataType) -> String {
    ColumnType::of(data_type).map_or_else(|| data_type.to_string(), |column_type| column_type.to_string())
}

/// A text that names no column type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no column type; use one of {names}, with `not null` behind it where every row has a value", names = ColumnType::NAMES)]
pub struct ColumnTypeError(String);

const PLAIN: [(&str, ColumnType); 16] = [
    ("bool", ColumnType::Bool),
    ("int8", ColumnType::Int8),
    ("int16", ColumnType::Int16),
    ("int32", ColumnType::Int32),
    ("int64", ColumnType::Int64),
    ("uint8", ColumnType::UInt8),
    ("uint16", ColumnType::UInt16),
    ("uint32", ColumnType::UInt32),
    ("uint64", ColumnType::UInt64),
    ("float32", ColumnType::Float32),
    ("float64", ColumnType::Float64),
    ("text", ColumnType::Text),
    ("binary", ColumnType::Binary),
    ("date", ColumnType::Date),
    ("timestamp", ColumnType::Timestamp),
    ("timestamp_utc", ColumnType::TimestampUtc),
];

impl ColumnType {
    /// Every name, for messages.
    pub const NAMES: &str = "bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, text, binary, date, \
                             timestamp, timestamp_utc, decimal(precision, scale)";

    /// One of each, decimals of two sizes: for tests that must not leave one out.
    pub const EVERY: [Self; 18] = {
        let mut every = [Self::Decimal { precision: 38, scale: 9 }; 18];
        let mut at = 0;
        while at < PLAIN.len() {
            every[at] = PLAIN[at].1;
            at += 1;
        }
        every[17] = Self::Decimal { precision: 5, scale: 2 };
        every
    };

    /// The one physical Arrow type this crosses as and is hashed as.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt8 => DataType::UInt8,
            Self::UInt16 => DataType::UInt16,
            Self::UInt32 => DataType::UInt32,
            Self::UInt64 => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampUtc => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
        }
    }

    /// The type a physical Arrow type stands for: exactly the inverse of [`ColumnType::arrow`] (any zone counts as UTC, because
    /// Arrow stores the instant), `None` for what does not cross.
    pub fn of(arrow: &DataType) -> Option<Self> {
        match arrow {
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Some(Self::TimestampUtc),
            DataType::Decimal128(precision, scale) => Some(Self::Decimal { precision: *precision, scale: u8::try_from(*scale).ok()? }),
            other => PLAIN.iter().map(|(_, plain)| *plain).find(|plain| plain.arrow() == *other),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => write!(f, "decimal({precision}, {scale})"),
            plain => f.write_str(PLAIN.iter().find(|(_, p)| p == plain).map_or("", |(name, _)| name)),
        }
    }
}

impl FromStr for ColumnType {
    type Err = ColumnTypeError;

    fn from_str(text: &str) -> Result<Self, ColumnTypeError> {
        let name = text.trim();
        if let Some((_, plain)) = PLAIN.iter().find(|(known, _)| *known == name) {
            return Ok(*plain);
        }
        decimal(name).ok_or_else(|| ColumnTypeError(text.to_owned()))
    }
}

fn decimal(text: &str) -> Option<ColumnType> {
    let (precision, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    (1..=38).contains(&precision).then_some(())?;
    (scale <= precision).then_some(ColumnType::Decimal { precision, scale })
}

/// A named column of a [`ColumnType`], nullable or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// What it holds.
    pub column_type: ColumnType,
    /// Whether a row may lack a value.
    pub nullable: bool,
}

impl Field {
    /// A nullable field from the text after the name (`"int64"`, `"text not null"`).
    ///
    /// # Errors
    /// When the text names no type.
    pub fn parse(name: &str, text: &str) -> Result<Self, ColumnTypeError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (type_words, nullable) = match words.as_slice() {
            [head @ .., "not", "null"] => (head, false),
            all => (all, true),
        };
        let column_type = type_words.join(" ").parse().map_err(|_| ColumnTypeError(text.to_owned()))?;
        Ok(Self { name: name.to_owned(), column_type, nullable })
    }

    /// As an Arrow field.
    pub fn arrow(&self) -> arrow_schema::Field {
        arrow_schema::Field::new(&self.name, self.column_type.arrow(), self.nullable)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.name, self.column_type, if self.nullable { "" } else { " not null" })
    }
}

impl Serialize for ColumnType {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_text_and_arrow() {
        for column_type in ColumnType::EVERY.into_iter().chain([ColumnType::Decimal { precision: 38, scale: 38 }]) {
            assert_eq!(column_type.to_string().parse(), Ok(column_type));
            assert_eq!(ColumnType::of(&column_type.arrow()), Some(column_type));
        }
    }

    #[test]
    fn reads_not_null_behind_a_type() {
        let field = Field::parse("price", "decimal(10, 2) not null").expect("a type");
        assert_eq!(field.to_string(), "price decimal(10, 2) not null");
        assert!(Field::parse("price", "decimal").is_err());
        assert!(Field::parse("price", "decimal(39, 2)").is_err());
        assert!(Field::parse("price", "not null").is_err());
    }

    #[test]
    fn nested_types_do_not_cross() {
        let list = DataType::List(arrow_schema::Field::new("item", DataType::Int8, true).into());
        assert_eq!(ColumnType::of(&list), None);
    }
}
