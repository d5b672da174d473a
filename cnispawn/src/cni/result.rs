//! The result of ADD: checked when a plugin has printed it, converted for the next one.

mod check;
mod convert;
mod error;

use serde_json::Value;

use self::check::check;
pub use self::convert::convert;
pub use self::error::ResultError;
use super::nesting;
use super::version::Version;

/// A result as a plugin printed it, checked, in the version of the configuration.
///
/// A plugin must answer in the version of its configuration (section 5). An answer in another version is converted, so
/// that the next plugin of the chain reads one version; an answer without a version is of the configuration's.
///
/// # Errors
/// A field has a wrong type, or the result has no equivalent in that version.
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

/// The addresses in a result of any version, each with its prefix length.
pub fn addresses(result: &Value) -> impl Iterator<Item = &str> {
    let listed = result["ips"].as_array().into_iter().flatten().map(|ip| &ip["address"]);
    let single = ["ip4", "ip6"].into_iter().map(|family| &result[family]["ip"]);
    listed.chain(single).filter_map(Value::as_str)
}

/// The result with the hardware addresses that links on the host have now; `mac` gives them by the links' names.
pub(crate) fn with_macs_of_host(mut result: Value, mac: impl Fn(&str) -> Option<String>) -> Value {
    for interface in result.get_mut("interfaces").and_then(Value::as_array_mut).into_iter().flatten() {
        let on_host = interface["sandbox"].as_str().is_none_or(str::is_empty);
        let now = interface["name"].as_str().filter(|_| on_host).and_then(&mac);
        if let (Some(now), Some(interface)) = (now, interface.as_object_mut()) {
            interface.insert("mac".into(), now.into());
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cni::nesting;

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

    #[test]
    fn unknown_fields_do_not_replace_the_address_in_another_version() {
        let listed = json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24", "ip": 7, "routes": 7}]});
        let single = json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24"}});
        assert_eq!(accept(listed, "0.2.0").expect("a result"), single);
        let single = json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24", "address": 7, "version": 7}});
        assert_eq!(accept(single, "1.0.0").expect("a result")["ips"], json!([{"address": "10.0.0.2/24"}]));
    }
}
