//! The contract between host and plugin, as text: the one copy of `stygian:plugin`, for those who need more than bindings.
//!
//! Bindings are generated from `contract/` by the SDK (guest) and written by hand in the sandbox (host). The contract is frozen by a
//! golden test: a change needs a new package version.

/// The contract in WIT, all interfaces and worlds.
pub const CONTRACT: &str = include_str!("../contract/stygian.wit");

/// The package's version, as it stands in the names of imports and exports (`stygian:plugin/output@0.2.0`).
pub const VERSION: &str = "0.2.0";

/// The full name of one of the contract's interfaces.
pub fn interface(name: &str) -> String {
    format!("stygian:plugin/{name}@{VERSION}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use wit_parser::Resolve;

    /// Version and digest of what every released host and plugin agrees on. The digest is of the contract without comments.
    const FROZEN: [(&str, &str); 2] = [
        ("0.1.0", "6a0afe7aca3baf96510ce4f8ae9dc3a330132b687b059174ba43962b1ab6e55b"),
        ("0.2.0", "1fdd130bbc03c65558f6e5535a61d7e94c5bbe73e24c12fbceb9686b7055c6e8"),
    ];

    #[test]
    fn changes_only_with_a_new_version() {
        let bare: Vec<&str> = CONTRACT.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("///")).collect();
        let digest: String = Sha256::digest(bare.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(FROZEN.last(), Some(&(VERSION, digest.as_str())), "the contract changed: give it a new version and a new line here");
    }

    #[test]
    fn is_valid_and_of_its_version() {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("stygian.wit", CONTRACT).expect("valid WIT");
        let name = &resolve.packages[package].name;
        assert_eq!(name.version.as_ref().map(ToString::to_string).as_deref(), Some(VERSION));
    }
}
