//! The Ansible inventory: written from node records, and read back as far as we need it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;

use foundation::name::Name;
use foundation::record::{NodeRecord, Role, untrusted};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An inventory in YAML, as Ansible's `yaml` plugin reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    all: All,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct All {
    vars: Vars,
    children: Groups,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Vars {
    kubeadm_systemd_cluster: Name,
    ansible_python_interpreter: String,
}

/// The groups that kubespray has, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Groups {
    kube_control_plane: Group,
    /// Where etcd runs: on the control plane.
    etcd: Parent,
    /// The workers.
    #[serde(default)]
    kube_node: Group,
    /// All nodes of the cluster.
    k8s_cluster: Parent,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Group {
    hosts: BTreeMap<Name, Host>,
}

/// A group of groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Parent {
    children: BTreeMap<String, Value>,
}

impl Parent {
    fn of(groups: &[&str]) -> Self {
        Parent { children: groups.iter().map(|group| ((*group).to_owned(), Value::Object(Map::new()))).collect() }
    }
}

/// How SSH reaches a node, in the words of Ansible's `ssh` connection plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Host {
    /// Its address.
    pub(crate) ansible_host: IpAddr,
    /// The port of its SSH server.
    pub(crate) ansible_port: u16,
    /// The user to log in as.
    #[serde(deserialize_with = "untrusted::user")]
    pub(crate) ansible_user: String,
    /// The key to log in with.
    #[serde(deserialize_with = "untrusted::ssh_file")]
    pub(crate) ansible_ssh_private_key_file: PathBuf,
    /// Further options of ssh(1), quoted as for a shell.
    pub(crate) ansible_ssh_common_args: String,
}

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// Records of several clusters came.
    #[error("node records of several clusters: {}; an inventory is of one, choose with `nodectl ls --json --cluster NAME`", .0.join(", "))]
    Clusters(Vec<String>),
    /// A name came twice.
    #[error("node {0} comes twice; every node needs a name of its own")]
    Twice(Name),
    /// A record has no address.
    #[error("node {0} has no address; its record needs at least one in \"addresses\"")]
    NoAddress(Name),
    /// A file that SSH needs is not there.
    #[error("node {node}: there is no {what} at {}", path.display())]
    NoFile {
        /// The node.
        node: Name,
        /// What it should be.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
    },
    /// Not one control plane.
    #[error("{count} nodes have the role control-plane; this version makes clusters of exactly one")]
    ControlPlanes {
        /// How many.
        count: usize,
    },
    /// The YAML could not be written.
    #[error("cannot write the inventory")]
    Write(#[source] serde_saphyr::ser::Error),
    /// No inventory came.
    #[error(
        "no inventory on standard input; it ended empty, so the command before the pipe most likely failed: see its error above"
    )]
    Empty,
    /// It does not end.
    #[error("the inventory has more than {} MiB", untrusted::MOST >> 20)]
    TooMuch,
    /// Reading failed.
    #[error("cannot read the inventory")]
    Read(#[source] std::io::Error),
    /// An older version has written it.
    #[error(
        "the inventory has the groups control_plane and workers of an older version, which are kube_control_plane and \
         kube_node now; write it anew: `nodectl ls --json --cluster {0} | clusterctl inventory | clusterctl up`"
    )]
    Old(Name),
    /// It is not an inventory of ours.
    #[error("not an inventory as `clusterctl inventory` writes it")]
    Malformed(#[source] serde_saphyr::Error),
}

