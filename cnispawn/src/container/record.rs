//! What must be undone for a container, recorded before it is done.
//!
//! A record outlives a power cut, because the plugins' own stores do: host-local keeps a container's address in a file.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};
use foundation::name::MachineName;
use foundation::process::Process;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::nspawn::Order;
use crate::cni::attachment::{check_if_name, is_container_id};
use crate::cni::chain::ChainError;
use crate::cni::conf::ConfError;
use crate::cni::{Attachment, Chain, NetworkList, Plugins};
use crate::dirs::Dirs;
use crate::host::netns;

/// A container that has, is getting, or has had a network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) name: MachineName,
    /// The process that is cnispawn and then systemd-nspawn.
    pub(crate) process: Process,
    /// The network namespace's path.
    pub(crate) netns: PathBuf,
    /// Where results are cached.
    pub(crate) cache_dir: PathBuf,
    /// Whether the container had to be there before its network.
    #[serde(default)]
    pub(crate) order: Order,
    /// Whether the container has ended to start again: its network waits for it.
    #[serde(default)]
    pub(crate) parked: bool,
    /// Its attachments to networks, in ADD's order.
    pub(crate) attachments: Vec<Recorded>,
}

/// An attachment with all that DEL needs: the configuration may change or go while the container runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recorded {
    /// The configuration list, as it was at ADD.
    pub(crate) conf: String,
    pub(crate) attachment: Attachment,
    pub(crate) plugins: Plugins,
    /// The host's bridges before this network was first used. A bridge that is not among them is ours.
    pub(crate) bridges_before: BTreeSet<String>,
    /// Whether there were chains for published ports before ours.
    #[serde(default)]
    pub(crate) hostport_chains_before: bool,
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("record {} is damaged; look at `ip netns`, then remove it", path.display())]
    Format { path: PathBuf, source: serde_json::Error },
    /// We never write such a record.
    #[error("record {} does not describe the container in its name, or names files that are not that container's; remove it", path.display())]
    Foreign { path: PathBuf },
    #[error(transparent)]
    File(#[from] FileError),
}

impl Recorded {
    /// The network's configuration. An error means that the record was written by something else.
    pub(crate) fn list(&self) -> Result<NetworkList, ConfError> {
        NetworkList::parse(&self.conf)
    }
}

impl Record {
    /// The networks' configurations, in the order of the attachments.
    pub(crate) fn lists(&self) -> Result<Vec<NetworkList>, ConfError> {
        self.attachments.iter().map(Recorded::list).collect()
    }

    /// ADD to all networks, in their order. Returns the results. After a failure, what was added must be undone.
    pub(crate) fn add(&self, dirs: &Dirs) -> Result<Vec<Value>, ChainError> {
        self.each(dirs, |chain, attachment| chain.add(attachment))
    }

    /// The results of ADD, of those networks that have one.
    pub(crate) fn results(&self, dirs: &Dirs) -> Vec<Value> {
        let results = self.each(dirs, |chain, attachment| Ok(chain.cached_result(attachment).unwrap_or_default()));
        results.unwrap_or_default()
    }

