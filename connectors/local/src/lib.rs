//! Connectors without an outside: made-up user behaviour, a table on the terminal, and a sink that tests can look into.

mod collect;
mod console;
mod console_table;
mod generator;
mod generator_options;
mod generator_row;

pub use collect::{Collect, CollectOptions, CollectSink, Collected};
pub use console::{Console, ConsoleOptions, SharedOutput};
pub use generator::Generator;
pub use generator_options::GeneratorOptions;
