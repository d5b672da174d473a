//! Find a free subnet: one that no network of the host, no VPN and no bridge uses, and that Docker will not take.

use std::fs;
use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use crate::ip::ip;

/// The host's routes could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the host's routes")]
pub struct RoutesError(#[source] io::Error);

/// Docker's configuration (dockerd(8)).
const DOCKER: &str = "/etc/docker/daemon.json";

/// For hosts whose VPN routes all private addresses: set aside for network benchmarks, and routed nowhere (RFC 2544).
const RESERVE: &str = "198.18.0.0/15";

/// Every IPv4 destination that the host has a route to, in all tables (WireGuard, Tailscale and policy routing have
/// their own), without the default route and routes by way of `except`; and the subnets in Docker's configuration.
///
/// # Errors
/// `ip` is missing or fails.
pub fn of_host(except: Option<&str>) -> Result<Vec<Ipv4Net>, RoutesError> {
    let routes = routes(&["-4", "route", "show", "table", "all"])?;
    let routes = routes.iter().filter(|route| except.is_none_or(|link| route["dev"] != link));
    let routes = routes.filter_map(|route| destination(route["dst"].as_str()?));
    // Routes show what Docker uses, not what it will take next. Without a file it takes from pools apart from ours.
    Ok(routes.chain(docker_pools(&fs::read_to_string(DOCKER).unwrap_or_default())).collect())
}

/// The subnets in Docker's configuration, `default-address-pools` and `bip`; none if it is malformed.
fn docker_pools(configuration: &str) -> Vec<Ipv4Net> {
    let configuration: Value = serde_json::from_str(configuration).unwrap_or_default();
    let pools = configuration["default-address-pools"].as_array().into_iter().flatten().map(|pool| &pool["base"]);
    pools.chain([&configuration["bip"]]).filter_map(|subnet| destination(subnet.as_str()?)).collect()
}

/// The links by which the host has an IPv6 default route that a router has advertised.
///
/// # Errors
/// `ip` is missing or fails.
pub fn advertised_default_routes() -> Result<Vec<String>, RoutesError> {
    let routes = routes(&["-6", "route", "show", "default"])?;
    let routes = routes.iter().filter(|route| route["protocol"] == "ra");
    Ok(routes.filter_map(|route| route["dev"].as_str().map(str::to_owned)).collect())
}

fn routes(args: &[&str]) -> Result<Vec<Value>, RoutesError> {
    let output = ip(&[&["-json"], args].concat()).map_err(RoutesError)?;
    serde_json::from_str(&output).map_err(|error| RoutesError(error.into()))
}

/// The first subnet of `pool`, or else of 198.18.0.0/15, with this prefix length that overlaps none of `taken`.
pub fn free(pool: Ipv4Net, prefix_len: u8, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    let pools = [pool, RESERVE.parse().expect("a constant network")];
    let mut subnets = pools.iter().flat_map(|pool| pool.subnets(prefix_len).into_iter().flatten());
    subnets.find(|candidate| !taken.iter().any(|taken| overlap(taken, candidate)))
}

/// Whether two subnets have an address in common: one of them lies in the other then.
pub fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(b) || b.contains(a)
}

fn destination(dst: &str) -> Option<Ipv4Net> {
    dst.parse().ok().or_else(|| dst.parse::<Ipv4Addr>().ok().map(Ipv4Net::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_networks_or_single_addresses() {
        assert_eq!(destination("10.0.0.1").map(|net| net.to_string()).as_deref(), Some("10.0.0.1/32"));
        assert_eq!(destination("default"), None);
    }

    #[test]
    fn a_free_subnet_overlaps_nothing() {
        let pool = "10.200.0.0/16".parse().expect("a network");
        let taken = ["10.200.0.0/23", "10.200.2.7/32", "192.168.0.0/16"].map(|s| s.parse().expect("a network"));
        assert_eq!(free(pool, 24, &taken).map(|net| net.to_string()).as_deref(), Some("10.200.3.0/24"));
        let vpn = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(|s| s.parse().expect("a network"));
        assert_eq!(free(pool, 24, &vpn).map(|net| net.to_string()).as_deref(), Some("198.18.0.0/24"));
        assert_eq!(free(pool, 24, &["0.0.0.0/0".parse().expect("a network")]), None);
    }

    #[test]
    fn docker_has_what_it_was_told_to_take() {
        let configuration = r#"{"bip": "10.200.9.1/24", "default-address-pools": [
            {"base": "10.200.0.0/21", "size": 24}, {"base": "fd00::/64", "size": 80}, {"size": 1}, 7]}"#;
        let pools: Vec<_> = docker_pools(configuration).iter().map(ToString::to_string).collect();
        assert_eq!(pools, ["10.200.0.0/21", "10.200.9.1/24"]);
        for broken in ["", "{", "[]", "7", r#"{"default-address-pools": "x"}"#] {
            assert_eq!(docker_pools(broken), [], "{broken}");
        }
    }
}
