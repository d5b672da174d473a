//! The cache of results, in libcni's format and place, so that either can DEL what the other has ADDed.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use foundation::files::{self, FileError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attachment::{Attachment, check_if_name, is_container_id};
use super::network::NetworkList;
use super::result;

const KIND: &str = "cniCacheV1";

/// Where results are kept.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    /// Shared with libcni: results of whole chains.
    results: PathBuf,
    /// Ours: results of chains that are being executed. DEL needs them after a kill. A power cut takes them together
    /// with the interfaces that such a chain has made, so they may be in /run, without fsync.
    partial: PathBuf,
}

/// A cached result's file (libcni's `cachedInfo`).
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    kind: String,
    container_id: String,
    /// Go's encoding/json writes []byte as base64.
    config: String,
    if_name: String,
    network_name: String,
    // libcni leaves out what is empty.
    #[serde(default, skip_serializing_if = "is_empty")]
    netns: PathBuf,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cni_args: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    capability_args: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    result: Value,
}

impl Cache {
    /// The cache below `dir` (libcni's is `/var/lib/cni`), and `partial` for unfinished chains.
    pub(crate) fn new(dir: &Path, partial: PathBuf) -> Self {
        Cache { results: dir.join("results"), partial }
    }

    /// Keep the result of the whole chain.
    pub(crate) fn store(&self, list: &NetworkList, attachment: &Attachment, result: &Value) -> Result<(), FileError> {
        let path = self.results.join(file_name(&list.name, attachment));
        let info = Info {
            kind: KIND.to_owned(),
            container_id: attachment.container_id.clone(),
            config: STANDARD.encode(&list.text),
            if_name: attachment.if_name.clone(),
            network_name: list.name.clone(),
            netns: attachment.netns.clone(),
            cni_args: attachment.args.clone(),
            capability_args: attachment.capability_args.clone(),
            result: result.clone(),
        };
        let content = serde_json::to_vec(&info).map_err(FileError::of("write", &path))?;
        files::write_private_durably(&path, &content)?;
        files::remove_if_exists(&self.partial_path(&list.name, attachment))
    }

    /// Keep the result of the plugins so far.
    pub(crate) fn store_partial(
        &self,
        list: &NetworkList,
        attachment: &Attachment,
        result: &Value,
    ) -> Result<(), FileError> {
        files::write_whole(&self.partial_path(&list.name, attachment), result.to_string().as_bytes())
    }

    /// The result of ADD, converted to `version`. A damaged file is warned of and ignored, as in libcni: DEL must work
    /// without it.
    pub(crate) fn load(&self, network: &str, version: &str, attachment: &Attachment) -> Option<Value> {
        let path = self.results.join(file_name(network, attachment));
        let content = fs::read(&path).ok()?;
        readable(&path, result_in(&content), version)
    }

    /// [`Cache::load`]; if ADD was cut short, the result of the last plugin that succeeded.
    pub(crate) fn load_even_partial(&self, network: &str, version: &str, attachment: &Attachment) -> Option<Value> {
        self.load(network, version, attachment).or_else(|| {
            let path = self.partial_path(network, attachment);
            readable(&path, serde_json::from_slice(&fs::read(&path).ok()?).ok(), version)
        })
    }

    /// Remove the result, after DEL.
    pub(crate) fn remove(&self, network: &str, attachment: &Attachment) -> Result<(), FileError> {
        files::remove_written(&self.partial_path(network, attachment))?;
        files::remove_written(&self.results.join(file_name(network, attachment)))
    }

    /// The attachments to a network of which there are results, from cnispawn or any other runtime. Files that cannot
    /// be read, or that name files outside of the cache, are passed over.
    pub(crate) fn attachments(&self, network: &str) -> Result<Vec<Attachment>, FileError> {
        let files = files::in_dir(&self.results)?;
        let infos = files.iter().filter_map(|path| Some((path, parse(&fs::read(path).ok()?)?)));
        let infos = infos.filter(|(_, info)| info.network_name == network);
        let attachments = infos.map(|(path, info)| (path, info.attachment()));
        // The file is named after its content: DEL will remove the file of that name.
        let own = attachments.filter(|(path, attachment)| {
            let valid = is_container_id(&attachment.container_id) && check_if_name(&attachment.if_name).is_ok();
            valid && path.ends_with(file_name(network, attachment))
        });
        Ok(own.map(|(_, attachment)| attachment).collect())
    }

    fn partial_path(&self, network: &str, attachment: &Attachment) -> PathBuf {
        self.partial.join(file_name(network, attachment))
    }
}

