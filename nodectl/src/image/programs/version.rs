//! A version of Kubernetes: semver.org's, with upstream's leading `v`.

use std::fmt;
use std::str::FromStr;

/// Kubernetes' Go module.
pub(super) const MODULE: &str = "k8s.io/kubernetes";

/// The version that this release of the project is tested with.
pub const PINNED: &str = "v1.37.2";

/// A string is not a version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version of Kubernetes; write it like {PINNED}")]
pub struct VersionError(String);

/// `vMAJOR.MINOR.PATCH`, perhaps with a pre-release and build metadata. semver's grammar has no slash and no space: a
/// version can become part of a path and of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(semver::Version);

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let version = text.strip_prefix('v').and_then(|numbers| numbers.parse().ok());
        version.map(Version).ok_or_else(|| VersionError(text.to_owned()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Version {
    /// [`PINNED`], parsed.
    pub(crate) fn pinned() -> Self {
        Version(semver::Version::new(1, 37, 2))
    }

    /// First number: 1.
    pub(crate) fn major(&self) -> u64 {
        self.0.major
    }

    /// Second number.
    pub(crate) fn minor(&self) -> u64 {
        self.0.minor
    }
}

/// The version under which Kubernetes' staging modules (k8s.io/api and others) are published beside Kubernetes: v0.37.2 for
/// v1.37.2. None for a Kubernetes that is not 1.x.
pub(super) fn of_staging_modules(kubernetes: &str) -> Option<String> {
    let Version(mut version) = kubernetes.parse().ok()?;
    version.major = version.major.checked_sub(1).filter(|major| *major == 0)?;
    Some(Version(version).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect(text)
    }

    #[test]
    fn the_pinned_version_is_one() {
        assert_eq!(version(PINNED), Version::pinned());
    }

    #[test]
    fn a_version_is_shown_as_it_was_written() {
        for text in ["v1.37.2", "v1.36.0-rc.1", "v1.38.0-alpha.1.5+84c76d1142ea4d", "v1.37.2-5+84c76d1142ea4d-dirty"] {
            assert_eq!(version(text).to_string(), text);
        }
        assert_eq!((version("v1.38.0-alpha.1").major(), version("v1.38.0-alpha.1").minor()), (1, 38));
    }

    #[test]
    fn staging_modules_have_a_zero_in_place_of_the_major_version() {
        assert_eq!(of_staging_modules("v1.37.2-rc.1").as_deref(), Some("v0.37.2-rc.1"));
        assert_eq!(of_staging_modules("v2.0.0"), None);
    }
}
