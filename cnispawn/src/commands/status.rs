//! `cnispawn status`: whether a network can take containers.

use std::io::{self, Write};
use std::path::Path;

use foundation::table;

use crate::cni::chain::ChainError;
use crate::cni::status::{PluginStatus, Readiness};
use crate::cni::{Chain, Plugins};
use crate::container::networks::{self, NetworksError};
use crate::dirs::Dirs;

/// Why a network cannot take containers, or is not known to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatusError {
    /// Each plugin's own reason.
    #[error("network {network} is not ready: {}", reasons.join("; "))]
    NotReady { network: String, reasons: Vec<String> },
    #[error(transparent)]
    Networks(#[from] NetworksError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Print the plugins of a network. Fails if one is missing or not ready.
pub(crate) fn run(
    network: &str,
    json: bool,
    conf_dir: &Path,
    plugins: &Plugins,
    dirs: &Dirs,
    mut output: impl Write,
) -> Result<(), StatusError> {
    let list = networks::find(conf_dir, Some(network), dirs)?;
    let statuses = Chain { list: &list, plugins, cache: &dirs.cache() }.status()?;
    if json {
        for status in &statuses {
            writeln!(output, "{}", serde_json::to_string(status).map_err(io::Error::from)?)?;
        }
    } else {
        let header = ["PLUGIN", "STATUS", "VERSIONS", "PATH"].map(str::to_owned);
        write!(output, "{}", table::render([header].into_iter().chain(statuses.iter().map(row))))?;
    }
    let reasons: Vec<_> =
        statuses.iter().filter_map(|s| Some(format!("{}: {}", s.plugin, s.reason.as_ref()?))).collect();
    if reasons.is_empty() { Ok(()) } else { Err(StatusError::NotReady { network: list.name, reasons }) }
}

fn row(status: &PluginStatus) -> [String; 4] {
    let readiness = match status.status {
        Readiness::Ready => "ready",
        Readiness::NotReady => "not ready",
        Readiness::NotAsked => "not asked",
    };
    [status.plugin.clone(), readiness.to_owned(), status.versions.join(","), status.path.display().to_string()]
}