impl Inventory {
    /// Check all records, and put them into groups.
    pub(crate) fn of(nodes: &[NodeRecord]) -> Result<Self, InventoryError> {
        let clusters: BTreeSet<&Name> = nodes.iter().map(|node| &node.cluster).collect();
        let mut clusters = clusters.into_iter();
        let cluster = match (clusters.next(), clusters.len()) {
            (Some(cluster), 0) => cluster.clone(),
            (None, _) => return Err(InventoryError::Empty),
            (Some(first), _) => {
                return Err(InventoryError::Clusters(
                    std::iter::once(first).chain(clusters).map(Name::to_string).collect(),
                ));
            }
        };
        let mut groups = Groups {
            kube_control_plane: Group::default(),
            etcd: Parent::of(&["kube_control_plane"]),
            kube_node: Group::default(),
            k8s_cluster: Parent::of(&["kube_control_plane", "kube_node"]),
        };
        for node in nodes {
            let host = host(node)?;
            if [&groups.kube_control_plane, &groups.kube_node].iter().any(|group| group.hosts.contains_key(&node.name))
            {
                return Err(InventoryError::Twice(node.name.clone()));
            }
            let group = match node.role {
                Role::ControlPlane => &mut groups.kube_control_plane,
                Role::Worker => &mut groups.kube_node,
            };
            group.hosts.insert(node.name.clone(), host);
        }
        let inventory = Inventory {
            all: All {
                vars: Vars {
                    kubeadm_systemd_cluster: cluster,
                    ansible_python_interpreter: "/usr/bin/python3".to_owned(),
                },
                children: groups,
            },
        };
        inventory.checked()
    }

    fn checked(self) -> Result<Self, InventoryError> {
        match self.all.children.kube_control_plane.hosts.len() {
            1 => Ok(self),
            count => Err(InventoryError::ControlPlanes { count }),
        }
    }

    /// Read one. Fields that we do not write are left to Ansible: it is given the text as it came.
    pub fn read(input: impl Read) -> Result<(Self, String), InventoryError> {
        let mut text = String::new();
        let mut input = input.take(untrusted::MOST);
        let read = input.read_to_string(&mut text);
        if input.limit() == 0 {
            return Err(InventoryError::TooMuch);
        }
        read.map_err(InventoryError::Read)?;
        if text.trim().is_empty() {
            return Err(InventoryError::Empty);
        }
        let inventory: Inventory = serde_saphyr::from_str(&text)
            .map_err(|error| of_older_version(&text).map_or(InventoryError::Malformed(error), InventoryError::Old))?;
        Ok((inventory.checked()?, text))
    }

    /// As YAML.
    pub fn to_yaml(&self) -> Result<String, InventoryError> {
        Ok(format!("---\n{}", serde_saphyr::to_string(self).map_err(InventoryError::Write)?))
    }

    /// The cluster's name.
    pub(crate) fn cluster(&self) -> &Name {
        &self.all.vars.kubeadm_systemd_cluster
    }

    /// Names of all nodes, the control plane first.
    pub fn nodes(&self) -> Vec<&Name> {
        let groups = &self.all.children;
        groups.kube_control_plane.hosts.keys().chain(groups.kube_node.hosts.keys()).collect()
    }

    /// Names of the nodes that the control plane runs on.
    pub(crate) fn control_plane(&self) -> Vec<&Name> {
        self.all.children.kube_control_plane.hosts.keys().collect()
    }

    /// How a node is reached; none, if there is no such node.
    pub(crate) fn host(&self, node: &Name) -> Option<&Host> {
        let groups = &self.all.children;
        groups.kube_control_plane.hosts.get(node).or_else(|| groups.kube_node.hosts.get(node))
    }

    /// The nodes' Python.
    pub(crate) fn python(&self) -> &str {
        &self.all.vars.ansible_python_interpreter
    }

    /// URL of the API server.
    pub(crate) fn server(&self) -> String {
        let host = self.all.children.kube_control_plane.hosts.values().next();
        host.map_or_else(String::new, |host| match host.ansible_host {
            IpAddr::V4(address) => format!("https://{address}:6443"),
            IpAddr::V6(address) => format!("https://[{address}]:6443"),
        })
    }
}

/// The cluster's name, if the inventory has the groups that earlier versions wrote.
fn of_older_version(text: &str) -> Option<Name> {
    let inventory: Value = serde_saphyr::from_str(text).ok()?;
    inventory.pointer("/all/children/control_plane")?;
    inventory.pointer("/all/vars/kubeadm_systemd_cluster")?.as_str()?.parse().ok()
}

