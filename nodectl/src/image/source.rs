//! Where Kubernetes comes from: parsing `--kubernetes`, and the probe that decides `auto:`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::download;

/// The version that this release of the project is tested with.
pub const PINNED: &str = "v1.37.2";

/// How long the probe of `auto:` may take.
const PROBE_DEADLINE: Duration = Duration::from_secs(3);

/// A version of Kubernetes: `vMAJOR.MINOR.PATCH`, perhaps with a pre-release and build metadata (semver.org).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    text: String,
    /// First number: 1.
    pub major: u32,
    /// Second number.
    pub minor: u32,
}

/// Why a string is not a [`Source`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No such kind of source.
    #[error("{0:?} is not a source of Kubernetes; use auto:VERSION, release:VERSION, go:VERSION or dir:PATH")]
    Kind(String),
    /// Not a version.
    #[error("{0:?} is not a version of Kubernetes; write it like {PINNED}")]
    Version(String),
    /// Not an absolute path.
    #[error("dir: needs the path of a Kubernetes checkout, like dir:/home/me/kubernetes")]
    NoPath,
}

/// `--kubernetes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Upstream's releases where they can be reached, else [`Source::Go`].
    Auto(Version),
    /// Upstream's published binaries and images.
    Release(Version),
    /// Built from Go modules by this machine's Go toolchain.
    Go(Version),
    /// Built from a checkout.
    Dir(PathBuf),
}

/// [`PINNED`], parsed.
pub fn pinned() -> Version {
    Version { text: PINNED.to_owned(), major: 1, minor: 37 }
}

impl FromStr for Version {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || SourceError::Version(text.to_owned());
        let numbers = text.strip_prefix('v').ok_or_else(invalid)?;
        let (numbers, rest) = numbers.split_at(numbers.find(['-', '+']).unwrap_or(numbers.len()));
        // It becomes part of paths and addresses.
        if rest.len() == 1 || !rest.chars().all(|c| c.is_ascii_alphanumeric() || "-+.".contains(c)) {
            return Err(invalid());
        }
        let number = |part: &str| {
            let canonical = part == "0" || !part.starts_with(['0', '+']);
            if canonical { part.parse::<u32>().map_err(|_| invalid()) } else { Err(invalid()) }
        };
        let numbers = numbers.split('.').map(number).collect::<Result<Vec<_>, _>>()?;
        match numbers[..] {
            [major, minor, _] => Ok(Version { text: text.to_owned(), major, minor }),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Version {
    /// As written: `v1.37.2`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("auto", version)) => Ok(Source::Auto(version.parse()?)),
            Some(("release", version)) => Ok(Source::Release(version.parse()?)),
            Some(("go", version)) => Ok(Source::Go(version.parse()?)),
            Some(("dir", "")) => Err(SourceError::NoPath),
            Some(("dir", path)) => Ok(Source::Dir(path.into())),
            _ => Err(SourceError::Kind(text.to_owned())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Auto(version) => write!(f, "auto:{version}"),
            Source::Release(version) => write!(f, "release:{version}"),
            Source::Go(version) => write!(f, "go:{version}"),
            Source::Dir(path) => write!(f, "dir:{}", path.display()),
        }
    }
}

impl Source {
    /// Decide `auto:`, saying so on standard error; and name a directory so that it is the same from everywhere.
    pub fn decide(self, release_url: &str) -> Source {
        let version = match self {
            Source::Auto(version) => version,
            // One that is not there is refused by whoever wants something of it.
            Source::Dir(path) => return Source::Dir(path.canonicalize().unwrap_or(path)),
            Source::Release(_) | Source::Go(_) => return self,
        };
        let url = format!("{release_url}/{version}/bin/linux/{}/kubeadm", super::arch());
        match download::probe(&url, PROBE_DEADLINE) {
            Ok(()) => Source::Release(version),
            Err(error) => {
                eprintln!("build: {release_url} cannot be reached ({error}): building {version} from Go modules");
                Source::Go(version)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_source_is_read_and_shown_as_it_was_written() {
        for text in ["auto:v1.37.2", "release:v1.36.0-rc.1", "go:v1.37.2", "dir:/home/me/kubernetes"] {
            assert_eq!(text.parse::<Source>().expect(text).to_string(), text);
        }
        let version: Version = "v1.38.0-alpha.1.5+84c76d1142ea4d".parse().expect("a version");
        assert_eq!((version.major, version.minor), (1, 38));
    }

    #[test]
    fn the_pinned_version_is_one() {
        assert_eq!(PINNED.parse::<Version>().expect("a version"), pinned());
    }

    #[test]
    fn anything_else_is_refused_with_what_would_do() {
        let error = |text: &str| text.parse::<Source>().expect_err(text).to_string();
        for version in ["1.37.2", "v1.37", "v1.37.2.4", "v1.x.2", "v1.37.2-", "v1.37.2-a/b", "v01.37.2", ""] {
            assert!(error(&format!("go:{version}")).contains("write it like v1.37.2"), "{version}");
        }
        assert!(error("v1.37.2").contains("use auto:VERSION"));
        assert!(error("docker:v1.37.2").contains("use auto:VERSION"));
        assert!(error("dir:").contains("path"));
    }

    #[test]
    fn what_cannot_be_reached_in_time_falls_back_to_go() {
        let source: Source = "auto:v1.37.2".parse().expect("a source");
        // Nothing listens on port 1 of loopback.
        assert_eq!(source.decide("http://127.0.0.1:1").to_string(), "go:v1.37.2");
    }

    #[test]
    fn a_directory_is_put_down_by_its_whole_path() {
        let here = std::env::current_dir().expect("a directory");
        let decided = |text: &str| text.parse::<Source>().expect("a source").decide("http://127.0.0.1:1").to_string();
        assert_eq!(decided("dir:."), format!("dir:{}", here.display()));
        assert_eq!(decided("dir:no-such"), "dir:no-such");
    }
}
