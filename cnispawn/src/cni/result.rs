//! The result of ADD, and its shape in each version of the specification (section 5, Success).
//!
//! | version       | addresses                                        | routes             |
//! |---------------|--------------------------------------------------|--------------------|
//! | 0.1.0, 0.2.0  | `ip4.ip` and `ip6.ip`, one each                  | in `ip4` and `ip6` |
//! | 0.3.0 – 0.4.0 | `ips`, each with its family in `version`         | `routes`           |
//! | 1.0.0, 1.1.0  | `ips`; the address itself tells its family       | `routes`           |
//!
//! Fields that we don't know stay where they are.

mod check;

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use self::check::{check, parse_network};
use super::nesting;
use super::version::{self, Version, VersionError};

/// A result that is none, or that has no like in another version.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Not an object.
    #[error("it is not a JSON object")]
    NoObject,
    /// No result has so much in it.
    #[error("it is longer than a mebibyte")]
    TooLong,
    /// Could not be passed on.
    #[error("it is nested more than {} levels deep", nesting::MOST)]
    TooDeep,
    /// Its version is no version.
    #[error(transparent)]
    NoVersion(#[from] VersionError),
    /// Its version, or the one wanted, is not one of the specification's.
    #[error("there is no version {version} of the CNI specification")]
    UnknownVersion {
        /// The version.
        version: Version,
    },
    /// A field is of another type than the specification's.
    #[error("{field} is {found}, not {wanted}")]
    Field {
        /// Its path.
        field: String,
        /// What there is.
        found: String,
        /// What there should be.
        wanted: &'static str,
    },
    /// Before 0.3.0 a result was its addresses.
    #[error("it has no address, and a result of version {to} must have one")]
    NoAddress {
        /// The version wanted.
        to: Version,
    },
}

/// A result as a plugin printed it, checked, in the version of the configuration.
///
/// A plugin must answer in the version it was asked in (section 5); one that does not is understood all the same, so
/// that the next plugin of the chain reads one version. No version at all means that of the configuration.
///
/// # Errors
/// When it is no result, or cannot be told in that version.
pub fn accept(mut result: Value, conf_version: &str) -> Result<Value, ResultError> {
    let object = result.as_object_mut().ok_or(ResultError::NoObject)?;
    if object.get("cniVersion").and_then(Value::as_str).is_none_or(str::is_empty) {
        let wanted: Version = conf_version.parse()?;
        object.insert("cniVersion".into(), wanted.to_string().into());
    }
    if nesting::is_too_deep(&result) {
        return Err(ResultError::TooDeep);
    }
    check(&result)?;
    convert(result, conf_version)
}

/// The same result in another version.
///
/// # Errors
/// When either version is unknown, or the result has no like there.
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

/// The addresses in a result of any version, each with its prefix length.
pub fn addresses(result: &Value) -> impl Iterator<Item = &str> {
    let listed = result["ips"].as_array().into_iter().flatten().map(|ip| &ip["address"]);
    let single = ["ip4", "ip6"].into_iter().map(|family| &result[family]["ip"]);
    listed.chain(single).filter_map(Value::as_str)
}