fn host(node: &NodeRecord) -> Result<Host, InventoryError> {
    let address = *node.addresses.first().ok_or_else(|| InventoryError::NoAddress(node.name.clone()))?;
    let files = [("private key", &node.ssh.private_key), ("known_hosts file", &node.ssh.known_hosts)];
    for (what, path) in files {
        if !path.is_file() {
            return Err(InventoryError::NoFile { node: node.name.clone(), what, path: path.clone() });
        }
    }
    let known_hosts = node.ssh.known_hosts.display();
    Ok(Host {
        ansible_host: address,
        ansible_port: node.ssh.port,
        ansible_user: node.ssh.user.clone(),
        ansible_ssh_private_key_file: node.ssh.private_key.clone(),
        ansible_ssh_common_args: format!(
            "-o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            for file in ["key", "hosts"] {
                std::fs::write(dir.path().join(file), "").expect("written");
            }
            Files(dir)
        }

        fn node(&self, name: &str, cluster: &str, role: &str, addresses: &str) -> NodeRecord {
            let (key, hosts) = (self.0.path().join("key"), self.0.path().join("hosts"));
            let json = format!(
                r#"{{"name":"{name}","cluster":"{cluster}","role":"{role}","addresses":{addresses},
                    "ssh":{{"user":"root","port":2222,"private_key":{key:?},"known_hosts":{hosts:?}}}}}"#
            );
            serde_json::from_str(&json).expect("a record")
        }
    }

    #[test]
    fn an_inventory_is_read_back_as_it_was_written() {
        let files = Files::new();
        let nodes = [
            files.node("cp", "dev", "control-plane", r#"["10.0.0.2","fd00::2"]"#),
            files.node("w1", "dev", "worker", r#"["10.0.0.3"]"#),
        ];
        let inventory = Inventory::of(&nodes).expect("good records");
        let yaml = inventory.to_yaml().expect("YAML");
        assert!(yaml.contains("ansible_port: 2222") && yaml.contains("StrictHostKeyChecking=yes"), "{yaml}");
        let (read, text) = Inventory::read(yaml.as_bytes()).expect("read back");
        assert_eq!((&read, &text), (&inventory, &yaml));
        assert_eq!(read.server(), "https://10.0.0.2:6443");
        assert!(read.host(&"w1".parse().expect("a name")).is_some());
        assert_eq!(read.nodes().iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["cp", "w1"]);
    }

    #[test]
    fn records_that_make_no_cluster_are_refused() {
        let files = Files::new();
        let cp = files.node("cp", "dev", "control-plane", r#"["10.0.0.2"]"#);
        let worker = files.node("w1", "dev", "worker", r#"["10.0.0.3"]"#);
        let error = |nodes: &[NodeRecord]| Inventory::of(nodes).expect_err("refused").to_string();
        assert!(error(&[cp.clone(), files.node("w", "prod", "worker", r#"["10.0.0.3"]"#)]).contains("dev, prod"));
        assert!(error(&[cp.clone(), worker.clone(), worker.clone()]).contains("node w1 comes twice"));
        assert!(error(&[files.node("cp", "dev", "control-plane", "[]")]).contains("has no address"));
        assert!(error(std::slice::from_ref(&worker)).starts_with("0 nodes have the role"));
        let mut lost = cp.clone();
        lost.ssh.private_key = "/nonexistent".into();
        assert!(error(&[lost]).contains("no private key at /nonexistent"));
    }

    #[test]
    fn an_inventory_of_an_older_version_is_refused_with_the_command_that_writes_it_anew() {
        let files = Files::new();
        let nodes = [files.node("cp", "dev", "control-plane", r#"["10.0.0.2"]"#)];
        let now = Inventory::of(&nodes).and_then(|inventory| inventory.to_yaml()).expect("YAML");
        let (before, _) = now.split_once("    etcd:").expect("groups");
        let before = before.replace("kube_control_plane", "control_plane") + "    workers:\n      hosts: {}\n";
        let error = Inventory::read(before.as_bytes()).expect_err("old").to_string();
        assert!(error.contains("nodectl ls --json --cluster dev | clusterctl inventory"), "{error}");
    }

    #[test]
    fn an_empty_inventory_names_the_likely_cause() {
        assert!(matches!(Inventory::read(" \n".as_bytes()), Err(InventoryError::Empty)));
        assert!(matches!(Inventory::read("all: 3".as_bytes()), Err(InventoryError::Malformed(_))));
    }
}
