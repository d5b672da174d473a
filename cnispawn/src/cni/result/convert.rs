//! A result in the shape of another version of the specification (section 5, Success).
//!
//! | version       | addresses                                        | routes             |
//! |---------------|--------------------------------------------------|--------------------|
//! | 0.1.0, 0.2.0  | `ip4.ip` and `ip6.ip`, one each                  | in `ip4` and `ip6` |
//! | 0.3.0 – 0.4.0 | `ips`, each with its family in `version`         | `routes`           |
//! | 1.0.0, 1.1.0  | `ips`; the address itself shows its family       | `routes`           |
//!
//! Fields that we don't know stay where they are.

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::check::parse_network;
use super::error::ResultError;
use crate::cni::version::{self, Version, VersionError};

/// The same result in another version.
///
/// # Errors
/// Either version is unknown, or the result has no address and the other version needs one.
pub fn convert(mut result: Value, to: &str) -> Result<Value, ResultError> {
    let (from, to) = (known(version_of(&result)?)?, known(to.parse()?)?);
    let object = result.as_object_mut().ok_or(ResultError::NoObject)?;
    // "1" means 1.0.0, but plugins know versions by their full names only.
    object.insert("cniVersion".into(), to.to_string().into());
    if from == to {
        return Ok(result);
    }
    match (from < version::LISTS, to < version::LISTS) {
        (true, false) => list_addresses(object),
        (false, true) => single_addresses(object, to)?,
        (true, true) | (false, false) => {}
    }
    if to >= version::LISTS {
        name_families(object, to < version::WITHOUT_FAMILY);
    }
    Ok(result)
}

fn version_of(result: &Value) -> Result<Version, VersionError> {
    result["cniVersion"].as_str().unwrap_or_default().parse()
}

fn known(version: Version) -> Result<Version, ResultError> {
    if version.is_known() { Ok(version) } else { Err(ResultError::UnknownVersion { version }) }
}

/// `ip4` and `ip6` to `ips` and `routes`.
fn list_addresses(object: &mut Map<String, Value>) {
    let (mut ips, mut routes) = (Vec::new(), Vec::new());
    for (key, family) in [("ip4", "4"), ("ip6", "6")] {
        let Some(Value::Object(mut ip)) = object.shift_remove(key) else { continue };
        if let Some(Value::Array(own)) = ip.shift_remove("routes") {
            routes.extend(own);
        }
        let address = ip.shift_remove("ip").unwrap_or_default();
        let mut listed = Map::from_iter([("version".to_owned(), json!(family)), ("address".to_owned(), address)]);
        // A field that is unknown in one shape must not become one that the other shape knows.
        ip.retain(|key, _| !listed.contains_key(key));
        listed.append(&mut ip);
        ips.push(Value::Object(listed));
    }
    object.insert("ips".into(), ips.into());
    object.insert("routes".into(), routes.into());
}

