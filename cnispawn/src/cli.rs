//! The command line.

pub mod bandwidth;
pub mod network;
pub mod plugins;
pub mod publish;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use foundation::name::MachineName;

use crate::container::networks::DEFAULT_CONF_DIR;
use crate::dirs::Dirs;

pub use self::bandwidth::Bandwidth;
pub use self::network::NetworkOption;
pub use self::plugins::PluginArgs;
pub use self::publish::Publish;

/// Give a systemd-nspawn container a network by CNI plugins
#[derive(Debug, Parser)]
#[command(name = "cnispawn", version, max_term_width = 100)]
pub struct Cli {
    /// Directory with CNI network configurations
    #[arg(long, global = true, value_name = "DIR", env = "NETCONFPATH", default_value = DEFAULT_CONF_DIR)]
    pub conf_dir: PathBuf,
    /// Where plugins are.
    #[command(flatten)]
    pub plugins: PluginArgs,
    /// Where things are kept.
    #[command(flatten)]
    pub dirs: Dirs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a network for a container and become systemd-nspawn; undo the network when it ends
    Run(RunArgs),
    /// Add a network namespace to a network, and print the result
    Add(AttachArgs),
    /// Check that a network namespace is as it was added
    Check(AttachArgs),
    /// Delete a network namespace from a network
    Del(AttachArgs),
    /// Undo the network of a container that has ended, unless it is rebooting; for `ExecStopPost=`
    ///
    /// systemd tells by EXIT_STATUS (systemd.exec(5)) how the container has ended: 133 is a reboot, and the next `run`
    /// then takes over its network as it is.
    Release {
        /// The container
        name: MachineName,
        /// The status with which it ended
        #[arg(long, value_name = "STATUS", env = "EXIT_STATUS", default_value = "")]
        exit_status: String,
    },
    /// List containers
    Ls {
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Undo what ended containers have left behind, and free what a network's plugins still hold
    ///
    /// With NET, attachments to it whose network namespace is gone are deleted too, whoever has added them, and its
    /// plugins are told which attachments are valid.
    Gc {
        /// The network
        #[arg(value_name = "NET")]
        network: Option<String>,
    },
    /// Tell whether a network can take containers: its plugins, and the versions of the specification that they speak
    Status {
        /// The network
        #[arg(value_name = "NET")]
        network: String,
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Wait for a container's end and undo its network
    #[command(hide = true)]
    Watch(WatchArgs),
}

/// What `cnispawn run` is asked.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The container's name: DNS labels joined by dots
    pub name: MachineName,
    /// A network, with the container's interface, addresses and hardware address in it if they are to be fixed; may be
    /// repeated (eth0, eth1, ...). Unless given: the configuration directory's first, or `cnispawn0`, which is built in
    #[arg(long = "network", value_name = "NET[:ifname=NAME,ip=ADDRESS,mac=ADDRESS]")]
    pub networks: Vec<NetworkOption>,
    /// Lead a port of the host into the container; may be repeated
    #[arg(short, long, value_name = "[ADDRESS:]HOST-PORT:PORT[/PROTOCOL,...]")]
    pub publish: Vec<Publish>,
    /// Limit what goes into and comes out of the container, in bits per second
    #[arg(long, value_name = "ingress=RATE,egress=RATE")]
    pub bandwidth: Option<Bandwidth>,
    /// Start no watcher: a supervisor runs `cnispawn release NAME` when the container has ended
    #[arg(long)]
    pub supervised: bool,
    /// Print what would be run, as lines for a shell
    #[arg(long)]
    pub dry_run: bool,
    /// Program to execute in place of systemd-nspawn, with its arguments
    #[arg(long, value_name = "PROGRAM", env = "CNISPAWN_EXEC", default_value = "systemd-nspawn")]
    pub exec: PathBuf,
    /// How to attach.
    #[command(flatten)]
    pub attachment: AttachmentArgs,
    /// Arguments for systemd-nspawn
    #[arg(last = true, value_name = "SYSTEMD-NSPAWN ARGUMENTS")]
    pub nspawn: Vec<OsString>,
}

/// What `cnispawn add`, `check` and `del` are asked.
#[derive(Debug, clap::Args)]
pub struct AttachArgs {
    /// The network
    #[arg(value_name = "NET")]
    pub network: String,
    /// Path of the network namespace
    pub netns: PathBuf,
    /// How to attach.
    #[command(flatten)]
    pub attachment: AttachmentArgs,
}

/// The plugins' parameters.
#[derive(Debug, clap::Args)]
pub struct AttachmentArgs {
    /// Name of the interface in the container
    #[arg(long = "ifname", value_name = "NAME", env = "CNI_IFNAME", default_value = "eth0")]
    pub if_name: String,
    /// Arguments for the plugins: KEY=VALUE;KEY=VALUE
    #[arg(long = "cni-args", value_name = "ARGS", env = "CNI_ARGS", default_value = "", hide_default_value = true)]
    pub args: String,
    /// Capability arguments for the plugins: a JSON object
    #[arg(long = "cap-args", value_name = "JSON", env = "CAP_ARGS", default_value = "", hide_default_value = true)]
    pub capability_args: String,
}

/// What a container's watcher is told.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// The container
    pub name: MachineName,
    /// Inherited descriptor of the container's process
    #[arg(long)]
    pub pidfd: i32,
    /// Inherited descriptor of the container's lock
    #[arg(long)]
    pub lock: i32,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn everything_after_two_dashes_is_for_nspawn() {
        let cli = Cli::try_parse_from(["cnispawn", "run", "--state-dir", "/s", "web", "--", "-D", "/x", "--conf-dir"]);
        let cli = cli.expect("parses");
        let Verb::Run(args) = cli.verb else { panic!("run") };
        assert_eq!(args.nspawn, ["-D", "/x", "--conf-dir"]);
        assert_eq!(cli.dirs.state_dir, PathBuf::from("/s"));
    }
}
