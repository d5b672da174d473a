//! Settings as kubeadm's documents, and the documents that a user has.

use std::fs;
use std::path::{Path, PathBuf};

use foundation::files::FileError;
use serde_json::{Map, Value, json};

use super::{Config, Configurable};

/// The documents that kubeadm reads, with the version in which our own are written (kubeadm-config.v1beta4).
const KINDS: [(&str, &str); 5] = [
    ("InitConfiguration", KUBEADM),
    ("ClusterConfiguration", KUBEADM),
    ("JoinConfiguration", KUBEADM),
    ("KubeletConfiguration", "kubelet.config.k8s.io/v1beta1"),
    ("KubeProxyConfiguration", "kubeproxy.config.k8s.io/v1alpha1"),
];

const KUBEADM: &str = "kubeadm.k8s.io/v1beta4";

/// Why a file of kubeadm's documents cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubeadmError {
    /// It is not YAML.
    #[error("{} is not YAML", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<serde_saphyr::Error>,
    },
    /// kubeadm does not read such a document.
    #[error("{}: {kind:?} is no document of kubeadm's; those are {}", path.display(), KINDS.map(|(kind, _)| kind).join(", "))]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it says it is.
        kind: String,
    },
    /// It cannot be merged with ours.
    #[error("{}: {kind} is of {version:?}, and {wanted} is needed; `kubeadm config migrate` converts it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The document.
        kind: String,
        /// The version that it has.
        version: String,
        /// The version that it needs.
        wanted: &'static str,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Documents by their kinds: the user's own, then what the other settings say.
pub(super) fn documents(config: &Config) -> Result<Map<String, Value>, KubeadmError> {
    let mut documents = config.kubeadm_config.as_deref().map(read).transpose()?.unwrap_or_default();
    let mut add = |kind: &str, document: Value| merge(documents.entry(kind).or_insert_with(|| json!({})), document);
    if !config.feature_gates.is_empty() {
        let gates = joined(config.feature_gates.iter());
        for component in ["apiServer", "controllerManager", "scheduler"] {
            add("ClusterConfiguration", json!({component: {"extraArgs": [argument("feature-gates", &gates)]}}));
        }
        for kind in ["KubeletConfiguration", "KubeProxyConfiguration"] {
            add(kind, json!({"featureGates": config.feature_gates}));
        }
    }
    if !config.runtime_config.is_empty() {
        let apis = joined(config.runtime_config.iter());
        add("ClusterConfiguration", json!({"apiServer": {"extraArgs": [argument("runtime-config", &apis)]}}));
    }
    if let Some(mode) = &config.kube_proxy_mode {
        add("KubeProxyConfiguration", json!({"mode": mode}));
    }
    for (component, arguments) in &config.extra_args {
        let arguments: Vec<_> = arguments.iter().map(|(name, value)| argument(name, &value.to_string())).collect();
        let in_cluster = |place: Value| ("ClusterConfiguration", place);
        let (kind, document) = match component {
            Configurable::KubeApiserver => in_cluster(json!({"apiServer": {"extraArgs": arguments}})),
            Configurable::KubeControllerManager => in_cluster(json!({"controllerManager": {"extraArgs": arguments}})),
            Configurable::KubeScheduler => in_cluster(json!({"scheduler": {"extraArgs": arguments}})),
            Configurable::Etcd => in_cluster(json!({"etcd": {"local": {"extraArgs": arguments}}})),
            Configurable::Kubelet => {
                let registration = json!({"nodeRegistration": {"kubeletExtraArgs": arguments}});
                add("JoinConfiguration", registration.clone());
                ("InitConfiguration", registration)
            }
        };
        add(kind, document);
    }
    Ok(documents)
}

/// Documents of a file, each checked to be of a kind and a version that can be merged with ours.
fn read(path: &Path) -> Result<Map<String, Value>, KubeadmError> {
    let text = fs::read_to_string(path).map_err(FileError::of("read", path))?;
    let malformed = |source| KubeadmError::Malformed { path: path.to_owned(), source: Box::new(source) };
    let mut documents = Map::new();
    for document in serde_saphyr::from_multiple::<Value>(&text).map_err(malformed)? {
        let field = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        let (kind, version) = (field("kind"), field("apiVersion"));
        let known = KINDS.into_iter().find(|(known, _)| *known == kind);
        let Some((_, wanted)) = known else { return Err(KubeadmError::Kind { path: path.to_owned(), kind }) };
        if version != wanted {
            return Err(KubeadmError::Version { path: path.to_owned(), kind, version, wanted });
        }
        merge(documents.entry(kind).or_insert_with(|| json!({})), document);
    }
    Ok(documents)
}

/// Objects key by key, lists one after the other, all else by the later.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from),
        (into, from) => *into = from,
    }
}

fn argument(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// `A=true,B=false`.
fn joined<'a, V: ToString + 'a>(settings: impl Iterator<Item = (&'a String, &'a V)>) -> String {
    settings.map(|(name, value)| format!("{name}={}", value.to_string())).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents_of(text: &str) -> Map<String, Value> {
        documents(&serde_saphyr::from_str(text).expect("a configuration")).expect("documents")
    }

    #[test]
    fn a_feature_gate_reaches_every_component() {
        let documents = documents_of("featureGates: {A: true, B: false}\n");
        for component in ["apiServer", "controllerManager", "scheduler"] {
            let arguments = &documents["ClusterConfiguration"][component]["extraArgs"];
            assert_eq!(*arguments, json!([{"name": "feature-gates", "value": "A=true,B=false"}]), "{component}");
        }
        for kind in ["KubeletConfiguration", "KubeProxyConfiguration"] {
            assert_eq!(documents[kind]["featureGates"], json!({"A": true, "B": false}));
        }
    }

    #[test]
    fn arguments_of_kubelet_are_those_of_every_node() {
        let documents = documents_of("extraArgs: {kubelet: {v: 4}, etcd: {quota-backend-bytes: 1}}\n");
        for kind in ["InitConfiguration", "JoinConfiguration"] {
            let arguments = &documents[kind]["nodeRegistration"]["kubeletExtraArgs"];
            assert_eq!(*arguments, json!([{"name": "v", "value": "4"}]), "{kind}");
        }
        assert_eq!(documents["ClusterConfiguration"]["etcd"]["local"]["extraArgs"][0]["value"], "1");
    }

    #[test]
    fn a_users_own_documents_keep_fields_that_nobody_here_knows() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let own = format!("apiVersion: {KUBEADM}\nkind: ClusterConfiguration\nfuture: [1]\n");
        fs::write(file.path(), format!("{own}---\n{own}")).expect("written");
        let documents = read(file.path()).expect("documents");
        assert_eq!(documents["ClusterConfiguration"]["future"], json!([1, 1]));
        let error = |text: &str| {
            fs::write(file.path(), text).expect("written");
            read(file.path()).expect_err(text).to_string()
        };
        assert!(error("kind: Pod\napiVersion: v1\n").contains("\"Pod\" is no document of kubeadm's"));
        let old = "kind: ClusterConfiguration\napiVersion: kubeadm.k8s.io/v1beta3\n";
        assert!(error(old).contains("`kubeadm config migrate` converts it"));
    }
}
