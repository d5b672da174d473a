//! What a user sets of a cluster, in a file or on the command line, in Kubernetes' own words; and what kubeadm is told.

mod kubeadm;
mod patches;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use foundation::files::FileError;
use foundation::name::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

/// The configuration file of `clusterctl up`. Every field may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Feature gates of all components, kubelet and kube-proxy among them: `InPlacePodVerticalScaling: true`.
    pub(crate) feature_gates: BTreeMap<String, bool>,
    /// API groups and versions that the API server serves: `api/all: true` (kube-apiserver's --runtime-config).
    pub(crate) runtime_config: BTreeMap<String, Scalar>,
    /// How kube-proxy works: `nftables` (the default here), `iptables` or `ipvs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kube_proxy_mode: Option<String>,
    /// Arguments of components, by the component's name: `kube-scheduler: {v: 4}`.
    pub(crate) extra_args: BTreeMap<Configurable, BTreeMap<String, Scalar>>,
    /// Labels of nodes, by the node's name: `node2: {disk: ssd}`.
    pub(crate) node_labels: BTreeMap<String, BTreeMap<String, Scalar>>,
    /// A file of kubeadm's own documents (InitConfiguration, ClusterConfiguration, JoinConfiguration,
    /// KubeletConfiguration, KubeProxyConfiguration), merged into ours. A relative path begins at this file's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kubeadm_config: Option<PathBuf>,
    /// A directory of patches for static pods and kubelet's configuration, as `kubeadm init --patches` has them. A
    /// relative path begins at this file's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) patches: Option<PathBuf>,
}

/// What takes arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Configurable {
    /// The API server.
    KubeApiserver,
    /// The controllers.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// The API server's database.
    Etcd,
    /// The node's agent, on every node.
    Kubelet,
}

/// A value as one would type it: text, a number, or true and false.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number; the schema lets others through, too, which are text to us.
    Number(#[schemars(with = "f64")] i64),
    /// Anything else.
    Text(String),
}

impl<'de> Deserialize<'de> for Scalar {
    /// As it was typed: a number of YAML's would be 1.1 where 1.10 was meant.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Ok(match (text.parse(), text.parse::<i64>()) {
            (Ok(value), _) => Scalar::Bool(value),
            (_, Ok(value)) if value.to_string() == text => Scalar::Number(value),
            _ => Scalar::Text(text),
        })
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Bool(value) => value.fmt(f),
            Scalar::Number(value) => value.fmt(f),
            Scalar::Text(value) => value.fmt(f),
        }
    }
}

