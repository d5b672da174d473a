//! `nodectl load --local-registry`: nodes pull images of a registry's name from a port of this host.
//!
//! In a node, localhost is the node itself. containerd looks up a registry's address in `/etc/containerd/certs.d/REGISTRY/hosts.toml`
//! (<https://github.com/containerd/containerd/blob/main/docs/hosts.md>) at every pull, so nothing has to be restarted.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use foundation::command;
use foundation::files::FileError;
use serde_json::json;

use super::{LoadError, Running};
use crate::cluster::Cluster;
use crate::node::namespaces;

/// The host and port in the names of a registry's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registry {
    host: String,
    port: u16,
}

impl FromStr for Registry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |host: &str| host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
        let host = |host: &str| host.starts_with(|c: char| c.is_ascii_alphanumeric()) && is_plain(host);
        match text.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
            Some((name, Ok(port))) if host(name) && port > 0 => Ok(Registry { host: name.to_owned(), port }),
            _ => Err("it is not HOST:PORT, as images of the registry are named: localhost:5001".to_owned()),
        }
    }
}

impl std::fmt::Display for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How long a connection may take, in seconds: a firewall may drop it silently.
const SECONDS: u64 = 5;

/// Have `nodes` pull images of `registry` from its port at this host's address in their network, and print a record for
/// each: `cluster`, `node`, `registry`, `server` (its URL there), `changed`.
///
/// # Errors
/// A node does not run or does not reach the registry: nothing is changed then.
pub(super) fn run(
    registry: &Registry,
    cluster: &Cluster,
    nodes: &[Running<'_>],
    mut output: impl Write,
) -> Result<(), LoadError> {
    let gateway = cluster.network.gateway();
    for &Running { node, leader } in nodes {
        let connect = format!("exec 3<>/dev/tcp/{gateway}/{}", registry.port);
        let seconds = SECONDS.to_string();
        let words = ["timeout", seconds.as_str(), "bash", "-c", connect.as_str()];
        if command::output(&mut namespaces::command(leader, words)).is_err() {
            let (node, hint) = (node.name.to_string(), hint(gateway, registry.port));
            return Err(LoadError::NoRegistry { node, gateway, port: registry.port, hint });
        }
    }
    let server = format!("http://{gateway}:{}", registry.port);
    let content = format!("# Of `nodectl load --local-registry {registry}`.\nserver = \"{server}\"\n");
    for &Running { node, leader } in nodes {
        let dir = format!("/etc/containerd/certs.d/{registry}");
        let script = r#"
            printf %s "$2" | cmp --quiet - "$1/hosts.toml" && exit
            mkdir -p "$1" && printf %s "$2" >"$1/.hosts.toml" && mv "$1/.hosts.toml" "$1/hosts.toml" && echo changed"#;
        let words = ["sh", "-c", script, "sh", &dir, &content];
        let said = command::output(&mut namespaces::command(leader, words))?;
        let changed = !said.stdout.is_empty();
        let record = json!({
            "cluster": node.cluster, "node": node.name, "registry": registry.to_string(), "server": server, "changed": changed,
        });
        writeln!(output, "{record}").map_err(FileError::of("write", Path::new("standard output")))?;
    }
    Ok(())
}

/// Why a node may not reach the registry, and what to do.
fn hint(gateway: Ipv4Addr, port: u16) -> String {
    let answers = |address: Ipv4Addr| {
        TcpStream::connect_timeout(&SocketAddr::from((address, port)), Duration::from_secs(SECONDS)).is_ok()
    };
    if answers(gateway) {
        format!("this host does: let its firewall take connections to port {port} from the nodes' bridge")
    } else if answers(Ipv4Addr::LOCALHOST) {
        format!(
            "one listens on loopback alone, which nodes do not reach: have it listen on {gateway}, too, as `docker run --publish {gateway}:{port}:5000` does"
        )
    } else {
        format!(
            "nothing listens there: start one that does, as `docker run --publish {gateway}:{port}:5000 registry:3`"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_and_a_port_and_one_name_of_a_directory() {
        for good in ["localhost:5001", "127.0.0.1:5000", "registry.example.org:443"] {
            assert_eq!(good.parse::<Registry>().map(|registry| registry.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "localhost", "localhost:", "localhost:0", "localhost:70000", ":5000", "../x:1", "a/b:1", "-a:1"]
        {
            assert!(bad.parse::<Registry>().is_err(), "{bad}");
        }
    }
}
