//! Columns in messages, and schemas that differ.

use arrow_schema::{Field, SchemaRef};
pub(crate) use stygian_core::type_name;
use stygian_core::{StreamKind, StreamSchema};

/// `name type [not null]`
pub(crate) fn describe(field: &Field) -> String {
    let suffix = if field.is_nullable() { "" } else { " not null" };
    format!("{} {}{suffix}", field.name(), type_name(field.data_type()))
}

/// All columns of a stream, and what else there is to say.
pub(crate) fn describe_stream(schema: &StreamSchema) -> String {
    let columns: Vec<String> = schema.columns().fields().iter().map(|field| describe(field)).collect();
    let changelog = if schema.kind() == StreamKind::Changelog { "; changelog" } else { "" };
    let time = schema.event_time_name().map(|name| format!("; event time {name}")).unwrap_or_default();
    format!("{}{time}{changelog}", columns.join(", "))
}

/// The names of all columns.
pub(crate) fn names(schema: &SchemaRef) -> Vec<&str> {
    schema.fields().iter().map(|field| field.name().as_str()).collect()
}

/// How the columns of `found` differ from those of `expected` in name, type or order; `None` if they do not.
pub(crate) fn difference(expected: &SchemaRef, found: &SchemaRef) -> Option<String> {
    for (index, wanted) in expected.fields().iter().enumerate() {
        match found.fields().get(index) {
            Some(field) if field.name() != wanted.name() => match found.column_with_name(wanted.name()) {
                None => return Some(format!("it has no column `{}`", wanted.name())),
                Some(_) => return Some(format!("column {} is `{}` instead of `{}`", index + 1, field.name(), wanted.name())),
            },
            Some(field) if field.data_type() != wanted.data_type() => {
                let (found, wanted_type) = (type_name(field.data_type()), type_name(wanted.data_type()));
                return Some(format!("column `{}` is {found} instead of {wanted_type}", wanted.name()));
            }
            Some(_) => {}
            None => return Some(format!("it has no column `{}`", wanted.name())),
        }
    }
    let extra = found.fields().get(expected.fields().len())?;
    Some(format!("it has a column `{}` more", extra.name()))
}
