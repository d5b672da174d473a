//! The command line's definitions; help, man pages and completions are made of them.

mod attachment;
mod bandwidth;
mod network;
mod plugins;
mod publish;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use foundation::name::MachineName;

use crate::cni::discovery::DEFAULT_CONF_DIR;
use crate::dirs::Dirs;

pub(crate) use self::attachment::AttachmentArgs;
pub use self::bandwidth::Bandwidth;
pub use self::network::NetworkOption;
pub(crate) use self::plugins::PluginArgs;
pub use self::publish::Publish;

/// Give a systemd-nspawn container a network by CNI plugins
#[derive(Debug, Parser)]
#[command(name = "cnispawn", version, max_term_width = 100)]
pub struct Cli {
    /// Directory with CNI network configurations
    #[arg(long, global = true, value_name = "DIR", env = "NETCONFPATH", default_value = DEFAULT_CONF_DIR)]
    pub(crate) conf_dir: PathBuf,
    #[command(flatten)]
    pub(crate) plugins: PluginArgs,
    #[command(flatten)]
    pub(crate) dirs: Dirs,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
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
    /// systemd passes the exit status of the container in EXIT_STATUS (systemd.exec(5)): 133 is a reboot, and the next
    /// `run` then takes over the network as it is.
    Release {
        /// The container
        name: MachineName,
        /// The exit status of the container
        #[arg(long, value_name = "STATUS", env = "EXIT_STATUS", default_value = "")]
        exit_status: String,
    },
    /// List containers
    Ls {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Undo what ended containers have left behind, and free what a network's plugins still hold
    ///
    /// With NET, also delete attachments to it whose network namespace is gone, whichever program has added them, and
    /// tell its plugins which attachments are valid.
    Gc {
        /// The network
        #[arg(value_name = "NET")]
        network: Option<String>,
    },
    /// Show whether a network can take containers: its plugins, and the versions of the specification that they speak
    Status {
        /// The network
        #[arg(value_name = "NET")]
        network: String,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Wait for a container's end and undo its network
    #[command(hide = true)]
    Watch(WatchArgs),
}

/// The arguments of `cnispawn run`.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The container's name: DNS labels joined by dots
    pub(crate) name: MachineName,
    /// A network, and optionally the container's interface, addresses and hardware address in it; may be repeated
    /// (eth0, eth1, ...). By default the configuration directory's first, or `cnispawn0`, which is built in
    #[arg(long = "network", value_name = "NET[:ifname=NAME,ip=ADDRESS,mac=ADDRESS]")]
    pub(crate) networks: Vec<NetworkOption>,
    /// Publish a port of the container on the host; may be repeated
    #[arg(short, long, value_name = "[ADDRESS:]HOST-PORT:PORT[/PROTOCOL,...]")]
    pub(crate) publish: Vec<Publish>,
    /// Limit the traffic into and out of the container, in bits per second
    #[arg(long, value_name = "ingress=RATE,egress=RATE")]
    pub(crate) bandwidth: Option<Bandwidth>,
    /// Start no watcher: a supervisor runs `cnispawn release NAME` when the container has ended
    #[arg(long)]
    pub(crate) supervised: bool,
    /// Print the commands that would be executed, as lines for a shell
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Program to execute in place of systemd-nspawn, with its arguments
    #[arg(long, value_name = "PROGRAM", env = "CNISPAWN_EXEC", default_value = "systemd-nspawn")]
    pub(crate) exec: PathBuf,
    #[command(flatten)]
    pub(crate) attachment: AttachmentArgs,
    /// Arguments for systemd-nspawn
    #[arg(last = true, value_name = "SYSTEMD-NSPAWN ARGUMENTS")]
    pub(crate) nspawn: Vec<OsString>,
}

/// The arguments of `cnispawn add`, `check` and `del`.
#[derive(Debug, clap::Args)]
pub(crate) struct AttachArgs {
    /// The network
    #[arg(value_name = "NET")]
    pub(crate) network: String,
    /// Path of the network namespace
    pub(crate) netns: PathBuf,
    #[command(flatten)]
    pub(crate) attachment: AttachmentArgs,
}

/// The arguments of a container's watcher.
#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    /// The container
    pub(crate) name: MachineName,
    /// Inherited descriptor of the container's process
    #[arg(long)]
    pub(crate) pidfd: i32,
    /// Inherited descriptor of the container's lock
    #[arg(long)]
    pub(crate) lock: i32,
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
