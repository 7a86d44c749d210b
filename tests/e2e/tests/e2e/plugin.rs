//! An operator's way from `plugin new` to a pipeline, and what a job says when the operator panics.

use crate::poison::stygian;
use std::path::Path;
use stygian_e2e::{Ended, Program, read_output};

const PIPELINE: &str = r#"
name = "mine"

[source.rows]
connector = "files"
path = "rows.jsonl"
format = "json"
schema = { user = "text not null", amount = "float64", note = "text" }

[operator.large]
input = "rows"
plugin = "./large.wasm"
config = { least = 10.0 }

[sink.kept]
input = "large"
connector = "files"
path = "out/kept"
format = "json"
"#;

const ROWS: &str = r#"{"user":"a","amount":12.5,"note":"x"}
{"user":"b","amount":9.0}
{"user":"c","amount":null}
{"user":"d","amount":10.0}
"#;

fn succeeds(folder: &Path, args: &[&str]) -> Ended {
    let ended = stygian(folder, args);
    assert_eq!(ended.status, Some(0), "{args:?}: {}", ended.err);
    ended
}

/// The standard library and the SDK are compiled once for all plugins, so these must have names of their own.
fn build(folder: &Path, name: &str) {
    let shared = stygian_e2e::components().ancestors().nth(2).expect("a target folder");
    let program = Program::find().expect("built");
    let output =
        program.command(folder, &["plugin", "build", name, "--out", "."]).env("CARGO_TARGET_DIR", shared).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_new_plugin_is_built_inspected_tested_and_run() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    succeeds(folder, &["plugin", "new", "large"]);
    build(folder, "large");
    std::fs::write(folder.join("rows.jsonl"), ROWS).expect("written");
    std::fs::write(folder.join("pipeline.toml"), PIPELINE).expect("written");

    let inspected = succeeds(folder, &["plugin", "inspect", "large.wasm"]).out;
    assert!(inspected.contains("plugin large 0.1.0\ninput input\n    user text not null\n    amount float64\n"), "{inspected}");

    let tested = succeeds(folder, &["plugin", "test", "large.wasm", "--input", "rows.jsonl", "--config", "{\"least\": 10}"]);
    let expected = "{\"output\":\"main\",\"row\":{\"user\":\"a\",\"amount\":12.5}}\n{\"output\":\"main\",\"row\":{\"user\":\"d\",\"amount\":10.0}}\n\
                    {\"dead_letter\":\"amount is absent\",\"row\":{\"user\":\"c\"}}\n";
    assert_eq!(tested.out, expected);

    let run = succeeds(folder, &["run", "pipeline.toml"]);
    assert!(run.err.contains("1 dead letter of `large`, the first: amount is absent"), "{}", run.err);
    let kept = read_output(&folder.join("out/kept")).expect("rows");
    assert_eq!(serde_json::to_string(&kept).expect("JSON"), r#"[{"amount":12.5,"note":"x","user":"a"},{"amount":10.0,"user":"d"}]"#);

    // The same operator with a fault in it.
    let source = folder.join("large/src/lib.rs");
    let text = std::fs::read_to_string(&source).expect("a crate");
    let faulty = text.replace("let amount =", "assert!(event.user != \"d\", \"user \\u{1b}[31md\");\n        let amount =");
    assert_ne!(text, faulty);
    std::fs::write(&source, faulty).expect("written");
    build(folder, "large");
    let failed = stygian(folder, &["run", "pipeline.toml"]);
    assert_eq!(failed.status, Some(1), "{}", failed.err);
    for part in [
        "operator `large` (plugin large@0.1.0)",
        "`process` of row 3",
        "panicked at",
        "user \\u{1b}[31md",
        "dead letters",
        "e2e-state/stygian/captures/mine/large-",
    ] {
        assert!(failed.err.contains(part), "`{part}` is missing: {}", failed.err);
    }
}

#[test]
fn a_plugin_that_remembers_is_caught() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    succeeds(folder, &["plugin", "new", "counting"]);
    let source = folder.join("counting/src/lib.rs");
    let text = std::fs::read_to_string(&source).expect("a crate");
    let counting = "static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);\n        \
                    let seen = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);\n        Ok(seen < 2 && amount >= self.least";
    let remembering = text.replace("Ok(amount >= self.least", counting);
    assert_ne!(text, remembering);
    std::fs::write(&source, remembering).expect("written");
    build(folder, "counting");
    let rows = "{\"user\":\"a\",\"amount\":1}\n".repeat(6);
    std::fs::write(folder.join("rows.jsonl"), rows).expect("written");
    // In many calls, and in a single one too.
    for rows in ["2", "100"] {
        let tested = stygian(folder, &["plugin", "test", "counting.wasm", "--input", "rows.jsonl", "--rows", rows]);
        assert_eq!(tested.status, Some(1), "{}", tested.err);
        assert!(tested.err.contains("keeps something between calls"), "{}", tested.err);
    }

    // One that fails on what it remembers.
    let text = std::fs::read_to_string(&source).expect("a crate");
    std::fs::write(&source, text.replace("Ok(seen < 2 && ", "assert!(seen < 9);\n        Ok(")).expect("written");
    build(folder, "counting");
    let tested = stygian(folder, &["plugin", "test", "counting.wasm", "--input", "rows.jsonl"]);
    assert_eq!(tested.status, Some(1), "{}", tested.err);
    assert!(tested.err.contains("a used instance fails") && tested.err.contains("keeps something"), "{}", tested.err);
}
