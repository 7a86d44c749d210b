//! What all derives need to know of a struct: its named fields, and the names these have outside.

use std::collections::BTreeSet;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, Lifetime, LitStr, Result, Type};

/// A field, and what it is called outside.
pub(crate) struct NamedField<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) name: String,
}

/// What an attribute of a field may say besides its name.
pub(crate) trait Options: Default {
    /// All that is known, for the message about something that is not.
    const KNOWN: &'static str;

    /// Takes an option in; `false`: it is not known.
    fn option(&mut self, meta: &ParseNestedMeta<'_>) -> Result<bool>;
}

impl Options for () {
    const KNOWN: &'static str = "`name = \"...\"`";

    fn option(&mut self, _meta: &ParseNestedMeta<'_>) -> Result<bool> {
        Ok(false)
    }
}

/// The named fields of a struct, with names taken from `#[<attribute>(name = "...")]` where it stands.
pub(crate) fn named_fields<'a>(input: &'a DeriveInput, attribute: &str) -> Result<Vec<NamedField<'a>>> {
    Ok(named_fields_with::<()>(input, attribute)?.into_iter().map(|(field, ())| field).collect())
}

/// The named fields of a struct, with what else the attribute says of each.
pub(crate) fn named_fields_with<'a, O: Options>(input: &'a DeriveInput, attribute: &str) -> Result<Vec<(NamedField<'a>, O)>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "only a struct can be derived: its fields are named outside"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.ident.span(), "fields must have names: they are named so outside"));
    };
    let named = fields.named.iter().map(|field| named_field(field, attribute)).collect::<Result<Vec<_>>>()?;
    refuse_repeated(named.iter().map(|(field, _)| (field.ident, field.name.as_str())))?;
    Ok(named)
}

fn named_field<'a, O: Options>(field: &'a Field, attribute: &str) -> Result<(NamedField<'a>, O)> {
    let ident = field.ident.as_ref().ok_or_else(|| Error::new(field.span(), "a field without a name"))?;
    let (mut name, mut options) = (ident.unraw().to_string(), O::default());
    for attr in field.attrs.iter().filter(|attr| attr.path().is_ident(attribute)) {
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = meta.value()?.parse::<LitStr>()?.value();
            } else if !options.option(&meta)? {
                return Err(meta.error(format!("only {} {} known here", O::KNOWN, if O::KNOWN.contains(',') { "are" } else { "is" })));
            }
            Ok(())
        })?;
    }
    Ok((NamedField { ident, ty: &field.ty, name }, options))
}

/// Names must be unique outside.
pub(crate) fn refuse_repeated<'a>(names: impl Iterator<Item = (&'a Ident, &'a str)>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (ident, name) in names {
        if !seen.insert(name) {
            return Err(Error::new(ident.span(), format!("the name `{name}` is there twice")));
        }
    }
    Ok(())
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
