//! `Row` and `OutputRow`: implementations of the traits `InputRow` and `OutputRow`. The columns of a bound batch, and the builders of an
//! output, are tuples in the order of the fields.

use crate::shape::{NamedField, named_fields, only_lifetime};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{DeriveInput, Error, Index, Result};

/// `InputRow` and `OutputRow`.
pub(crate) fn both(input: &DeriveInput) -> Result<TokenStream> {
    let read = self::input(input)?;
    let write = output(input)?;
    Ok(quote!(#read #write))
}

fn input(input: &DeriveInput) -> Result<TokenStream> {
    let (name, fields) = (&input.ident, named_fields(input, "column")?);
    let life = only_lifetime(input, "rows")?.map_or_else(|| quote!('stygian_row), ToTokens::to_token_stream);
    let (_, generics, _) = input.generics.split_for_impl();
    let value = |field: &NamedField<'_>| {
        let ty = field.ty;
        quote!(<#ty as ::stygian_sdk::ReadValue<#life>>)
    };
    let columns = fields.iter().map(|field| {
        let value = value(field);
        quote!(#value::Column)
    });
    let schema = fields.iter().map(|field| {
        let (ty, name) = (field.ty, &field.name);
        quote!(<#ty as ::stygian_sdk::ColumnValue>::field(#name))
    });
    let binds = fields.iter().enumerate().map(|(at, field)| {
        let (ty, name) = (field.ty, &field.name);
        quote!(::stygian_sdk::bind_column::<#ty>(input, #at, #name)?)
    });
    let reads = fields.iter().enumerate().map(|(at, field)| {
        let (value, ident, at) = (value(field), field.ident, Index::from(at));
        quote!(#ident: #value::read(&columns.#at, row))
    });
    let reads_unchecked = fields.iter().enumerate().map(|(at, field)| {
        let (value, ident, at) = (value(field), field.ident, Index::from(at));
        quote!(#ident: #value::read_unchecked(&columns.#at, row))
    });
    Ok(quote! {
        #[automatically_derived]
        impl<#life> ::stygian_sdk::InputRow<#life> for #name #generics {
            type Columns = (#(#columns,)*);
            fn fields() -> ::std::vec::Vec<::stygian_sdk::contract::Field> {
                ::std::vec![#(#schema),*]
            }
            fn bind(input: ::stygian_sdk::Input<#life>) -> ::std::result::Result<Self::Columns, ::std::string::String> {
                ::std::result::Result::Ok((#(#binds,)*))
            }
            #[inline]
            fn read(columns: &Self::Columns, row: usize) -> Self {
                Self { #(#reads),* }
            }
            #[inline]
            #[allow(unsafe_code)]
            unsafe fn read_unchecked(columns: &Self::Columns, row: usize) -> Self {
                // SAFETY: the caller's, for every column.
                unsafe { Self { #(#reads_unchecked),* } }
            }
        }
    })
}

/// `OutputRow` alone.
pub(crate) fn output(input: &DeriveInput) -> Result<TokenStream> {
    let (name, fields) = (&input.ident, named_fields(input, "column")?);
    if fields.is_empty() {
        return Err(Error::new(name.span(), "a row needs at least one column"));
    }
    only_lifetime(input, "rows")?;
    let (life, generics, _) = input.generics.split_for_impl();
    let types: Vec<_> = fields.iter().map(|field| field.ty).collect();
    let idents: Vec<_> = fields.iter().map(|field| field.ident).collect();
    let names: Vec<_> = fields.iter().map(|field| &field.name).collect();
    let at: Vec<_> = (0..fields.len()).map(Index::from).collect();
    Ok(quote! {
        #[automatically_derived]
        impl #life ::stygian_sdk::OutputRow for #name #generics {
            type Builders = (#(<#types as ::stygian_sdk::WriteValue>::Builder,)*);
            fn fields() -> ::std::vec::Vec<::stygian_sdk::contract::Field> {
                ::std::vec![#(<#types as ::stygian_sdk::ColumnValue>::field(#names)),*]
            }
            fn builders(rows: usize) -> Self::Builders {
                (#(<<#types as ::stygian_sdk::WriteValue>::Builder as ::stygian_sdk::ColumnBuilder>::with_capacity(rows),)*)
            }
            #[inline]
            fn push(self, builders: &mut Self::Builders) {
                #(::stygian_sdk::WriteValue::write(self.#idents, &mut builders.#at);)*
            }
            #[inline]
            #[allow(unsafe_code)]
            unsafe fn push_reserved(self, builders: &mut Self::Builders) {
                // SAFETY: the caller's, for every column.
                unsafe { #(::stygian_sdk::WriteValue::write_reserved(self.#idents, &mut builders.#at);)* }
            }
            fn truncate(builders: &mut Self::Builders, rows: usize) {
                #(::stygian_sdk::ColumnBuilder::truncate(&mut builders.#at, rows);)*
            }
            fn finish(builders: Self::Builders) -> ::std::vec::Vec<::stygian_sdk::contract::Column> {
                ::std::vec![#(::stygian_sdk::ColumnBuilder::finish(builders.#at)),*]
            }
        }
    })
}
