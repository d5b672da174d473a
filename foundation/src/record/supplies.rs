//! The programs and images that an upgrade brings to nodes: `nodectl supplies` prints them, `clusterctl upgrade` reads them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Record, untrusted};

/// The programs and images of one version of Kubernetes that nodes need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuppliesRecord {
    /// Version of Kubernetes.
    #[serde(deserialize_with = "untrusted::word")]
    pub kubernetes: String,
    /// The programs of nodes.
    pub programs: BTreeMap<NodeProgram, ProgramFile>,
    /// Images that kubeadm wants. Nodes pull the ones that are not listed.
    pub images: Vec<ImageFile>,
    /// Fields that this version does not know, passed through.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A program of Kubernetes' on each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeProgram {
    /// Makes and upgrades clusters.
    Kubeadm,
    /// The API server's client.
    Kubectl,
    /// The node's agent.
    Kubelet,
}

impl NodeProgram {
    /// All of them, with their names.
    pub const ALL: [(NodeProgram, &'static str); 3] =
        [(NodeProgram::Kubeadm, "kubeadm"), (NodeProgram::Kubectl, "kubectl"), (NodeProgram::Kubelet, "kubelet")];
}

/// A program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgramFile {
    /// Where it is.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub path: PathBuf,
    /// SHA-256 of its content.
    #[serde(deserialize_with = "untrusted::word")]
    pub sha256: String,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageFile {
    /// Its name and tag.
    #[serde(deserialize_with = "untrusted::word")]
    pub image: String,
    /// The image as an archive (an OCI layout).
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub archive: PathBuf,
}

impl Record for SuppliesRecord {
    const WHAT: &'static str = "supplies record";
    const HINT: &'static str = "nodectl supplies";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_another_program_or_a_template_in_it_is_refused() {
        let good = r#"{"kubernetes":"v1.37.2","programs":{"kubelet":{"path":"/c/kubelet","sha256":"ab"}},"images":[{"image":"registry.k8s.io/pause:3.10","archive":"/c/a.tar"}]}"#;
        assert!(serde_json::from_str::<SuppliesRecord>(good).is_ok());
        for (from, to) in [("\"kubelet\"", "\"../sh\""), ("\"ab\"", "\"{{ x }}\""), ("/c/a", "/c/{%"), ("v1.37", "v;1")]
        {
            let hostile = good.replace(from, to);
            assert!(serde_json::from_str::<SuppliesRecord>(&hostile).is_err(), "{hostile}");
        }
    }
}
