//! The operators that a job can have: native ones over columns, and the one that calls a plugin. One file each.

mod branch;
mod filter;
mod plugin;
mod select;
mod union;
mod window;

pub use branch::Branch;
pub use filter::Filter;
pub use plugin::{PluginOperator, PluginOptions};
pub use select::Select;
pub use union::Union;
pub use window::Window;
