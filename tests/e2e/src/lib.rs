//! The harness of the end-to-end cases: runs the real program on a case's folder and compares what it wrote.
//!
//! A case is a folder: `pipeline.toml`, its input, and `expected/SINK.jsonl` with the rows that the sink's folder `out/SINK` must hold (in
//! any order; numbers within a relative 1e-9), or `error.txt` with what standard error must say. Expected rows come from a script
//! beside the case that is not our code. Output in formats that the harness does not read is made JSON lines by the case's `decode.py`. Every case is run at parallelism 1 and 3, in a folder of its own.

mod behaviour;
mod case;
mod faults;
mod hdfs;
mod kafka;
mod program;
mod rows;

pub use behaviour::{Behaviour, ITEMS};
pub use case::Case;
pub use faults::{Chance, Guard, KILL_POINTS, Killed, MERGE_POINTS};
pub use kafka::{Medium, Over, OverKafka, Rig, TRANSACTION_POINTS, USER};
pub use program::{Ended, Program, components, python};
pub use rows::{Differences, read_json_lines, read_output};
