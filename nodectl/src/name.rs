//! Names of nodes, clusters and images: DNS labels, checked wherever one enters.

use std::fmt;
use std::str::FromStr;

use cnispawn::name::is_label;
use serde::{Deserialize, Serialize};

/// A DNS label (RFC 1123 section 2.1): 1 to 63 of `a-z`, `0-9` and `-`, not beginning or ending with `-`.
///
/// As a path component it can name nothing outside its directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a string is not a [`Name`].
#[derive(Debug, thiserror::Error)]
#[error(
    "name {name:?} is not a DNS label; use 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"
)]
pub struct NameError {
    name: String,
}

impl Name {
    /// The name as a string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if is_label(s) { Ok(Name(s.to_owned())) } else { Err(NameError { name: s.to_owned() }) }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<std::path::Path> for Name {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_accepted() {
        for good in ["a", "node1", "a-b", "0", &"x".repeat(63)] {
            assert_eq!(good.parse::<Name>().expect(good).as_str(), good);
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_name_in_the_error() {
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "..", "ä", "a b", "a\n", &"x".repeat(64)] {
            let error = bad.parse::<Name>().expect_err(bad).to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
