//! Names of containers: systemd-nspawn's machine names, checked before one becomes part of a path.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// DNS labels (RFC 1123 section 2.1) joined by dots, at most 64 characters (HOST_NAME_MAX, systemd-nspawn(1) `-M`).
///
/// As a path component it can name nothing outside its directory; as CNI_CONTAINERID it is valid as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a string is not a [`Name`].
#[derive(Debug, thiserror::Error)]
#[error("container name {name:?} is not made of DNS labels joined by dots; use at most 64 of a-z, 0-9, '-' and '.'")]
pub struct NameError {
    name: String,
}

impl Name {
    /// The name as a string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether it is a DNS label (RFC 1123 section 2.1): 1 to 63 of `a-z`, `0-9` and `-`, not beginning or ending with `-`.
pub fn is_label(s: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&s.len()) && s.chars().all(allowed) && !s.starts_with('-') && !s.ends_with('-')
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let valid = s.len() <= 64 && s.split('.').all(is_label);
        if valid { Ok(Name(s.to_owned())) } else { Err(NameError { name: s.to_owned() }) }
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

impl AsRef<Path> for Name {
    fn as_ref(&self) -> &Path {
        self.0.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_names_are_accepted() {
        let longest = format!("{}.{}", "x".repeat(31), "y".repeat(32));
        for good in ["a", "node1.dev", "a-b.c-d.e", "0", &longest] {
            assert_eq!(good.parse::<Name>().expect(good).as_str(), good);
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_name_in_the_error() {
        let long = format!("{}.{}", "x".repeat(32), "y".repeat(32));
        for bad in ["", ".", "..", "a.", ".a", "a..b", "-a", "a-", "A", "a/b", "a_b", "a b", "a\n", &long] {
            let error = bad.parse::<Name>().expect_err(bad).to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
