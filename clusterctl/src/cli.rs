//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use foundation::name::Name;
use foundation::state::StateDirs;

use crate::ansible::AnsibleArgs;
use crate::commands::debug::DebugArgs;
use crate::commands::e2e::E2eArgs;
use crate::commands::export_logs::ExportLogsArgs;
use crate::commands::logs::LogsArgs;
use crate::commands::swap::SwapArgs;
use crate::commands::up::UpArgs;
use crate::commands::upgrade::UpgradeArgs;

/// Make a Kubernetes cluster of machines that SSH reaches, with kubeadm, by Ansible.
///
/// Records on standard output are JSON Lines; messages go to standard error.
#[derive(Debug, Parser)]
#[command(name = "clusterctl", version, max_term_width = 120)]
pub struct Cli {
    /// Where things are kept.
    #[command(flatten)]
    pub(crate) dirs: StateDirs,
    /// How Ansible is run.
    #[command(flatten)]
    pub(crate) ansible: AnsibleArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What clusterctl can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write an Ansible inventory of the node records on standard input
    Inventory,
    /// Make a cluster of the inventory on standard input; prints a record with the kubeconfig's path
    Up(UpArgs),
    /// Make plain machines of a cluster's nodes again, and forget the cluster
    Down {
        /// The cluster
        #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
        cluster: Name,
        /// Only forget it: its machines are gone
        #[arg(long)]
        no_reset: bool,
    },
    /// Replace one component of a running cluster; prints a record once the new one is healthy
    ///
    /// A component that is not healthy is rolled back, and the end of its log is shown.
    Swap(SwapArgs),
    /// Upgrade a running cluster by kubeadm, node by node; prints a record with the versions before and after
    ///
    /// Each node's pods move to others while it is upgraded.
    Upgrade(UpgradeArgs),
    /// Show what a component says on the nodes that run it
    ///
    /// It is read from the nodes' journals and files, not through the API server.
    Logs(LogsArgs),
    /// Collect logs, manifests, etcd's status and events of all nodes in a directory; prints a record
    ///
    /// What is missing is named, in the record too, and the exit status is 1; the rest is there.
    ExportLogs(ExportLogsArgs),
    /// Run Kubernetes' own end-to-end tests, and leave their results; prints a record of them
    ///
    /// The tests and the images of their pods are built from where the cluster's Kubernetes comes from. Tests that need an
    /// image that cannot be built are left out, and named.
    E2e(E2eArgs),
    /// Run one component of a running cluster under delve; prints a record once delve can be reached
    ///
    /// The component is built for that, and neither probes nor elections end it while it is stopped. It runs on when
    /// delve has detached; `swap --revert` puts the original back.
    Debug(DebugArgs),
    /// Print where a program of the Ansible that is run here is
    Which {
        /// The program
        #[arg(value_name = "PROGRAM", default_value = "ansible-playbook")]
        program: PathBuf,
    },
    /// Print the path of a cluster's kubeconfig
    Kubeconfig {
        /// The cluster
        #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
        cluster: Name,
    },
}
