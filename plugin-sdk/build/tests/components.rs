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

fn assert_is_operator(built: &Built) {
    let name = |interface: &str| format!("stygian:plugin/{interface}@0.1.0");
    let (exports, imports) = interfaces(&built.component);
    assert_eq!(exports, BTreeSet::from([name("metadata"), name("operator")]), "{}", built.name);
    // `types` is no more than the names of types.
    let allowed = BTreeSet::from([name("output"), name("log"), name("types")]);
    assert!(imports.is_subset(&allowed), "{} imports {imports:?}", built.name);
    assert_eq!(fs::metadata(&built.component).unwrap().len(), built.bytes);
    assert_eq!(built.sha256.len(), 64);
}

#[test]
fn plugins_become_components_of_the_contract_and_nothing_else() {
    let names = ["clean", "enrich", "route"];
    let built = build_plugins(&names);
    assert_eq!(built.iter().map(|built| built.name.as_str()).collect::<Vec<_>>(), names);
    built.iter().for_each(assert_is_operator);
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
    for (name, kind) in [("new-filter", Kind::Filter), ("new-map", Kind::Map), ("new-flat-map", Kind::FlatMap)] {
        let crate_dir = dir.path().join(name);
        new(&NewOptions { dir: crate_dir.clone(), name: name.to_owned(), kind, sdk: Sdk::Checkout(repository()) }).unwrap();
        // The versions that are fetched already: no network.
        fs::copy(repository().join("Cargo.lock"), crate_dir.join("Cargo.lock")).unwrap();
        let built = build(&options(&crate_dir), &mut |_| {}).unwrap();
        assert_eq!(built.component, crate_dir.join("out").join(format!("{name}.wasm")));
        assert_is_operator(&built);
    }
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
