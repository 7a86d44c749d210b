//! Single values: JSON <-> what a column stores. Dates and times by the civil calendar, without a library.

use serde_json::Value;
use std::str::FromStr;
use stygian_sdk::contract::{ColumnType, DecimalType, Values, VarValues};

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400 * MICROS;

pub(crate) fn integer<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    let wide = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))?;
    T::try_from(wide).ok()
}

pub(crate) fn float64(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

#[allow(clippy::cast_possible_truncation)] // rounding is what storing it in a float32 means
pub(crate) fn float32(value: &Value) -> Option<f32> {
    float64(value).map(|wide| wide as f32)
}

pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

pub(crate) fn date(value: &Value) -> Option<i32> {
    match value {
        Value::String(text) => i32::try_from(days(text)?).ok(),
        other => integer(other),
    }
}

/// Microseconds of a text that ends with `zone`, or of a number.
pub(crate) fn timestamp(value: &Value, zone: &str) -> Option<i64> {
    let Value::String(text) = value else { return integer(value) };
    let text = if zone.is_empty() { text.as_str() } else { text.strip_suffix(zone)? };
    let (date, time) = text.split_once(['T', ' '])?;
    days(date)?.checked_mul(DAY)?.checked_add(time_of_day(time)?)
}

fn number<T: FromStr>(text: &str, digits: usize) -> Option<T> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn time_of_day(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = clock.split(':').map(|part| number::<i64>(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let in_range = hour < 24 && minute < 60 && second < 60 && parts.next().is_none() && (1..=6).contains(&fraction.len());
    let micros = number::<i64>(&format!("{fraction:0<6}"), 6)?;
    in_range.then_some(((hour * 60 + minute) * 60 + second) * MICROS + micros)
}

/// Days since 1970-01-01 of a date like `2026-02-28`; the algorithm is Howard Hinnant's `days_from_civil`.
fn days(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (number::<i64>(parts.next()?, 4)?, number::<i64>(parts.next()?, 2)?, number::<i64>(parts.next()?, 2)?);
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    // A day that does not exist comes back as another one.
    (parts.next().is_none() && date_text(days) == text).then_some(days)
}

/// `civil_from_days` by the same author.
fn date_text(days: i64) -> String {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = (shifted_month + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}", day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

fn timestamp_text(micros: i64, zone: &str) -> String {
    let (date, rest) = (date_text(micros.div_euclid(DAY)), micros.rem_euclid(DAY));
    let (seconds, fraction) = (rest / MICROS, rest % MICROS);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}").trim_end_matches('0').to_owned() };
    format!("{date}T{:02}:{:02}:{:02}{fraction}{zone}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

pub(crate) fn decimal(value: &Value, decimal: DecimalType) -> Option<i128> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (negative, digits) = text.strip_prefix('-').map_or((false, text.as_str()), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = usize::from(decimal.scale);
    let digits = format!("{whole}{fraction:0<scale$}");
    let fits = !whole.is_empty() && fraction.len() <= scale && digits.trim_start_matches('0').len() <= usize::from(decimal.precision);
    let magnitude: i128 = number(&digits, digits.len()).filter(|_| fits)?;
    Some(if negative { -magnitude } else { magnitude })
}

fn decimal_text(value: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", value.unsigned_abs().to_string(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}{}{fraction}", if value < 0 { "-" } else { "" }, if scale == 0 { "" } else { "." })
}

/// The bit of a row.
pub(crate) fn bit(bits: &[u8], row: usize) -> bool {
    bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
}

/// How many values there are (bytes, for booleans). None: they are not of this type.
pub(crate) fn length(values: &Values, column_type: ColumnType) -> Option<usize> {
    Some(match (values, column_type) {
        (Values::Boolean(list), ColumnType::Boolean) | (Values::Uint8(list), ColumnType::Uint8) => list.len(),
        (Values::Int8(list), ColumnType::Int8) => list.len(),
        (Values::Int16(list), ColumnType::Int16) => list.len(),
        (Values::Int32(list), ColumnType::Int32) | (Values::Date(list), ColumnType::Date) => list.len(),
        (Values::Int64(list), ColumnType::Int64) => list.len(),
        (Values::Timestamp(list), ColumnType::Timestamp | ColumnType::TimestampUtc) => list.len(),
        (Values::Uint16(list), ColumnType::Uint16) => list.len(),
        (Values::Uint32(list), ColumnType::Uint32) => list.len(),
        (Values::Uint64(list), ColumnType::Uint64) => list.len(),
        (Values::Float32(list), ColumnType::Float32) => list.len(),
        (Values::Float64(list), ColumnType::Float64) => list.len(),
        (Values::Text(list), ColumnType::Text) | (Values::Binary(list), ColumnType::Binary) => list.offsets.len().checked_sub(1)?,
        (Values::Decimal(words), ColumnType::Decimal(_)) => words.len() / 2,
        _ => return None,
    })
}

/// The value of a row. None: the row has no value that could be.
pub(crate) fn value(values: &Values, column_type: ColumnType, row: usize) -> Option<Value> {
    Some(match values {
        Values::Boolean(bits) => bit(bits, row).into(),
        Values::Int8(list) => (*list.get(row)?).into(),
        Values::Int16(list) => (*list.get(row)?).into(),
        Values::Int32(list) => (*list.get(row)?).into(),
        Values::Int64(list) => (*list.get(row)?).into(),
        Values::Uint8(list) => (*list.get(row)?).into(),
        Values::Uint16(list) => (*list.get(row)?).into(),
        Values::Uint32(list) => (*list.get(row)?).into(),
        Values::Uint64(list) => (*list.get(row)?).into(),
        // By its shortest text: 0.1, not 0.10000000149011612.
        Values::Float32(list) => float(list.get(row)?.to_string().parse().ok()?),
        Values::Float64(list) => float(*list.get(row)?),
        Values::Text(list) => std::str::from_utf8(slice(list, row)?).ok()?.into(),
        Values::Binary(list) => slice(list, row)?.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        Values::Date(list) => date_text(i64::from(*list.get(row)?)).into(),
        Values::Timestamp(list) => {
            timestamp_text(*list.get(row)?, if matches!(column_type, ColumnType::TimestampUtc) { "Z" } else { "" }).into()
        }
        Values::Decimal(words) => {
            let ColumnType::Decimal(decimal) = column_type else { return None };
            let number = u128::from(*words.get(row * 2 + 1)?) << 64 | u128::from(*words.get(row * 2)?);
            decimal_text(number.cast_signed(), decimal.scale).into()
        }
    })
}

/// JSON has no NaN and no infinity: they are text.
fn float(value: f64) -> Value {
    if value.is_finite() { value.into() } else { value.to_string().into() }
}

fn slice(list: &VarValues, row: usize) -> Option<&[u8]> {
    let at = |row: usize| list.offsets.get(row).and_then(|offset| usize::try_from(*offset).ok());
    list.bytes.get(at(row)?..at(row + 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// From Python's `datetime`.
    const DATES: [(&str, i64); 6] = [
        ("2000-02-29", 11016),
        ("1969-12-31", -1),
        ("1600-03-01", -135_080),
        ("2100-03-01", 47_541),
        ("0001-01-01", -719_162),
        ("9999-12-31", 2_932_896),
    ];

    #[test]
    fn knows_the_calendar() {
        for (text, expected) in DATES {
            assert_eq!(days(text), Some(expected), "{text}");
            assert_eq!(date_text(expected), text);
        }
        for text in ["2023-02-29", "2100-02-29", "2024-13-01", "2024-00-10", "2024-01-00", "24-01-01", "2024-01-01-01", "2024-+1-01", ""] {
            assert_eq!(days(text), None, "{text}");
        }
    }

    #[test]
    fn reads_and_writes_times_to_the_microsecond() {
        for (text, micros) in [("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59.999999Z", -1), ("1970-01-02T01:02:03.5Z", 90_123_500_000)]
        {
            assert_eq!(timestamp(&json!(text), "Z"), Some(micros), "{text}");
            assert_eq!(timestamp_text(micros, "Z"), text);
            assert_eq!(timestamp(&json!(micros), "Z"), Some(micros));
        }
        for text in
            ["1970-01-01T00:00:00", "1970-01-01T24:00:00Z", "1970-01-01T00:00Z", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00.1234567Z"]
        {
            assert_eq!(timestamp(&json!(text), "Z"), None, "{text}");
        }
    }

    #[test]
    fn reads_and_writes_decimals_of_their_scale() {
        let kind = DecimalType { precision: 5, scale: 2 };
        for (text, number) in [("0.00", 0), ("-0.05", -5), ("12.50", 1250), ("999.99", 99_999), ("-999.99", -99_999)] {
            assert_eq!(decimal(&json!(text), kind), Some(number), "{text}");
            assert_eq!(decimal_text(number, 2), text);
        }
        assert_eq!(decimal(&json!(7), kind), Some(700));
        for text in ["1000", "0.001", "", "-", ".5", "1e2", "--1", "1.2.3"] {
            assert_eq!(decimal(&json!(text), kind), None, "{text}");
        }
    }

    #[test]
    fn refuses_numbers_out_of_range_and_odd_hexadecimals() {
        assert_eq!(
            (integer::<u8>(&json!(256)), integer::<i8>(&json!(-128)), integer::<u64>(&json!(u64::MAX))),
            (None, Some(-128), Some(u64::MAX))
        );
        assert_eq!((bytes(&json!("00fF")), bytes(&json!("0")), bytes(&json!("0g"))), (Some(vec![0, 255]), None, None));
    }
}
