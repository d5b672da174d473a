//! `node.json`: the file that makes a directory a node.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use foundation::name::Name;
use foundation::record::{Role, untrusted};
use foundation::state::StateDirs;
use serde::{Deserialize, Serialize};

use super::Node;
use super::limits::Limits;

/// The file's content, as it is written today.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "AnyVersion")]
pub(super) struct File {
    pub(super) name: Name,
    pub(super) cluster: Name,
    role: Role,
    addresses: Vec<IpAddr>,
    image: Name,
    generation: PathBuf,
    limits: Limits,
}

/// The file's content, as this version or an earlier one wrote it: `address` was the one IPv4 address.
#[derive(Deserialize)]
struct AnyVersion {
    name: Name,
    cluster: Name,
    role: Role,
    #[serde(default)]
    addresses: Vec<IpAddr>,
    address: Option<Ipv4Addr>,
    image: Name,
    #[serde(deserialize_with = "untrusted::image_dir")]
    generation: PathBuf,
    #[serde(default)]
    limits: Limits,
}

impl TryFrom<AnyVersion> for File {
    type Error = &'static str;

    fn try_from(file: AnyVersion) -> Result<Self, Self::Error> {
        let AnyVersion { name, cluster, role, mut addresses, address, image, generation, limits } = file;
        if addresses.is_empty() {
            addresses.extend(address.map(IpAddr::V4));
        }
        if addresses.is_empty() {
            return Err("the node has no address");
        }
        Ok(File { name, cluster, role, addresses, image, generation, limits })
    }
}

impl File {
    pub(super) fn of(node: &Node) -> Self {
        let Node { name, cluster, role, addresses, image, generation, limits, dirs: _ } = node.clone();
        File { name, cluster, role, addresses, image, generation, limits }
    }

    pub(super) fn into_node(self, dirs: &StateDirs) -> Node {
        let File { name, cluster, role, addresses, image, generation, limits } = self;
        Node { name, cluster, role, addresses, image, generation, limits, dirs: dirs.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json, to_value};

    use super::*;

    fn file(addresses: &Value) -> Value {
        let mut file = json!({
            "name": "node1", "cluster": "dev", "role": "worker", "image": "default", "generation": "/images/0", "limits": {},
        });
        file.as_object_mut().expect("an object").extend(addresses.as_object().expect("an object").clone());
        file
    }

    #[test]
    fn a_file_with_the_one_address_of_earlier_versions_is_read() {
        let old: File = from_value(file(&json!({"address": "10.200.0.2"}))).expect("read");
        assert_eq!(old.addresses, [IpAddr::from([10, 200, 0, 2])]);
        let new = to_value(&old).expect("written");
        assert_eq!(new, file(&json!({"addresses": ["10.200.0.2"]})));
        let both = json!({"addresses": ["fd00::2", "10.200.0.2"]});
        assert_eq!(from_value::<File>(file(&both)).expect("read").addresses.len(), 2);
    }

    #[test]
    fn a_file_without_an_address_is_refused() {
        for none in [json!({}), json!({"addresses": []})] {
            let error = from_value::<File>(file(&none)).map(drop).expect_err("refused").to_string();
            assert!(error.contains("the node has no address"), "{error}");
        }
    }
}
