//! `State`: calls each field's `Slot` in the order of the fields, which is the order of slot indices.

use crate::shape::{NamedField, Options, named_fields_with, only_lifetime};
use proc_macro2::TokenStream;
use quote::quote;
use std::time::Duration;
use syn::meta::ParseNestedMeta;
use syn::{DeriveInput, Error, LitInt, LitStr, Result, Token, Type, parenthesized};

/// What `#[slot(...)]` says besides the name.
struct SlotOptions {
    version: u32,
    ttl_millis: Option<u64>,
    /// Older versions, and the types their values had.
    older: Vec<(u32, Type)>,
}

impl Default for SlotOptions {
    fn default() -> Self {
        Self { version: 1, ttl_millis: None, older: Vec::new() }
    }
}

impl Options for SlotOptions {
    const KNOWN: &'static str = "`name = \"...\"`, `version = 2`, `ttl = \"1h\"` and `migrate(1 = OldType)`";

    fn option(&mut self, meta: &ParseNestedMeta<'_>) -> Result<bool> {
        if meta.path.is_ident("version") {
            let version: LitInt = meta.value()?.parse()?;
            self.version = version.base10_parse()?;
            if self.version == 0 {
                return Err(Error::new(version.span(), "versions count from 1"));
            }
        } else if meta.path.is_ident("ttl") {
            self.ttl_millis = Some(ttl_millis(&meta.value()?.parse()?)?);
        } else if meta.path.is_ident("migrate") {
            let list;
            parenthesized!(list in meta.input);
            while !list.is_empty() {
                let version: u32 = list.parse::<LitInt>()?.base10_parse()?;
                list.parse::<Token![=]>()?;
                self.older.push((version, list.parse()?));
                if !list.is_empty() {
                    list.parse::<Token![,]>()?;
                }
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

fn ttl_millis(text: &LitStr) -> Result<u64> {
    let wrong = || Error::new(text.span(), "a span of time of at least a millisecond, like \"30m\" or \"7d\"");
    let ttl: Duration = humantime::parse_duration(&text.value()).map_err(|_| wrong())?;
    u64::try_from(ttl.as_millis()).ok().filter(|millis| *millis > 0).ok_or_else(wrong)
}

fn check_older(field: &NamedField<'_>, options: &SlotOptions) -> Result<()> {
    let version = options.version;
    for (at, (older, _)) in options.older.iter().enumerate() {
        if *older == 0 || *older >= version {
            return Err(Error::new(
                field.ident.span(),
                format!("version {older} cannot be migrated to version {version}: it is no older one"),
            ));
        }
        if options.older[..at].iter().any(|(earlier, _)| earlier == older) {
            return Err(Error::new(field.ident.span(), format!("version {older} is migrated twice")));
        }
    }
    Ok(())
}

/// The trait `State` for a struct of slots.
pub(crate) fn state(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let (fields, options): (Vec<_>, Vec<_>) = named_fields_with::<SlotOptions>(input, "slot")?.into_iter().unzip();
    if fields.is_empty() {
        return Err(Error::new(name.span(), "a state has at least one slot; `NoState` is for operators that keep nothing"));
    }
    if let Some(life) = only_lifetime(input, "states")? {
        return Err(Error::new(life.span(), "states cannot borrow: they outlive the rows"));
    }
    fields.iter().zip(&options).try_for_each(|(field, options)| check_older(field, options))?;
    let types: Vec<_> = fields.iter().map(|field| field.ty).collect();
    let idents: Vec<_> = fields.iter().map(|field| field.ident).collect();
    let names: Vec<_> = fields.iter().map(|field| &field.name).collect();
    let indices: Vec<_> = (0..u32::try_from(fields.len()).map_err(|_| Error::new(name.span(), "too many slots"))?).collect();
    let versions: Vec<_> = options.iter().map(|options| options.version).collect();
    let specs = fields.iter().zip(&options).map(|(field, options)| {
        let (ty, name, version) = (field.ty, &field.name, options.version);
        let ttl = options.ttl_millis.map_or_else(|| quote!(::std::option::Option::None), |ttl| quote!(::std::option::Option::Some(#ttl)));
        quote!(::stygian_sdk::slot_spec::<#ty>(#name, #version, #ttl))
    });
    let older = || {
        let slots = fields.iter().zip(&options).zip(&indices);
        slots.flat_map(|((field, options), slot)| options.older.iter().map(move |(version, old)| (field, options, slot, version, old)))
    };
    let reads = older().map(|(_, _, slot, version, _)| quote!((#slot, #version)));
    let arms = older().map(|(field, options, slot, version, old)| {
        let (ty, name, present) = (field.ty, &field.name, options.version);
        quote! {
            (#slot, #version) => ::stygian_sdk::in_slot(
                #name,
                #present,
                ::stygian_sdk::migrate_value::<#old, <#ty as ::stygian_sdk::Slot>::Item>(old, new),
            ),
        }
    });
    let migrates = older().next().is_some();
    Ok(quote! {
        #[automatically_derived]
        impl ::stygian_sdk::State for #name {
            const MIGRATES: bool = #migrates;
            fn closed() -> Self {
                Self { #(#idents: <#types as ::stygian_sdk::Slot>::closed()),* }
            }
            fn slots() -> ::std::vec::Vec<::stygian_sdk::contract::StateSlot> {
                ::std::vec![#(#specs),*]
            }
            fn begin(&mut self, call: &mut ::stygian_sdk::StateCall) -> ::std::result::Result<(), ::std::string::String> {
                #(::stygian_sdk::in_slot(#names, #versions, ::stygian_sdk::Slot::begin(&mut self.#idents, #indices, call))?;)*
                ::std::result::Result::Ok(())
            }
            #[inline]
            fn begin_row(&mut self, key: u32) {
                #(::stygian_sdk::Slot::begin_row(&mut self.#idents, key);)*
            }
            fn undo_row(&mut self) {
                #(::stygian_sdk::Slot::undo_row(&mut self.#idents);)*
            }
            fn flush(&mut self, host: &mut dyn ::stygian_sdk::KeyedHost) -> ::std::result::Result<(), ::std::string::String> {
                #(::stygian_sdk::in_slot(#names, #versions, ::stygian_sdk::Slot::flush(&mut self.#idents, host))?;)*
                ::std::result::Result::Ok(())
            }
            fn reads() -> ::std::vec::Vec<(u32, u32)> {
                ::std::vec![#(#reads),*]
            }
            fn migrate(
                slot: u32,
                from_version: u32,
                old: &[u8],
                new: &mut ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                match (slot, from_version) {
                    #(#arms)*
                    _ => ::std::result::Result::Err(::stygian_sdk::unread_version(slot, from_version)),
                }
            }
        }
    })
}