/// The same on the command line, where it comes after what the file says.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SettingsArgs {
    /// Read settings from a YAML file; docs/configuration.md has all of them
    #[arg(long, value_name = "FILE", env = "KUBEADM_SYSTEMD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Feature gates of all components: `NAME=true,...`
    #[arg(long, value_name = "GATES", value_delimiter = ',', value_parser = assignment)]
    pub(crate) feature_gates: Vec<(String, String)>,
    /// API groups and versions that the API server serves: `api/all=true,...`
    #[arg(long, value_name = "APIS", value_delimiter = ',', value_parser = assignment)]
    pub(crate) runtime_config: Vec<(String, String)>,
    /// A file of kubeadm's own documents, merged into ours
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeadm_config: Option<PathBuf>,
    /// A directory of patches, as for `kubeadm init --patches`
    #[arg(long, value_name = "DIR")]
    pub(crate) patches: Option<PathBuf>,
    /// How kube-proxy works: nftables, iptables or ipvs
    #[arg(long, value_name = "MODE")]
    pub(crate) kube_proxy_mode: Option<String>,
    /// A label of a node
    #[arg(long = "node-label", value_name = "NODE:KEY=VALUE", value_parser = placed::<Name>)]
    pub(crate) node_labels: Vec<(Name, (String, String))>,
    /// An argument of a component
    #[arg(long = "extra-arg", value_name = "COMPONENT:NAME=VALUE", value_parser = of_component)]
    pub(crate) extra_args: Vec<(Configurable, (String, String))>,
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file is not one.
    #[error("{} is not a configuration file; docs/configuration.md has all fields", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<serde_saphyr::Error>,
    },
    /// A gate is on or off.
    #[error("--feature-gates {gate}={value}: a gate is true or false")]
    Gate {
        /// The gate.
        gate: String,
        /// What it was to be.
        value: String,
    },
    /// A label is of a node that is not one.
    #[error("nodeLabels: the cluster has no node {node}; it has {}", nodes.join(", "))]
    Node {
        /// The name.
        node: String,
        /// Those that there are.
        nodes: Vec<String>,
    },
    /// kubeadm's own file is not one.
    #[error(transparent)]
    Kubeadm(#[from] kubeadm::KubeadmError),
    /// Ansible would replace a part of it.
    #[error("settings cannot have {0:?} in them: Ansible would take it for a template")]
    Template(&'static str),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Config {
    /// What the file and the command line say.
    pub(crate) fn of(args: &SettingsArgs) -> Result<Self, SettingsError> {
        let mut config = args.config.as_deref().map(Self::read).transpose()?.unwrap_or_default();
        for (gate, value) in &args.feature_gates {
            let is_on = value.parse().map_err(|_| SettingsError::Gate { gate: gate.clone(), value: value.clone() })?;
            config.feature_gates.insert(gate.clone(), is_on);
        }
        let text = |value: &String| Scalar::Text(value.clone());
        config.runtime_config.extend(args.runtime_config.iter().map(|(api, value)| (api.clone(), text(value))));
        for (node, (key, value)) in &args.node_labels {
            config.node_labels.entry(node.to_string()).or_default().insert(key.clone(), text(value));
        }
        for (component, (name, value)) in &args.extra_args {
            config.extra_args.entry(*component).or_default().insert(name.clone(), text(value));
        }
        config.kube_proxy_mode = args.kube_proxy_mode.clone().or(config.kube_proxy_mode);
        config.kubeadm_config = args.kubeadm_config.clone().or(config.kubeadm_config);
        config.patches = args.patches.clone().or(config.patches);
        Ok(config)
    }

    fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = fs::read_to_string(path).map_err(FileError::of("read", path))?;
        let malformed = |source| SettingsError::Malformed { path: path.to_owned(), source: Box::new(source) };
        let mut config: Config = serde_saphyr::from_str(&text).map_err(malformed)?;
        let dir = path.parent().unwrap_or(Path::new(""));
        for path in [&mut config.kubeadm_config, &mut config.patches].into_iter().flatten() {
            *path = dir.join(&*path);
        }
        Ok(config)
    }

    /// Variables for the playbook: `kubeadm_settings`, `kubeadm_patches`, `readiness_labels`. None where nothing is set.
    pub(crate) fn variables(&self, nodes: &[&Name]) -> Result<Map<String, Value>, SettingsError> {
        let mut variables = Map::new();
        let documents = kubeadm::documents(self)?;
        if !documents.is_empty() {
            variables.insert("kubeadm_settings".to_owned(), Value::Object(documents));
        }
        if let Some(dir) = &self.patches {
            variables.insert("kubeadm_patches".to_owned(), patches::read(dir)?);
        }
        if !self.node_labels.is_empty() {
            variables.insert("readiness_labels".to_owned(), self.labels(nodes)?);
        }
        let text = Value::Object(variables.clone()).to_string();
        match ["{{", "{%", "{#"].into_iter().find(|begin| text.contains(begin)) {
            Some(begin) => Err(SettingsError::Template(begin)),
            None => Ok(variables),
        }
    }

    /// `[{node, labels: [KEY=VALUE, ...]}, ...]`.
    fn labels(&self, nodes: &[&Name]) -> Result<Value, SettingsError> {
        let nodes: Vec<_> = nodes.iter().map(ToString::to_string).collect();
        let of_node = |(node, labels): (&String, &BTreeMap<String, Scalar>)| {
            if !nodes.contains(node) {
                return Err(SettingsError::Node { node: node.clone(), nodes: nodes.clone() });
            }
            let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            Ok(json!({"node": node, "labels": labels}))
        };
        self.node_labels.iter().map(of_node).collect()
    }
}

/// `NAME=VALUE`.
fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is written NAME=VALUE".to_owned()),
    }
}