    fn each<T>(
        &self,
        dirs: &Dirs,
        work: impl Fn(Chain<'_>, &Attachment) -> Result<T, ChainError>,
    ) -> Result<Vec<T>, ChainError> {
        let cache = dirs.cache_at(&self.cache_dir);
        let attachments = self.attachments.iter().map(|recorded| {
            let list = recorded.list()?;
            work(Chain { list: &list, plugins: &recorded.plugins, cache: &cache }, &recorded.attachment)
        });
        attachments.collect()
    }

    /// Whether we can have written it to `path`. To undo it is to remove the network namespace's file, and files of the
    /// cache that are named after its attachments.
    fn is_at(&self, path: &Path) -> bool {
        let is_own = |Recorded { attachment, .. }: &Recorded| {
            let named = is_container_id(&attachment.container_id) && check_if_name(&attachment.if_name).is_ok();
            named && attachment.netns == self.netns
        };
        let named_after = path.file_stem().is_some_and(|stem| stem == self.name.as_str());
        named_after && self.netns == netns::path(self.name.as_str()) && self.attachments.iter().all(is_own)
    }

    fn path(dirs: &Dirs, name: &MachineName) -> PathBuf {
        dirs.records().join(format!("{name}.json"))
    }

    /// The record of a container, if there is one.
    pub(crate) fn load(dirs: &Dirs, name: &MachineName) -> Result<Option<Self>, RecordError> {
        read(&Self::path(dirs, name))
    }

    /// All records, by name. A record that cannot be read is an error in its place.
    pub(crate) fn all(dirs: &Dirs) -> Result<Vec<Result<Self, RecordError>>, FileError> {
        // Temporary files are hidden and have no extension.
        let paths = files::with_extensions(&dirs.records(), &["json"])?;
        Ok(paths.iter().filter_map(|path| read(path).transpose()).collect())
    }

    /// The attachments of all containers but `except` that are `wanted`. Records that cannot be read are passed over.
    pub(crate) fn attachments(
        dirs: &Dirs,
        except: Option<&MachineName>,
        wanted: impl Fn(&NetworkList, &Attachment) -> bool,
    ) -> Result<Vec<Recorded>, FileError> {
        let records = Self::all(dirs)?.into_iter().flatten().filter(|record| Some(&record.name) != except);
        let attachments = records.flat_map(|record| record.attachments);
        let wanted = |recorded: &Recorded| recorded.list().is_ok_and(|list| wanted(&list, &recorded.attachment));
        Ok(attachments.filter(wanted).collect())
    }

    /// Write the record and wait until the disk has it.
    pub(crate) fn write(&self, dirs: &Dirs) -> Result<(), FileError> {
        let path = Self::path(dirs, &self.name);
        let text = serde_json::to_vec_pretty(self).map_err(FileError::of("write", &path))?;
        files::write_private_durably(&path, &text)
    }

    /// Remove the record: nothing is left to undo.
    pub(crate) fn remove(&self, dirs: &Dirs) -> Result<(), FileError> {
        Self::forget(dirs, &self.name)
    }

    /// Remove a container's record, and what a process that was killed while it wrote the record has left.
    pub(crate) fn forget(dirs: &Dirs, name: &MachineName) -> Result<(), FileError> {
        files::remove_written(&Self::path(dirs, name))
    }
}

fn read(path: &Path) -> Result<Option<Record>, RecordError> {
    let text = match fs::read(path) {
        // Undone meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(FileError::of("read", path))?,
    };
    let record: Result<Record, _> = serde_json::from_slice(&text);
    let record = record.map_err(|source| RecordError::Format { path: path.to_owned(), source })?;
    if record.is_at(path) { Ok(Some(record)) } else { Err(RecordError::Foreign { path: path.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_and_a_damaged_one_is_named() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let dirs = Dirs {
            cache_dir: dir.path().join("cache"),
            state_dir: dir.path().join("state"),
            run_dir: dir.path().join("run"),
        };
        assert!(Record::all(&dirs)?.is_empty());
        let record = Record {
            name: "web".parse()?,
            process: Process::current()?,
            netns: "/run/netns/web".into(),
            cache_dir: dirs.cache_dir.clone(),
            order: Order::NetworkFirst,
            parked: false,
            attachments: Vec::new(),
        };
        record.write(&dirs)?;
        fs::write(dirs.records().join("bad.json"), "{")?;
        let all = Record::all(&dirs)?;
        let [Err(bad), Ok(web)] = all.as_slice() else { panic!("{all:?}") };
        assert!(bad.to_string().contains("state/containers/bad.json is damaged"), "{bad}");
        assert_eq!(web.process, record.process);

        let foreign = |change: &dyn Fn(&mut Record)| {
            let mut hostile = record.clone();
            change(&mut hostile);
            let text = serde_json::to_vec(&hostile).expect("JSON");
            fs::write(dirs.records().join("web.json"), text).expect("written");
            matches!(Record::load(&dirs, &record.name), Err(RecordError::Foreign { .. }))
        };
        assert!(foreign(&|record| record.netns = "/etc/passwd".into()), "it would be removed");
        assert!(foreign(&|record| record.name = "other".parse().expect("a name")));
        assert!(!foreign(&|_| {}));
        record.remove(&dirs)?;
        assert!(Record::load(&dirs, &record.name)?.is_none());
        Ok(())
    }

    #[test]
    fn a_record_of_the_first_version_is_read() -> Result<(), Box<dyn std::error::Error>> {
        let text = r#"{"name": "web", "process": {"pid": 7, "startTime": 8, "bootId": "9"}, "netns": "/run/netns/web",
            "cacheDir": "/var/lib/cni", "attachments": [{
                "conf": "{\"cniVersion\": \"1.0.0\", \"name\": \"net\", \"plugins\": [{\"type\": \"bridge\"}]}",
                "attachment": {"containerId": "web", "netns": "/run/netns/web", "ifName": "eth0",
                    "args": [["IP", "10.0.0.2"]], "capabilityArgs": {"portMappings": []}},
                "plugins": {"dirs": ["/opt/cni/bin"], "timeout": 60}, "bridgesBefore": ["docker0"]}]}"#;
        let record: Record = serde_json::from_str(text)?;
        assert!(record.is_at(Path::new("/state/containers/web.json")));
        assert_eq!((record.order, record.parked), (Order::NetworkFirst, false));
        assert_eq!(record.lists()?[0].name, "net");
        let [recorded] = record.attachments.as_slice() else { panic!("{record:?}") };
        assert_eq!((recorded.plugins.timeout, recorded.hostport_chains_before), (60, false));
        assert!(recorded.bridges_before.contains("docker0"));
        Ok(())
    }
}
