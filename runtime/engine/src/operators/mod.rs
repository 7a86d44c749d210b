//! The operators that a job can have: native ones over columns, and the one that calls a plugin. One file each.

mod aggregate;
mod branch;
mod dedup;
mod filter;
mod keyed;
mod plugin;
mod select;
mod top;
mod union;
mod window;

pub use aggregate::PluginAggregate;
pub use branch::Branch;
pub use dedup::Dedup;
pub use filter::Filter;
pub use keyed::{Keyed, KeyedSpec};
pub use plugin::{PluginOperator, PluginOptions};
pub use select::Select;
pub use top::Top;
pub use union::Union;
pub use window::Window;
