//! The bare decoding of user behaviour events by arrow-json: `bench-decode FILE...`. What a job on these files is compared with.

use anyhow::Result;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use std::io::BufReader;
use std::sync::Arc;

fn main() -> Result<()> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let (amount, at) = (Field::new("amount", DataType::Float64, true), Field::new("at", time, false));
    let fields = vec![text("user"), text("item"), text("kind"), amount, at, text("session"), text("page")];
    let schema = Arc::new(Schema::new(fields));
    let mut rows = 0;
    for path in std::env::args_os().skip(1) {
        let file = BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
        for batch in arrow_json::ReaderBuilder::new(schema.clone()).with_batch_size(8192).build(file)? {
            rows += batch?.num_rows();
        }
    }
    stygian_bench::tell(&serde_json::json!({ "decoded_rows": rows }))
}
