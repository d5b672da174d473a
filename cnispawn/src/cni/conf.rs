//! A network configuration list (CNI specification, section 1), checked as libcni checks it.

use serde_json::{Map, Value, json};

/// A network: a chain of plugins under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkList {
    /// The network's name.
    pub name: String,
    /// The specification's version that the plugins are spoken to in; empty when the file says none.
    pub cni_version: String,
    /// Whether CHECK is not to be done.
    pub disable_check: bool,
    /// The plugins' own configurations, in ADD's order; each has a `type`.
    pub plugins: Vec<Map<String, Value>>,
    /// The list as it was read, or as a single plugin's configuration was converted.
    pub text: String,
}

/// A configuration that is none.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    /// Not JSON, or no object.
    #[error("not a JSON object")]
    Json(#[from] serde_json::Error),
    /// A field is missing or of another type.
    #[error("{field:?} is not {wanted}")]
    Field {
        /// The field.
        field: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The name would not do in a path.
    #[error("network name {name:?} is not valid; begin with a letter or digit and go on with these, '_', '.' and '-'")]
    Name {
        /// The name.
        name: String,
    },
}

impl NetworkList {
    /// Parse a configuration list, as in a `.conflist` file.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, ConfError> {
        let list: Map<String, Value> = serde_json::from_str(text)?;
        let plugins = list.get("plugins").and_then(Value::as_array).filter(|plugins| !plugins.is_empty());
        let plugins = plugins.ok_or_else(|| field("plugins", "an array with at least one plugin"))?;
        let plugins = plugins.iter().enumerate().map(|(i, plugin)| check_plugin(i, plugin));
        Ok(NetworkList {
            name: check_name(string(&list, "name")?)?.to_owned(),
            cni_version: string(&list, "cniVersion")?.to_owned(),
            disable_check: boolean(&list, "disableCheck")?,
            plugins: plugins.collect::<Result<_, _>>()?,
            text: text.to_owned(),
        })
    }

    /// Parse a single plugin's configuration, as in a `.conf` or `.json` file, and make it a list of one.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse_single(text: &str) -> Result<Self, ConfError> {
        let plugin: Map<String, Value> = serde_json::from_str(text)?;
        let mut list = json!({ "name": string(&plugin, "name")? });
        if let Some(version) = plugin.get("cniVersion") {
            list["cniVersion"] = version.clone();
        }
        list["plugins"] = json!([plugin]);
        Self::parse(&list.to_string())
    }

    /// What a plugin of the list reads on its standard input: its own configuration, with what the runtime adds.
    pub fn plugin_conf(
        &self,
        plugin: &Map<String, Value>,
        capability_args: &Map<String, Value>,
        prev_result: Option<&Value>,
    ) -> Value {
        let mut conf = plugin.clone();
        conf.insert("name".into(), self.name.clone().into());
        conf.insert("cniVersion".into(), self.cni_version.clone().into());
        if let Some(result) = prev_result {
            conf.insert("prevResult".into(), result.clone());
        }
        let declared = plugin.get("capabilities").and_then(Value::as_object).into_iter().flatten();
        let declared = declared.filter(|(_, supported)| **supported == Value::Bool(true));
        let given: Map<_, _> = declared
            .filter_map(|(capability, _)| Some((capability.clone(), capability_args.get(capability)?.clone())))
            .collect();
        if !given.is_empty() {
            conf.insert("runtimeConfig".into(), given.into());
        }
        Value::Object(conf)
    }

    /// The programs that the list runs: each plugin's, and that of its address management.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        let ipam = |plugin: &'_ Map<_, _>| plugin.get("ipam").and_then(|ipam: &Value| ipam.get("type")).is_some();
        self.plugins.iter().flat_map(move |plugin| {
            let own = plugin.get("type").and_then(Value::as_str);
            let addresses = ipam(plugin).then(|| plugin["ipam"]["type"].as_str()).flatten();
            // A plugin without addresses may say so with an empty type.
            own.into_iter().chain(addresses.filter(|program| !program.is_empty()))
        })
    }
}

fn check_plugin(index: usize, plugin: &Value) -> Result<Map<String, Value>, ConfError> {
    let typed =
        |plugin: &&Map<String, Value>| plugin.get("type").and_then(Value::as_str).is_some_and(|t| !t.is_empty());
    let checked = plugin.as_object().filter(typed).cloned();
    checked.ok_or_else(|| field(&format!("plugins[{index}].type"), "the name of a plugin"))
}

/// libcni's rule for names, which become part of paths.
fn check_name(name: &str) -> Result<&str, ConfError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed) {
        Ok(name)
    } else {
        Err(ConfError::Name { name: name.to_owned() })
    }
}

fn string<'v>(object: &'v Map<String, Value>, key: &str) -> Result<&'v str, ConfError> {
    match object.get(key) {
        None => Ok(""),
        Some(value) => value.as_str().ok_or_else(|| field(key, "a string")),
    }
}

/// A boolean, which libcni takes as a string too.
fn boolean(object: &Map<String, Value>, key: &str) -> Result<bool, ConfError> {
    match object.get(key) {
        None => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(Value::String(value)) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(value)) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(field(key, "true or false")),
    }
}

fn field(field: &str, wanted: &'static str) -> ConfError {
    ConfError::Field { field: field.to_owned(), wanted }
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

    #[test]
    fn a_single_plugin_becomes_a_list() {
        let list =
            NetworkList::parse_single(r#"{"cniVersion": "0.3.1", "name": "one", "type": "ptp"}"#).expect("a list");
        assert_eq!((list.name.as_str(), list.cni_version.as_str(), list.plugins.len()), ("one", "0.3.1", 1));
        let again = NetworkList::parse(&list.text).expect("its text is a list");
        assert_eq!(again, list);
    }

    #[test]
    fn what_is_no_list_says_why() {
        for (text, why) in [
            ("{", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"{"name": "a"}"#, "\"plugins\" is not an array"),
            (r#"{"name": "a", "plugins": []}"#, "at least one plugin"),
            (r#"{"name": "a", "plugins": [{"type": "x"}, {"typ": "y"}]}"#, "plugins[1].type"),
            (r#"{"plugins": [{"type": "x"}]}"#, "network name \"\""),
            (r#"{"name": "../a", "plugins": [{"type": "x"}]}"#, "network name \"../a\""),
            (r#"{"name": 1, "plugins": [{"type": "x"}]}"#, "\"name\" is not a string"),
            (r#"{"name": "a", "disableCheck": 1, "plugins": [{"type": "x"}]}"#, "\"disableCheck\" is not true"),
        ] {
            let error = NetworkList::parse(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
