//! `stygian plugin`: make, build, test and look into plugins.

mod inspect;
mod replay;
mod rows;
mod test;
mod test_aggregate;
mod test_keyed;

pub(crate) use inspect::inspect;
pub(crate) use replay::replay;
pub(crate) use test::test;

use crate::args::{BuildArgs, KindArg, NewArgs};
use crate::failure::Failure;
use crate::terminal::Terminal;
use std::path::{Path, PathBuf};
use stygian_build::{BuildOptions, Kind, NewOptions, Sdk, build_all};

/// `stygian plugin new`
pub(crate) fn new(args: &NewArgs, terminal: &Terminal) -> Result<(), Failure> {
    let kind = match args.kind {
        KindArg::Filter => Kind::Filter,
        KindArg::Map => Kind::Map,
        KindArg::FlatMap => Kind::FlatMap,
        KindArg::Keyed => Kind::Keyed,
        KindArg::Aggregate => Kind::Aggregate,
    };
    let checkout = args.checkout.clone().or_else(own_checkout).ok_or_else(|| {
        Failure::Input("error: the SDK's folder is not known; say with `--checkout DIR` where a checkout of Stygian is\n".to_owned())
    })?;
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let options = NewOptions { dir: dir.clone(), name: args.name.clone(), kind, sdk: Sdk::Checkout(checkout) };
    for file in stygian_build::new(&options).map_err(Failure::input)? {
        terminal.out(&format!("made {}\n", file.display()))?;
    }
    terminal.out(&format!("next: cd {} && cargo test && stygian plugin build\n", dir.display()))?;
    Ok(())
}

/// The checkout that this program was built from, if it is still there.
fn own_checkout() -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?;
    checkout.join("plugin-sdk/sdk/Cargo.toml").is_file().then(|| checkout.to_owned())
}

/// `stygian plugin build`
pub(crate) fn build(args: &BuildArgs, terminal: &Terminal) -> Result<(), Failure> {
    let here = [PathBuf::from(".")];
    let crates: Vec<&Path> = if args.crates.is_empty() { &here[..] } else { &args.crates }.iter().map(PathBuf::as_path).collect();
    let options = BuildOptions { out_dir: args.out.clone(), offline: args.offline, locked: args.locked, ..BuildOptions::new(".") };
    let built = build_all(&crates, &options, &mut |line| terminal.err(&format!("{line}\n"))).map_err(Failure::input)?;
    for built in built {
        terminal.out(&format!("{} ({} bytes, sha256 {})\n", built.component.display(), built.bytes, built.sha256))?;
    }
    Ok(())
}
