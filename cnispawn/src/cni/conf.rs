//! Read a network's configuration (CNI specification, section 1), checked as libcni checks it.

use std::fs;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};
use serde_json::{Map, Value, json};

use super::nesting;
use super::network::NetworkList;
use super::version::{self, VersionError};

/// Why a text or file is not a network configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    /// Not JSON, or not an object.
    #[error("not a JSON object")]
    Json(#[from] serde_json::Error),
    /// A field is missing or of another type.
    #[error("{field:?} is not {wanted}")]
    Field {
        /// Its path, as in `plugins[0].type`.
        field: String,
        /// The type that it should have.
        wanted: &'static str,
    },
    /// No record could hold it.
    #[error("a plugin's configuration is nested more than {} levels deep", nesting::MOST)]
    TooDeep,
    /// The name becomes part of paths.
    #[error("network name {name:?} is not valid; begin with a letter or digit and go on with these, '_', '.' and '-'")]
    Name {
        /// The name.
        name: String,
    },
    /// One of its versions is not three numbers.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file in the network's own folder.
    #[error("{} holds no plugin", path.display())]
    Plugin {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<ConfError>,
    },
}

impl NetworkList {
    /// Parse a configuration list with all its plugins in it.
    pub fn parse(text: &str) -> Result<Self, ConfError> {
        Self::parse_with(text, |_| Ok(Vec::new()))
    }

    /// Read a `.conflist` file. Its plugins are followed by those of the `*.conf` files in a folder beside it that is
    /// named after the network, in the order of the files' names, unless it says `loadOnlyInlinedPlugins` (SPEC.md
    /// 1.1.0, section 1).
    pub(crate) fn read(path: &Path) -> Result<Self, ConfError> {
        let text = fs::read_to_string(path).map_err(FileError::of("read", path))?;
        Self::parse_with(&text, |name| plugins_in(&path.with_file_name(name)))
    }

    fn parse_with(
        text: &str,
        more: impl FnOnce(&str) -> Result<Vec<Map<String, Value>>, ConfError>,
    ) -> Result<Self, ConfError> {
        let list: Map<String, Value> = serde_json::from_str(text)?;
        let name = check_name(string(&list, "name")?)?.to_owned();
        let mut plugins = Vec::new();
        if let Some(inlined) = list.get("plugins") {
            let inlined = inlined.as_array().filter(|plugins| !plugins.is_empty()).ok_or_else(no_plugins)?;
            for (at, plugin) in inlined.iter().enumerate() {
                plugins.push(check_plugin(&format!("plugins[{at}]."), plugin)?);
            }
        }
        if !boolean(&list, "loadOnlyInlinedPlugins")? {
            plugins.extend(more(&name)?);
        }
        if plugins.is_empty() {
            return Err(no_plugins());
        }
        Ok(NetworkList {
            name,
            cni_version: negotiate(&list)?,
            disable_check: boolean(&list, "disableCheck")?,
            disable_gc: boolean(&list, "disableGC")?,
            plugins,
            text: text.to_owned(),
        })
    }

    /// Parse a single plugin's configuration, as in a `.conf` or `.json` file, and make it a list of one.
    pub fn parse_single(text: &str) -> Result<Self, ConfError> {
        let plugin: Map<String, Value> = serde_json::from_str(text)?;
        let version = string(&plugin, "cniVersion")?;
        // All three fields, and an empty version, as libcni converts it: both cache the same configuration.
        let list = json!({ "cniVersion": version, "name": string(&plugin, "name")?, "plugins": [plugin] });
        Self::parse(&list.to_string())
    }
}

/// The version to use: the newest of `cniVersion` and `cniVersions` that we know (SPEC.md 1.1.0, section 1).
fn negotiate(list: &Map<String, Value>) -> Result<String, ConfError> {
    let single = string(list, "cniVersion")?;
    let Some(versions) = list.get("cniVersions") else { return Ok(single.to_owned()) };
    let wanted = "a list of versions";
    let versions = versions.as_array().ok_or_else(|| field("cniVersions", wanted))?;
    let versions: Option<Vec<_>> = versions.iter().map(Value::as_str).collect();
    let versions = versions.ok_or_else(|| field("cniVersions", wanted))?;
    let all = versions.into_iter().chain(Some(single).filter(|single| !single.is_empty()));
    Ok(version::newest_spoken(all)?.unwrap_or(single).to_owned())
}

/// The plugins in a network's own folder; none without a folder.
fn plugins_in(dir: &Path) -> Result<Vec<Map<String, Value>>, ConfError> {
    let mut plugins = Vec::new();
    for path in files::with_extensions(dir, &["conf"])? {
        let text = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
        let plugin = serde_json::from_str(&text).map_err(ConfError::from);
        let plugin = plugin.and_then(|plugin: Value| check_plugin("", &plugin));
        plugins.push(plugin.map_err(|source| ConfError::Plugin { path, source: Box::new(source) })?);
    }
    Ok(plugins)
}

fn no_plugins() -> ConfError {
    field("plugins", "an array with at least one plugin")
}

