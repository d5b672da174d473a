//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use nodectl::name::Name;
use nodectl::state::StateDirs;

use crate::ansible::AnsibleArgs;

/// Make a Kubernetes cluster of machines that SSH reaches, with kubeadm, by Ansible.
///
/// Records on standard output are JSON Lines; messages go to standard error.
#[derive(Debug, Parser)]
#[command(name = "clusterctl", version, max_term_width = 120)]
pub struct Cli {
    /// Where things are kept.
    #[command(flatten)]
    pub dirs: StateDirs,
    /// How Ansible is run.
    #[command(flatten)]
    pub ansible: AnsibleArgs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What clusterctl can do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write an Ansible inventory of the node records on standard input
    Inventory,
    /// Make a cluster of the inventory on standard input; prints a record with the kubeconfig's path
    Up {
        /// Read the inventory from a file, instead of from standard input
        #[arg(short, long, value_name = "FILE")]
        inventory: Option<PathBuf>,
        /// Seconds until the cluster must be up
        #[arg(long, value_name = "SECONDS", default_value_t = 900)]
        timeout: u64,
    },
    /// Make plain machines of a cluster's nodes again, and forget the cluster
    Down {
        /// The cluster
        #[arg(long, value_name = "NAME", env = "KUBEADM_SYSTEMD_CLUSTER", default_value = "default")]
        cluster: Name,
        /// Only forget it: its machines are gone
        #[arg(long)]
        no_reset: bool,
    },
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
