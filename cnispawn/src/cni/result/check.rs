//! Check the types of a result's fields.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::error::ResultError;

/// The type of a field.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Address,
    Network,
    Texts,
}

use Kind::{Address, Integer, Network, Text, Texts};

const INTERFACE: &[(&str, Kind)] =
    &[("name", Text), ("mac", Text), ("mtu", Integer), ("sandbox", Text), ("socketPath", Text), ("pciID", Text)];
const IP: &[(&str, Kind)] = &[("version", Text), ("interface", Integer), ("address", Network), ("gateway", Address)];
const SINGLE_IP: &[(&str, Kind)] = &[("ip", Network), ("gateway", Address)];
const ROUTE: &[(&str, Kind)] = &[
    ("dst", Network),
    ("gw", Address),
    ("mtu", Integer),
    ("advmss", Integer),
    ("priority", Integer),
    ("table", Integer),
    ("scope", Integer),
];
const DNS: &[(&str, Kind)] = &[("nameservers", Texts), ("domain", Text), ("search", Texts), ("options", Texts)];

/// Check the type of every field to which the specification gives one. The next plugin would trip over a wrong one in
/// its prevResult, and then every DEL.
pub(super) fn check(result: &Value) -> Result<(), ResultError> {
    list(result, "", "interfaces", |interface, path| object(interface, path, INTERFACE, &["name"]))?;
    list(result, "", "ips", |ip, path| object(ip, path, IP, &["address"]))?;
    for key in ["ip4", "ip6"] {
        if let Some(ip) = present(result, key) {
            object(ip, key, SINGLE_IP, &["ip"])?;
            list(ip, &format!("{key}."), "routes", |route, path| object(route, path, ROUTE, &["dst"]))?;
        }
    }
    list(result, "", "routes", |route, path| object(route, path, ROUTE, &["dst"]))?;
    present(result, "dns").map_or(Ok(()), |dns| object(dns, "dns", DNS, &[]))
}

/// A field that is there and not null.
fn present<'v>(holder: &'v Value, key: &str) -> Option<&'v Value> {
    holder.get(key).filter(|value| !value.is_null())
}

fn list(
    holder: &Value,
    prefix: &str,
    key: &str,
    check: impl Fn(&Value, &str) -> Result<(), ResultError>,
) -> Result<(), ResultError> {
    let Some(values) = present(holder, key) else { return Ok(()) };
    let path = format!("{prefix}{key}");
    let values = values.as_array().ok_or_else(|| unlike(&path, values, "a list"))?;
    values.iter().enumerate().try_for_each(|(at, value)| check(value, &format!("{path}[{at}]")))
}

fn object(value: &Value, path: &str, fields: &[(&str, Kind)], required: &[&str]) -> Result<(), ResultError> {
    if !value.is_object() {
        return Err(unlike(path, value, "an object"));
    }
    for (key, kind) in fields {
        let field = value.get(key).unwrap_or(&Value::Null);
        if (!field.is_null() || required.contains(key)) && !kind.holds(field) {
            return Err(unlike(&format!("{path}.{key}"), field, kind.shown()));
        }
    }
    Ok(())
}

impl Kind {
    fn holds(self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Text => text.is_some(),
            Integer => value.is_i64() || value.is_u64(),
            // Go's net.IP may be empty.
            Address => text.is_some_and(|text| text.is_empty() || text.parse::<IpAddr>().is_ok()),
            Network => text.is_some_and(|text| parse_network(text).is_some()),
            Texts => value.as_array().is_some_and(|values| values.iter().all(Value::is_string)),
        }
    }

    fn shown(self) -> &'static str {
        match self {
            Text => "a string",
            Integer => "an integer",
            Address => "an IP address",
            Network => "an address with its prefix length",
            Texts => "a list of strings",
        }
    }
}

/// An address with its prefix length, without leading zeros, as Go takes it; ipnet's own parser is more generous.
pub(super) fn parse_network(text: &str) -> Option<IpNet> {
    let (address, prefix_len) = text.split_once('/')?;
    if prefix_len.len() > 1 && prefix_len.starts_with(['0', '+']) {
        return None;
    }
    IpNet::new(address.parse().ok()?, prefix_len.parse().ok()?).ok()
}

fn unlike(field: &str, found: &Value, wanted: &'static str) -> ResultError {
    ResultError::Field { field: field.to_owned(), found: format!("{:.100}", found.to_string()), wanted }
}
