//! `Stored`: by postcard, through serde.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

/// The trait `Stored` for a type that serde knows.
pub(crate) fn stored(input: &DeriveInput) -> TokenStream {
    let name = &input.ident;
    let (impl_generics, generics, bounds) = input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics ::stygian_sdk::Stored for #name #generics #bounds {
            fn write(&self, bytes: &mut ::std::vec::Vec<u8>) -> ::std::result::Result<(), ::std::string::String> {
                ::stygian_sdk::to_postcard(self, bytes)
            }
            fn read(bytes: &[u8]) -> ::std::result::Result<Self, ::std::string::String> {
                ::stygian_sdk::from_postcard(bytes)
            }
        }
    }
}
