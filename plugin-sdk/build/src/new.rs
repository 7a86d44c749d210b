//! A new plugin crate from a template: an operator that works, a test of it, and a README.
//!
//! The crate is a workspace of its own, so that it may lie anywhere, also inside of another one.

use crate::error::NewError;
use std::fs;
use std::path::{Path, PathBuf};

/// What an operator does with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keeps it or not.
    Filter,
    /// Makes one of it.
    Map,
    /// Makes any number of it, for several outputs.
    FlatMap,
    /// Works on it with the state of its key, and with timers.
    Keyed,
    /// Adds it to an accumulator, of which a result is made.
    Aggregate,
}

/// Where the SDK comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// A checkout of Stygian: the folder that has `plugin-sdk` in it.
    Checkout(PathBuf),
    /// What stands behind `=` in a `Cargo.toml`, for every crate of the SDK: `{ git = "https://...", tag = "v0.1.0" }`, or `"0.1"`.
    Requirement(String),
}

/// A crate to be.
#[derive(Clone, Debug)]
pub struct NewOptions {
    /// The folder to make. It may be there if it is empty.
    pub dir: PathBuf,
    /// The plugin's name, which is the crate's: `[a-z][a-z0-9-]{0,63}`.
    pub name: String,
    /// What its operator does.
    pub kind: Kind,
    /// Where the SDK comes from.
    pub sdk: Sdk,
}

const CARGO: &str = include_str!("../template/Cargo.toml.in");
const README: &str = include_str!("../template/README.md.in");

impl Kind {
    fn operator(self) -> &'static str {
        match self {
            Self::Filter => include_str!("../template/filter.rs.in"),
            Self::Map => include_str!("../template/map.rs.in"),
            Self::FlatMap => include_str!("../template/flat_map.rs.in"),
            Self::Keyed => include_str!("../template/keyed.rs.in"),
            Self::Aggregate => include_str!("../template/aggregate.rs.in"),
        }
    }

    /// How a pipeline uses it.
    fn usage(self, name: &str) -> String {
        let key_by = match self {
            Self::Filter | Self::Map | Self::FlatMap => "",
            Self::Keyed => "\n    key_by = [\"user\"]",
            Self::Aggregate => {
                return "A window of a pipeline names it among its aggregates, by the component's path or as an installed plugin."
                    .to_owned();
            }
        };
        format!(
            "In a pipeline:\n\n    [operator.{name}]\n    input = \"events\"\n    plugin = \"path/to/{name}.wasm\"{key_by}\n    config = {{ }}"
        )
    }

    /// Lines of the table of options besides the one that all have.
    fn more_options(self) -> &'static str {
        match self {
            Self::Filter | Self::Map | Self::FlatMap | Self::Aggregate => "",
            Self::Keyed => "\n| `after` | users who have not bought for so long are forgotten | `\"1h\"` |",
        }
    }

    /// What it is, for people, with its article.
    fn noun(self) -> &'static str {
        match self {
            Self::Filter => "A filter",
            Self::Map => "A map",
            Self::FlatMap => "A flat-map",
            Self::Keyed => "A keyed operator",
            Self::Aggregate => "An aggregate",
        }
    }
}

/// Makes the crate and returns its files.
pub fn new(options: &NewOptions) -> Result<Vec<PathBuf>, NewError> {
    check_name(&options.name)?;
    if fs::read_dir(&options.dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(NewError::NotEmpty { path: options.dir.clone() });
    }
    let files = [
        ("Cargo.toml", fill(CARGO, options)),
        ("README.md", fill(README, options)),
        (".gitignore", "/target\n".to_owned()),
        ("src/lib.rs", fill(options.kind.operator(), options)),
    ];
    files.into_iter().map(|(name, content)| write(options.dir.join(name), &content)).collect()
}

/// The name must be a plugin's name and a package's that Rust can use.
fn check_name(name: &str) -> Result<(), NewError> {
    let hyphens = !name.contains("--") && !name.ends_with('-');
    let letters = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if name.starts_with(|first: char| first.is_ascii_lowercase()) && letters && hyphens && name.len() <= 64 {
        Ok(())
    } else {
        Err(NewError::Name { name: name.to_owned() })
    }
}

fn fill(template: &str, options: &NewOptions) -> String {
    let (sdk, testing) = match &options.sdk {
        Sdk::Checkout(root) => (path_dependency(root, "sdk"), path_dependency(root, "testing")),
        Sdk::Requirement(requirement) => (requirement.clone(), requirement.clone()),
    };
    template
        .replace("@PIPELINE@", &options.kind.usage(&options.name))
        .replace("@NAME@", &options.name)
        .replace("@CRATE@", &options.name.replace('-', "_"))
        .replace("@KIND@", options.kind.noun())
        .replace("@CONFIG@", options.kind.more_options())
        .replace("@SDK@", &sdk)
        .replace("@TESTING@", &testing)
}

fn path_dependency(root: &Path, folder: &str) -> String {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let path = root.join("plugin-sdk").join(folder).display().to_string();
    format!("{{ path = \"{}\" }}", path.replace('\\', "\\\\").replace('"', "\\\""))
}

fn write(path: PathBuf, content: &str) -> Result<PathBuf, NewError> {
    let written = fs::create_dir_all(path.parent().unwrap_or(&path)).and_then(|()| fs::write(&path, content));
    match written {
        Ok(()) => Ok(path),
        Err(source) => Err(NewError::File { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(dir: &Path, name: &str) -> NewOptions {
        let sdk = Sdk::Requirement("{ git = \"https://example.org/stygian\" }".to_owned());
        NewOptions { dir: dir.to_owned(), name: name.to_owned(), kind: Kind::FlatMap, sdk }
    }

    #[test]
    fn leaves_no_placeholder_in_any_template() {
        for kind in [Kind::Filter, Kind::Map, Kind::FlatMap, Kind::Keyed, Kind::Aggregate] {
            let dir = tempfile::tempdir().unwrap();
            let files = new(&NewOptions { kind, ..options(dir.path(), "two-words") }).unwrap();
            assert_eq!(files.len(), 4);
            for file in files {
                let text = fs::read_to_string(&file).unwrap();
                assert!(!text.contains('@'), "{}: {text}", file.display());
            }
        }
    }

    #[test]
    fn refuses_names_that_no_plugin_can_have() {
        let dir = tempfile::tempdir().unwrap();
        let long = "a".repeat(65);
        for name in ["", "Upper", "1st", "a_b", "-a", "a-", "a--b", "a/b", "é", long.as_str()] {
            assert!(matches!(new(&options(dir.path(), name)), Err(NewError::Name { .. })), "{name}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn leaves_a_folder_that_is_in_use_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine"), "text").unwrap();
        assert!(matches!(new(&options(dir.path(), "plugin")), Err(NewError::NotEmpty { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
