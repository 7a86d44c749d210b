use crate::host::{CONTEXT, SANDBOX};
use arrow_array::*;
use std::sync::Arc;
use std::time::Instant;
#[test]
fn scratch() {
    for name in ["clean", "enrich", "route"] {
        let t = Instant::now();
        let plugin = SANDBOX.load(std::path::Path::new(&format!("/tmp/plan-target/wasm/plugins/{name}.wasm"))).unwrap();
        println!("{name} load {:?}", t.elapsed());
        let t = Instant::now();
        let plugin2 = SANDBOX.load(std::path::Path::new(&format!("/tmp/plan-target/wasm/plugins/{name}.wasm"))).unwrap();
        drop(plugin2);
        println!("{name} cached load {:?}", t.elapsed());
        let plugin = plugin.with_limits(Default::default());
        match plugin.describe("{}") { Ok(d) => {
            println!("{d:?}");
            let n = 8192usize;
            let cols: Vec<(String, ArrayRef)> = d.inputs[0].columns.iter().map(|f| {
                use stygian_core::ColumnType::*;
                let a: ArrayRef = match f.column_type {
                    Text => Arc::new(StringArray::from_iter_values((0..n).map(|i| if f.name == "kind" { "click".to_owned() } else if i % 2 == 0 { format!("robot-{i}") } else { format!("user-{i:08}") }))),
                    Float64 => Arc::new(Float64Array::from_iter_values((0..n).map(|i| i as f64))),
                    Int64 => Arc::new(Int64Array::from_iter_values((0..n).map(|i| i as i64))),
                    TimestampUtc => Arc::new(TimestampMicrosecondArray::from_iter_values((0..n).map(|i| i as i64)).with_timezone("UTC")),
                    Timestamp => Arc::new(TimestampMicrosecondArray::from_iter_values((0..n).map(|i| i as i64))),
                    other => panic!("{other}"),
                };
                (f.name.clone(), a)
            }).collect();
            let schema = Arc::new(arrow_schema::Schema::new(d.inputs[0].columns.iter().map(|f| f.arrow()).collect::<Vec<_>>()));
            let batch = RecordBatch::try_new(schema.clone(), cols.into_iter().map(|c| c.1).collect()).unwrap();
            let mut op = plugin.operator("x", if name == "clean" { r#"{"robot_prefix":"robot"}"# } else {"{}"}, &schema).unwrap();
            match op.process(CONTEXT, &batch) {
              Ok(out) => { println!("outputs {:?} dead {}", out.outputs.iter().map(|o| o.iter().map(|p| match p { stygian_sandbox::Piece::Selected(r) => r.len(), stygian_sandbox::Piece::Emitted{rows,..} => rows.num_rows()}).collect::<Vec<_>>()).collect::<Vec<_>>(), out.dead_letters.len()); println!("{:?}", out.dead_letters.first()); }
              Err(e) => { println!("{e}"); continue; }
            }
            for rows in [64, 1024, 2048, 8192] {
                let b = batch.slice(0, rows);
                let rounds = 2_000_000 / rows;
                for _ in 0..3 {
                let t = Instant::now();
                for _ in 0..rounds { op.process(CONTEXT, &b).unwrap(); }
                println!("{name} {rows}: {:.1} ns/row", t.elapsed().as_nanos() as f64 / (rounds * rows) as f64);
                }
            }
        } Err(e) => println!("{e}") }
    }
    let plugin = crate::host::load("echo", &crate::guests::Guest::default().reads(crate::guests::fields(&["n int64"])).outputs(vec![("out", stygian_core::OutputShape::Own(crate::guests::fields(&["n int64"])))]).build(crate::calls::ECHO)).unwrap();
    let b = crate::host::rows(1024);
    let mut op = plugin.operator("x", "{}", &b.schema()).unwrap();
    for _ in 0..3 {
        let t = Instant::now();
        for _ in 0..5000 { op.process(CONTEXT, &b).unwrap(); }
        println!("echo one column 1024: {:.2} ns/row", t.elapsed().as_nanos() as f64 / (5000 * 1024) as f64);
    }
    let b = crate::host::rows(1);
    for _ in 0..3 {
        let t = Instant::now();
        for _ in 0..100000 { op.process(CONTEXT, &b).unwrap(); }
        println!("echo one row: {:.2} ns/call", t.elapsed().as_nanos() as f64 / (100000) as f64);
    }
}
#[test]
fn write_echo() {
    use crate::guests::*; use stygian_core::OutputShape;
    let g = |f: &[&str]| Guest::default().reads(fields(f)).outputs(vec![("out", OutputShape::Own(fields(f)))]).build(crate::calls::ECHO);
    std::fs::write("/tmp/echo.wasm", g(&["n int64", "m float64"])).unwrap();
    std::fs::write("/tmp/echo2.wasm", g(&["a text", "b text"])).unwrap();
}
