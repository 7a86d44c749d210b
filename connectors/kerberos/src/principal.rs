//! Principals as text: `name/instance@REALM`, with a backslash before what would be taken for a separator.

use std::fmt;

/// A principal: its components, and its realm if the text named one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Principal {
    pub(crate) components: Vec<String>,
    pub(crate) realm: Option<String>,
}

impl Principal {
    /// Reads a principal; an error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (mut parts, mut in_realm) = (vec![String::new()], false);
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let literal = match character {
                '@' if in_realm => return Err("it has two @"),
                '@' => {
                    in_realm = true;
                    parts.push(String::new());
                    continue;
                }
                '/' if !in_realm => {
                    parts.push(String::new());
                    continue;
                }
                '\\' => unescaped(characters.next().ok_or("it ends with a backslash")?),
                other => other,
            };
            if let Some(part) = parts.last_mut() {
                part.push(literal);
            }
        }
        let realm = if in_realm { parts.pop() } else { None };
        if realm.as_deref() == Some("") {
            return Err("its realm is empty");
        }
        if parts.iter().any(String::is_empty) {
            return Err("a part of its name is empty");
        }
        if text.contains('\0') {
            return Err("it has a zero byte");
        }
        Ok(Self { components: parts, realm })
    }
}

fn unescaped(character: char) -> char {
    match character {
        'n' => '\n',
        't' => '\t',
        'b' => '\u{8}',
        other => other,
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, component) in self.components.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            escaped(f, component, true)?;
        }
        if let Some(realm) = &self.realm {
            f.write_str("@")?;
            escaped(f, realm, false)?;
        }
        Ok(())
    }
}

fn escaped(f: &mut fmt::Formatter<'_>, part: &str, name: bool) -> fmt::Result {
    for character in part.chars() {
        match character {
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\\' | '@' => write!(f, "\\{character}")?,
            '/' if name => f.write_str("\\/")?,
            other if other.is_control() => write!(f, "{}", other.escape_default())?,
            other => write!(f, "{other}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parse_takes_name_instance_and_realm_apart() {
        let principal = Principal::parse("kafka/host.example.com@EXAMPLE.COM").unwrap();
        assert_eq!(principal.components, ["kafka", "host.example.com"]);
        assert_eq!(principal.realm.as_deref(), Some("EXAMPLE.COM"));
        assert_eq!(Principal::parse("pipeline").unwrap().realm, None);
        assert_eq!(Principal::parse(r"a\@b\/c@R").unwrap().components, ["a@b/c"]);
    }

    #[test]
    fn parse_says_what_is_wrong() {
        for (text, reason) in [
            ("", "a part of its name is empty"),
            ("a//b", "a part of its name is empty"),
            ("@R", "a part of its name is empty"),
            ("a@", "its realm is empty"),
            ("a@b@c", "it has two @"),
            ("a\\", "it ends with a backslash"),
            ("a\0b", "it has a zero byte"),
        ] {
            assert_eq!(Principal::parse(text), Err(reason), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(components in prop::collection::vec("[a-z/@\\\\\n\t. ]{1,6}", 1..4), realm in prop::option::of("[A-Z.@/]{1,6}")) {
            let principal = Principal { components, realm };
            prop_assert_eq!(Principal::parse(&principal.to_string()), Ok(principal));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = Principal::parse(&text);
        }
    }
}
