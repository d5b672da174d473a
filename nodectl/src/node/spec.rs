//! What a user wishes of a node: by the options of `nodectl start`, or as a JSON object for each node.

use std::net::IpAddr;

use foundation::name::Name;
use foundation::record::Role;
use serde::{Deserialize, Deserializer, de};

use super::limits::{self, Limits};

/// The wishes for one node. A field that is not set is nodectl's to decide or, of a node that exists, stays as it is.
/// Mounts, ports and labels would be further fields; as yet they are refused as unknown.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeSpec {
    /// Its name.
    pub(crate) name: Name,
    /// Its place in the cluster.
    #[serde(default)]
    pub(crate) role: Option<Role>,
    /// Its addresses.
    #[serde(default)]
    pub(crate) addresses: Vec<IpAddr>,
    #[serde(default, deserialize_with = "memory")]
    memory: Option<u64>,
    #[serde(default, deserialize_with = "cpus")]
    cpus: Option<f64>,
}

impl NodeSpec {
    /// No wishes but the name.
    pub(crate) fn named(name: Name) -> Self {
        NodeSpec { name, role: None, addresses: Vec::new(), memory: None, cpus: None }
    }

    /// These wishes and, where they are not set, `role` and `limits`.
    pub(crate) fn or(self, role: Option<Role>, limits: Limits) -> Self {
        let Limits { memory, cpus } = self.limits().or(limits);
        NodeSpec { role: self.role.or(role), memory, cpus, ..self }
    }

    /// How much of the host it may use.
    pub(crate) fn limits(&self) -> Limits {
        Limits { memory: self.memory, cpus: self.cpus }
    }
}

/// A number of bytes, or a text as `--memory` takes it.
fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "memory is neither a number of bytes nor a text like \"2GiB\"")]
    enum Size {
        Bytes(u64),
        Text(String),
    }
    match Option::deserialize(deserializer)? {
        None => Ok(None),
        Some(Size::Bytes(bytes)) => Ok(Some(bytes)),
        Some(Size::Text(text)) => limits::bytes(&text).map(Some).map_err(de::Error::custom),
    }
}

fn cpus<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Option::deserialize(deserializer)?.map(limits::checked_cpus).transpose().map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Result<NodeSpec, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_node_has_its_own_wishes_and_else_those_of_all() {
        let all = Limits { memory: Some(1), cpus: Some(4.0) };
        let one = spec(r#"{"name": "a", "role": "worker", "addresses": ["fd00::2"], "memory": "2GiB"}"#).expect("read");
        let one = one.or(Some(Role::ControlPlane), all);
        assert_eq!((one.role, one.limits()), (Some(Role::Worker), Limits { memory: Some(2 << 30), cpus: Some(4.0) }));
        let other = spec(r#"{"name": "b", "memory": 5, "cpus": 1}"#).expect("read").or(None, Limits::default());
        assert_eq!((other.role, other.limits()), (None, Limits { memory: Some(5), cpus: Some(1.0) }));
        assert_eq!(spec(r#"{"name": "c", "role": null, "memory": null, "cpus": null}"#), spec(r#"{"name": "c"}"#));
        assert_eq!(spec(r#"{"name": "c"}"#), Ok(NodeSpec::named("c".parse().expect("a label"))));
    }

    #[test]
    fn a_wish_that_nothing_acts_on_is_refused() {
        for (wish, expected) in [
            (r#""labels": {"a": "b"}"#, "unknown field `labels`"),
            (r#""mounts": []"#, "unknown field `mounts`"),
            (r#""ports": []"#, "unknown field `ports`"),
            (r#""memory": "much""#, "couldn't parse"),
            (r#""memory": -1"#, "neither a number of bytes nor a text"),
            (r#""cpus": 0"#, "not a number of CPUs of at least 0.01"),
            (r#""addresses": ["node1"]"#, "invalid IP address"),
            (r#""role": "master""#, "unknown variant `master`"),
        ] {
            let error = spec(&format!(r#"{{"name": "a", {wish}}}"#)).expect_err(wish);
            assert!(error.contains(expected), "{error}");
        }
    }
}
