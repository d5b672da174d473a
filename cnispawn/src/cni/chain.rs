//! Execute the plugins of a network in turn (CNI specification, section 3).

use std::path::PathBuf;

use foundation::files::FileError;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::attachment::Attachment;
use super::cache::Cache;
use super::command::Command;
use super::conf::{ConfError, NetworkList};
use super::failure::PluginError;
use super::plugin::Plugins;
use super::result;
use super::version::{self, Version};

/// A network's plugins, where they are, and where their results are kept.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// The network.
    pub list: &'a NetworkList,
    /// Its plugins' directories.
    pub plugins: &'a Plugins,
    /// The cache.
    pub cache: &'a Cache,
}

/// What STATUS says of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// It can serve ADD.
    Ready,
    /// It cannot, or not now.
    NotReady,
    /// The network's version of the specification has no STATUS.
    NotAsked,
}

/// A plugin of a network.
#[derive(Debug, Serialize)]
pub struct PluginStatus {
    /// Its name.
    pub plugin: String,
    /// Its path.
    pub path: PathBuf,
    /// The versions of the specification that it speaks.
    pub versions: Vec<String>,
    /// Whether it can serve ADD.
    pub status: Readiness,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a chain was not executed to its end.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A plugin failed.
    #[error("network {network}")]
    Plugin {
        /// The network.
        network: String,
        /// Which, and why.
        source: PluginError,
    },
    /// Several plugins failed; DEL goes on past errors.
    #[error("network {network}: {}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several {
        /// The network.
        network: String,
        /// Each one's.
        errors: Vec<PluginError>,
    },
    /// CHECK is younger than the configuration.
    #[error("network {network} has cniVersion {version:?}, which has no CHECK; it came with 0.4.0")]
    NoCheck {
        /// The network.
        network: String,
        /// Its version.
        version: String,
    },
    /// There is nothing to compare with.
    #[error(
        "network {network} has no result of an ADD of {container_id}'s {if_name}, which CHECK compares with; `cnispawn add` it first"
    )]
    NotAdded {
        /// The network.
        network: String,
        /// The container.
        container_id: String,
        /// Its interface.
        if_name: String,
    },
    /// The network's configuration, as it was kept, is none.
    #[error("the configuration that was kept is none")]
    Conf(#[from] ConfError),
    /// The cache could not be written.
    #[error("cannot keep the result of network {network}")]
    Cache {
        /// The network.
        network: String,
        /// Why.
        source: FileError,
    },
}

