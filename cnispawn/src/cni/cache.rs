//! The cache of results, in libcni's format and place, so that either can DEL what the other has ADDed.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::attachment::Attachment;
use super::conf::NetworkList;
use crate::files::{self, FileError};

/// The file of an attachment's cached result.
pub fn path(cache_dir: &Path, network: &str, attachment: &Attachment) -> PathBuf {
    let Attachment { container_id, if_name, .. } = attachment;
    cache_dir.join("results").join(format!("{network}-{container_id}-{if_name}"))
}

/// Keep the result of ADD (libcni's `cachedInfo`).
///
/// # Errors
/// When the file system refuses.
pub fn store(cache_dir: &Path, list: &NetworkList, attachment: &Attachment, result: &Value) -> Result<(), FileError> {
    let content = content(list, attachment, result).to_string();
    files::write_durably(&path(cache_dir, &list.name, attachment), content.as_bytes())
}

fn content(list: &NetworkList, attachment: &Attachment, result: &Value) -> Value {
    let mut info = json!({
        "kind": "cniCacheV1",
        "containerId": attachment.container_id,
        // Go's encoding/json writes []byte as base64.
        "config": STANDARD.encode(&list.text),
        "ifName": attachment.if_name,
        "networkName": list.name,
        "netns": attachment.netns,
    });
    // libcni leaves out what is empty.
    if !attachment.args.is_empty() {
        info["cniArgs"] = json!(attachment.args);
    }
    if !attachment.capability_args.is_empty() {
        info["capabilityArgs"] = json!(attachment.capability_args);
    }
    info["result"] = result.clone();
    info
}

/// The result of ADD, if there is one that can be read.
///
/// A damaged file counts as none, as in libcni: DEL must work without.
pub fn load(cache_dir: &Path, network: &str, attachment: &Attachment) -> Option<Value> {
    let path = path(cache_dir, network, attachment);
    let content = fs::read(&path).ok()?;
    match serde_json::from_slice::<Value>(&content) {
        Ok(mut info) if info["kind"] == "cniCacheV1" => Some(info["result"].take()).filter(Value::is_object),
        _ => {
            tracing::warn!("{} is not a cached CNI result; going on without", path.display());
            None
        }
    }
}

/// Forget the result, after DEL.
///
/// # Errors
/// When the file system refuses.
pub fn remove(cache_dir: &Path, network: &str, attachment: &Attachment) -> Result<(), FileError> {
    files::remove_if_exists(&path(cache_dir, network, attachment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_libcnis() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let text = r#"{"name": "net", "plugins": [{"type": "x"}]}"#;
        let list = NetworkList::parse(text)?;
        let mut attachment = Attachment {
            container_id: "web".into(),
            netns: "/run/netns/web".into(),
            if_name: "eth0".into(),
            args: vec![("IP".into(), "10.0.0.2".into())],
            capability_args: serde_json::Map::new(),
        };
        let result = json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24"}]});
        store(dir.path(), &list, &attachment, &result)?;
        let stored: Value = serde_json::from_slice(&fs::read(dir.path().join("results/net-web-eth0"))?)?;
        assert_eq!(
            stored,
            json!({"kind": "cniCacheV1", "containerId": "web", "config": STANDARD.encode(text), "ifName": "eth0",
                "networkName": "net", "netns": "/run/netns/web", "cniArgs": [["IP", "10.0.0.2"]], "result": result})
        );
        assert_eq!(load(dir.path(), "net", &attachment), Some(result));

        fs::write(path(dir.path(), "net", &attachment), "")?;
        assert_eq!(load(dir.path(), "net", &attachment), None, "damaged");
        attachment.args.clear();
        assert!(content(&list, &attachment, &json!({})).get("cniArgs").is_none());
        remove(dir.path(), "net", &attachment)?;
        remove(dir.path(), "net", &attachment)?;
        Ok(())
    }
}
