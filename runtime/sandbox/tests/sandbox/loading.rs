//! Loading: what is refused and why, the cache, descriptions, wiring.

use crate::guests::{Guest, component, fields};
use crate::host::{CONTEXT, FOLDER, SANDBOX, compiler, config, file, load, operator, rows};
use arrow_schema::{DataType, Field, Schema};
use std::sync::Arc;
use stygian_core::{ByteSize, OutputShape, PluginInterfaces};
use stygian_sandbox::{CompileLimits, Compiler, Sandbox, SandboxConfig, SandboxError, Situation};

const NOTHING: &str = "(func $process (param i32 i32 i32))";

fn refused(name: &str, bytes: &[u8]) -> String {
    load(name, bytes).expect_err("a refusal").to_string()
}

#[test]
fn describes_what_it_is() {
    let plugin = load("good", &Guest::default().build(NOTHING)).expect("a plugin");
    assert_eq!(plugin.interfaces(), PluginInterfaces { operator: true, ..PluginInterfaces::default() });
    assert!(plugin.imports().contains(&"stygian:plugin/output@0.2.0".to_owned()));
    assert!(plugin.exports().contains(&"stygian:plugin/metadata@0.2.0".to_owned()));
    let description = plugin.describe("{}").expect("a description");
    assert_eq!((description.name.as_str(), description.version.to_string()), ("guest", "1.2.3".to_owned()));
    assert_eq!(description.inputs[0].columns, fields(&["n int64", "text text"]));
    let shapes: Vec<OutputShape> = description.outputs.into_iter().map(|output| output.shape).collect();
    let own = OutputShape::Own(fields(&["n int64 not null", "text text"]));
    assert_eq!(shapes, [OutputShape::Selected, own, OutputShape::Extended(fields(&["m int64"]))]);
}

#[test]
fn refuses_what_is_no_component_of_the_contract() {
    assert!(refused("text", b"hello").contains("does not begin as WebAssembly does"));
    assert!(refused("module", &wat::parse_str("(module)").expect("a module")).contains("a core module"));
    assert!(refused("empty", &wat::parse_str("(component)").expect("a component")).contains("does not export `stygian:plugin/metadata"));
    let cut = Guest::default().build(NOTHING);
    assert!(refused("cut", &cut[..cut.len() / 2]).contains("is not a component"));
    let older = r#"(component (import "stygian:plugin/output@0.0.9" (instance)))"#;
    assert!(refused("older", &wat::parse_str(older).expect("a component")).contains("which this version does not have"));
    let error = SANDBOX.load(&FOLDER.path().join("missing.wasm")).expect_err("no file");
    assert!(matches!(error, SandboxError::Read { .. }));
}

#[test]
fn refuses_an_export_of_another_type() {
    let module = r#"(component
      (core module $m (memory (export "memory") 1) (func (export "d") (result i32) (i32.const 0)))
      (core instance $i (instantiate $m))
      (func $describe (result string) (canon lift (core func $i "d") (memory $i "memory")))
      (instance $metadata (export "describe" (func $describe)))
      (export "stygian:plugin/metadata@0.2.0" (instance $metadata)))"#;
    let plugin = load("other", &wat::parse_str(module).expect("a component")).expect("only its outside is seen on load");
    assert!(plugin.describe("{}").is_err());
}

