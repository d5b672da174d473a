//! A network: a chain of plugins under one name, and what each of them is given (CNI specification, sections 1 and 3).

use serde_json::{Map, Value, json};

/// A network: a chain of plugins under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkList {
    /// The network's name.
    pub name: String,
    /// The specification's version in which the plugins are addressed; empty when the file says none.
    pub cni_version: String,
    /// Whether CHECK is off.
    pub disable_check: bool,
    /// Whether GC is off.
    pub disable_gc: bool,
    /// The plugins' own configurations, in ADD's order; each has a `type`.
    pub plugins: Vec<Map<String, Value>>,
    /// The list as it was read, or as a single plugin's configuration was converted; what libcni caches.
    pub text: String,
}

impl NetworkList {
    /// The list with all its plugins in it: [`NetworkList::parse`] makes an equal list of it.
    pub fn inlined(&self) -> String {
        json!({
            "cniVersion": self.cni_version, "name": self.name, "disableCheck": self.disable_check,
            "disableGC": self.disable_gc, "plugins": self.plugins,
        })
        .to_string()
    }

    /// What a plugin of the list reads on its standard input: its own configuration, with what the runtime adds.
    pub fn plugin_conf(
        &self,
        plugin: &Map<String, Value>,
        capability_args: &Map<String, Value>,
        prev_result: Option<&Value>,
    ) -> Value {
        let mut added = Map::new();
        if let Some(result) = prev_result {
            added.insert("prevResult".into(), result.clone());
        }
        let declared =
            capabilities(plugin).filter_map(|name| Some((name.to_owned(), capability_args.get(name)?.clone())));
        let given: Map<_, _> = declared.collect();
        if !given.is_empty() {
            added.insert("runtimeConfig".into(), given.into());
        }
        self.conf_with(plugin, added)
    }

    /// A plugin's configuration with the network's name and version, and what an operation adds.
    pub fn conf_with(&self, plugin: &Map<String, Value>, mut added: Map<String, Value>) -> Value {
        let mut conf = plugin.clone();
        conf.insert("name".into(), self.name.clone().into());
        conf.insert("cniVersion".into(), self.cni_version.clone().into());
        conf.append(&mut added);
        Value::Object(conf)
    }

    /// Whether one of the plugins takes the capability.
    pub fn takes(&self, capability: &str) -> bool {
        self.plugins.iter().flat_map(capabilities).any(|declared| declared == capability)
    }

    /// Whether a result of the network may name nameservers: they are configured, or asked for by DHCP.
    pub fn may_name_servers(&self) -> bool {
        self.plugins.iter().any(|plugin| {
            let ipam = plugin.get("ipam").unwrap_or(&Value::Null);
            let asks = ipam.get("type").is_some_and(|name| name == "dhcp");
            plugin.contains_key("dns") || ["dns", "resolvConf"].iter().any(|key| ipam.get(key).is_some()) || asks
        })
    }

    /// The programs that the list runs: each plugin's, and that of its address management.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        let ipam = |plugin: &'_ Map<_, _>| plugin.get("ipam").and_then(|ipam: &Value| ipam.get("type")).is_some();
        self.plugins.iter().flat_map(move |plugin| {
            let own = plugin.get("type").and_then(Value::as_str);
            let addresses = ipam(plugin).then(|| plugin["ipam"]["type"].as_str()).flatten();
            // An empty type means no address management.
            own.into_iter().chain(addresses.filter(|program| !program.is_empty()))
        })
    }
}

/// The capabilities that a plugin's configuration declares.
fn capabilities(plugin: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let declared = plugin.get("capabilities").and_then(Value::as_object).into_iter().flatten();
    declared.filter(|(_, supported)| **supported == Value::Bool(true)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"cniVersion": "1.0.0", "name": "net", "unknown": 1, "plugins": [
        {"type": "bridge", "ipam": {"type": "host-local"}, "mystery": [true]},
        {"type": "portmap", "capabilities": {"portMappings": true, "bandwidth": false}}]}"#;

    #[test]
    fn a_plugin_gets_its_own_configuration_and_what_it_declares() {
        let list = NetworkList::parse(LIST).expect("a list");
        let capability_args = json!({"portMappings": [{"hostPort": 1}], "bandwidth": {}, "ips": []});
        let capability_args = capability_args.as_object().expect("an object");
        let prev = json!({"ips": []});
        assert_eq!(
            list.plugin_conf(&list.plugins[1], capability_args, Some(&prev)),
            json!({"type": "portmap", "capabilities": {"portMappings": true, "bandwidth": false}, "name": "net",
                "cniVersion": "1.0.0", "prevResult": {"ips": []}, "runtimeConfig": {"portMappings": [{"hostPort": 1}]}})
        );
        let first = list.plugin_conf(&list.plugins[0], capability_args, None);
        assert_eq!(first["mystery"], json!([true]), "unknown fields pass through");
        assert!(first.get("prevResult").is_none() && first.get("runtimeConfig").is_none());
    }

    #[test]
    fn address_management_is_a_program_too() {
        let list = NetworkList::parse(LIST).expect("a list");
        assert_eq!(list.programs().collect::<Vec<_>>(), ["bridge", "host-local", "portmap"]);
    }
}
