//! The built-in network, for hosts without a configuration: a bridge with addresses of its own, masquerading and
//! published ports.

use std::fs;
use std::io;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};
use foundation::lock::LockError;
use foundation::subnet::{self, RoutesError};
use ipnet::{Ipv4Net, Ipv6Net};
use serde_json::{Value, json};

use super::locks;
use super::record::Record;
use crate::cni::NetworkList;
use crate::cni::conf::ConfError;
use crate::dirs::Dirs;

/// The network's name, and its bridge's.
pub(crate) const NAME: &str = "cnispawn0";

/// /24s to choose from: apart from the pools of Docker, Podman, libvirt and kubeadm.
const POOL: &str = "10.202.0.0/16";

/// Why there is no such network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuiltinError {
    #[error(
        "no free subnet for the network {NAME}: every /24 of {POOL} and 198.18.0.0/15 overlaps a route of this host, see `ip route show table all`, or a pool of Docker's; write a configuration of your own"
    )]
    NoSubnet,
    #[error("{} is not the configuration of the network {NAME}; remove it, and it is made anew", path.display())]
    Conf { path: PathBuf, source: ConfError },
    #[error(transparent)]
    Routes(#[from] RoutesError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// The network: read if it was made earlier, else made. A new subnet is chosen if the host now has a route to the old one
/// and no container uses the network.
pub(crate) fn list(dirs: &Dirs) -> Result<NetworkList, BuiltinError> {
    let path = dirs.builtin_conf();
    let _lock = locks::exclusive(&path.with_extension("lock"))?;
    let not_ours = |source| BuiltinError::Conf { path: path.clone(), source };
    if let Some(text) = read(&path)? {
        let list = NetworkList::parse(&text).map_err(not_ours)?;
        if is_apart(&list)? || is_used(dirs)? {
            return Ok(list);
        }
    }
    let pool: Ipv4Net = POOL.parse().expect("a constant network");
    let v4 = subnet::free(pool, 24, &subnet::of_host(Some(NAME))?).ok_or(BuiltinError::NoSubnet)?;
    let text = format!("{:#}\n", conf(v4, may_have_ipv6()?.then(local_subnet), &dirs.state_dir.join("ipam")));
    let list = NetworkList::parse(&text).map_err(not_ours)?;
    files::write_private_durably(&path, text.as_bytes())?;
    Ok(list)
}

/// Let the network limit bandwidth. Only on request: the plugin loads the kernel module ifb, whose links stay.
pub(crate) fn add_bandwidth(list: &mut NetworkList) {
    let plugin = json!({ "type": "bandwidth", "capabilities": { "bandwidth": true } });
    list.plugins.extend(plugin.as_object().cloned());
}

fn read(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some).map_err(FileError::of("read", path)),
    }
}

fn is_apart(list: &NetworkList) -> Result<bool, RoutesError> {
    let subnet = list.plugins[0]["ipam"]["ranges"][0][0]["subnet"].as_str().and_then(|text| text.parse().ok());
    let routes = subnet::of_host(Some(NAME))?;
    Ok(subnet.is_some_and(|subnet: Ipv4Net| !routes.iter().any(|route| subnet::overlap(route, &subnet))))
}

fn is_used(dirs: &Dirs) -> Result<bool, FileError> {
    Ok(!Record::attachments(dirs, None, |list, _| list.name == NAME)?.is_empty())
}

fn conf(v4: Ipv4Net, v6: Option<Ipv6Net>, ipam_dir: &Path) -> Value {
    let mut ranges = vec![json!([{ "subnet": v4 }])];
    let mut routes = vec![json!({ "dst": "0.0.0.0/0" })];
    if let Some(v6) = v6 {
        ranges.push(json!([{ "subnet": v6 }]));
        routes.push(json!({ "dst": "::/0" }));
    }
    json!({
        // Debian 12's plugins speak no newer one.
        "cniVersion": "1.0.0",
        "name": NAME,
        "plugins": [
            {
                "type": "bridge", "bridge": NAME, "isGateway": true, "ipMasq": true, "hairpinMode": true,
                "capabilities": { "ips": true, "mac": true },
                "ipam": { "type": "host-local", "dataDir": ipam_dir, "ranges": ranges, "routes": routes },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    })
}

/// A /64 of our own: 40 random bits after fd00::/8 (RFC 4193, section 3.2).
fn local_subnet() -> Ipv6Net {
    let mut bytes = [0; 16];
    bytes[0] = 0xfd;
    bytes[1..6].copy_from_slice(&rand::random::<[u8; 5]>());
    Ipv6Net::new_assert(Ipv6Addr::from(bytes), 64)
}

/// Whether the network may have IPv6. The bridge plugin turns forwarding on, and a host that forwards ignores router
/// advertisements (`accept_ra`, ip-sysctl.rst): it would lose a default route that came from one.
fn may_have_ipv6() -> Result<bool, RoutesError> {
    let sysctl = |name: &str| fs::read_to_string(Path::new("/proc/sys/net/ipv6/conf").join(name)).unwrap_or_default();
    if sysctl("all/disable_ipv6").trim() != "0" {
        return Ok(false);
    }
    let advertised = subnet::advertised_default_routes()?;
    let accepts = |link: &String| sysctl(&format!("{link}/accept_ra")).trim() == "1";
    Ok(sysctl("all/forwarding").trim() == "1" || !advertised.iter().any(accepts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_valid_with_and_without_ipv6() {
        let v4 = "10.202.3.0/24".parse().expect("a network");
        for (v6, ranges) in [(None, 1), (Some(local_subnet()), 2)] {
            let text = conf(v4, v6, Path::new("/ipam")).to_string();
            let list = NetworkList::parse(&text).expect("a list");
            assert_eq!(list.plugins[0]["ipam"]["ranges"].as_array().map(Vec::len), Some(ranges));
            assert!(list.takes("portMappings") && list.takes("ips") && list.takes("mac") && !list.takes("bandwidth"));
        }
    }

    #[test]
    fn local_subnets_are_random_and_unique_local() {
        let (a, b) = (local_subnet(), local_subnet());
        assert_ne!(a, b);
        assert!(a.addr().is_unique_local() && a.prefix_len() == 64);
    }
}
