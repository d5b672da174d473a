//! Versions of the CNI specification.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A version: three numbers. `Display` writes it as plugins do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

/// What an absent `cniVersion` means (SPEC.md of 0.2.0; libcni's `ParseVersion`).
pub(crate) const OLDEST: Version = Version(0, 1, 0);
/// Since then a result lists interfaces and addresses.
pub(crate) const LISTS: Version = Version(0, 3, 0);
/// Since then DEL gets the cached result, and CHECK exists.
pub(crate) const CHECK: Version = Version(0, 4, 0);
/// Since then an address does not name its family.
pub(crate) const WITHOUT_FAMILY: Version = Version(1, 0, 0);
/// Since then GC and STATUS exist.
pub(crate) const GC: Version = Version(1, 1, 0);
/// The newest that we speak.
pub(crate) const NEWEST: Version = Version(1, 1, 0);

/// All published versions, oldest first.
pub const KNOWN: [Version; 7] = [OLDEST, Version(0, 2, 0), LISTS, Version(0, 3, 1), CHECK, WITHOUT_FAMILY, NEWEST];

/// Not a version.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a version of the CNI specification; write three numbers, as in \"1.0.0\"")]
pub struct VersionError {
    text: String,
}

impl Version {
    /// Whether the specification has this version.
    pub(crate) fn is_known(self) -> bool {
        KNOWN.contains(&self)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    /// As in libcni: an empty text is 0.1.0, and numbers that are left out are 0.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(OLDEST);
        }
        let numbers: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
        match numbers.as_deref() {
            Some([major]) => Ok(Version(*major, 0, 0)),
            Some([major, minor]) => Ok(Version(*major, *minor, 0)),
            Some([major, minor, patch]) => Ok(Version(*major, *minor, *patch)),
            _ => Err(VersionError { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Whether a `cniVersion` is at least `wanted`; false for a text that is not a version.
pub(crate) fn at_least(version: &str, wanted: Version) -> bool {
    version.parse::<Version>().is_ok_and(|version| version >= wanted)
}

/// The newest of `versions` that we speak, as it was written; `None` if we speak none of them.
pub(crate) fn newest_spoken<'v>(versions: impl IntoIterator<Item = &'v str>) -> Result<Option<&'v str>, VersionError> {
    let mut newest: Option<(Version, &str)> = None;
    for text in versions {
        let version: Version = text.parse()?;
        if version <= NEWEST && newest.is_none_or(|(best, _)| version.cmp(&best) == Ordering::Greater) {
            newest = Some((version, text));
        }
    }
    Ok(newest.map(|(_, text)| text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_not_text() {
        for (version, wanted) in
            [("0.4.0", true), ("1.0.0", true), ("0.10", true), ("1", true), ("0.3.1", false), ("", false)]
        {
            assert_eq!(at_least(version, CHECK), wanted, "{version}");
        }
        for bad in ["one", "1.0.0.0", "1..0", "-1.0.0", "1.0.0-rc1"] {
            assert!(!at_least(bad, OLDEST), "{bad}");
        }
        assert_eq!("1".parse::<Version>().expect("a version").to_string(), "1.0.0");
    }

    #[test]
    fn the_newest_version_that_we_speak_is_chosen() {
        let chosen = |versions: &[&'static str]| newest_spoken(versions.iter().copied()).expect("versions");
        assert_eq!(chosen(&["0.3.1", "1.1.0", "1.0.0"]), Some("1.1.0"));
        assert_eq!(chosen(&["1.0.0", "9.0.0"]), Some("1.0.0"));
        assert_eq!(chosen(&["1.2.0"]), None);
        assert!(newest_spoken(["1.0.0", "x"]).expect_err("no version").to_string().contains("\"x\""));
    }
}
