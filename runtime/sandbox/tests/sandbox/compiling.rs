//! Components that explode the compiler, and compilers that are none: the child pays, the host goes on.

use crate::guests::Guest;
use crate::host::{FOLDER, compiler, config, file};
use std::fmt::Write;
use stygian_core::{ByteSize, Span};
use stygian_sandbox::{CompileLimits, Compiler, Sandbox, SandboxConfig, SandboxError};

/// Nested blocks, and jump tables that lead to each of them: every table is an edge of the control flow graph to every block.
fn explosive(blocks: usize, tables: usize) -> Vec<u8> {
    let targets = (0..blocks).fold(String::new(), |mut text, n| {
        write!(text, " {n}").expect("a string grows");
        text
    });
    let mut case = String::from("(func $process (param i32 i32 i32) ");
    case.push_str(&"(block ".repeat(blocks));
    for _ in 0..tables {
        write!(case, "(block (br_if 0 (local.get 1)) (br_table {targets} (local.get 0)))").expect("a string grows");
    }
    case.push_str(
        &") (local.set 0 (i32.mul (local.get 0) (local.get 1))) (local.set 1 (i32.add (local.get 0) (local.get 2)))".repeat(blocks),
    );
    case.push(')');
    Guest::default().build(&case)
}

fn sandbox(name: &str, compiler: Compiler, compile: CompileLimits) -> Sandbox {
    let cache = FOLDER.path().join(name);
    Sandbox::new(SandboxConfig { cache, compiler, compile, ..config() }).expect("a sandbox")
}

#[test]
fn a_component_that_takes_too_long_to_compile_is_given_up() {
    let limit = Span::millis(300);
    let sandbox = sandbox("slow", compiler(), CompileLimits { time: limit, ..CompileLimits::default() });
    let error = sandbox.load(&file("explosive", &explosive(2000, 200))).expect_err("too slow");
    assert!(matches!(error, SandboxError::CompileTime { limit: found, .. } if found == limit), "{error:?}");
    assert!(sandbox.load(&file("good", &Guest::default().build("(func $process (param i32 i32 i32))"))).is_ok());
}

#[test]
fn a_component_that_needs_too_much_memory_to_compile_is_given_up() {
    let limit = ByteSize::mib(128);
    let sandbox = sandbox("large", compiler(), CompileLimits { memory: limit, ..CompileLimits::default() });
    let error = sandbox.load(&file("explosive", &explosive(2000, 200))).expect_err("too large");
    assert!(matches!(error, SandboxError::CompileMemory { limit: found, .. } if found == limit), "{error:?}");
    assert!(sandbox.load(&file("good", &Guest::default().build("(func $process (param i32 i32 i32))"))).is_ok());
}

#[test]
fn too_much_code_is_refused() {
    let limit = ByteSize::kib(4);
    let sandbox = sandbox("much", compiler(), CompileLimits { compiled: limit, ..CompileLimits::default() });
    let error = sandbox.load(&file("good", &Guest::default().build("(func $process (param i32 i32 i32))"))).expect_err("too large");
    assert!(matches!(error, SandboxError::CompiledSize { .. }), "{error:?}");
}

#[test]
fn a_compiler_that_does_not_exist_or_makes_nonsense_is_an_error() {
    let component = file("good", &Guest::default().build("(func $process (param i32 i32 i32))"));
    let child = |program: &str, args: &[&str]| Compiler::Child { program: program.into(), args: args.iter().map(Into::into).collect() };
    let error = sandbox("none", child("/nonexistent", &[]), CompileLimits::default()).load(&component).expect_err("no compiler");
    assert!(matches!(error, SandboxError::Compiler { .. }), "{error:?}");
    let error = sandbox("echo", child("/bin/echo", &["code"]), CompileLimits::default()).load(&component).expect_err("nonsense");
    assert!(matches!(error, SandboxError::Load { .. }), "{error:?}");
    let error = sandbox("false", child("/bin/false", &[]), CompileLimits::default()).load(&component).expect_err("a failure");
    assert!(matches!(error, SandboxError::Invalid { .. }), "{error:?}");
    let error = sandbox("sleep", child("/bin/sleep", &["60"]), CompileLimits { time: Span::millis(50), ..CompileLimits::default() });
    let error = error.load(&component).expect_err("no answer");
    assert!(matches!(error, SandboxError::CompileTime { .. }), "{error:?}");
}
