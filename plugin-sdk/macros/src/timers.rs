//! `Timers`: an enum whose variants are names of timers, each with its clock.

use crate::shape::refuse_repeated;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Result, Variant};

/// A variant, and what it is called outside.
struct Timer<'a> {
    variant: &'a Variant,
    name: String,
    clock: TokenStream,
}

fn timer(variant: &Variant) -> Result<Timer<'_>> {
    if !matches!(variant.fields, Fields::Unit) {
        return Err(Error::new(variant.ident.span(), "a timer is a name: it has no fields; keep what belongs to it in the state"));
    }
    let (mut name, mut clock) = (snake_case(&variant.ident.unraw().to_string()), None);
    for attr in variant.attrs.iter().filter(|attr| attr.path().is_ident("timer")) {
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = meta.value()?.parse::<LitStr>()?.value();
            } else if meta.path.is_ident("event_time") {
                clock = Some(quote!(EventTime));
            } else if meta.path.is_ident("processing_time") {
                clock = Some(quote!(ProcessingTime));
            } else {
                return Err(meta.error("only `event_time`, `processing_time` and `name = \"...\"` are known here"));
            }
            Ok(())
        })?;
    }
    let clock = clock.ok_or_else(|| {
        Error::new(variant.ident.span(), "say by which clock the timer goes: `#[timer(event_time)]` or `#[timer(processing_time)]`")
    })?;
    Ok(Timer { variant, name, clock })
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// The trait `Timers` for an enum of names.
pub(crate) fn timers(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(name.span(), "timers are the variants of an enum"));
    };
    if data.variants.is_empty() {
        return Err(Error::new(name.span(), "there is no timer in it; `NoTimers` is for operators without"));
    }
    if let Some(param) = input.generics.params.first() {
        return Err(Error::new_spanned(param, "timers cannot have parameters"));
    }
    let timers = data.variants.iter().map(timer).collect::<Result<Vec<_>>>()?;
    refuse_repeated(timers.iter().map(|timer| (&timer.variant.ident, timer.name.as_str())))?;
    let idents: Vec<_> = timers.iter().map(|timer| &timer.variant.ident).collect();
    let names = timers.iter().map(|timer| &timer.name);
    let clocks = timers.iter().map(|timer| &timer.clock);
    let indices: Vec<_> = (0..u32::try_from(idents.len()).map_err(|_| Error::new(name.span(), "too many timers"))?).collect();
    Ok(quote! {
        #[automatically_derived]
        impl ::stygian_sdk::Timers for #name {
            fn specs() -> ::std::vec::Vec<::stygian_sdk::contract::TimerSpec> {
                ::std::vec![#(::stygian_sdk::timer_spec(#names, ::stygian_sdk::contract::Clock::#clocks)),*]
            }
            fn from_index(index: u32) -> ::std::option::Option<Self> {
                match index {
                    #(#indices => ::std::option::Option::Some(Self::#idents),)*
                    _ => ::std::option::Option::None,
                }
            }
            fn index(self) -> u32 {
                match self {
                    #(Self::#idents => #indices,)*
                }
            }
        }
    })
}
