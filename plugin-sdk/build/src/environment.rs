//! What a compiler that we start finds in its environment: nothing that an outer cargo, a shell or a test left there and that would change
//! the component. Settings of network and of cargo's home stay.

use std::ffi::OsStr;
use std::process::Command;

/// Variables of cargo and rustup that say where things are and how to fetch them, not what to build.
const KEPT: [&str; 8] =
    ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TARGET_DIR", "CARGO_TERM_", "RUSTUP_HOME"];
const DROPPED: [&str; 5] = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC", "RUSTUP_TOOLCHAIN"];

/// A command without what would disturb it.
pub(crate) fn clean_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(disturbs) {
            command.env_remove(&name);
        }
    }
    // An outer cargo puts the libraries of its own compiler there.
    if std::env::var_os("CARGO").is_some() {
        command.env_remove("LD_LIBRARY_PATH");
    }
    command
}

fn disturbs(name: &str) -> bool {
    DROPPED.iter().any(|prefix| name.starts_with(prefix)) && !KEPT.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::disturbs;

    #[test]
    fn drops_what_changes_the_code_and_keeps_what_finds_it() {
        for name in [
            "CARGO",
            "CARGO_BUILD_TARGET",
            "CARGO_PROFILE_RELEASE_LTO",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "RUSTUP_TOOLCHAIN",
            "CARGO_ENCODED_RUSTFLAGS",
        ] {
            assert!(disturbs(name), "{name}");
        }
        for name in ["PATH", "HOME", "CARGO_HOME", "CARGO_HTTP_PROXY", "CARGO_REGISTRIES_OURS_TOKEN", "CARGO_TARGET_DIR", "RUSTUP_HOME"] {
            assert!(!disturbs(name), "{name}");
        }
    }
}
