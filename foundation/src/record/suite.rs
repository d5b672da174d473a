//! Kubernetes' own end-to-end tests: what `nodectl e2e` makes, and `clusterctl e2e` runs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Record, untrusted};

/// What `nodectl e2e` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteRecord {
    /// Version of Kubernetes that the tests are of.
    #[serde(deserialize_with = "untrusted::word")]
    pub kubernetes: String,
    /// The tests: e2e.test.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub program: PathBuf,
    /// What runs several of them at a time: the ginkgo that they were made with.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub ginkgo: PathBuf,
    /// What some of them run: kubectl of the same version.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub kubectl: PathBuf,
    /// The images that their pods are made of, to be loaded into the nodes.
    pub images: Vec<SuiteImage>,
    /// The images that could not be made. The nodes pull them if they can; their tests are left out.
    pub missing: Vec<Missing>,
    /// Fields that this version does not know, passed through.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// An image for tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteImage {
    /// Its name and tag.
    #[serde(deserialize_with = "untrusted::word")]
    pub image: String,
    /// The digest of its manifest, by which a node is known to have it.
    #[serde(deserialize_with = "untrusted::word")]
    pub digest: String,
    /// The image as an archive (an OCI layout).
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub archive: PathBuf,
}

/// Something that tests need and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// An image's name and tag, or what else it is.
    pub image: String,
    /// Why not.
    pub why: String,
    /// What the names of the tests that need it contain, each one.
    #[serde(default)]
    pub tests: Vec<String>,
}

impl Record for SuiteRecord {
    const WHAT: &'static str = "suite record";
    const HINT: &'static str = "nodectl e2e";
}
