//! A cached result of one version, for a configuration that has another by now: both tools convert it.

use serde_json::{Value, json};

use super::case::{Case, chain};
use super::reason::Reason;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for steps in ["add version-0.4.0 check del", "add version-1.0.0 check del", "add version-1.1.0 check del"] {
        let results = ["0.1.0", "0.2.0"].into_iter().flat_map(of_family);
        for (name, result) in
            results.chain(["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"].into_iter().flat_map(of_lists))
        {
            let version = result["cniVersion"].as_str().unwrap_or_default();
            let case = Case::new(format!("{steps}: a result of {version} {name}"), version, &chain(1), steps);
            let case = case.result(&result);
            // In 0.4.0 an interface had no mtu.
            let more = name == "with the newest fields" && steps.contains("0.4.0");
            cases.push(if more { case.because(Reason::UnknownFields) } else { case });
        }
    }
    cases
}

/// With `ip4` and `ip6`.
fn of_family(version: &str) -> Vec<(&'static str, Value)> {
    let four = json!({
        "ip": "10.1.0.2/24", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "10.9.0.0/16"}],
    });
    let six = json!({"ip": "fd00::2/64", "gateway": "fd00::1", "routes": [{"dst": "::/0", "gw": "fd00::1"}]});
    vec![
        ("of both families", json!({"cniVersion": version, "ip4": four, "ip6": six})),
        ("of family 6", json!({"cniVersion": version, "ip6": six, "dns": {"domain": "a"}})),
        ("with an address only", json!({"cniVersion": version, "ip4": {"ip": "10.1.0.2/24"}})),
        ("without an address", json!({"cniVersion": version, "dns": {"search": ["a"]}})),
    ]
}

/// With `interfaces`, `ips` and `routes`.
fn of_lists(version: &str) -> Vec<(&'static str, Value)> {
    let mut ips = json!([
        {"version": "6", "address": "fd00::2/64", "gateway": "fd00::1", "interface": 1},
        {"version": "4", "address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 1},
        {"version": "4", "address": "10.1.0.3/24"},
    ]);
    let named = version < "1.0.0";
    for ip in ips.as_array_mut().into_iter().flatten().filter(|_| !named) {
        ip.as_object_mut().map(|ip| ip.remove("version"));
    }
    let routes = json!([
        {"dst": "::/0", "gw": "fd00::1"}, {"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "10.9.0.0/16"},
        {"dst": "10.8.0.0/16", "mtu": 1400, "table": 0, "scope": 253},
    ]);
    let all = json!({
        "cniVersion": version, "ips": ips, "routes": routes,
        "interfaces": [{"name": "br0", "mac": "02:00:00:00:00:01"}, {"name": "eth0", "sandbox": "/run/netns/mine"}],
        "dns": {"nameservers": ["10.1.0.1"], "search": ["a"], "domain": "b", "options": ["c"]},
    });
    let newest = json!({
        "cniVersion": version, "interfaces": [{"name": "eth0", "mtu": 1400, "pciID": "x", "socketPath": "/y"}],
    });
    let mut results = vec![("with all", all), ("with nothing", json!({"cniVersion": version}))];
    if !named {
        results.push(("with the newest fields", newest));
    }
    results
}
