//! What all derives need to know of a struct: its named fields, and the names these have outside.

use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, Lifetime, LitStr, Result, Type};

/// A field, and what it is called outside.
pub(crate) struct NamedField<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) name: String,
}

/// The named fields of a struct, with names taken from `#[<attribute>(name = "...")]` where it stands.
pub(crate) fn named_fields<'a>(input: &'a DeriveInput, attribute: &str) -> Result<Vec<NamedField<'a>>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "only a struct can be derived: its fields are named outside"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.ident.span(), "fields must have names: they are named so outside"));
    };
    let named = fields.named.iter().map(|field| named_field(field, attribute)).collect::<Result<Vec<_>>>()?;
    match repeated(&named) {
        Some(field) => Err(Error::new(field.ident.span(), format!("the name `{}` is there twice", field.name))),
        None => Ok(named),
    }
}

fn named_field<'a>(field: &'a Field, attribute: &str) -> Result<NamedField<'a>> {
    let ident = field.ident.as_ref().ok_or_else(|| Error::new(field.span(), "a field without a name"))?;
    let mut name = ident.unraw().to_string();
    for attr in field.attrs.iter().filter(|attr| attr.path().is_ident(attribute)) {
        attr.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("only `name = \"...\"` is known here"));
            }
            name = meta.value()?.parse::<LitStr>()?.value();
            Ok(())
        })?;
    }
    Ok(NamedField { ident, ty: &field.ty, name })
}

fn repeated<'f, 'a>(fields: &'f [NamedField<'a>]) -> Option<&'f NamedField<'a>> {
    fields.iter().enumerate().find(|(at, field)| fields[..*at].iter().any(|earlier| earlier.name == field.name)).map(|(_, field)| field)
}

/// The one lifetime that rows and outputs (`what`) may have. Types and constants as parameters would leave their schema open.
pub(crate) fn only_lifetime<'a>(input: &'a DeriveInput, what: &str) -> Result<Option<&'a Lifetime>> {
    if let Some(param) = input.generics.type_params().next() {
        return Err(Error::new(param.span(), format!("{what} cannot have type parameters: the columns must be known")));
    }
    if let Some(param) = input.generics.const_params().next() {
        return Err(Error::new(param.span(), format!("{what} cannot have constant parameters: the columns must be known")));
    }
    let mut lifetimes = input.generics.lifetimes();
    let first = lifetimes.next();
    match lifetimes.next() {
        Some(second) => Err(Error::new(second.span(), format!("{what} have at most one lifetime: that of the batch"))),
        None => Ok(first.map(|param| &param.lifetime)),
    }
}
