//! The exports of keyed operators and aggregates, with and without `migration`.

/// The exports of a keyed operator; `$migration` is the interface's implementation where the world has it.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_keyed {
    ($world:literal, $migrates:literal, $operator:ty, $name:expr, { $($migration:tt)* }) => {
        const _: fn(&str) -> ::std::result::Result<$crate::contract::Description, ::std::string::String> =
            |config| $crate::guest::describe_keyed::<$operator>($name, ::std::env!("CARGO_PKG_VERSION"), config);

        const _: () = ::std::assert!(
            <<$operator as $crate::Keyed>::State as $crate::State>::MIGRATES == $migrates,
            "an operator whose slots name older versions is exported as `migrating_keyed`, all others as `keyed`"
        );

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)] // generated: the component's entry points
        const _: () = {
            use $crate::bindings::exports::stygian::plugin::{keyed_operator, metadata};

            struct Plugin;

            ::std::thread_local! {
                static INSTANCE: $crate::guest::Instance<$crate::KeyedOperator<$operator>> = const { $crate::guest::Instance::closed() };
            }

            impl metadata::Guest for Plugin {
                fn describe(
                    config: ::std::string::String,
                ) -> ::std::result::Result<$crate::contract::Description, ::std::string::String> {
                    $crate::guest::describe_keyed::<$operator>($name, ::std::env!("CARGO_PKG_VERSION"), &config)
                }
            }

            impl keyed_operator::Guest for Plugin {
                fn open(config: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                    INSTANCE.with(|instance| instance.open_keyed(&config))
                }

                fn process(
                    context: $crate::contract::CallContext,
                    input: u32,
                    rows: $crate::contract::KeyedBatch,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    // SAFETY: the host called.
                    INSTANCE.with(|instance| unsafe { instance.process_keyed(context, input, rows) })
                }

                fn on_timers(
                    context: $crate::contract::CallContext,
                    fired: $crate::contract::FiredTimers,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    // SAFETY: the host called.
                    INSTANCE.with(|instance| unsafe { instance.on_timers(context, fired) })
                }
            }

            $($migration)*
            $crate::__export_interfaces!($world, metadata, keyed_operator);
        };
    };
}

/// The exports of an aggregate.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_aggregate {
    ($world:literal, $operator:ty, $name:expr, { $($migration:tt)* }) => {
        const _: fn(&str) -> ::std::result::Result<$crate::contract::Description, ::std::string::String> =
            |config| $crate::guest::describe_aggregate::<$operator>($name, ::std::env!("CARGO_PKG_VERSION"), config);

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)] // generated: the component's entry points
        const _: () = {
            use $crate::bindings::exports::stygian::plugin::{aggregate, metadata};
            use $crate::contract::{Batch, SlotStates};

            struct Plugin;

            ::std::thread_local! {
                static INSTANCE: $crate::guest::Instance<$crate::AggregateOperator<$operator>> =
                    const { $crate::guest::Instance::closed() };
            }

            impl metadata::Guest for Plugin {
                fn describe(
                    config: ::std::string::String,
                ) -> ::std::result::Result<$crate::contract::Description, ::std::string::String> {
                    $crate::guest::describe_aggregate::<$operator>($name, ::std::env!("CARGO_PKG_VERSION"), &config)
                }
            }

            impl aggregate::Guest for Plugin {
                fn open(config: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                    INSTANCE.with(|instance| instance.open_aggregate(&config))
                }

                fn accumulate(
                    accumulators: SlotStates,
                    rows: Batch,
                    group_of_row: ::std::vec::Vec<u32>,
                ) -> ::std::result::Result<SlotStates, ::std::string::String> {
                    // SAFETY: the host called.
                    INSTANCE.with(|instance| unsafe { instance.accumulate(&accumulators, &rows, &group_of_row) })
                }

                fn merge(into: SlotStates, from: SlotStates) -> ::std::result::Result<SlotStates, ::std::string::String> {
                    INSTANCE.with(|instance| instance.merge(&into, &from))
                }

                fn finish(accumulators: SlotStates) -> ::std::result::Result<Batch, ::std::string::String> {
                    INSTANCE.with(|instance| instance.finish(&accumulators))
                }
            }

            $($migration)*
            $crate::__export_interfaces!($world, metadata, aggregate);
        };
    };
}

/// `migration` of the worlds that have it.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_migration {
    ($reads:ident, $migrate:ident, $operator:ty) => {
        impl $crate::bindings::exports::stygian::plugin::migration::Guest for Plugin {
            fn reads() -> ::std::vec::Vec<$crate::contract::ReadableVersions> {
                $crate::migration::$reads::<$operator>()
            }

            fn migrate(
                slot: u32,
                from_version: u32,
                states: $crate::contract::VarValues,
            ) -> ::std::result::Result<$crate::contract::VarValues, ::std::string::String> {
                $crate::migration::$migrate::<$operator>(slot, from_version, &states)
            }
        }
        $crate::__export_interface!(migration);
    };
}
