//! Folder names made of values, as Hive makes them: `column=value`, with `%XX` for characters that mean something in paths.

use std::fmt::Write;
use xxhash_rust::xxh3::xxh3_64;

/// What stands for null, and, as in Hive, for the empty text.
pub(crate) const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// The longest name of a value, in bytes.
const MAX: usize = 200;
/// The longest part of a file's name that is made of some other name, in bytes.
const PART: usize = 64;
/// What a longer one is cut short by: `~` and 16 hex digits of its hash follow, so that different ones stay different.
const HASH: usize = 17;

/// The name of a value in a folder's name. Never empty, never `.` or `..`, at most [`MAX`] bytes.
pub(crate) fn of_value(value: Option<&str>) -> String {
    match value {
        None | Some("") => NULL.to_owned(),
        Some(dots @ ("." | "..")) => dots.replace('.', "%2E"),
        Some(text) => shortened(escaped(text), text, MAX),
    }
}

/// A column's name in a folder's name.
pub(crate) fn of_column(name: &str) -> String {
    shortened(escaped(name), name, MAX)
}

/// A job's, sink's or run's name in a file's name: at most [`PART`] bytes, and no `=` in it.
pub(crate) fn of_part(name: &str) -> String {
    shortened(escaped(name), name, PART)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || "\"#%'*/:=?\\{[]^".contains(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a string does not fail.
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn shortened(mut escaped: String, text: &str, max: usize) -> String {
    if escaped.len() > max {
        let mut end = escaped.floor_char_boundary(max - HASH);
        // Not through the middle of a `%XX`.
        if let Some(percent) = escaped[..end].rfind('%').filter(|percent| end - percent < 3) {
            end = percent;
        }
        escaped.truncate(end);
        let _ = write!(escaped, "~{:016x}", xxh3_64(text.as_bytes()));
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_hives() {
        assert_eq!(of_value(Some("click")), "click");
        assert_eq!(of_value(Some("a/b=c d%é")), "a%2Fb%3Dc d%25é");
        assert_eq!(of_value(Some("../../etc\n")), "..%2F..%2Fetc%0A");
        assert_eq!(of_value(None), "__HIVE_DEFAULT_PARTITION__");
        assert_eq!(of_value(Some("")), "__HIVE_DEFAULT_PARTITION__");
        assert_eq!((of_value(Some(".")), of_value(Some(".."))), ("%2E".into(), "%2E%2E".into()));
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let (a, b) = ("x".repeat(500), format!("{}y", "x".repeat(499)));
        assert_eq!(of_value(Some(&a)).len(), MAX);
        assert_ne!(of_value(Some(&a)), of_value(Some(&b)));
        assert_eq!(of_value(Some(&"x".repeat(MAX))), "x".repeat(MAX));
    }

    proptest! {
        #[test]
        fn names_are_single_safe_path_parts(text in any::<String>()) {
            let name = of_value(Some(&text));
            prop_assert!(!name.is_empty() && name.len() <= MAX && name != "." && name != "..");
            prop_assert!(!name.contains(['/', '\0', '\n', '=']));
        }

        #[test]
        fn short_names_can_be_read_back(text in "[ -~é]{1,40}") {
            prop_assume!(text != "." && text != "..");
            let name = of_value(Some(&text));
            let (mut bytes, mut at) = (Vec::new(), 0);
            while at < name.len() {
                let hex = name.as_bytes()[at] == b'%';
                bytes.push(if hex { u8::from_str_radix(&name[at + 1..at + 3], 16).expect("hex") } else { name.as_bytes()[at] });
                at += if hex { 3 } else { 1 };
            }
            prop_assert_eq!(String::from_utf8(bytes).expect("text"), text);
        }
    }
}
