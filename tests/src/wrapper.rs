//! The command line of the wrapper `kubeadm-systemd`, for its man pages and completions: it is a shell script, and has
//! no definition of its own. A test compares this with its help.

use clap::{Arg, ArgAction, Command, ValueHint};

/// The wrapper's verbs and options.
pub fn command() -> Command {
    let yes = || flag("yes", "Do not ask before packages are installed");
    let up = Command::new("up").about("Install what the host lacks, build the node image, start nodes, make a cluster");
    let up = up.arg(option("nodes", "N", "How many nodes, the control plane among them [default: 3]"));
    let up = up.arg(option("kubernetes", "SOURCE", "Where Kubernetes comes from; see nodectl-build(1)"));
    let up = up.arg(option("config", "FILE", "Settings of the cluster; see clusterctl-up(1)"));
    let up = up.arg(flag("retain", "Keep what was made when something fails, for a look")).arg(yes());

    let setup = Command::new("setup").about("Only install what the host lacks");
    let setup = setup.arg(yes()).arg(flag("build", "What compiles the project, and Kubernetes, too"));
    let setup = setup.arg(flag("test", "What checks and tests the project, too"));
    let setup = setup.arg(flag("hosts", "What tests it in virtual machines, too"));
    let manager = option("manager", "NAME", "The package manager [default: the one of /etc/os-release]");
    let setup = setup.arg(manager.value_parser(["apt", "dnf", "pacman", "zypper"]));
    let setup = setup.arg(flag("print", "Only print the command that installs all of it, whether it is there or not"));

    let down = Command::new("down").about("Remove the cluster and its nodes, and restore the host");
    let status = Command::new("status").about("List the cluster's nodes");
    let kubectl = Command::new("kubectl").about("Run the cluster's own kubectl with its kubeconfig");
    let arguments = Arg::new("arguments").value_name("ARGS").trailing_var_arg(true).num_args(0..);
    let kubectl = kubectl.arg(arguments.allow_hyphen_values(true).value_hint(ValueHint::CommandWithArguments));

    Command::new("kubeadm-systemd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A multi-node Kubernetes cluster on this machine, in one command")
        .long_about(
            "A multi-node Kubernetes cluster on this machine, in one command: a thin wrapper around the pipe\n\n\
             nodectl build | nodectl start | clusterctl inventory | clusterctl up\n\n\
             The cluster's name is taken from the environment variable KUBEADM_SYSTEMD_CLUSTER (default: default).",
        )
        .disable_version_flag(true)
        .subcommand_required(true)
        .subcommands([up, down, status, kubectl, setup])
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}
