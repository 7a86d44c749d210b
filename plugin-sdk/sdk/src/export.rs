//! `export!`: makes a crate a plugin.

/// Exports an operator as this crate's plugin, under the crate's name and version.
///
/// ```text
/// stygian_sdk::export!(filter Clean);
/// stygian_sdk::export!(map Enrich);
/// stygian_sdk::export!(flat_map Route, name = "route-by-kind");
/// ```
///
/// Natively nothing is exported, so that a test may link many plugins; the types are checked all the same.
#[macro_export]
macro_rules! export {
    ($kind:ident $operator:ty) => { $crate::export!($kind $operator, name = ::std::env!("CARGO_PKG_NAME")); };
    (filter $operator:ty, name = $name:expr) => { $crate::__export!($crate::FilterOperator<$operator>, $name); };
    (map $operator:ty, name = $name:expr) => { $crate::__export!($crate::MapOperator<$operator>, $name); };
    (flat_map $operator:ty, name = $name:expr) => { $crate::__export!($crate::FlatMapOperator<$operator>, $name); };
}

/// The exports themselves.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($operator:ty, $name:expr) => {
        const _: fn(&str) -> ::std::result::Result<$crate::contract::Description, ::std::string::String> =
            |config| $crate::guest::describe::<$operator>($name, ::std::env!("CARGO_PKG_VERSION"), config);

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)] // generated: the component's entry points
        const _: () = {
            use $crate::bindings::exports::stygian::plugin::{metadata, operator};

            struct Plugin;

            ::std::thread_local! {
                static INSTANCE: $crate::guest::Instance<$operator> = const { $crate::guest::Instance::closed() };
            }

            impl metadata::Guest for Plugin {
                fn describe(config: ::std::string::String) -> ::std::result::Result<metadata::Description, ::std::string::String> {
                    $crate::guest::describe::<$operator>($name, ::std::env!("CARGO_PKG_VERSION"), &config)
                }
            }

            impl operator::Guest for Plugin {
                fn open(config: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                    INSTANCE.with(|instance| instance.open(&config))
                }

                fn process(
                    _context: $crate::contract::CallContext,
                    input: $crate::contract::Batch,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    // SAFETY: the host called.
                    INSTANCE.with(|instance| unsafe { instance.process(&input) })
                }
            }

    $crate::bindings::export!(Plugin with_types_in $crate::bindings);
        };
    };
}
