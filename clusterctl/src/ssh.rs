//! Run a command on a node over SSH, as Ansible would by the same inventory.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use foundation::name::Name;

use crate::inventory::{Host, Inventory};

pub(crate) mod agent;
pub(crate) mod parallel;

/// Options beside the inventory's: as in ansible.cfg, keys only, and no wait for a host that is down. Three unanswered keepalives
/// end the connection; TCP alone would keep an idle one for ever. Of ssh itself only errors are shown. Programs of 80 MB go this way: AES is an instruction of most processors, the usual
/// first choice (chacha20) is not.
const OPTIONS: [&str; 6] = [
    "BatchMode=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "PreferredAuthentications=publickey",
    "LogLevel=ERROR",
    "Ciphers=^aes128-gcm@openssh.com",
];

/// Why a node cannot be logged in to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SshError {
    /// The inventory has no such host.
    #[error("the inventory does not say how to log in on node {0}")]
    NoHost(Name),
    /// There is a quote that does not end.
    #[error("node {node}: ansible_ssh_common_args of the inventory")]
    Options {
        /// The node.
        node: Name,
        /// Why.
        source: shell_words::ParseError,
    },
}

/// The command that logs in to `node`; add to it what is to run there, as one word for the shell there
/// (`shell_words::join`), or options of ssh(1) before it. No connection of another command is shared: it ends with the
/// command.
pub(crate) fn command(inventory: &Inventory, node: &Name) -> Result<Command, SshError> {
    let host = inventory.host(node).ok_or_else(|| SshError::NoHost(node.clone()))?;
    to(host).map_err(|source| SshError::Options { node: node.clone(), source })
}

/// The command that runs something over the connection which Ansible has to the node: its sockets are in `dir`, named as
/// ansible.cfg says.
pub(crate) fn shared(inventory: &Inventory, node: &Name, dir: &Path) -> Option<Command> {
    let host = inventory.host(node)?;
    let socket = dir.join(format!("{}-{}-{}", host.ansible_host, host.ansible_port, host.ansible_user));
    let mut control = OsString::from("ControlPath=");
    control.push(socket);
    let mut ssh = Command::new("ssh");
    // Without a connection there is nothing to share, and no other one is made.
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "ProxyCommand=false", "-o", "LogLevel=ERROR", "-o"]);
    ssh.arg(control).arg(host.ansible_host.to_string());
    Some(ssh)
}

fn to(host: &Host) -> Result<Command, shell_words::ParseError> {
    let mut ssh = Command::new("ssh");
    // The first value of an option counts (ssh_config(5)): the inventory's goes before ours.
    ssh.args(shell_words::split(&host.ansible_ssh_common_args)?);
    ssh.args(OPTIONS.iter().flat_map(|option| ["-o", option]));
    ssh.args(["-o", "ControlPath=none"]).arg("-i").arg(&host.ansible_ssh_private_key_file);
    ssh.args(["-p", &host.ansible_port.to_string(), "-l", &host.ansible_user, &host.ansible_host.to_string()]);
    Ok(ssh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_the_inventory_is_reached_with_its_own_options_first() {
        let mut host = Host {
            ansible_host: "fd00::2".parse().expect("an address"),
            ansible_port: 2222,
            ansible_user: "root".to_owned(),
            ansible_ssh_private_key_file: "/keys/id".into(),
            ansible_ssh_common_args: "-o 'ProxyCommand=nc %h %p' -o LogLevel=DEBUG".to_owned(),
        };
        let mut ssh = to(&host).expect("words");
        let words = |ssh: &Command| ssh.get_args().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
        let words = words(ssh.arg("uptime"));
        assert_eq!(words[..6], ["-o", "ProxyCommand=nc %h %p", "-o", "LogLevel=DEBUG", "-o", "BatchMode=yes"]);
        assert!(words.windows(2).any(|pair| pair == ["-o", "ServerAliveInterval=15"]), "{words:?}");
        assert_eq!(words[words.len() - 8..], ["-i", "/keys/id", "-p", "2222", "-l", "root", "fd00::2", "uptime"]);
        host.ansible_ssh_common_args = "-o 'x".to_owned();
        assert!(to(&host).is_err());
    }
}
