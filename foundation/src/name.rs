//! Names that become parts of paths, checked wherever one enters.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whether it is a DNS label (RFC 1123 section 2.1): 1 to 63 of `a-z`, `0-9` and `-`, not beginning or ending with `-`.
fn is_label(s: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&s.len()) && s.chars().all(allowed) && !s.starts_with('-') && !s.ends_with('-')
}

/// HOST_NAME_MAX, which systemd-nspawn(1) `-M` applies to machine names.
const HOST_NAME_MAX: usize = 64;

/// A string type whose values have passed `$is_valid`, and the error for those that have not.
macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $(#[$error_doc:meta])* $error:ident, $message:literal, $is_valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        $(#[$error_doc])*
        #[derive(Debug, thiserror::Error)]
        #[error($message)]
        pub struct $error {
            name: String,
        }

        impl $name {
            /// The name as a string slice.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                let is_valid: fn(&str) -> bool = $is_valid;
                if is_valid(s) { Ok($name(s.to_owned())) } else { Err($error { name: s.to_owned() }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(s: String) -> Result<Self, Self::Error> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<Path> for $name {
            fn as_ref(&self) -> &Path {
                self.0.as_ref()
            }
        }
    };
}

checked_name!(
    /// The name of a node, a cluster or an image: a DNS label (RFC 1123 section 2.1), 1 to 63 of `a-z`, `0-9` and `-`,
    /// not beginning or ending with `-`. As a path component it can name nothing outside its directory.
    Name,
    /// Why a string is not a [`Name`].
    NameError,
    "name {name:?} is not a DNS label; use 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit",
    is_label
);

checked_name!(
    /// The name of a container, as systemd-nspawn's `--machine` takes it: DNS labels (RFC 1123 section 2.1) joined by
    /// dots, at most 64 characters. As a path component it can name nothing outside its directory; as CNI_CONTAINERID
    /// it is valid as it is.
    MachineName,
    /// Why a string is not a [`MachineName`].
    MachineNameError,
    "container name {name:?} is not made of DNS labels joined by dots; use at most 64 of a-z, 0-9, '-' and '.'",
    |s| s.len() <= HOST_NAME_MAX && s.split('.').all(is_label)
);

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
    fn machine_names_are_accepted() {
        let longest = format!("{}.{}", "x".repeat(31), "y".repeat(32));
        for good in ["a", "node1.dev", "a-b.c-d.e", "0", &longest] {
            assert_eq!(good.parse::<MachineName>().expect(good).as_str(), good);
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_name_in_the_error() {
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "..", "ä", "a b", "a\n", &"x".repeat(64)] {
            let error = bad.parse::<Name>().expect_err(bad).to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
        let long = format!("{}.{}", "x".repeat(32), "y".repeat(32));
        for bad in ["", ".", "..", "a.", ".a", "a..b", "-a", "a-", "A", "a/b", "a_b", "a b", "a\n", &long] {
            let error = bad.parse::<MachineName>().expect_err(bad).to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
