//! `--plugin-dir` and `--plugin-timeout`: where the plugins are, and how long each may run.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::cni::Plugins;

/// Where plugins are, and how long each may take.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PluginArgs {
    /// Directories with CNI plugins, separated by colons
    #[arg(
        long = "plugin-dir",
        global = true,
        value_name = "DIRS",
        env = "CNI_PATH",
        value_delimiter = ':',
        value_parser = OsStringValueParser::new().map(PathBuf::from),
        default_value = "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni"
    )]
    dirs: Vec<PathBuf>,
    /// Seconds after which a plugin is killed
    #[arg(
        long = "plugin-timeout",
        global = true,
        value_name = "SECONDS",
        env = "CNISPAWN_PLUGIN_TIMEOUT",
        default_value_t = 60
    )]
    timeout: u64,
}

impl From<PluginArgs> for Plugins {
    fn from(PluginArgs { dirs, timeout }: PluginArgs) -> Self {
        Plugins { dirs, timeout }
    }
}
