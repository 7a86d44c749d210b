//! Generated bindings of the contract, fenced: nothing else in the SDK is generated. They are of a world that is all of the contract's together, so
//! that each type is there once; which world a plugin is of, `export!` says.
//!
//! Authors need nothing of it; [`crate::contract`] names the types that matter.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, clippy::cast_possible_truncation, clippy::semicolon_if_nothing_returned)]

wit_bindgen::generate!({
    path: "../wit/contract",
    inline: "
        package stygian:sdk;

        world all {
            include stygian:plugin/operator-plugin@0.2.0;
            include stygian:plugin/migrating-keyed-plugin@0.2.0;
            include stygian:plugin/migrating-aggregate-plugin@0.2.0;
        }
    ",
    world: "stygian:sdk/all",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "stygian_sdk::bindings",
    additional_derives: [PartialEq],
});
