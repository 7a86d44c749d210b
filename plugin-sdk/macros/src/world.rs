//! The section of a core module that makes a component of it: of what world it is, encoded as `wit-component` wants it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use stygian_wit::CONTRACT;
use syn::{Error, LitByteStr, LitStr, Result};
use wit_component::StringEncoding;
use wit_parser::Resolve;

/// A static in the section.
pub(crate) fn section(world: &LitStr) -> Result<TokenStream> {
    let bytes = encode(&world.value()).map_err(|problem| Error::new(world.span(), problem))?;
    let (section, count, bytes) =
        (format!("component-type:stygian:{}", world.value()), bytes.len(), LitByteStr::new(&bytes, Span::call_site()));
    Ok(quote! {
        #[doc(hidden)]
        #[unsafe(link_section = #section)]
        pub static __STYGIAN_WORLD: [u8; #count] = *#bytes;
    })
}

fn encode(world: &str) -> std::result::Result<Vec<u8>, String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("stygian.wit", CONTRACT).map_err(|error| format!("{error:#}"))?;
    let world = resolve.select_world(&[package], Some(world)).map_err(|error| format!("{error:#}"))?;
    wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None).map_err(|error| format!("{error:#}"))
}