fn check_plugin(path: &str, plugin: &Value) -> Result<Map<String, Value>, ConfError> {
    if nesting::is_too_deep(plugin) {
        return Err(ConfError::TooDeep);
    }
    let named = plugin["type"].as_str().is_some_and(|name| !name.is_empty());
    let plugin = plugin.as_object().filter(|_| named);
    let plugin = plugin.ok_or_else(|| field(&format!("{path}type"), "the name of a plugin"))?;
    let capabilities = plugin.get("capabilities").unwrap_or(&Value::Null);
    let declared = capabilities.as_object().is_some_and(|all| all.values().all(Value::is_boolean));
    if declared || capabilities.is_null() {
        Ok(plugin.clone())
    } else {
        Err(field(&format!("{path}capabilities"), "an object of true and false"))
    }
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

/// A boolean; libcni takes it as a string, too.
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

    #[test]
    fn a_single_plugin_becomes_a_list() {
        let list =
            NetworkList::parse_single(r#"{"cniVersion": "0.3.1", "name": "one", "type": "ptp"}"#).expect("a list");
        assert_eq!((list.name.as_str(), list.cni_version.as_str(), list.plugins.len()), ("one", "0.3.1", 1));
        let again = NetworkList::parse(&list.text).expect("its text is a list");
        assert_eq!(again, list);
    }

    #[test]
    fn the_newest_version_of_those_offered_is_spoken() {
        let spoken = |versions: &str| {
            let list = format!(r#"{{{versions}, "name": "a", "plugins": [{{"type": "x"}}]}}"#);
            NetworkList::parse(&list).expect("a list").cni_version
        };
        assert_eq!(spoken(r#""cniVersion": "0.4.0", "cniVersions": ["1.0.0", "1.1.0", "9.0.0"]"#), "1.1.0");
        assert_eq!(spoken(r#""cniVersion": "1.0.0", "cniVersions": ["0.3.1"]"#), "1.0.0");
        assert_eq!(spoken(r#""cniVersions": []"#), "");
    }

    #[test]
    fn numbers_are_the_same_in_a_record() -> Result<(), ConfError> {
        let number = "1.00000000017930813946117488641";
        let list = NetworkList::parse(&format!(r#"{{"name": "a", "plugins": [{{"type": "x", "n": {number}}}]}}"#))?;
        assert_eq!(NetworkList::parse(&list.inlined())?.plugins, list.plugins);
        Ok(())
    }

    #[test]
    fn plugins_of_the_networks_own_folder_follow_those_of_the_list() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let (folder, file) = (dir.path().join("net"), dir.path().join("a.conflist"));
        fs::write(&file, r#"{"name": "net", "plugins": [{"type": "first"}]}"#)?;
        assert_eq!(NetworkList::read(&file)?.programs().collect::<Vec<_>>(), ["first"], "no folder");
        fs::create_dir(&folder)?;
        for (name, text) in [("20-b.conf", r#"{"type": "b"}"#), ("10-a.conf", r#"{"type": "a"}"#), ("c.json", "{")] {
            fs::write(folder.join(name), text)?;
        }
        let list = NetworkList::read(&file)?;
        assert_eq!(list.programs().collect::<Vec<_>>(), ["first", "a", "b"]);
        let inlined = NetworkList::parse(&list.inlined())?;
        assert_eq!(inlined.plugins, list.plugins);

        // Two levels down in the inlined list, which could then not be read: its container would never be undone.
        fs::write(
            folder.join("30.conf"),
            format!(r#"{{"type": "x", "deep": {}{}}}"#, "[".repeat(120), "]".repeat(120)),
        )?;
        let error = foundation::error_chain(&NetworkList::read(&file).expect_err("too deep"));
        assert!(error.contains("30.conf holds no plugin: a plugin's configuration is nested more than 100"), "{error}");

        fs::write(folder.join("30.conf"), "{}")?;
        let error = foundation::error_chain(&NetworkList::read(&file).expect_err("no plugin"));
        assert!(error.contains("30.conf holds no plugin: \"type\" is not the name of a plugin"), "{error}");
        fs::write(&file, r#"{"name": "net", "loadOnlyInlinedPlugins": "true", "plugins": [{"type": "first"}]}"#)?;
        assert_eq!(NetworkList::read(&file)?.plugins.len(), 1);
        Ok(())
    }

    #[test]
    fn what_is_no_list_says_why() {
        for (text, why) in [
            ("{", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"{"name": "a"}"#, "\"plugins\" is not an array"),
            (r#"{"name": "a", "loadOnlyInlinedPlugins": true}"#, "\"plugins\" is not an array"),
            (r#"{"name": "a", "plugins": [{"type": "x", "capabilities": {"ips": 1}}]}"#, "plugins[0].capabilities"),
            (r#"{"name": "a", "cniVersions": ["x"], "plugins": [{"type": "x"}]}"#, "\"x\" is not a version"),
            (r#"{"name": "a", "cniVersions": "1.0.0", "plugins": [{"type": "x"}]}"#, "\"cniVersions\" is not a list"),
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