impl Chain<'_> {
    /// Find every plugin, before any is executed.
    ///
    /// # Errors
    /// When one is missing, or would not be executed.
    pub fn check_programs(&self) -> Result<(), ChainError> {
        self.list.programs().try_for_each(|name| self.plugins.check(name)).map_err(self.failed())
    }

    /// Add the attachment to the network. Returns the last plugin's result.
    ///
    /// # Errors
    /// When a plugin fails. What those before it have done must be undone by [`Chain::del`].
    pub fn add(&self, attachment: &Attachment) -> Result<Value, ChainError> {
        let mut result = None;
        for (at, plugin) in self.list.plugins.iter().enumerate() {
            let conf = self.list.plugin_conf(plugin, &attachment.capability_args, result.as_ref());
            let added = self.plugins.add(name(plugin), attachment, &conf).map_err(self.failed())?;
            if at + 1 < self.list.plugins.len() {
                // A DEL after a failure midway then knows what there is to delete.
                self.cache.store_partial(self.list, attachment, &added).map_err(self.uncached())?;
            }
            result = Some(added);
        }
        let result = result.unwrap_or_default();
        self.cache.store(self.list, attachment, &result).map_err(self.uncached())?;
        Ok(result)
    }

    /// Check that the attachment is as it was added.
    ///
    /// # Errors
    /// When a plugin says that it is not, it was not added, or the network's version has no CHECK.
    pub fn check(&self, attachment: &Attachment) -> Result<(), ChainError> {
        self.check_against(attachment, |result| result)
    }

    /// [`Chain::check`] with the hardware addresses that links on the host have now, as `mac` tells by their names. udev
    /// gives a veth a persistent address once it sees it (systemd.link(5), MACAddressPolicy=); a bridge plugin that had
    /// recorded the earlier one (1.1.1) would never pass its CHECK again.
    ///
    /// # Errors
    /// As [`Chain::check`].
    pub fn check_with_macs(
        &self,
        attachment: &Attachment,
        mac: impl Fn(&str) -> Option<String>,
    ) -> Result<(), ChainError> {
        self.check_against(attachment, |result| result::with_macs_of_host(result, mac))
    }

    fn check_against(&self, attachment: &Attachment, adjust: impl FnOnce(Value) -> Value) -> Result<(), ChainError> {
        let network = self.list.name.clone();
        if !self.speaks(version::CHECK) {
            return Err(ChainError::NoCheck { network, version: self.list.cni_version.clone() });
        }
        if self.list.disable_check {
            return Ok(());
        }
        let cached = self.cache.load(&network, &self.list.cni_version, attachment);
        let result = cached.ok_or_else(|| {
            let Attachment { container_id, if_name, .. } = attachment.clone();
            ChainError::NotAdded { network, container_id, if_name }
        })?;
        let result = adjust(result);
        let mut plugins = self.list.plugins.iter();
        plugins
            .try_for_each(|plugin| self.execute(plugin, Command::Check, attachment, Some(&result)))
            .map_err(self.failed())
    }

    /// Delete the attachment, by the plugins in reverse order. Does nothing when it is deleted already.
    ///
    /// # Errors
    /// When plugins fail; the others have been executed. It is to be tried again.
    pub fn del(&self, attachment: &Attachment) -> Result<(), ChainError> {
        let result = self.cached_result(attachment).filter(|_| self.speaks(version::CHECK));
        let plugins = self.list.plugins.iter().rev();
        let deleted = plugins.map(|plugin| self.execute(plugin, Command::Del, attachment, result.as_ref()));
        self.all(deleted.filter_map(Result::err).collect())?;
        self.cache.remove(&self.list.name, attachment).map_err(self.uncached())
    }

    /// Have the plugins free what belongs to attachments that are not among the `valid` ones. Does nothing when the
    /// network's version has no GC, or it does not want it.
    ///
    /// # Errors
    /// When plugins fail; the others have been executed.
    pub fn gc(&self, valid: &[Attachment]) -> Result<(), ChainError> {
        if self.list.disable_gc || !self.speaks(version::GC) {
            return Ok(());
        }
        let valid = valid
            .iter()
            .map(|attachment| json!({ "containerID": attachment.container_id, "ifname": attachment.if_name }));
        let valid: Value = valid.collect();
        // The specification's name, and that of its first edition, which plugins may know instead.
        let added = ["cni.dev/valid-attachments", "cni.dev/attachments"].map(|key| (key.to_owned(), valid.clone()));
        let added = Map::from_iter(added);
        let collected = self.list.plugins.iter().map(|plugin| self.operate(plugin, Command::Gc, added.clone()));
        self.all(collected.filter_map(Result::err).collect())
    }

    /// Ask every plugin which versions it speaks, and whether it can serve ADD.
    ///
    /// # Errors
    /// When one is missing, or does not know its versions.
    pub fn status(&self) -> Result<Vec<PluginStatus>, ChainError> {
        self.list.plugins.iter().map(|plugin| self.plugin_status(plugin).map_err(self.failed())).collect()
    }

    fn plugin_status(&self, plugin: &Map<String, Value>) -> Result<PluginStatus, PluginError> {
        let name = name(plugin);
        let path = self.plugins.find(name)?;
        let versions = self.plugins.versions(name)?;
        // As it is written: plugins compare it so, too.
        let wanted = Some(self.list.cni_version.clone()).filter(|version| !version.is_empty());
        let spoken = versions.contains(&wanted.unwrap_or_else(|| version::OLDEST.to_string()));
        let (status, reason) = if !spoken {
            let wanted = &self.list.cni_version;
            (Readiness::NotReady, Some(format!("the network's cniVersion {wanted:?} is none that it speaks")))
        } else if !self.speaks(version::GC) {
            (Readiness::NotAsked, None)
        } else {
            match self.operate(plugin, Command::Status, Map::new()) {
                Ok(()) => (Readiness::Ready, None),
                Err(error) => (Readiness::NotReady, Some(foundation::error_chain(&error))),
            }
        };
        Ok(PluginStatus { plugin: name.to_owned(), path, versions, status, reason })
    }

    /// The result that [`Chain::add`] has left, of its last plugin or of those that came before a failure.
    pub fn cached_result(&self, attachment: &Attachment) -> Option<Value> {
        self.cache.load_even_partial(&self.list.name, &self.list.cni_version, attachment)
    }

    fn execute(
        &self,
        plugin: &Map<String, Value>,
        command: Command,
        attachment: &Attachment,
        prev_result: Option<&Value>,
    ) -> Result<(), PluginError> {
        let conf = self.list.plugin_conf(plugin, &attachment.capability_args, prev_result);
        self.plugins.execute(name(plugin), command, attachment, &conf).map(drop)
    }

    /// What is about the network, and no attachment.
    fn operate(
        &self,
        plugin: &Map<String, Value>,
        command: Command,
        added: Map<String, Value>,
    ) -> Result<(), PluginError> {
        let conf = self.list.conf_with(plugin, added);
        self.plugins.execute(name(plugin), command, &Attachment::default(), &conf).map(drop)
    }

    fn speaks(&self, wanted: Version) -> bool {
        version::at_least(&self.list.cni_version, wanted)
    }

    fn all(&self, mut errors: Vec<PluginError>) -> Result<(), ChainError> {
        let network = self.list.name.clone();
        match errors.len() {
            0 => Ok(()),
            1 => Err(ChainError::Plugin { network, source: errors.remove(0) }),
            _ => Err(ChainError::Several { network, errors }),
        }
    }

    fn failed(&self) -> impl FnOnce(PluginError) -> ChainError {
        let network = self.list.name.clone();
        |source| ChainError::Plugin { network, source }
    }

    fn uncached(&self) -> impl FnOnce(FileError) -> ChainError {
        let network = self.list.name.clone();
        |source| ChainError::Cache { network, source }
    }
}

/// The plugin's type, which [`NetworkList`] has checked.
fn name(plugin: &Map<String, Value>) -> &str {
    plugin["type"].as_str().unwrap_or_default()
}
