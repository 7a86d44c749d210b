//! `export!`: makes a crate a plugin.

/// Exports an operator as this crate's plugin, under the crate's name and version.
///
/// ```text
/// stygian_sdk::export!(filter Clean);
/// stygian_sdk::export!(map Enrich);
/// stygian_sdk::export!(flat_map Route, name = "route-by-kind");
/// stygian_sdk::export!(keyed Totals);
/// stygian_sdk::export!(aggregate Spread);
/// ```
///
/// Plugins whose state has older versions are `migrating_keyed` and `migrating_aggregate`.
///
/// Natively nothing is exported, so that a test may link many plugins; the types are checked all the same.
#[macro_export]
macro_rules! export {
    ($kind:ident $operator:ty) => { $crate::export!($kind $operator, name = ::std::env!("CARGO_PKG_NAME")); };
    (filter $operator:ty, name = $name:expr) => { $crate::__export!($crate::FilterOperator<$operator>, $name); };
    (map $operator:ty, name = $name:expr) => { $crate::__export!($crate::MapOperator<$operator>, $name); };
    (flat_map $operator:ty, name = $name:expr) => { $crate::__export!($crate::FlatMapOperator<$operator>, $name); };
    (keyed $operator:ty, name = $name:expr) => { $crate::__export_keyed!("keyed-plugin", false, $operator, $name, {}); };
    (migrating_keyed $operator:ty, name = $name:expr) => {
        $crate::__export_keyed!("migrating-keyed-plugin", true, $operator, $name, {
            $crate::__export_migration!(reads, migrate, $operator);
        });
    };
    (aggregate $operator:ty, name = $name:expr) => { $crate::__export_aggregate!("aggregate-plugin", $operator, $name, {}); };
    (migrating_aggregate $operator:ty, name = $name:expr) => {
        $crate::__export_aggregate!("migrating-aggregate-plugin", $operator, $name, {
            $crate::__export_migration!(accumulator_reads, migrate_accumulators, $operator);
        });
    };
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

            $crate::__export_interfaces!("operator-plugin", metadata, operator);
        };
    };
}

/// The component's entry points: those of `Plugin` for these interfaces, which are the exports of the contract's world of this name.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_interfaces {
    ($world:literal, $($interface:ident),*) => {
        $($crate::__export_interface!($interface);)*
        $crate::world_section!($world);
    };
}

/// The generated macro of an interface.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_interface {
    (metadata) => { $crate::__export_interface!(metadata, __export_stygian_plugin_metadata_0_2_0_cabi); };
    (operator) => { $crate::__export_interface!(operator, __export_stygian_plugin_operator_0_2_0_cabi); };
    (keyed_operator) => { $crate::__export_interface!(keyed_operator, __export_stygian_plugin_keyed_operator_0_2_0_cabi); };
    (aggregate) => { $crate::__export_interface!(aggregate, __export_stygian_plugin_aggregate_0_2_0_cabi); };
    (migration) => { $crate::__export_interface!(migration, __export_stygian_plugin_migration_0_2_0_cabi); };
    ($interface:ident, $generated:ident) => {
        $crate::bindings::exports::stygian::plugin::$interface::$generated!(
            Plugin with_types_in $crate::bindings::exports::stygian::plugin::$interface
        );
    };
}