#[test]
fn refuses_features_of_wasm_that_are_off() {
    let features = [
        ("threads", r#"(memory $shared 1 1 shared)"#),
        ("multi-memory", "(memory $second 1)"),
        ("exceptions", "(tag $e)"),
        ("gc", "(type $s (struct (field i32)))"),
        ("tail calls", "(func $tail (return_call $tail))"),
        ("relaxed simd", "(func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))"),
    ];
    for (name, item) in features {
        let error = load(name, &Guest::default().build(&format!("{NOTHING} {item}"))).expect_err(name);
        assert!(matches!(error, SandboxError::Invalid { .. }), "{name}: {error:?}");
    }
}

#[test]
fn refuses_a_file_that_is_too_large() {
    let compile = CompileLimits { component: ByteSize(100), ..CompileLimits::default() };
    let sandbox = Sandbox::new(SandboxConfig { compile, ..config() }).expect("a sandbox");
    let error = sandbox.load(&file("large", &Guest::default().build(NOTHING))).expect_err("too large");
    assert!(matches!(error, SandboxError::TooLarge { .. }), "{error:?}");
}

#[test]
fn refuses_memory_above_the_limit_from_the_start() {
    let plugin = load("huge", &Guest::default().build(NOTHING)).expect("a plugin");
    let plugin = plugin.with_limits(stygian_sandbox::Limits { memory: ByteSize::kib(64), ..Default::default() });
    let error = plugin.describe("{}").expect_err("its memory begins with 128 KiB");
    assert!(matches!(&error, SandboxError::Call(error) if matches!(error.situation, Situation::OutOfMemory { .. })), "{error:?}");
}

#[test]
fn checks_names_versions_and_sizes_of_descriptions() {
    let describe = |guest: Guest| load("bad", &guest.build(NOTHING)).expect("a plugin").describe("{}").expect_err("a refusal").to_string();
    assert!(describe(Guest::default().called("Bad", "1.0.0")).contains("its name is `Bad`"));
    assert!(describe(Guest::default().called("ok", "1.0")).contains("no semantic version"));
    assert!(describe(Guest::default().outputs(vec![])).contains("at least one output"));
    assert!(describe(Guest::default().outputs(vec![("a", OutputShape::Selected), ("a", OutputShape::Selected)])).contains("called `a`"));
    assert!(describe(Guest::default().reads(fields(&["a\u{1b} int8"]))).contains("control characters"));
    assert!(describe(Guest::default().reads(fields(&[&format!("{} int8", "x".repeat(257))]))).contains("257 bytes"));
    let many: Vec<String> = (0..1001).map(|n| format!("c{n} int8")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(describe(Guest::default().reads(fields(&many))).contains("1001 columns"));
    assert!(describe(Guest::default().keyed_by(fields(&["k text"]))).contains("only a keyed operator has a key"));
}

#[test]
fn lists_all_columns_that_do_not_fit() {
    let plugin = load("good", &Guest::default().build(NOTHING)).expect("a plugin");
    let input = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8View, true)]));
    let error = plugin.operator("node", "{}", &input).expect_err("a mismatch").to_string();
    assert!(error.contains("no column `n`") && error.contains("cast to Utf8"), "{error}");
}

#[test]
fn a_plugin_that_is_keyed_alone_makes_no_operator_of_rows() {
    let keyed = r#"(module
      (import "stygian:plugin/state-access@0.2.0" "append" (func (param i32 i32 i32 i32 i32 i32)))
      (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "stygian:plugin/metadata@0.2.0#describe") (param i32 i32) (result i32)
        (i32.store8 (i32.const 64) (i32.const 1)) (i32.const 64))
      (func (export "stygian:plugin/keyed-operator@0.2.0#open") (param i32 i32) (result i32) (i32.const 16))
      (func (export "stygian:plugin/keyed-operator@0.2.0#process")
        (param i32 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16))
      (func (export "stygian:plugin/keyed-operator@0.2.0#on-timers") (param i32 i64 i64 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 16)))"#;
    let plugin = load("keyed", &component(keyed, "include stygian:plugin/keyed-plugin@0.2.0;")).expect("a plugin");
    assert_eq!(plugin.interfaces(), PluginInterfaces { keyed_operator: true, ..PluginInterfaces::default() });
    assert!(matches!(plugin.describe("{}"), Err(SandboxError::Config { .. })), "this one refuses every configuration");
    let error = plugin.operator("node", "{}", &rows(1).schema()).expect_err("no operator").to_string();
    assert!(error.contains("exports `keyed-operator`"), "{error}");
}

#[test]
fn compiles_once_and_again_when_the_cache_is_in_doubt() {
    let cache = FOLDER.path().join("once");
    let path = file("cached", &Guest::default().called("cached", "1.0.0").build(NOTHING));
    let with = |compiler| Sandbox::new(SandboxConfig { cache: cache.clone(), compiler, ..config() }).expect("a sandbox").load(&path);
    let broken = || Compiler::Child { program: "/bin/false".into(), args: Vec::new() };

    let plugin = with(compiler()).expect("compiled");
    assert_eq!(with(broken()).expect("from the cache").digest(), plugin.digest());

    let entry = cache.read_dir().expect("a folder").next().expect("an entry").expect("an entry").path();
    let mut bytes = std::fs::read(&entry).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&entry, &bytes).expect("written");
    assert!(with(broken()).is_err(), "what was changed is not used");
    with(compiler()).expect("compiled again");
    let plugin = with(broken()).expect("from the cache again");
    let batch = rows(1);
    operator(&plugin, &batch).process(CONTEXT, &batch).expect("runs");
}

#[test]
fn all_instances_in_use_is_an_error_that_passes() {
    let mut config = config();
    config.pool.instances = 1;
    let sandbox = Sandbox::new(config).expect("a sandbox");
    let plugin = sandbox.load(&file("one", &Guest::default().build(NOTHING))).expect("a plugin");
    let batch = rows(1);
    let first = operator(&plugin, &batch);
    let error = plugin.operator("second", "{}", &batch.schema()).expect_err("no room").to_string();
    assert!(error.contains("all 1 instances"), "{error}");
    drop(first);
    operator(&plugin, &batch).process(CONTEXT, &batch).expect("room again");
}
