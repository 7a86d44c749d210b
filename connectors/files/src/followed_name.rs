//! The names of splits of followed files: `NAME@IDENTITY`, where NAME is the one that the file was first seen under and IDENTITY tells which
//! file it is. A file that is read on, after its reader had given it up, is another split: `NAME@IDENTITY.GENERATION+BASE`, generations being
//! counted from 2, and BASE the byte it is read from.
//!
//! So a name is enough to find the file again after a restart, wherever it was moved to, and to know what of it is the split's.

use crate::identity::Identity;
use std::fmt;
use std::str::FromStr;
use stygian_core::SplitId;

/// The name of a split, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FollowedName {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    /// From 1.
    pub(crate) generation: u32,
    pub(crate) base: u64,
}

impl FollowedName {
    pub(crate) fn id(&self) -> SplitId {
        SplitId::new(self.to_string())
    }
}

impl fmt::Display for FollowedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.identity)?;
        if self.generation > 1 { write!(f, ".{}+{}", self.generation, self.base) } else { Ok(()) }
    }
}

impl FromStr for FollowedName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, rest) = text.rsplit_once('@').ok_or(())?;
        let (identity, generation, base) = match rest.match_indices('.').nth(2) {
            None => (rest, 1, 0),
            Some((dot, _)) => {
                let (generation, base) = rest[dot + 1..].split_once('+').ok_or(())?;
                (&rest[..dot], generation.parse().map_err(|_| ())?, base.parse().map_err(|_| ())?)
            }
        };
        Ok(Self { name: name.to_owned(), identity: identity.parse()?, generation, base })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_names_of_ours_are_understood() {
        for text in ["", "app.log", "app.log@", "app.log@1.2", "app.log@1.2.3.", "app.log@1.2.3.4", "app.log@x.2.3", "a@1.2.3.1+"] {
            assert_eq!(text.parse::<FollowedName>(), Err(()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn names_are_read_as_they_are_written(name in ".{0,9}", parts in any::<(u64, u64, u128)>(), generation in 1..9_u32, base: u64) {
            let identity = format!("{:x}.{:x}.{:x}", parts.0, parts.1, parts.2).parse().expect("an identity");
            let base = if generation == 1 { 0 } else { base };
            let name = FollowedName { name, identity, generation, base };
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
    }
}
