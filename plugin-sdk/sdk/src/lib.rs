//! Write operators for Stygian in Rust: structs for rows, a trait for what is done to each, one line to export it.
//!
//! An operator is a pure function over columnar batches. Authors see rows: [`Filter`], [`Map`], [`FlatMap`] and [`Keyed`] are called once a row
//! with a struct that borrows from the columns ([`InputRow`]); what they return is collected into columns ([`OutputRow`]) and handed
//! to the host once a call. Reading a row allocates nothing. An [`Aggregate`] adds rows to an accumulator.
//!
//! State and timers are the host's. A [`Keyed`] sees those of the row's key ([`State`], [`Timers`]): they come with the call, and what changed goes
//! back at its end; so a row which is refused can be undone, in state, timers and outputs alike.
//!
//! The way through: `guest` (the component's exports) -> [`Operator`] (the adapters in `filter`, `map`, `flat_map`), [`KeyedOperator`] or
//! [`AggregateOperator`] -> the author's trait -> [`Host`] and [`KeyedHost`]. Only `bindings` and `host::Imports` know the sandbox; the rest runs
//! natively, which is how `stygian-testing` tests an operator.
//!
//! ```
//! use stygian_sdk::prelude::*;
//!
//! #[derive(Row)]
//! struct Event<'a> { user: &'a str, amount: Option<f64> }
//!
//! struct Clean;
//!
//! impl Filter for Clean {
//!     type Config = NoConfig;
//!     type Row<'a> = Event<'a>;
//!     fn open(_: NoConfig) -> Result<Self, String> { Ok(Self) }
//!     fn keep(&self, event: Event<'_>) -> Result<bool, Reject> {
//!         let amount = event.amount.ok_or("no amount")?;
//!         Ok(amount > 0.0 && event.user != "robot")
//!     }
//! }
//!
//! stygian_sdk::export!(filter Clean);
//! ```

// The derives name this crate `stygian_sdk`, here too.
#[allow(unused_extern_crates)]
extern crate self as stygian_sdk;

mod aggregate;
pub mod bindings;
mod bits;
mod blobs;
mod builder;
pub mod contract;
pub mod duration;
mod export;
mod export_keyed;
mod filter;
mod flat_map;
pub mod guest;
mod host;
mod input;
mod keyed;
pub mod log;
mod map;
mod map_key;
pub mod migration;
mod operator;
mod output;
mod reject;
mod row;
mod state;
mod stored;
mod timers;
mod types;
mod value;
mod var;

pub use aggregate::{Aggregate, AggregateOperator, OldAccumulators};
pub use builder::{BoolBuilder, ColumnBuilder, DecimalBuilder, NullableBuilder, PlainBuilder, PlainValue, VarBuilder, WriteValue};
pub use filter::{Filter, FilterOperator};
pub use flat_map::{FlatMap, FlatMapOperator};
pub use host::{Host, Imports, KeyedHost, StateReader};
pub use input::{Extent, Input};
pub use keyed::{Context, Keyed, KeyedOperator, KeyedRows, Keys};
pub use map::{Map, MapOperator};
pub use map_key::{FixedKey, MapKey};
pub use operator::{NoConfig, Operator, describe, open};
pub use output::{ExtendedOutput, Output, OutputPort, Outputs, SelectedOutput};
pub use reject::Reject;
pub use row::{InputRow, OutputRow, bind_column};
pub use state::{ListState, MapState, NoState, Slot, State, StateCall, ValueState, in_slot, migrate_value, slot_spec, unread_version};
pub use stored::{FixedSize, Stored, from_postcard, to_postcard};
pub use stygian_macros::{OutputRow, Outputs, Row, State, Stored, Timers, world_section};
pub use timers::{NoTimers, TimerCalls, Timers, timer_spec};
pub use types::{Date, Decimal, Micros, Timestamp, TimestampUtc};
pub use value::{Bits, ColumnValue, Decimals, Mismatch, Nullable, ReadValue, Sealed};
pub use var::{Texts, Vars};

/// What an operator's file needs.
pub mod prelude {
    pub use crate::{
        Aggregate, Context, Date, Decimal, ExtendedOutput, Filter, FlatMap, Keyed, ListState, Map, MapState, NoConfig, NoState, NoTimers,
        OldAccumulators, Output, OutputRow, Outputs, Reject, Row, SelectedOutput, State, Stored, Timers, Timestamp, TimestampUtc,
        ValueState, log,
    };
}
