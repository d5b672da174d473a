//! Execute the plugins of a network in turn (CNI specification, section 3).

use foundation::files::FileError;
use serde_json::{Map, Value, json};

use super::attachment::Attachment;
use super::cache::Cache;
use super::command::Command;
use super::conf::ConfError;
use super::failure::PluginError;
use super::network::NetworkList;
use super::plugin::Plugins;
use super::program;
use super::result;
use super::version::{self, Version};

/// A network's plugins, where they are, and where their results are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain<'a> {
    pub(crate) list: &'a NetworkList,
    pub(crate) plugins: &'a Plugins,
    pub(crate) cache: &'a Cache,
}

/// Why a chain was not executed to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainError {
    #[error("network {network}")]
    Plugin { network: String, source: PluginError },
    /// DEL and GC go on past errors.
    #[error("network {network}: {}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several { network: String, errors: Vec<PluginError> },
    #[error("network {network} has cniVersion {version:?}, which has no CHECK; it came with 0.4.0")]
    NoCheck { network: String, version: String },
    #[error(
        "network {network} has no result of an ADD of {container_id}'s {if_name}, which CHECK compares with; `cnispawn add` it first"
    )]
    NotAdded { network: String, container_id: String, if_name: String },
    /// Something else has written the container's record.
    #[error("the recorded network configuration is not valid")]
    Conf(#[from] ConfError),
    #[error("cannot keep the result of network {network}")]
    Cache { network: String, source: FileError },
}

impl Chain<'_> {
    /// Find every plugin, before any is executed, and check that the kernel would execute it.
    pub(crate) fn check_programs(&self) -> Result<(), ChainError> {
        self.list.programs().try_for_each(|name| program::check(&self.plugins.dirs, name)).map_err(self.failed())
    }

    /// Add the attachment to the network. Returns the last plugin's result. What the plugins before a failure have done
    /// must be undone by [`Chain::del`].
    pub(crate) fn add(&self, attachment: &Attachment) -> Result<Value, ChainError> {
        let mut result = None;
        for (at, plugin) in self.list.plugins.iter().enumerate() {
            let conf = self.list.plugin_conf(plugin, &attachment.capability_args, result.as_ref());
            let added = self.plugins.add(name(plugin), attachment, &conf).map_err(self.failed())?;
            if at + 1 < self.list.plugins.len() {
                // So that DEL knows what there is to delete, should a later plugin fail.
                self.cache.store_partial(self.list, attachment, &added).map_err(self.uncached())?;
            }
            result = Some(added);
        }
        let result = result.unwrap_or_default();
        self.cache.store(self.list, attachment, &result).map_err(self.uncached())?;
        Ok(result)
    }

    /// Check that the attachment is as it was added.
    pub(crate) fn check(&self, attachment: &Attachment) -> Result<(), ChainError> {
        self.check_against(attachment, |result| result)
    }

    /// [`Chain::check`] with the hardware addresses that links on the host have now, as `mac` tells by their names.
    /// udev gives a veth a persistent address once it sees it (systemd.link(5), MACAddressPolicy=); a bridge plugin
    /// that had recorded the earlier one (1.1.1) would never pass its CHECK again.
    pub(crate) fn check_with_macs(
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

    /// Delete the attachment, by the plugins in reverse order, past errors. Can be repeated.
    pub(crate) fn del(&self, attachment: &Attachment) -> Result<(), ChainError> {
        let result = self.cached_result(attachment).filter(|_| self.speaks(version::CHECK));
        let plugins = self.list.plugins.iter().rev();
        let deleted = plugins.map(|plugin| self.execute(plugin, Command::Del, attachment, result.as_ref()));
        self.all(deleted.filter_map(Result::err).collect())?;
        self.cache.remove(&self.list.name, attachment).map_err(self.uncached())
    }

    /// Have the plugins free what belongs to attachments that are not among the `valid` ones, past errors. Does nothing
    /// if the network's version has no GC, or its configuration disables it.
    pub(crate) fn gc(&self, valid: &[Attachment]) -> Result<(), ChainError> {
        if self.list.disable_gc || !self.speaks(version::GC) {
            return Ok(());
        }
        let valid = valid
            .iter()
            .map(|attachment| json!({ "containerID": attachment.container_id, "ifname": attachment.if_name }));
        let valid: Value = valid.collect();
        // The specification's key, and that of its first edition, which some plugins know instead.
        let added = ["cni.dev/valid-attachments", "cni.dev/attachments"].map(|key| (key.to_owned(), valid.clone()));
        let added = Map::from_iter(added);
        let collected = self.list.plugins.iter().map(|plugin| self.operate(plugin, Command::Gc, added.clone()));
        self.all(collected.filter_map(Result::err).collect())
    }

    /// The result that [`Chain::add`] has left: the last plugin's, or that of the last one before a failure.
    pub(crate) fn cached_result(&self, attachment: &Attachment) -> Option<Value> {
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

    /// GC and STATUS, which concern no attachment.
    pub(super) fn operate(
        &self,
        plugin: &Map<String, Value>,
        command: Command,
        added: Map<String, Value>,
    ) -> Result<(), PluginError> {
        let conf = self.list.conf_with(plugin, added);
        self.plugins.execute(name(plugin), command, &Attachment::default(), &conf).map(drop)
    }

    pub(super) fn speaks(&self, wanted: Version) -> bool {
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

    pub(super) fn failed(&self) -> impl FnOnce(PluginError) -> ChainError {
        let network = self.list.name.clone();
        |source| ChainError::Plugin { network, source }
    }

    fn uncached(&self) -> impl FnOnce(FileError) -> ChainError {
        let network = self.list.name.clone();
        |source| ChainError::Cache { network, source }
    }
}

/// The plugin's type, which [`NetworkList`] has checked.
pub(super) fn name(plugin: &Map<String, Value>) -> &str {
    plugin["type"].as_str().unwrap_or_default()
}
