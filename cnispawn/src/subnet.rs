//! What the host's routes say: which subnets are free, not its own network's, no VPN's, no other bridge's.

use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use crate::ip::ip;

/// The host's routes could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the host's routes")]
pub struct RoutesError(#[source] io::Error);

/// Every IPv4 destination that the host has a route to, but for the default route and those by way of `except`.
///
/// # Errors
/// When `ip` is missing or fails.
pub fn of_host(except: Option<&str>) -> Result<Vec<Ipv4Net>, RoutesError> {
    let routes = routes(&["-4", "route", "show", "table", "all"])?;
    let routes = routes.iter().filter(|route| except.is_none_or(|link| route["dev"] != link));
    Ok(routes.filter_map(|route| destination(route["dst"].as_str()?)).collect())
}

/// The links by which the host has an IPv6 default route that a router has advertised.
///
/// # Errors
/// When `ip` is missing or fails.
pub fn advertised_default_routes() -> Result<Vec<String>, RoutesError> {
    let routes = routes(&["-6", "route", "show", "default"])?;
    let routes = routes.iter().filter(|route| route["protocol"] == "ra");
    Ok(routes.filter_map(|route| route["dev"].as_str().map(str::to_owned)).collect())
}

fn routes(args: &[&str]) -> Result<Vec<Value>, RoutesError> {
    let output = ip(&[&["-json"], args].concat()).map_err(RoutesError)?;
    serde_json::from_str(&output).map_err(|error| RoutesError(error.into()))
}

/// The first subnet of `pool` with this prefix length that overlaps none of `taken`.
pub fn free(pool: Ipv4Net, prefix_len: u8, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    pool.subnets(prefix_len).ok()?.find(|candidate| !taken.iter().any(|taken| overlap(taken, candidate)))
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
        assert_eq!(free(pool, 24, &["10.0.0.0/8".parse().expect("a network")]), None);
    }
}
