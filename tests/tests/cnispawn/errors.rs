//! Whatever is wrong is one clear error, and nothing is left half-made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::json;
use tests::fixture::{Fixture, bridge, fail, install, succeed};

#[test]
fn a_failed_add_of_the_second_plugin_is_rolled_back() {
    let fixture = Fixture::without_network(40);
    let log = fixture.path("log");
    let fails =
        r#"[ $CNI_COMMAND = ADD ] || exit 0; echo '{"code": 100, "msg": "not today", "details": "rain"}'; exit 1"#;
    fixture.write_plugin("fails", &format!("echo $CNI_COMMAND >> {}; {fails}", log.display()));
    fixture.write_conf(&json!([bridge(40, 24, fixture.path("ipam")), {"type": "fails"}]));
    let error = fail(&mut fixture.run("web", "true"), 1);
    assert!(
        error.starts_with("cnispawn: network cs-40: CNI plugin \"fails\" failed to ADD: not today: rain (code 100)"),
        "{error}"
    );
    assert!(error.contains("\n  to replay: printf %s '{"), "{error}");
    fixture.before.assert_unchanged();
    assert_eq!(fs::read_to_string(log).expect("executed"), "ADD\nDEL\n", "DEL goes to the plugin that failed, too");
}

#[test]
fn an_exhausted_address_pool_is_told_and_the_others_stay() {
    let fixture = Fixture::without_network(41);
    // .1 is the gateway, .2 the only other host address of a /30.
    fixture.write_conf(&json!([bridge(41, 30, fixture.path("ipam"))]));
    let mut web = fixture.start("web");
    let error = fail(&mut fixture.run("late", "true"), 1);
    assert!(error.contains("no IP addresses available"), "{error}");
    assert_eq!(fixture.ls().len(), 1);
    let gateway = succeed(Command::new("ip").args(["-brief", "address", "show", "dev", "cs-41"]));
    assert!(gateway.contains("10.201.41.1/30"), "the bridge is in use: {gateway}");
    web.kill();
    fixture.assert_clean();
}

#[test]
fn a_name_in_use_is_told_with_its_process() {
    let fixture = Fixture::new(42);
    let mut web = fixture.start("web");
    let error = fail(&mut fixture.run("web", "true"), 1);
    assert!(error.contains(&format!("container web runs already, as process {}", web.pid())), "{error}");
    assert_eq!(fixture.ls()[0]["state"], "running");
    web.kill();
    fixture.assert_clean();
}

#[test]
fn a_network_namespace_of_somebody_else_is_left_alone() {
    let fixture = Fixture::new(43);
    succeed(Command::new("ip").args(["netns", "add", "web"]));
    let error = fail(&mut fixture.run("web", "true"), 1);
    assert!(error.contains("/run/netns/web exists and is not cnispawn's"), "{error}");
    succeed(Command::new("ip").args(["netns", "delete", "web"]));
    fixture.assert_clean();
}

#[test]
fn what_is_missing_is_named() {
    let fixture = Fixture::new(44);
    let error = fail(&mut fixture.cnispawn(&["run", "web", "--network", "nope", "--"]), 1);
    assert!(error.contains("no CNI network \"nope\" in ") && error.contains("which has cs-44"), "{error}");
    let error = fail(&mut fixture.cnispawn(&["run", "web", "--exec", "no-such-nspawn", "--"]), 1);
    assert!(error.contains("no-such-nspawn not found in PATH; install"), "{error}");
    let error = fail(fixture.run("web", "true").env("CNI_PATH", "/nowhere:/else"), 1);
    assert!(error.contains("CNI plugin \"bridge\" not found in /nowhere, /else; install"), "{error}");
    let error = fail(fixture.run("web", "true").env("NETCONFPATH", "/nowhere"), 1);
    assert!(error.contains("no CNI configuration directory /nowhere"), "{error}");
    fixture.before.assert_unchanged();
}

#[test]
fn a_malformed_neighbour_is_named_and_hides_nothing() {
    let fixture = Fixture::new(45);
    fs::write(fixture.path("net.d/10-bad.conflist"), "{").expect("written");
    let output = fixture.run("web", "true").output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains("net.d/10-bad.conflist is not a CNI network"), "{stderr}");
    fixture.assert_clean();
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let fixture = Fixture::new(46);
    for name in ["Web", "a/b", "..", "-x-"] {
        let error = fail(&mut fixture.cnispawn(&["run", "--", name]), 2);
        assert!(error.contains("DNS labels") || error.contains("required"), "{error}");
    }
    let error = fail(&mut fixture.cnispawn(&["run", "a_b"]), 2);
    assert!(error.contains("container name \"a_b\" is not made of DNS labels"), "{error}");
    for (args, why) in [
        (&["run", "web", "--", "--network-veth"][..], "--network-veth does not go with a CNI network"),
        (&["run", "web", "--supervised", "--", "-U"], "--supervised does not go with --private-users"),
        (&["run", "web", "--network", "cs-46", "--network", "cs-46"], "network cs-46 is named twice"),
        (&["run", "web", "--network", "cs-46:colour=red"], "\"colour=red\" is not a setting of a network"),
        (&["run", "web", "--publish", "80"], "\"80\" is not a port to publish"),
        (&["run", "web", "--bandwidth", "fast"], "\"fast\" is not a bandwidth"),
    ] {
        let error = fail(&mut fixture.cnispawn(args), 2);
        assert!(error.contains(why), "{error}");
    }
    let error = fail(&mut fixture.cnispawn(&["run", "web", "--publish", "80:80"]), 1);
    assert!(
        error.contains("--publish needs the capability \"portMappings\", which no plugin of cs-46 declares"),
        "{error}"
    );
    fixture.before.assert_unchanged();
}

#[test]
fn without_root_nothing_is_tried() {
    let fixture = Fixture::new(47);
    let copy = fixture.path("cnispawn");
    install(&tests::bin("cnispawn"), &copy);
    fs::set_permissions(fixture.dir.path(), fs::Permissions::from_mode(0o755)).expect("readable");
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy).args(["run", "web", "--", "-D", "/"]);
    let error = fail(&mut nobody, 1);
    assert!(error.contains("must run as root"), "{error}");
    fixture.before.assert_unchanged();
}
