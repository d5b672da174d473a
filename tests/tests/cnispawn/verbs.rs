//! `add`, `check` and `del`: cnitool's verbs, for a network namespace that somebody else has made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use super::fixture::{Fixture, bridge, fail, succeed};

#[test]
fn add_check_and_del_in_a_namespace_of_the_users() {
    let fixture = Fixture::new(50);
    succeed(Command::new("ip").args(["netns", "add", "mine"]));
    let verb = |verb: &str| fixture.cnispawn(&[verb, "cs-50", "/run/netns/mine"]);

    let result: Value = serde_json::from_str(&succeed(&mut verb("add"))).expect("a result");
    assert_eq!(result["ips"][0]["address"], "10.201.50.2/24");
    assert_eq!(succeed(&mut verb("check")), "");
    let link = succeed(Command::new("ip").args(["-n", "mine", "-brief", "address", "show", "dev", "eth0"]));
    assert!(link.contains("10.201.50.2/24"), "{link}");

    let error = fail(&mut verb("add"), 1);
    assert!(error.contains("has an interface eth0 already"), "{error}");
    succeed(&mut verb("check"));

    succeed(&mut verb("del"));
    fail(&mut verb("check"), 1);
    assert_eq!(succeed(&mut verb("del")), "", "twice is as good as once");
    succeed(Command::new("ip").args(["netns", "delete", "mine"]));
    succeed(&mut verb("del"));
    // Who made the namespace keeps the bridge; cnitool leaves it, too.
    succeed(Command::new("ip").args(["link", "delete", "cs-50"]));
    fixture.before.assert_unchanged();
}

#[test]
fn the_cache_is_libcnis() {
    let fixture = Fixture::new(51);
    succeed(Command::new("ip").args(["netns", "add", "mine"]));
    let mut add = fixture.cnispawn(&["add", "cs-51", "/run/netns/mine"]);
    let result: Value =
        serde_json::from_str(&succeed(add.env("CNI_IFNAME", "net1").env("CNI_ARGS", "IgnoreUnknown=1")))
            .expect("a result");

    let mut files =
        fs::read_dir(fixture.path("cache/results")).expect("the cache").map(|entry| entry.expect("an entry"));
    let file = files.next().expect("a file");
    let name = file.file_name().into_string().expect("UTF-8");
    assert!(name.starts_with("cs-51-cnitool-") && name.ends_with("-net1"), "{name}");
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    let cached: Value = serde_json::from_slice(&fs::read(file.path()).expect("readable")).expect("JSON");
    assert_eq!((&cached["kind"], &cached["networkName"]), (&json!("cniCacheV1"), &json!("cs-51")));
    assert_eq!(cached["cniArgs"], json!([["IgnoreUnknown", "1"]]));
    assert_eq!(cached["netns"], "/run/netns/mine");
    assert_eq!(cached["result"], result);
}

#[test]
fn a_failed_add_is_rolled_back() {
    let fixture = Fixture::without_network(52);
    fixture.write_plugin("fails", "[ $CNI_COMMAND = ADD ] || exit 0; exit 3");
    fixture.write_conf(&json!([bridge(52, 24, fixture.path("ipam")), {"type": "fails"}]));
    succeed(Command::new("ip").args(["netns", "add", "mine"]));
    let error = fail(&mut fixture.cnispawn(&["add", "cs-52", "/run/netns/mine"]), 1);
    assert!(error.contains("CNI plugin \"fails\" failed to ADD with exit status: 3 and no error object"), "{error}");
    let links = succeed(Command::new("ip").args(["-n", "mine", "-brief", "link"]));
    assert!(!links.contains("eth0"), "{links}");
    succeed(Command::new("ip").args(["netns", "delete", "mine"]));
    succeed(Command::new("ip").args(["link", "delete", "cs-52"]));
    fixture.before.assert_unchanged();
}

#[test]
fn capability_arguments_reach_the_plugins_that_declare_them() {
    let fixture = Fixture::without_network(53);
    let seen = fixture.path("seen");
    let script = format!("cat > {}.$CNI_COMMAND; echo '{{\"cniVersion\": \"1.0.0\"}}'", seen.display());
    fixture.write_plugin("sees", &script);
    fixture.write_conf(&json!([{"type": "sees", "capabilities": {"ips": true}, "x": [1]}]));
    succeed(Command::new("ip").args(["netns", "add", "mine"]));
    let mut add = fixture.cnispawn(&["add", "cs-53", "/run/netns/mine"]);
    succeed(add.env("CAP_ARGS", r#"{"ips": ["10.0.0.9"], "mac": "no"}"#));
    let conf: Value = serde_json::from_slice(&fs::read(fixture.path("seen.ADD")).expect("executed")).expect("JSON");
    assert_eq!(conf["runtimeConfig"], json!({"ips": ["10.0.0.9"]}));
    assert_eq!((&conf["x"], &conf["name"], &conf["cniVersion"]), (&json!([1]), &json!("cs-53"), &json!("1.0.0")));
    succeed(&mut fixture.cnispawn(&["del", "cs-53", "/run/netns/mine"]));
    let conf: Value = serde_json::from_slice(&fs::read(fixture.path("seen.DEL")).expect("executed")).expect("JSON");
    assert_eq!(conf["prevResult"], json!({"cniVersion": "1.0.0"}));
    succeed(Command::new("ip").args(["netns", "delete", "mine"]));
    fixture.before.assert_unchanged();
}

#[test]
fn check_needs_a_version_that_has_it() {
    let fixture = Fixture::without_network(54);
    let conf = json!({"cniVersion": "0.3.1", "name": "old", "type": "bridge"});
    fs::write(fixture.path("net.d/old.conf"), conf.to_string()).expect("written");
    let error = fail(&mut fixture.cnispawn(&["check", "old", "/run/netns/mine"]), 1);
    assert!(error.contains("\"0.3.1\", which has no CHECK"), "{error}");
}
