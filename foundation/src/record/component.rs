//! Components of a cluster: what `nodectl component` builds one of, and `clusterctl swap` puts on running nodes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Record, untrusted};

/// A program that a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// Kubernetes' API server, a static pod.
    KubeApiserver,
    /// The controllers, a static pod.
    KubeControllerManager,
    /// The scheduler, a static pod.
    KubeScheduler,
    /// The proxy of Services, a pod on each node.
    KubeProxy,
    /// The node's agent, a service of its systemd.
    Kubelet,
    /// What makes and upgrades clusters, a command on each node.
    Kubeadm,
    /// The API server's database, a static pod.
    Etcd,
    /// The cluster's DNS server, in pods.
    Coredns,
    /// The container runtime, a service of the node's systemd. Its shim is not swapped with it.
    Containerd,
    /// What containerd starts containers with.
    Runc,
}

/// How a cluster runs a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A static pod of the control plane.
    StaticPod,
    /// Pods of a DaemonSet or a Deployment.
    Workload,
    /// A program of each node, most often with a service.
    Program,
}

impl Component {
    /// How it is run.
    pub fn kind(self) -> Kind {
        match self {
            Component::KubeApiserver
            | Component::KubeControllerManager
            | Component::KubeScheduler
            | Component::Etcd => Kind::StaticPod,
            Component::KubeProxy | Component::Coredns => Kind::Workload,
            Component::Kubelet | Component::Kubeadm | Component::Containerd | Component::Runc => Kind::Program,
        }
    }

    /// Its name, which is that of its program.
    pub fn name(self) -> &'static str {
        match self {
            Component::KubeApiserver => "kube-apiserver",
            Component::KubeControllerManager => "kube-controller-manager",
            Component::KubeScheduler => "kube-scheduler",
            Component::KubeProxy => "kube-proxy",
            Component::Kubelet => "kubelet",
            Component::Kubeadm => "kubeadm",
            Component::Etcd => "etcd",
            Component::Coredns => "coredns",
            Component::Containerd => "containerd",
            Component::Runc => "runc",
        }
    }

    /// The name of its image, without a tag, if it runs in a container.
    pub fn repository(self) -> Option<&'static str> {
        match self {
            Component::KubeApiserver => Some("registry.k8s.io/kube-apiserver"),
            Component::KubeControllerManager => Some("registry.k8s.io/kube-controller-manager"),
            Component::KubeScheduler => Some("registry.k8s.io/kube-scheduler"),
            Component::KubeProxy => Some("registry.k8s.io/kube-proxy"),
            Component::Etcd => Some("registry.k8s.io/etcd"),
            Component::Coredns => Some("registry.k8s.io/coredns/coredns"),
            Component::Kubelet | Component::Kubeadm | Component::Containerd | Component::Runc => None,
        }
    }
}

/// What `nodectl component` prints and `clusterctl swap` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentRecord {
    /// Which one.
    pub component: Component,
    /// Its version, as it prints it; `None` if it prints none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "untrusted::optional_word")]
    pub version: Option<String>,
    /// The program.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub program: PathBuf,
    /// The same program, compressed by zstd, if nodes run it outside a container.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "untrusted::optional_file")]
    pub compressed: Option<PathBuf>,
    /// SHA-256 of the program, by which its process is recognised on a node.
    #[serde(deserialize_with = "untrusted::word")]
    pub sha256: String,
    /// Name and tag of an image that contains it, if it runs in a container.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "untrusted::optional_word")]
    pub image: Option<String>,
    /// That image, as an archive of an OCI layout.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "untrusted::optional_file")]
    pub archive: Option<PathBuf>,
    /// delve's program, if the component was compiled for debugging: then no probe may end it for being slow.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "untrusted::optional_file")]
    pub debugger: Option<PathBuf>,
    /// Fields that this version does not know, passed through.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Record for ComponentRecord {
    const WHAT: &'static str = "component record";
    const HINT: &'static str = "nodectl component";
}

/// What `nodectl component --sources` prints: the files that a build of the component reads, for whoever watches them.
/// Both are empty for a source that never changes, such as a published version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourcesRecord {
    /// Single files, by absolute paths. One may be missing as yet.
    pub files: Vec<PathBuf>,
    /// Directories, of which all that is below may be read.
    pub directories: Vec<PathBuf>,
    /// Fields that this version does not know, passed through.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Record for SourcesRecord {
    const WHAT: &'static str = "sources record";
    const HINT: &'static str = "nodectl component --sources";
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn a_component_has_one_name_in_records_and_on_the_command_line() {
        for component in Component::value_variants() {
            let on_command_line = component.to_possible_value().expect("not hidden");
            assert_eq!(on_command_line.get_name(), component.name());
            assert_eq!(serde_json::to_value(component).expect("JSON"), component.name());
            assert_eq!(component.repository().is_some(), component.kind() != Kind::Program);
        }
    }

    #[test]
    fn a_record_with_a_template_or_an_option_in_it_is_refused() {
        let good = r#"{"component":"kube-scheduler","version":"v1.37.2-5+84c76d1142ea4d-dirty","program":"/c/kube-scheduler","sha256":"ab","image":"registry.k8s.io/kube-scheduler:v1-ab","archive":"/c/a.tar"}"#;
        assert!(serde_json::from_str::<ComponentRecord>(good).is_ok());
        for (from, to) in
            [("\"ab\"", "\"{{ x }}\""), ("/c/a", "/c/{%"), ("\"registry", "\"-registry"), ("v1.37", "v;1")]
        {
            let hostile = good.replace(from, to);
            assert!(serde_json::from_str::<ComponentRecord>(&hostile).is_err(), "{hostile}");
        }
    }
}