/// The result with the hardware addresses that links on the host have now, as `mac` tells by their names.
pub fn with_macs_of_host(mut result: Value, mac: impl Fn(&str) -> Option<String>) -> Value {
    for interface in result.get_mut("interfaces").and_then(Value::as_array_mut).into_iter().flatten() {
        let on_host = interface["sandbox"].as_str().is_none_or(str::is_empty);
        let now = interface["name"].as_str().filter(|_| on_host).and_then(&mac);
        if let (Some(now), Some(interface)) = (now, interface.as_object_mut()) {
            interface.insert("mac".into(), now.into());
        }
    }
    result
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
        // What is unknown in one shape must not pass for what the other knows.
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
        // An index into `interfaces`, which there was not.
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

/// Give each of `ips` the `version` that it had until 1.0.0, or take it away.
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
    fn links_on_the_host_get_the_addresses_that_they_have_now() {
        let result = json!({"interfaces": [{"name": "veth1", "mac": "old"}, {"name": "gone", "mac": "old"},
            {"name": "veth1", "mac": "old", "sandbox": "/run/netns/web"}]});
        let now = with_macs_of_host(result, |name| (name == "veth1").then(|| "new".to_owned()));
        let macs: Vec<_> = now["interfaces"].as_array().expect("a list").iter().map(|link| &link["mac"]).collect();
        assert_eq!(macs, ["new", "old", "old"]);
        assert_eq!(with_macs_of_host(json!({"ips": []}), |_| None), json!({"ips": []}));
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

    #[test]
    fn an_answer_without_a_version_is_of_the_configurations() {
        let accepted = accept(json!({"ips": [{"address": "10.0.0.2/24"}]}), "1.0.0").expect("a result");
        assert_eq!(accepted["cniVersion"], "1.0.0");
        assert_eq!(accept(json!({}), "").expect("a result"), json!({"cniVersion": "0.1.0"}));
    }

    #[test]
    fn a_short_version_reaches_the_next_plugin_in_full() {
        assert_eq!(accept(json!({"cniVersion": "1"}), "1.0.0").expect("a result"), json!({"cniVersion": "1.0.0"}));
    }

    #[test]
    fn unknown_fields_do_not_replace_the_address_in_another_version() {
        let listed = json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24", "ip": 7, "routes": 7}]});
        let single = json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24"}});
        assert_eq!(accept(listed, "0.2.0").expect("a result"), single);
        let single = json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24", "address": 7, "version": 7}});
        assert_eq!(accept(single, "1.0.0").expect("a result")["ips"], json!([{"address": "10.0.0.2/24"}]));
    }

    #[test]
    fn a_deep_result_is_refused_before_a_cache_file_holds_it_that_cannot_be_read() {
        let deep = |levels| serde_json::from_str::<Value>(&("[".repeat(levels) + &"]".repeat(levels))).expect("JSON");
        accept(json!({"x": deep(nesting::MOST - 1)}), "1.0.0").expect("a result");
        let error = accept(json!({"x": deep(nesting::MOST)}), "1.0.0").expect_err("too deep").to_string();
        assert!(error.contains("nested more than 100 levels"), "{error}");
    }

    #[test]
    fn what_is_no_result_says_why() {
        for (result, why) in [
            (json!([]), "not a JSON object"),
            (json!({"cniVersion": "2.0.0"}), "no version 2.0.0"),
            (json!({"cniVersion": "x"}), "\"x\" is not a version"),
            (json!({"ips": [{"address": "10.0.0.2"}]}), "ips[0].address is \"10.0.0.2\", not an address with"),
            (json!({"ips": {}}), "ips is {}, not a list"),
            (json!({"interfaces": [{}]}), "interfaces[0].name is null, not a string"),
            (json!({"routes": [{"dst": 1}]}), "routes[0].dst is 1, not an address with"),
            (json!({"dns": {"nameservers": "a"}}), "dns.nameservers is \"a\", not a list of strings"),
            (json!({"ips": [{"address": "010.1.0.2/24"}]}), "ips[0].address is"),
            (json!({"ips": [{"address": "10.0.0.2/24", "gateway": "ten"}]}), "ips[0].gateway is \"ten\", not an IP"),
            (json!({"ips": [{"address": "10.0.0.2/24", "interface": 0.5}]}), "ips[0].interface is 0.5, not an integer"),
            (json!({"ips": [{"address": "10.0.0.2/24", "version": 4}]}), "ips[0].version is 4, not a string"),
            (json!({"routes": [{"dst": "0.0.0.0/0", "mtu": "1400"}]}), "routes[0].mtu is \"1400\", not an integer"),
            (json!({"interfaces": [{"name": "a", "mac": 5}]}), "interfaces[0].mac is 5, not a string"),
            (json!({"dns": "x"}), "dns is \"x\", not an object"),
            (json!({"dns": {"domain": 5}}), "dns.domain is 5, not a string"),
            (json!({"ip4": {"ip": "x"}}), "ip4.ip is \"x\", not an address"),
        ] {
            let error = accept(result.clone(), "1.0.0").expect_err("no result").to_string();
            assert!(error.contains(why), "{result}: {error}");
        }
        let error = convert(json!({"cniVersion": "1.0.0"}), "0.2.0").expect_err("no address").to_string();
        assert!(error.contains("has no address, and a result of version 0.2.0 must have one"), "{error}");
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
