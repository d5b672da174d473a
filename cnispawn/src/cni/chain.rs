//! Execute the plugins of a network in turn (CNI specification, section 3).

use std::path::Path;

use serde_json::{Map, Value};

use super::attachment::Attachment;
use super::cache;
use super::conf::NetworkList;
use super::failure::PluginError;
use super::plugin::{Command, Plugins};
use super::version;
use crate::files::FileError;

/// A network's plugins, where they are, and where their results are kept.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// The network.
    pub list: &'a NetworkList,
    /// Its plugins' directories.
    pub plugins: &'a Plugins,
    /// The cache's directory.
    pub cache_dir: &'a Path,
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
    /// When one is missing.
    pub fn check_programs(&self) -> Result<(), ChainError> {
        self.list.programs().try_for_each(|name| self.plugins.find(name).map(drop)).map_err(self.failed())
    }

    /// Add the attachment to the network. Returns the last plugin's result.
    ///
    /// # Errors
    /// When a plugin fails. What those before it have done must be undone by [`Chain::del`].
    pub fn add(&self, attachment: &Attachment) -> Result<Value, ChainError> {
        let mut result = None;
        for plugin in &self.list.plugins {
            let conf = self.list.plugin_conf(plugin, &attachment.capability_args, result.as_ref());
            let added = self.plugins.execute_for_result(name(plugin), Command::Add, attachment, &conf);
            let added = added.map_err(self.failed())?;
            // After each plugin, not only the last: a DEL after a failure midway then knows what there is to delete.
            cache::store(self.cache_dir, self.list, attachment, &added).map_err(self.uncached())?;
            result = Some(added);
        }
        Ok(result.unwrap_or_default())
    }

    /// Check that the attachment is as it was added.
    ///
    /// # Errors
    /// When a plugin says that it is not, or the network's version has no CHECK.
    pub fn check(&self, attachment: &Attachment) -> Result<(), ChainError> {
        if !self.knows_check() {
            let (network, version) = (self.list.name.clone(), self.list.cni_version.clone());
            return Err(ChainError::NoCheck { network, version });
        }
        if self.list.disable_check {
            return Ok(());
        }
        let result = self.cached_result(attachment);
        let mut plugins = self.list.plugins.iter();
        plugins
            .try_for_each(|plugin| self.execute(plugin, Command::Check, attachment, result.as_ref()))
            .map_err(self.failed())
    }

    /// Delete the attachment, by the plugins in reverse order. Does nothing when it is deleted already.
    ///
    /// # Errors
    /// When plugins fail; the others have been executed. It is to be tried again.
    pub fn del(&self, attachment: &Attachment) -> Result<(), ChainError> {
        let result = self.cached_result(attachment).filter(|_| self.knows_check());
        let plugins = self.list.plugins.iter().rev();
        let deleted = plugins.map(|plugin| self.execute(plugin, Command::Del, attachment, result.as_ref()));
        let mut errors: Vec<_> = deleted.filter_map(Result::err).collect();
        let network = self.list.name.clone();
        match errors.len() {
            0 => cache::remove(self.cache_dir, &network, attachment).map_err(self.uncached()),
            1 => Err(ChainError::Plugin { network, source: errors.remove(0) }),
            _ => Err(ChainError::Several { network, errors }),
        }
    }

    /// The result that [`Chain::add`] has left, of its last plugin or of those that came before a failure.
    pub fn cached_result(&self, attachment: &Attachment) -> Option<Value> {
        cache::load(self.cache_dir, &self.list.name, attachment)
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

    fn knows_check(&self) -> bool {
        version::at_least(&self.list.cni_version, version::CHECK)
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