/// `PLACE:NAME=VALUE`.
fn placed<T: std::str::FromStr<Err: ToString>>(text: &str) -> Result<(T, (String, String)), String> {
    let (place, rest) = text.split_once(':').ok_or("it is written PLACE:NAME=VALUE")?;
    Ok((place.parse().map_err(|error: T::Err| error.to_string())?, assignment(rest)?))
}

fn of_component(text: &str) -> Result<(Configurable, (String, String)), String> {
    let (component, setting) = placed::<String>(text)?;
    Ok((clap::ValueEnum::from_str(&component, false)?, setting))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, serde_saphyr::Error> {
        serde_saphyr::from_str(text)
    }

    /// UPDATE_SCHEMA=1 writes it anew.
    #[test]
    fn the_schema_in_the_documentation_is_that_of_the_file() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cluster.schema.json");
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Config)).expect("JSON") + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(&path, &schema).expect("written");
        }
        let documented = fs::read_to_string(&path).expect("readable");
        assert_eq!(documented, schema, "run UPDATE_SCHEMA=1 cargo test --package clusterctl");
    }

    #[test]
    fn the_example_in_the_documentation_is_a_configuration_with_every_field() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
        let text = fs::read_to_string(path).expect("readable");
        let example = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let example = config(example).expect("a configuration");
        let fields = serde_json::to_value(&example).expect("JSON");
        let schema = schemars::schema_for!(Config);
        let properties = schema.get("properties").and_then(Value::as_object).expect("properties");
        let missing: Vec<_> = properties.keys().filter(|name| fields.get(name).is_none()).collect();
        assert_eq!(missing, Vec::<&String>::new());
    }

    #[test]
    fn an_unknown_field_is_refused_by_its_name() {
        let error = config("featureGate: {A: true}\n").expect_err("a typing error").to_string();
        assert!(error.contains("featureGate"), "{error}");
    }

    #[test]
    fn a_value_is_passed_on_as_it_was_typed() {
        let passed_on = |value: &str| {
            let config = config(&format!("extraArgs: {{kubelet: {{x: {value}}}}}\n")).ok()?;
            Some(config.extra_args[&Configurable::Kubelet]["x"].to_string())
        };
        let long = "123456789012345678901234567890";
        for value in ["0.2", "-1.5", "1.0", "1.10", "4", "-4", "007", "true", "10s", "1.2.3", long] {
            assert_eq!(passed_on(value).as_deref(), Some(value));
            assert_eq!(passed_on(&format!("'{value}'")).as_deref(), Some(value));
        }
        assert_eq!(passed_on("[1]"), None);
    }

    #[test]
    fn the_command_line_comes_after_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("cluster.yaml");
        fs::write(&path, "featureGates: {A: true, B: true}\nkubeProxyMode: ipvs\npatches: patches\n").expect("written");
        let args = SettingsArgs {
            config: Some(path),
            feature_gates: vec![("B".to_owned(), "false".to_owned())],
            kube_proxy_mode: Some("iptables".to_owned()),
            ..SettingsArgs::default()
        };
        let config = Config::of(&args).expect("settings");
        assert_eq!(config.feature_gates, [("A".to_owned(), true), ("B".to_owned(), false)].into());
        assert_eq!(config.kube_proxy_mode.as_deref(), Some("iptables"));
        assert_eq!(config.patches, Some(dir.path().join("patches")));
    }

    #[test]
    fn what_would_be_a_template_and_a_node_that_is_not_there_are_refused() {
        let nodes: [Name; 1] = ["node1".parse().expect("a name")];
        let error = |text: &str| {
            let config = config(text).expect("a configuration");
            config.variables(&nodes.iter().collect::<Vec<_>>()).expect_err(text).to_string()
        };
        assert!(error("extraArgs: {kubelet: {x: '{{ y }}'}}\n").contains("template"));
        assert!(error("nodeLabels: {node9: {a: b}}\n").contains("no node node9; it has node1"));
    }

    #[test]
    fn labels_and_arguments_are_read_from_the_command_line() {
        assert_eq!(
            of_component("kube-scheduler:v=4").expect("one"),
            (Configurable::KubeScheduler, ("v".to_owned(), "4".to_owned()))
        );
        assert!(of_component("scheduler:v=4").is_err() && placed::<Name>("node1=a").is_err());
        assert!(placed::<Name>("No_Name:a=b").is_err());
    }
}
