//! Finds the columns a plugin reads in the input's schema, by name and type, before any row flows.

use crate::SandboxError;
use arrow_schema::{DataType, Schema, TimeUnit};
use stygian_core::{ColumnType, Field, PluginDescription};

/// The columns that an operator's one input has for a plugin.
pub(crate) fn input(operator: &str, plugin: &PluginDescription, input: &Schema) -> Result<Vec<(usize, ColumnType)>, SandboxError> {
    // `describe` of an operator plugin is refused unless it has one input.
    let declared = plugin.inputs.first().map_or(&[][..], |input| &input.columns);
    columns(declared, input).map_err(|mismatches| SandboxError::Input {
        operator: operator.to_owned(),
        plugin: format!("{}@{}", plugin.name, plugin.version),
        mismatches,
    })
}

/// What the columns of an input that a plugin reads are.
pub(crate) fn fields(columns: &[(usize, ColumnType)], input: &Schema) -> Vec<Field> {
    let field = |(index, column_type): &(usize, ColumnType)| {
        let field = input.field(*index);
        Field { name: field.name().clone(), column_type: *column_type, nullable: field.is_nullable() }
    };
    columns.iter().map(field).collect()
}

/// Index and type of every declared column; the error lists everything that does not fit.
pub(crate) fn columns(declared: &[Field], input: &Schema) -> Result<Vec<(usize, ColumnType)>, Vec<String>> {
    let (mut found, mut mismatches) = (Vec::with_capacity(declared.len()), Vec::new());
    for field in declared {
        match column(field, input) {
            Ok(index) => found.push((index, field.column_type)),
            Err(mismatch) => mismatches.push(mismatch),
        }
    }
    if mismatches.is_empty() { Ok(found) } else { Err(mismatches) }
}

fn column(field: &Field, input: &Schema) -> Result<usize, String> {
    let Some((index, column)) = input.column_with_name(&field.name) else {
        return Err(format!("there is no column `{}` ({})", field.name, field.column_type));
    };
    let (name, wanted, physical) = (&field.name, field.column_type, column.data_type());
    match ColumnType::of(physical) {
        Some(found) if found == wanted => {}
        Some(found) => return Err(format!("column `{name}` is {found}, the plugin reads {wanted}: convert it in a `select` before")),
        None if same_logically(wanted, physical) => {
            return Err(format!("column `{name}` is {wanted}, but stored as {physical}: it has to be cast to {} first", wanted.arrow()));
        }
        None => return Err(format!("column `{name}` is {physical}, which does not cross into plugins; the plugin reads {wanted}")),
    }
    if column.is_nullable() && !field.nullable {
        return Err(format!(
            "column `{name}` may be null, the plugin reads it as `not null`: filter on `{name} is not null` or `coalesce` it before"
        ));
    }
    Ok(index)
}

/// Whether an Arrow type holds the same values in another layout.
fn same_logically(wanted: ColumnType, physical: &DataType) -> bool {
    match (wanted, physical) {
        (ColumnType::Text, DataType::LargeUtf8 | DataType::Utf8View) => true,
        (ColumnType::Binary, DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)) => true,
        (ColumnType::Timestamp, DataType::Timestamp(unit, None)) => *unit != TimeUnit::Microsecond,
        (ColumnType::TimestampUtc, DataType::Timestamp(unit, Some(_))) => *unit != TimeUnit::Microsecond,
        (ColumnType::Date, DataType::Date64) => true,
        (ColumnType::Decimal { precision, scale }, DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal256(p, s)) => {
            precision == *p && scale.cast_signed() == *s
        }
        (_, DataType::Dictionary(_, values)) => same_logically(wanted, values) || wanted.arrow() == **values,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::Field as ArrowField;

    fn field(text: &str) -> Field {
        let (name, column_type) = text.split_once(' ').expect("a name and a type");
        Field::parse(name, column_type).expect("a type")
    }

    #[test]
    fn finds_columns_by_name_wherever_they_stand() {
        let input = Schema::new(vec![field("a int64").arrow(), field("b text not null").arrow()]);
        let found = columns(&[field("b text"), field("a int64")], &input);
        assert_eq!(found, Ok(vec![(1, ColumnType::Text), (0, ColumnType::Int64)]));
    }

    #[test]
    fn lists_every_mismatch_with_what_to_do() {
        let input = Schema::new(vec![
            field("a int32").arrow(),
            ArrowField::new("b", DataType::Utf8View, true),
            field("c text").arrow(),
            ArrowField::new("e", DataType::new_list(DataType::Int8, true), true),
        ]);
        let declared = ["a int64", "b text", "c text not null", "d bool", "e int8"].map(field);
        let mismatches = columns(&declared, &input).expect_err("nothing fits");
        let parts = ["is int32, the plugin reads int64", "cast to Utf8", "may be null", "no column `d`", "does not cross"];
        assert_eq!(mismatches.len(), parts.len());
        for (mismatch, part) in mismatches.iter().zip(parts) {
            assert!(mismatch.contains(part), "{mismatch}");
        }
    }
}
