//! Ask a network's plugins whether they can serve ADD (CNI specification, section 4, STATUS).

use std::path::PathBuf;

use foundation::error_chain;
use serde::Serialize;
use serde_json::{Map, Value};

use super::chain::{Chain, ChainError, name};
use super::command::Command;
use super::failure::PluginError;
use super::{program, version};

/// What STATUS says of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Readiness {
    Ready,
    NotReady,
    /// The network's version of the specification has no STATUS.
    NotAsked,
}

/// A plugin of a network.
#[derive(Debug, Serialize)]
pub(crate) struct PluginStatus {
    /// Its name.
    pub(crate) plugin: String,
    pub(crate) path: PathBuf,
    /// The versions of the specification that it speaks.
    pub(crate) versions: Vec<String>,
    pub(crate) status: Readiness,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Chain<'_> {
    /// Ask every plugin which versions it speaks, and whether it can serve ADD. Fails if one is missing, or does not
    /// say its versions.
    pub(crate) fn status(&self) -> Result<Vec<PluginStatus>, ChainError> {
        self.list.plugins.iter().map(|plugin| self.plugin_status(plugin).map_err(self.failed())).collect()
    }

    fn plugin_status(&self, plugin: &Map<String, Value>) -> Result<PluginStatus, PluginError> {
        let name = name(plugin);
        let path = program::find(&self.plugins.dirs, name)?;
        let versions = self.plugins.versions(name)?;
        // As it is written: plugins compare the text, too.
        let wanted = Some(self.list.cni_version.clone()).filter(|version| !version.is_empty());
        let spoken = versions.contains(&wanted.unwrap_or_else(|| version::OLDEST.to_string()));
        let (status, reason) = if !spoken {
            let wanted = &self.list.cni_version;
            (Readiness::NotReady, Some(format!("it does not speak the network's cniVersion {wanted:?}")))
        } else if !self.speaks(version::GC) {
            (Readiness::NotAsked, None)
        } else {
            match self.operate(plugin, Command::Status, Map::new()) {
                Ok(()) => (Readiness::Ready, None),
                Err(error) => (Readiness::NotReady, Some(error_chain(&error))),
            }
        };
        Ok(PluginStatus { plugin: name.to_owned(), path, versions, status, reason })
    }
}