impl Info {
    fn attachment(self) -> Attachment {
        Attachment {
            container_id: self.container_id,
            netns: self.netns,
            if_name: self.if_name,
            args: self.cni_args,
            capability_args: self.capability_args,
        }
    }
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

/// The result in the content of a cached file, if it holds one.
pub fn result_in(content: &[u8]) -> Option<Value> {
    // Before libcni's files had a kind, they held the result alone.
    parse(content).map(|info| info.result).or_else(|| serde_json::from_slice(content).ok())
}

/// The result, converted to `version`; a warning if that is impossible.
fn readable(path: &Path, result: Option<Value>, version: &str) -> Option<Value> {
    match result.filter(Value::is_object).map(|result| result::convert(result, version)) {
        Some(Ok(result)) => return Some(result),
        Some(Err(error)) => tracing::warn!("{}: {error}; going on without it", path.display()),
        None => tracing::warn!("{} is not a cached CNI result; going on without it", path.display()),
    }
    None
}

fn parse(content: &[u8]) -> Option<Info> {
    serde_json::from_slice(content).ok().filter(|info: &Info| info.kind == KIND)
}

fn file_name(network: &str, attachment: &Attachment) -> String {
    format!("{network}-{}-{}", attachment.container_id, attachment.if_name)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use serde_json::json;

    use super::*;

    const LIST: &str = r#"{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "x"}]}"#;

    fn cache(dir: &Path) -> Cache {
        Cache::new(dir, dir.join("partial"))
    }

    fn attachment() -> Attachment {
        Attachment {
            container_id: "web".into(),
            netns: "/run/netns/web".into(),
            if_name: "eth0".into(),
            args: vec![("IP".into(), "10.0.0.2".into())],
            ..Attachment::default()
        }
    }

    #[test]
    fn the_format_is_libcnis() -> Result<(), Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let (cache, list, mut attachment) = (cache(dir.path()), NetworkList::parse(LIST)?, attachment());
        let result = json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24"}]});
        cache.store(&list, &attachment, &result)?;
        let path = dir.path().join("results/net-web-eth0");
        let stored: Value = serde_json::from_slice(&fs::read(&path)?)?;
        assert_eq!(
            stored,
            json!({"kind": "cniCacheV1", "containerId": "web", "config": STANDARD.encode(LIST), "ifName": "eth0",
                "networkName": "net", "netns": "/run/netns/web", "cniArgs": [["IP", "10.0.0.2"]], "result": result})
        );
        assert_eq!(cache.load("net", "1.0.0", &attachment), Some(result));
        let family = cache.load("net", "0.4.0", &attachment).expect("converted");
        assert_eq!(family["ips"][0]["version"], "4");

        attachment.args.clear();
        cache.store(&list, &attachment, &json!({}))?;
        assert!(!fs::read_to_string(&path)?.contains("cniArgs"));
        cache.remove("net", &attachment)?;
        cache.remove("net", &attachment)?;
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn damaged_files_count_as_none_and_old_ones_are_results() -> Result<(), Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let (cache, attachment) = (cache(dir.path()), attachment());
        fs::create_dir(dir.path().join("results"))?;
        for (content, expected) in
            [("", None), ("[1]", None), (r#"{"cniVersion": "0.2.0"}"#, Some(json!({"cniVersion": "0.2.0"})))]
        {
            fs::write(dir.path().join("results/net-web-eth0"), content)?;
            assert_eq!(cache.load("net", "0.2.0", &attachment), expected, "{content}");
        }
        Ok(())
    }

    #[test]
    fn a_chain_that_was_cut_short_has_a_result_too() -> Result<(), Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let (cache, list, attachment) = (cache(dir.path()), NetworkList::parse(LIST)?, attachment());
        let result = json!({"cniVersion": "1.0.0", "ips": []});
        cache.store_partial(&list, &attachment, &result)?;
        assert_eq!(cache.load_even_partial("net", "1.0.0", &attachment), Some(result.clone()));
        assert_eq!(cache.load("net", "1.0.0", &attachment), None, "it was not added");
        assert!(!dir.path().join("results").exists(), "libcni does not see it");
        cache.store(&list, &attachment, &result)?;
        assert_eq!(files::in_dir(&dir.path().join("partial"))?, Vec::<PathBuf>::new());
        Ok(())
    }

    #[test]
    fn attachments_are_those_whose_files_are_their_own() -> Result<(), Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let (cache, list, attachment) = (cache(dir.path()), NetworkList::parse(LIST)?, attachment());
        assert!(cache.attachments("net")?.is_empty());
        cache.store(&list, &attachment, &json!({"cniVersion": "1.0.0"}))?;
        let path = dir.path().join("results/net-web-eth0");
        let hostile = fs::read_to_string(&path)?.replace("\"web\"", "\"../../web\"");
        fs::write(dir.path().join("results/net-hostile-eth0"), hostile)?;
        fs::copy(&path, dir.path().join("results/net-copy-eth0"))?;
        assert_eq!(cache.attachments("net")?, [attachment]);
        assert!(cache.attachments("other")?.is_empty());
        Ok(())
    }
}
