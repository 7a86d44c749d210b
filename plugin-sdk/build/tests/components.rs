//! Builds real components: the repository's plugins, and a new crate of every template. Slow the first time on a machine whose compiler has to
//! build the standard library. What the components do is tested where the sandbox is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)] // helpers of tests

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use stygian_build::{BuildError, BuildOptions, Built, Kind, NewOptions, Sdk, build, build_all, new};
use wit_parser::decoding::{DecodedWasm, decode};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Builds into the workspace's own target folder.
fn build_plugins(names: &[&str]) -> Vec<Built> {
    let dirs: Vec<PathBuf> = names.iter().map(|name| repository().join("plugins").join(name)).collect();
    let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
    build_all(&dirs, &BuildOptions::default(), &mut |_| {}).unwrap()
}

/// The interfaces a component exports and imports, by full name.
fn interfaces(component: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let DecodedWasm::Component(resolve, world) = decode(&fs::read(component).unwrap()).unwrap() else { panic!("not a component") };
    let world = &resolve.worlds[world];
    let names = |keys: Vec<_>| keys.into_iter().map(|key| resolve.name_world_key(key)).collect();
    (names(world.exports.keys().collect()), names(world.imports.keys().collect()))
}

/// What plugins of a kind export beside `metadata`, and all that they may import. `types` is no more than the names of types.
type World = (&'static [&'static str], &'static [&'static str]);

const OPERATOR: World = (&["operator"], &["output", "log", "types"]);
const KEYED: World = (&["keyed-operator"], &["output", "state-access", "timers", "log", "types"]);
const MIGRATING_KEYED: World = (&["keyed-operator", "migration"], KEYED.1);
const AGGREGATE: World = (&["aggregate"], &["log", "types"]);
const MIGRATING_AGGREGATE: World = (&["aggregate", "migration"], AGGREGATE.1);

fn assert_is(built: &Built, (exported, allowed): World) {
    let name = |interface: &&str| format!("stygian:plugin/{interface}@0.2.0");
    let (exports, imports) = interfaces(&built.component);
    assert_eq!(exports, exported.iter().chain(&["metadata"]).map(name).collect::<BTreeSet<_>>(), "{}", built.name);
    assert!(imports.is_subset(&allowed.iter().map(name).collect()), "{} imports {imports:?}", built.name);
    assert_eq!(fs::metadata(&built.component).unwrap().len(), built.bytes);
    assert_eq!(built.sha256.len(), 64);
}

#[test]
fn plugins_become_components_of_the_contract_and_nothing_else() {
    let kinds = [
        ("clean", OPERATOR),
        ("enrich", OPERATOR),
        ("route", OPERATOR),
        ("totals", KEYED),
        ("sessionise", KEYED),
        ("fraud", KEYED),
        ("spread", AGGREGATE),
    ];
    let names = kinds.map(|(name, _)| name);
    let built = build_plugins(&names);
    assert_eq!(built.iter().map(|built| built.name.as_str()).collect::<Vec<_>>(), names);
    built.iter().zip(kinds).for_each(|(built, (_, world))| assert_is(built, world));
    assert_eq!(build_plugins(&names[..1]), built[..1], "a second build gives the same bytes");
}

/// Crates of a test share the standard library with the repository's plugins.
fn options(crate_dir: &Path) -> BuildOptions {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    BuildOptions { target_dir: Some(target.join("wasm")), out_dir: Some(crate_dir.join("out")), ..BuildOptions::new(crate_dir) }
}

#[test]
fn new_crates_of_every_kind_become_components() {
    let dir = tempfile::tempdir().unwrap();
    for (name, kind, world) in [
        ("new-filter", Kind::Filter, OPERATOR),
        ("new-map", Kind::Map, OPERATOR),
        ("new-flat-map", Kind::FlatMap, OPERATOR),
        ("new-keyed", Kind::Keyed, KEYED),
        ("new-aggregate", Kind::Aggregate, AGGREGATE),
    ] {
        let crate_dir = dir.path().join(name);
        let built = build_new(&crate_dir, name, kind, &[]);
        assert_eq!(built.component, crate_dir.join("out").join(format!("{name}.wasm")));
        assert_is(&built, world);
    }
}

/// Builds a new crate, after changes to its code.
fn build_new(crate_dir: &Path, name: &str, kind: Kind, changes: &[(&str, &str)]) -> Built {
    new(&NewOptions { dir: crate_dir.to_owned(), name: name.to_owned(), kind, sdk: Sdk::Checkout(repository()) }).unwrap();
    // The versions that are fetched already: no network.
    fs::copy(repository().join("Cargo.lock"), crate_dir.join("Cargo.lock")).unwrap();
    let lib = crate_dir.join("src/lib.rs");
    let code = changes.iter().fold(fs::read_to_string(&lib).unwrap(), |code, (old, new)| {
        assert!(code.contains(old), "{old}");
        code.replace(old, new)
    });
    fs::write(lib, code).unwrap();
    build(&options(crate_dir), &mut |_| {}).unwrap()
}

#[test]
fn plugins_with_older_state_export_its_migration() {
    let dir = tempfile::tempdir().unwrap();
    let keyed = [
        ("    count: ValueState<u64>", "    #[slot(version = 2, migrate(1 = u32))]\n    count: ValueState<u64>"),
        ("export!(keyed", "export!(migrating_keyed"),
    ];
    assert_is(&build_new(&dir.path().join("keyed"), "old-keyed", Kind::Keyed, &keyed), MIGRATING_KEYED);
    let old = "impl OldAccumulators for Operator {
        const READS: &'static [u32] = &[1];
        fn migrate(_from: u32, bytes: &[u8]) -> Result<(f64, u64), String> { Ok((Stored::read(bytes)?, 1)) }
    }
    stygian_sdk::export!(migrating_aggregate";
    let aggregate = [("    type Out = ", "    const VERSION: u32 = 2;\n    type Out = "), ("stygian_sdk::export!(aggregate", old)];
    assert_is(&build_new(&dir.path().join("aggregate"), "old-aggregate", Kind::Aggregate, &aggregate), MIGRATING_AGGREGATE);
}

/// A crate without dependencies.
fn bare_crate(lib: &str, source: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("Cargo.toml"), format!("[package]\nname = \"bare\"\nedition = \"2024\"\n{lib}\n[workspace]\n")).unwrap();
    fs::write(dir.path().join("src/lib.rs"), source).unwrap();
    dir
}

const CDYLIB: &str = "[lib]\ncrate-type = [\"cdylib\"]";

#[test]
fn says_what_is_wrong_with_a_crate() {
    let error = |dir: &tempfile::TempDir| build(&options(dir.path()), &mut |_| {}).unwrap_err();
    assert!(matches!(error(&tempfile::tempdir().unwrap()), BuildError::NotACrate { .. }));
    assert!(matches!(error(&bare_crate("", "")), BuildError::NoCdylib { .. }));
    assert!(matches!(error(&bare_crate(CDYLIB, "")), BuildError::NoExport { .. }));
}

#[test]
fn passes_on_what_the_compiler_says() {
    let dir = bare_crate(CDYLIB, "fn broken() -> u8 { \"text\" }");
    let mut lines = Vec::new();
    let error = build(&options(dir.path()), &mut |line| lines.push(line.to_owned())).unwrap_err();
    assert!(matches!(error, BuildError::Compile { .. }), "{error}");
    assert!(lines.iter().any(|line| line.contains("mismatched types")), "{lines:#?}");
    assert!(!dir.path().join("out").exists());
}
