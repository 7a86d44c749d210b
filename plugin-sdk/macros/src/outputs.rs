//! `Outputs`: calls each field's `OutputPort` in the order of the fields, which is the order of output indices.

use crate::shape::{named_fields, only_lifetime};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Result};

/// The trait `Outputs` for a struct of ports.
pub(crate) fn outputs(input: &DeriveInput) -> Result<TokenStream> {
    let (name, fields) = (&input.ident, named_fields(input, "output")?);
    if fields.is_empty() {
        return Err(Error::new(name.span(), "an operator has at least one output"));
    }
    only_lifetime(input, "outputs")?;
    let (life, generics, _) = input.generics.split_for_impl();
    let types: Vec<_> = fields.iter().map(|field| field.ty).collect();
    let idents: Vec<_> = fields.iter().map(|field| field.ident).collect();
    let names: Vec<_> = fields.iter().map(|field| &field.name).collect();
    let indices = 0..u32::try_from(fields.len()).map_err(|_| Error::new(name.span(), "too many outputs"))?;
    Ok(quote! {
        #[automatically_derived]
        impl #life ::stygian_sdk::Outputs for #name #generics {
            fn specs() -> ::std::vec::Vec<::stygian_sdk::contract::OutputSpec> {
                ::std::vec![#(<#types as ::stygian_sdk::OutputPort>::spec(#names)),*]
            }
            fn with_capacity(rows: usize) -> Self {
                Self { #(#idents: <#types as ::stygian_sdk::OutputPort>::with_capacity(rows)),* }
            }
            #[inline]
            fn begin_row(&mut self, row: u32) {
                #(::stygian_sdk::OutputPort::begin_row(&mut self.#idents, row);)*
            }
            fn undo_row(&mut self) {
                #(::stygian_sdk::OutputPort::undo_row(&mut self.#idents);)*
            }
            fn flush(self, rows: u32, host: &mut dyn ::stygian_sdk::Host) -> ::std::result::Result<(), ::std::string::String> {
                #(::stygian_sdk::OutputPort::flush(self.#idents, #indices, rows, host)
                    .map_err(|problem| ::std::format!("output `{}` {problem}", #names))?;)*
                ::std::result::Result::Ok(())
            }
        }
    })
}
