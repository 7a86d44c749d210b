//! Generated bindings of the contract's world `operator-plugin`, fenced: nothing else in the SDK is generated.
//!
//! Authors need nothing of it; [`crate::contract`] names the types that matter.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, clippy::cast_possible_truncation, clippy::semicolon_if_nothing_returned)]

wit_bindgen::generate!({
    path: "../wit/contract",
    world: "operator-plugin",
    pub_export_macro: true,
    default_bindings_module: "stygian_sdk::bindings",
    additional_derives: [PartialEq],
});
