//! Where Kubernetes comes from: what the user asks for ([`Source`]), and what that is decided to be ([`Origin`]).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::download;
pub use super::version::PINNED;
use super::version::{Version, VersionError};
use crate::image::arch::arch;
use crate::image::tools::Tool;

/// How long upstream's release site may take to answer, for `auto:` to choose it.
const PROBE_DEADLINE: Duration = Duration::from_secs(3);

/// Why a string is not a [`Source`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The prefix is unknown.
    #[error("{0:?} is not a source of Kubernetes; use auto:VERSION, release:VERSION, go:VERSION or dir:PATH")]
    Kind(String),
    /// The version does not parse.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// `dir:` without a path.
    #[error("dir: needs the path of a Kubernetes checkout, like dir:/home/me/kubernetes")]
    NoPath,
    /// `file:` without a path.
    #[error("file: needs the path of a program, like file:/home/me/kubelet")]
    NoFile,
}

/// What the user asks for: `--kubernetes` and `--from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Upstream's releases where they can be reached, else Go modules.
    Auto(Version),
    /// This and nothing else.
    Only(Origin),
}

/// Where programs come from, with nothing left to decide: [`Source::decide`] is called once, where a verb begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Upstream's published binaries and images.
    Release(Version),
    /// Go modules, compiled by this machine's Go toolchain.
    Go(Version),
    /// A checkout, compiled in place.
    Dir(PathBuf),
}

/// `--from` of a single component: a source, or the program itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramSource {
    /// A program built by other means.
    File(PathBuf),
    /// As images are built from.
    Source(Source),
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once(':') {
            Some(("auto", version)) => Source::Auto(version.parse()?),
            Some(("release", version)) => Source::Only(Origin::Release(version.parse()?)),
            Some(("go", version)) => Source::Only(Origin::Go(version.parse()?)),
            Some(("dir", "")) => return Err(SourceError::NoPath),
            Some(("dir", path)) => Source::Only(Origin::Dir(path.into())),
            _ => return Err(SourceError::Kind(text.to_owned())),
        })
    }
}

impl FromStr for ProgramSource {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("file:") {
            Some("") => Err(SourceError::NoFile),
            Some(path) => Ok(ProgramSource::File(path.into())),
            None => text.parse().map(ProgramSource::Source),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Auto(version) => write!(f, "auto:{version}"),
            Source::Only(origin) => origin.fmt(f),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Release(version) => write!(f, "release:{version}"),
            Origin::Go(version) => write!(f, "go:{version}"),
            Origin::Dir(path) => write!(f, "dir:{}", path.display()),
        }
    }
}

impl fmt::Display for ProgramSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramSource::File(path) => write!(f, "file:{}", path.display()),
            ProgramSource::Source(source) => source.fmt(f),
        }
    }
}

impl Source {
    /// Whether it says that programs are compiled here; `auto:` leaves that open.
    pub(crate) fn is_compiled(&self) -> bool {
        matches!(self, Source::Only(Origin::Go(_) | Origin::Dir(_)))
    }

    /// Decide `auto:` by asking `release_url`, and say on standard error when it cannot be reached. A directory gets its
    /// absolute path, so that it means the same from everywhere.
    pub(crate) fn decide(self, release_url: &str) -> Origin {
        let version = match self {
            Source::Auto(version) => version,
            // A directory that does not exist is reported when it is opened.
            Source::Only(Origin::Dir(path)) => return Origin::Dir(path.canonicalize().unwrap_or(path)),
            Source::Only(origin) => return origin,
        };
        let url = format!("{release_url}/{version}/bin/linux/{}/kubeadm", arch());
        match download::probe(&url, PROBE_DEADLINE) {
            Ok(()) => Origin::Release(version),
            Err(error) => {
                eprintln!("build: {release_url} cannot be reached ({error}): building {version} from Go modules");
                Origin::Go(version)
            }
        }
    }

    /// [`Source::decide`], but where `auto:` asks for the version that `before` has, keep `before`: an image does not
    /// change its origin because the network was down for a moment, and a build with nothing to do asks no server.
    pub(crate) fn decide_like(self, before: Option<Origin>, release_url: &str) -> Origin {
        match (&self, before) {
            (Source::Auto(version), Some(origin)) if origin.version() == Some(version) => origin,
            _ => self.decide(release_url),
        }
    }
}

impl Origin {
    /// What the host must have to compile it.
    pub(crate) fn tools(&self) -> &'static [Tool] {
        match self {
            Origin::Release(_) => &[],
            Origin::Go(_) => &[("go", "golang-go"), ("cc", "gcc")],
            Origin::Dir(_) => &[("go", "golang-go"), ("cc", "gcc"), ("git", "git")],
        }
    }

    /// The version that it names; a directory names none.
    fn version(&self) -> Option<&Version> {
        match self {
            Origin::Release(version) | Origin::Go(version) => Some(version),
            Origin::Dir(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing listens on port 1 of loopback.
    const UNREACHABLE: &str = "http://127.0.0.1:1";

    fn source(text: &str) -> Source {
        text.parse().expect(text)
    }

    #[test]
    fn every_kind_of_source_is_read_and_shown_as_it_was_written() {
        for text in ["auto:v1.37.2", "release:v1.36.0-rc.1", "go:v1.37.2", "dir:/home/me/kubernetes"] {
            assert_eq!(source(text).to_string(), text);
        }
        for text in ["file:/tmp/kubelet", "dir:/home/me/kubernetes", "go:v1.37.2"] {
            assert_eq!(text.parse::<ProgramSource>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_would_do() {
        let error = |text: &str| text.parse::<Source>().expect_err(text).to_string();
        for version in ["1.37.2", "v1.37", "v1.37.2.4", "v1.x.2", "v1.37.2-", "v1.37.2-a/b", "v01.37.2", ""] {
            assert!(error(&format!("go:{version}")).contains("write it like v1.37.2"), "{version}");
        }
        assert!(error("v1.37.2").contains("use auto:VERSION"));
        assert!(error("docker:v1.37.2").contains("use auto:VERSION"));
        assert!(error("file:/tmp/kubelet").contains("use auto:VERSION"));
        assert!(error("dir:").contains("path"));
        assert!("file:".parse::<ProgramSource>().is_err());
        assert!("kubelet".parse::<ProgramSource>().is_err());
    }

    #[test]
    fn what_cannot_be_reached_in_time_falls_back_to_go() {
        assert_eq!(source("auto:v1.37.2").decide(UNREACHABLE).to_string(), "go:v1.37.2");
    }

    #[test]
    fn an_image_keeps_its_origin_as_long_as_its_version_is_asked_for() {
        let decided = |asked: &str, before: &str| {
            let before = if let Source::Only(origin) = source(before) { Some(origin) } else { None };
            source(asked).decide_like(before, UNREACHABLE).to_string()
        };
        assert_eq!(decided("auto:v1.37.2", "release:v1.37.2"), "release:v1.37.2");
        assert_eq!(decided("auto:v1.37.3", "release:v1.37.2"), "go:v1.37.3");
        assert_eq!(decided("auto:v1.37.2", "dir:/kubernetes"), "go:v1.37.2");
        assert_eq!(decided("go:v1.37.2", "release:v1.37.2"), "go:v1.37.2");
    }

    #[test]
    fn a_directory_is_recorded_by_its_absolute_path() {
        let here = std::env::current_dir().expect("a directory");
        assert_eq!(source("dir:.").decide(UNREACHABLE).to_string(), format!("dir:{}", here.display()));
        assert_eq!(source("dir:no-such").decide(UNREACHABLE).to_string(), "dir:no-such");
    }
}
