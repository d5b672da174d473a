//! Kubernetes' own end-to-end tests: `nodectl e2e` builds them, `clusterctl e2e` runs them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Record, untrusted};

/// What `nodectl e2e` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteRecord {
    /// Version of Kubernetes that the tests belong to.
    #[serde(deserialize_with = "untrusted::word")]
    pub kubernetes: String,
    /// The tests: e2e.test.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub program: PathBuf,
    /// ginkgo, of the version that they were compiled with: it runs several of them at a time.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub ginkgo: PathBuf,
    /// kubectl of the same version, which some of them run.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub kubectl: PathBuf,
    /// The images of their pods, to be loaded into the nodes.
    pub images: Vec<SuiteImage>,
    /// The images that could not be made. Nodes pull them if they can; tests that need them are left out.
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
    /// The digest of its manifest, by which it is recognised on a node.
    #[serde(deserialize_with = "untrusted::word")]
    pub digest: String,
    /// The image as an archive (an OCI layout).
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub archive: PathBuf,
}

/// An image or a facility that tests need and that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// An image's name and tag, or a description.
    pub image: String,
    /// Why not.
    pub why: String,
    /// Parts of names: a test whose name contains one of these needs it.
    #[serde(default)]
    pub tests: Vec<String>,
}

impl Record for SuiteRecord {
    const WHAT: &'static str = "suite record";
    const HINT: &'static str = "nodectl e2e";
}
