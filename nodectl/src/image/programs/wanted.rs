//! Which images a version of Kubernetes wants: `kubeadm config images list` says it.

use std::path::Path;
use std::process::Command;

use foundation::command::{self, CommandError};

use super::version::Version;

/// An image's name with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// All of it: `registry.k8s.io/coredns/coredns:v1.14.6`.
    pub(crate) full: String,
    /// The last part of its name: `coredns`.
    pub(crate) name: String,
    /// Its tag: `v1.14.6`.
    pub(crate) tag: String,
}

/// The images that kubeadm wants are unknown.
#[derive(Debug, thiserror::Error)]
pub enum WantedError {
    /// kubeadm failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A line is not an image.
    #[error("kubeadm lists an image without a tag: {line:?}")]
    Line {
        /// The line.
        line: String,
    },
    /// An image is missing.
    #[error("kubeadm lists no image {name}; this version of nodectl does not know how to build for it")]
    Missing {
        /// Its name.
        name: &'static str,
    },
}

/// Ask kubeadm.
pub(crate) fn list(kubeadm: &Path, version: &Version) -> Result<Vec<Reference>, WantedError> {
    let mut command = Command::new(kubeadm);
    command.args(["config", "images", "list", "--kubernetes-version", &version.to_string()]);
    parse(&String::from_utf8_lossy(&command::output(&mut command)?.stdout))
}

pub(super) fn parse(text: &str) -> Result<Vec<Reference>, WantedError> {
    let reference = |line: &str| {
        let split = line.rsplit_once('/').and_then(|(_, last)| last.split_once(':'));
        let (name, tag) = split.ok_or_else(|| WantedError::Line { line: line.to_owned() })?;
        Ok(Reference { full: line.to_owned(), name: name.to_owned(), tag: tag.to_owned() })
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(reference).collect()
}

/// The image of that name.
pub(crate) fn find<'a>(references: &'a [Reference], name: &'static str) -> Result<&'a Reference, WantedError> {
    references.iter().find(|reference| reference.name == name).ok_or(WantedError::Missing { name })
}

/// The version of the module that is in an image with this tag: `3.7.0-0` is the first build of v3.7.0. A pre-release
/// (`3.6.0-rc.4-0`) has a dash of its own.
pub(super) fn version(tag: &str) -> String {
    let is_count = |count: &str| count.bytes().all(|byte| byte.is_ascii_digit());
    let version = tag.rsplit_once('-').filter(|(_, count)| is_count(count)).map_or(tag, |(version, _)| version);
    format!("v{}", version.trim_start_matches('v'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "registry.k8s.io/kube-apiserver:v1.37.2\nregistry.k8s.io/coredns/coredns:v1.14.6\n\
        localhost:5000/pause:3.10.2\nregistry.k8s.io/etcd:3.7.0-0\n";

    #[test]
    fn names_and_tags_are_told_apart() {
        let list = parse(LIST).expect("a list");
        assert_eq!(find(&list, "coredns").expect("there").tag, "v1.14.6");
        assert_eq!(find(&list, "pause").expect("there").full, "localhost:5000/pause:3.10.2");
        assert!(find(&list, "kube-proxy").is_err());
        assert!(parse("no image here").expect_err("no tag").to_string().contains("no image here"));
    }

    #[test]
    fn the_tag_of_an_image_gives_the_version_of_its_module() {
        assert_eq!(version("3.7.0-0"), "v3.7.0");
        assert_eq!(version("v3.6.0-rc.4-0"), "v3.6.0-rc.4");
        assert_eq!(version("3.7.0"), "v3.7.0");
        assert_eq!(version("v1.14.6"), "v1.14.6");
    }
}
