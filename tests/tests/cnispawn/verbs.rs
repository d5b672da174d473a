//! `add`, `check` and `del`: cnitool's verbs, for a network namespace that the caller has made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};
use tests::fixture::{Fixture, bridge, fail, succeed};

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

#[test]
fn gc_of_a_network_frees_what_a_lost_namespace_held_and_keeps_the_rest() {
    let fixture = Fixture::new(55);
    for name in ["lost", "kept"] {
        succeed(Command::new("ip").args(["netns", "add", name]));
        succeed(&mut fixture.cnispawn(&["add", "cs-55", &format!("/run/netns/{name}")]));
    }
    succeed(Command::new("ip").args(["netns", "delete", "lost"]));
    let with_both = fixture.before.recapture();
    succeed(&mut fixture.cnispawn(&["gc", "cs-55"]));
    let freed = with_both.difference(&fixture.before.recapture());
    // Its address, its cached result, and its iptables chain with the rule that leads there.
    assert!(freed.contains("- file") && freed.contains("/ipam/cs-55/10.201.55.2\n"), "{freed}");
    assert!(freed.contains("/cache/results/cs-55-cnitool-") && freed.contains("- iptables :CNI-"), "{freed}");
    succeed(&mut fixture.cnispawn(&["check", "cs-55", "/run/netns/kept"]));

    succeed(&mut fixture.cnispawn(&["del", "cs-55", "/run/netns/kept"]));
    succeed(Command::new("ip").args(["netns", "delete", "kept"]));
    succeed(Command::new("ip").args(["link", "delete", "cs-55"]));
    fixture.before.assert_unchanged();
}

#[test]
fn gc_tells_the_plugins_which_attachments_are_valid() {
    let fixture = Fixture::without_network(56);
    let seen = fixture.path("seen");
    let script = format!("cat > {}.$CNI_COMMAND; echo '{{\"cniVersion\": \"1.1.0\"}}'", seen.display());
    fixture.write_plugin("sees", &script);
    let conf = json!({"cniVersions": ["1.0.0", "1.1.0"], "name": "cs-56", "plugins": [{"type": "sees"}]});
    fs::write(fixture.path("net.d/56.conflist"), conf.to_string()).expect("written");
    succeed(Command::new("ip").args(["netns", "add", "mine"]));
    succeed(fixture.cnispawn(&["add", "cs-56", "/run/netns/mine"]).env("CNI_IFNAME", "net1"));
    succeed(&mut fixture.cnispawn(&["gc", "cs-56"]));
    let conf: Value = serde_json::from_slice(&fs::read(fixture.path("seen.GC")).expect("executed")).expect("JSON");
    let valid = &conf["cni.dev/valid-attachments"];
    assert_eq!(valid[0]["ifname"], "net1");
    assert!(valid[0]["containerID"].as_str().is_some_and(|id| id.starts_with("cnitool-")), "{conf}");
    assert_eq!(&conf["cni.dev/attachments"], valid);
    assert!(!fixture.path("seen.DEL").exists(), "it is valid");
    succeed(fixture.cnispawn(&["del", "cs-56", "/run/netns/mine"]).env("CNI_IFNAME", "net1"));
    succeed(Command::new("ip").args(["netns", "delete", "mine"]));
    fixture.before.assert_unchanged();
}

#[test]
fn status_shows_plugins_and_versions_and_why_a_network_is_not_ready() {
    let fixture = Fixture::new(57);
    let table = succeed(&mut fixture.cnispawn(&["status", "cs-57"]));
    assert!(table.starts_with("PLUGIN  STATUS     VERSIONS"), "{table}");
    assert!(table.contains("bridge  not asked  0.1.0,"), "{table}");

    let versions = r#"{"cniVersion": "1.1.0", "supportedVersions": ["1.0.0", "1.1.0"]}"#;
    let busy = r#"{"cniVersion": "1.1.0", "code": 50, "msg": "no uplink"}"#;
    let script = format!("[ $CNI_COMMAND = VERSION ] && {{ echo '{versions}'; exit; }}; echo '{busy}'; exit 1");
    fixture.write_plugin("busy", &script);
    for (version, reason) in [
        ("1.1.0", "failed to STATUS: no uplink (code 50)"),
        ("0.4.0", "does not speak the network's cniVersion \"0.4.0\""),
    ] {
        let conf = json!({"cniVersion": version, "name": "busy", "plugins": [{"type": "busy"}]});
        fs::write(fixture.path("net.d/busy.conflist"), conf.to_string()).expect("written");
        let output = fixture.cnispawn(&["status", "busy", "--json"]).output().expect("runs");
        assert_eq!(output.status.code(), Some(1));
        let row: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((&row["status"], &row["versions"]), (&json!("not-ready"), &json!(["1.0.0", "1.1.0"])));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.starts_with("cnispawn: network busy is not ready: busy: ") && error.contains(reason), "{error}");
    }
}
