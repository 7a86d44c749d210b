//! Derives of the SDK: the glue between an author's structs and columns.
//!
//! Authors use them through `stygian_sdk::prelude`; generated code names everything by its full path in `stygian_sdk` and reads
//! columns by index: names are compared by the host, once, when the pipeline is checked. All mistakes are compile errors at the field.

mod outputs;
mod row;
mod shape;

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

/// The outputs of a `FlatMap`: a struct of `Output<T>`, `ExtendedOutput<T>` and `SelectedOutput`. The first field is the main output.
/// An output has its field's name, or that of `#[output(name = "...")]`.
#[proc_macro_derive(Outputs, attributes(output))]
pub fn derive_outputs(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    outputs::outputs(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