/// `ips` and `routes` to `ip4` and `ip6`: the first address of each family, and the routes of that family.
fn single_addresses(object: &mut Map<String, Value>, to: Version) -> Result<(), ResultError> {
    let list = |value: Option<Value>| match value {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let (ips, routes) = (list(object.shift_remove("ips")), list(object.shift_remove("routes")));
    let mut found = false;
    for (key, wanted) in [("ip4", "4"), ("ip6", "6")] {
        let Some(ip) = ips.iter().find(|ip| family(&ip["address"]) == Some(wanted)) else { continue };
        let mut ip = ip.as_object().cloned().unwrap_or_default();
        ip.shift_remove("version");
        // An index into `interfaces`, which these versions do not have.
        ip.shift_remove("interface");
        let address = ip.shift_remove("address").unwrap_or_default();
        let mut single = Map::from_iter([("ip".to_owned(), address)]);
        ip.retain(|key, _| key != "ip" && key != "routes");
        single.append(&mut ip);
        let own: Vec<_> = routes.iter().filter(|route| family(&route["dst"]) == Some(wanted)).cloned().collect();
        if !own.is_empty() {
            single.insert("routes".into(), own.into());
        }
        object.insert(key.into(), single.into());
        found = true;
    }
    object.shift_remove("interfaces");
    if found { Ok(()) } else { Err(ResultError::NoAddress { to }) }
}

/// Give each of `ips` the `version` that it had until 1.0.0, or remove that.
fn name_families(object: &mut Map<String, Value>, named: bool) {
    for ip in object.get_mut("ips").and_then(Value::as_array_mut).into_iter().flatten() {
        let family = family(&ip["address"]);
        let Some(ip) = ip.as_object_mut() else { continue };
        ip.shift_remove("version");
        if let Some(family) = family.filter(|_| named) {
            ip.shift_insert(0, "version".into(), family.into());
        }
    }
}

/// "4" or "6".
fn family(address: &Value) -> Option<&'static str> {
    match parse_network(address.as_str()?)? {
        IpNet::V4(_) => Some("4"),
        IpNet::V6(_) => Some("6"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cni::result::{accept, addresses};
    use crate::cni::version::KNOWN;

    fn legacy() -> Value {
        json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24", "gateway": "10.0.0.1",
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}]}, "ip6": {"ip": "fd00::2/64"}, "dns": {"domain": "a"}})
    }

    fn current() -> Value {
        json!({"cniVersion": "1.1.0", "ips": [{"address": "10.0.0.2/24", "gateway": "10.0.0.1"},
            {"address": "fd00::2/64"}], "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}], "dns": {"domain": "a"}})
    }

    #[test]
    fn every_shape_becomes_every_other() {
        let family = json!({"cniVersion": "0.3.1", "ips": [
            {"version": "4", "address": "10.0.0.2/24", "gateway": "10.0.0.1"},
            {"version": "6", "address": "fd00::2/64"}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}], "dns": {"domain": "a"}});
        for from in [legacy(), family.clone(), current()] {
            assert_eq!(convert(from.clone(), "0.2.0").expect("converts"), legacy());
            assert_eq!(convert(from.clone(), "0.3.1").expect("converts"), family);
            assert_eq!(convert(from, "1.1.0").expect("converts"), current());
        }
    }

    fn ip() -> impl Strategy<Value = Value> {
        prop_oneof![
            (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(ip, prefix)| (std::net::Ipv4Addr::from(ip).to_string(), prefix)),
            (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(ip, prefix)| (std::net::Ipv6Addr::from(ip).to_string(), prefix)),
        ]
        .prop_map(|(ip, prefix)| json!({"address": format!("{ip}/{prefix}"), "x-unknown": prefix}))
    }

    fn any_current() -> impl Strategy<Value = Value> {
        (prop::collection::vec(ip(), 0..5), prop::collection::vec(ip(), 0..5)).prop_map(|(ips, routes)| {
            let routes: Vec<_> = routes.iter().map(|ip| json!({"dst": ip["address"], "mtu": 9000})).collect();
            json!({"cniVersion": "1.1.0", "ips": ips, "routes": routes, "x-unknown": {"kept": true}})
        })
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop_oneof![Just("1.0.0".to_owned()), Just("10.0.0.1/8".to_owned()), ".{0,6}"].prop_map(Value::from),
        ];
        let key = prop::sample::select(vec![
            "cniVersion",
            "ips",
            "ip4",
            "ip6",
            "ip",
            "address",
            "routes",
            "dst",
            "dns",
            "interfaces",
            "name",
            "version",
        ]);
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..6).prop_map(|entries| {
                    Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_is_lost_on_the_way_to_lists_and_back(result in any_current()) {
            for via in ["0.3.0", "0.3.1", "0.4.0", "1.0.0"] {
                let there = convert(result.clone(), via).expect("converts");
                prop_assert_eq!(&there["x-unknown"], &json!({"kept": true}));
                prop_assert_eq!(convert(there, "1.1.0").expect("converts"), result.clone());
            }
        }

        #[test]
        fn the_first_address_of_each_family_survives_every_version(result in any_current()) {
            let first = |result: &Value, wanted| {
                addresses(result).find(|address| family(&json!(address)) == Some(wanted)).map(str::to_owned)
            };
            for via in KNOWN.map(|version| version.to_string()) {
                match convert(result.clone(), &via) {
                    Ok(there) => for wanted in ["4", "6"] {
                        prop_assert_eq!(first(&there, wanted), first(&result, wanted));
                    }
                    Err(ResultError::NoAddress { .. }) => prop_assert_eq!(addresses(&result).count(), 0),
                    Err(error) => prop_assert!(false, "{}", error),
                }
            }
        }

        #[test]
        fn anything_is_accepted_or_refused(value in any_json(), version in prop::sample::select(KNOWN.to_vec())) {
            if let Ok(accepted) = accept(value, &version.to_string()) {
                prop_assert_eq!(&accepted["cniVersion"], &json!(version.to_string()));
                prop_assert_eq!(accept(accepted.clone(), &version.to_string()).expect("again"), accepted);
            }
        }
    }
}
