//! Derives of the SDK: the glue between an author's structs and columns.
//!
//! Authors use them through `stygian_sdk::prelude`; generated code names everything by its full path in `stygian_sdk` and reads
//! columns by index: names are compared by the host, once, when the pipeline is checked. All mistakes are compile errors at the field.

mod outputs;
mod row;
mod shape;
mod state;
mod stored;
#[cfg(test)]
mod tests;
mod timers;
mod world;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// A struct whose fields are columns: read from a batch without copying (`InputRow`), and written to one (`OutputRow`).
///
/// Fields are `bool`, `i8`..`u64`, `f32`, `f64`, `&str`, `&[u8]`, `Date`, `Timestamp`, `TimestampUtc`, `Decimal<P, S>`, and any of
/// them in an `Option` where the column is nullable. The column has the field's name, or that of `#[column(name = "...")]`.
#[proc_macro_derive(Row, attributes(column))]
pub fn derive_row(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    row::both(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// A struct whose fields are columns of an output (`OutputRow`). Fields are those of `Row`, `String` and `Vec<u8>`.
#[proc_macro_derive(OutputRow, attributes(column))]
pub fn derive_output_row(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    row::output(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// The outputs of a `FlatMap` or a `Keyed`: a struct of `Output<T>`, `ExtendedOutput<T>` and `SelectedOutput`. The first field is the main output.
/// An output has its field's name, or that of `#[output(name = "...")]`.
#[proc_macro_derive(Outputs, attributes(output))]
pub fn derive_outputs(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    outputs::outputs(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// What a `Keyed` keeps for a key: a struct of `ValueState<T>`, `ListState<T>` and `MapState<K, V>`.
///
/// `#[slot(...)]` on a field: `name = "..."` (the field's by default), `version = 2` (1 by default; to be counted up when the type changes),
/// `ttl = "1h"` (how long a value, a map's entry or a whole list lives after it was last written: until the watermark is so far, or processing
/// time where the input has no event time) and `migrate(1 = OldType)`: values of version 1 were of `OldType`, of which the present type is made
/// by `From` or `TryFrom`.
#[proc_macro_derive(State, attributes(slot))]
pub fn derive_state(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    state::state(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// The timers of a `Keyed`: an enum, each variant with `#[timer(event_time)]` or `#[timer(processing_time)]`. A timer has its variant's name in
/// snake case, or that of `name = "..."`.
#[proc_macro_derive(Timers, attributes(timer))]
pub fn derive_timers(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    timers::timers(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// A type that can be stored as state, in the form of postcard. It derives serde's `Serialize` and `Deserialize` too.
#[proc_macro_derive(Stored)]
pub fn derive_stored(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    stored::stored(&input).into()
}

/// For `export!`: the section of a module that tells its maker's tools of what world it is, by the world's name in the contract.
#[doc(hidden)]
#[proc_macro]
pub fn world_section(input: TokenStream) -> TokenStream {
    let name = parse_macro_input!(input as syn::LitStr);
    world::section(&name).unwrap_or_else(syn::Error::into_compile_error).into()
}
