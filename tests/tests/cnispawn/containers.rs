//! What `run` offers beside one network: several, published ports, fixed addresses, DNS, user namespaces, reboots.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::fixture::{Fixture, bridge, fail, started, succeed, wait_for};
use tests::neighbour::{HELLO, Neighbour};

/// What a container needs to own, for a user namespace: a root that may be written to.
const IN_USER_NAMESPACE: &[&str] = &["--private-users=pick", "--private-users-ownership=chown"];

/// Two networks: `cs-N` with published ports, and `other-N`.
fn two_networks(n: u8) -> Fixture {
    let fixture = Fixture::without_network(n);
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    fixture.write_conf(&json!([bridge(n, 24, fixture.path("ipam")), portmap]));
    let mut other = bridge(n + 100, 24, fixture.path("ipam"));
    // The first network's default route is enough.
    other["ipam"].as_object_mut().expect("an object").remove("routes");
    let list = json!({"cniVersion": "1.0.0", "name": format!("other-{n}"), "plugins": [other]});
    fs::write(fixture.path("net.d/60-other.conflist"), list.to_string()).expect("written");
    fixture
}

/// Two networks and a published port, reached from a second network namespace.
fn two_networks_and_a_port(n: u8, nspawn: &[&str]) {
    let fixture = two_networks(n);
    let neighbour = Neighbour::new();
    let networks = ["--network", &format!("cs-{n}"), "--network", &format!("other-{n}"), "--publish", "8080:80/tcp"];
    let mut web = started("web", fixture.run_with("web", &networks, nspawn, HELLO));
    assert_eq!(neighbour.asks("192.0.2.1/8080"), "hello\n");
    let rows = fixture.ls();
    assert_eq!(rows[0]["networks"], json!([format!("cs-{n}"), format!("other-{n}")]));
    assert_eq!(rows[0]["addresses"], json!([format!("10.201.{n}.2"), format!("10.201.{}.2", n + 100)]));
    let links = succeed(Command::new("ip").args(["-n", "web", "-brief", "-4", "address"]));
    assert!(
        links.contains(&format!("10.201.{n}.2/24")) && links.contains(&format!("10.201.{}.2/24", n + 100)),
        "{links}"
    );
    web.kill();
    neighbour.leave();
    fixture.assert_clean();
}

#[test]
fn two_networks_and_a_published_port() {
    two_networks_and_a_port(60, &["--read-only"]);
}

#[test]
fn two_networks_and_a_published_port_in_a_user_namespace() {
    two_networks_and_a_port(61, IN_USER_NAMESPACE);
}

#[test]
fn a_container_in_a_user_namespace_has_its_network_from_its_first_instruction() {
    let fixture = Fixture::new(62);
    for _ in 0..5 {
        let script = "cat /proc/self/uid_map; ip -brief -4 address show dev eth0";
        let output = succeed(&mut fixture.run_with("web", &[], IN_USER_NAMESPACE, script));
        assert!(!output.trim_start().starts_with("0          0"), "mapped elsewhere: {output}");
        assert!(output.contains("10.201.62."), "{output}");
        fixture.assert_clean();
    }
}

#[test]
fn a_container_in_a_user_namespace_that_cannot_be_attached_does_not_run() {
    let fixture = Fixture::without_network(63);
    fixture
        .write_plugin("fails", "[ $CNI_COMMAND = ADD ] || exit 0; echo '{\"code\": 100, \"msg\": \"rain\"}'; exit 1");
    fixture.write_conf(&json!([bridge(63, 24, fixture.path("ipam")), {"type": "fails"}]));
    let output = fixture.run_with("web", &[], IN_USER_NAMESPACE, "echo ran").output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(
        stderr.contains("cnispawn: network cs-63: CNI plugin \"fails\" failed to ADD: rain (code 100)"),
        "{stderr}"
    );
    fixture.assert_clean();
}

#[test]
fn fixed_addresses_and_hardware_addresses_by_capability_and_by_arguments() {
    let fixture = Fixture::new(64);
    let mut capable = bridge(164, 24, fixture.path("ipam"));
    capable["capabilities"] = json!({"ips": true, "mac": true});
    let list = json!({"cniVersion": "1.0.0", "name": "capable", "plugins": [capable]});
    fs::write(fixture.path("net.d/60.conflist"), list.to_string()).expect("written");
    let script = "ip -brief address show dev eth0; cat /sys/class/net/eth0/address";
    for (network, address) in [("cs-64", "10.201.64.77"), ("capable", "10.201.164.77")] {
        let option = format!("{network}:ip={address},mac=02:00:00:00:00:4d");
        let output = succeed(&mut fixture.run_with("web", &["--network", &option], &["--read-only"], script));
        assert!(output.contains(&format!("{address}/24")) && output.ends_with("02:00:00:00:00:4d\n"), "{output}");
        fixture.assert_clean();
    }
}

#[test]
fn bandwidth_is_limited_in_both_directions() {
    let fixture = Fixture::without_network(65);
    let bandwidth = json!({"type": "bandwidth", "capabilities": {"bandwidth": true}});
    fixture.write_conf(&json!([bridge(65, 24, fixture.path("ipam")), bandwidth]));
    let options = ["--bandwidth", "ingress=8M,egress=4M"];
    let mut web = started("web", fixture.run_with("web", &options, &["--read-only"], "echo up; exec sleep 1000"));
    let limits = succeed(Command::new("tc").args(["qdisc", "show"]));
    assert!(limits.contains("tbf") && limits.contains("rate 8Mbit") && limits.contains("rate 4Mbit"), "{limits}");
    web.kill();
    wait_for("the watcher", || fixture.ls().is_empty());
    // The kernel makes these with its module, in the first namespace that needs it.
    for link in ["ifb0", "ifb1"].iter().filter(|link| fs::exists(format!("/sys/class/net/{link}")).expect("sysfs")) {
        succeed(Command::new("ip").args(["link", "delete", link]));
    }
    fixture.assert_clean();
}

#[test]
fn the_networks_nameservers_are_the_containers() {
    let fixture = Fixture::without_network(66);
    let mut named = bridge(66, 24, fixture.path("ipam"));
    named["dns"] = json!({"nameservers": ["192.0.2.53"], "search": ["a.example"]});
    fixture.write_conf(&json!([named]));
    fs::write(fixture.path("root/etc/resolv.conf"), "nameserver 198.51.100.1\n").expect("written");
    let expected = "nameserver 192.0.2.53\nsearch a.example\n";
    for nspawn in [&["--read-only"][..], IN_USER_NAMESPACE] {
        let output = succeed(&mut fixture.run_with("web", &[], nspawn, "cat /etc/resolv.conf"));
        assert_eq!(output, expected, "{nspawn:?}");
        fixture.assert_clean();
    }
    let own = succeed(&mut fixture.run_with("web", &[], &["--read-only", "--resolv-conf=off"], "cat /etc/resolv.conf"));
    assert_eq!(own, "nameserver 198.51.100.1\n", "who says --resolv-conf means it");
    fixture.assert_clean();
}

#[test]
fn with_no_configuration_at_all_there_is_a_network() {
    let fixture = Fixture::without_network(67);
    // A route of the host's that the first choice would collide with.
    succeed(Command::new("ip").args(["route", "add", "10.202.0.0/23", "dev", "lo"]));
    let script = "ip -brief address show dev eth0; ip route; ip -6 route";
    let output = succeed(fixture.run("web", script).env("NETCONFPATH", fixture.path("bin")));
    assert!(output.contains("10.202.2.2/24") && output.contains("default via 10.202.2.1"), "{output}");
    assert!(output.contains("::2/64") && output.contains("default via fd"), "{output}");
    let conf = fs::read_to_string(fixture.path("state/cnispawn0.conflist")).expect("kept");

    let again = succeed(fixture.run("web", script).env("NETCONFPATH", fixture.path("bin")));
    assert!(again.contains("10.202.2.3/24"), "the same network: {again}");
    let status = succeed(fixture.cnispawn(&["status", "cnispawn0"]).env("NETCONFPATH", fixture.path("bin")));
    assert!(status.contains("portmap"), "{status}");
    wait_for("the watcher", || fixture.ls().is_empty());
    // A VPN takes its subnet: no container uses the network, so it moves.
    succeed(Command::new("ip").args(["route", "add", "10.202.0.0/22", "dev", "lo"]));
    let moved = succeed(fixture.run("web", script).env("NETCONFPATH", fixture.path("bin")));
    assert!(moved.contains("10.202.4.2/24"), "{moved}");
    assert_ne!(fs::read_to_string(fixture.path("state/cnispawn0.conflist")).expect("kept"), conf);
    wait_for("the watcher", || fixture.ls().is_empty());
    // What is kept for the next time.
    fs::remove_file(fixture.path("state/cnispawn0.conflist")).expect("there");
    fs::remove_file(fixture.path("state/cnispawn0.lock")).expect("there");
    fixture.assert_clean();
}

#[test]
fn a_host_that_would_lose_its_advertised_route_gets_no_ipv6() {
    let fixture = Fixture::without_network(72);
    let neighbour = Neighbour::new();
    succeed(Command::new("ip").args("-6 address add 2001:db8::2/64 dev toward nodad".split(' ')));
    succeed(Command::new("ip").args("-6 route add default via 2001:db8::1 dev toward proto ra".split(' ')));
    let mut run = fixture.run("web", "ip -brief address show dev eth0");
    let output = succeed(run.env("NETCONFPATH", fixture.path("bin")));
    // An address that begins with fd; fe80:: may have one in its middle.
    assert!(output.contains("10.202.") && !output.contains(" fd"), "{output}");
    let forwarding = fs::read_to_string("/proc/sys/net/ipv6/conf/all/forwarding").expect("a sysctl");
    assert_eq!(forwarding.trim(), "0", "router advertisements are still believed");
    wait_for("the watcher", || fixture.ls().is_empty());
    neighbour.leave();
    fs::remove_file(fixture.path("state/cnispawn0.conflist")).expect("there");
    fs::remove_file(fixture.path("state/cnispawn0.lock")).expect("there");
    fixture.assert_clean();
}

/// `cnispawn run` of what does as systemd-nspawn when its container reboots: it ends with 133, and is to be started
/// again. Returns what the container has seen of its network.
fn reboot(fixture: &Fixture, supervised: &[&str]) -> String {
    let script = "ip -brief -4 address show dev eth0; cat /sys/class/net/eth0/ifindex /sys/class/net/eth0/address";
    fixture.write_plugin("reboots", &format!("ip netns exec web sh -c '{script}'; exit 133"));
    let mut run = fixture.cnispawn(&[&["run", "web"], supervised, &["--exec"]].concat());
    let output = run.arg(fixture.path("bin/reboots")).output().expect("runs");
    assert_eq!(output.status.code(), Some(133), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What a supervisor does when its container reboots.
fn release_for_reboot(fixture: &Fixture) {
    succeed(fixture.cnispawn(&["release", "web"]).env("EXIT_STATUS", "133"));
    assert_eq!(fixture.ls()[0]["state"], "rebooting");
}

/// Whether the kernel tells the watcher how a container ended, which is no child of its: since Linux 6.15.
fn kernel_tells_how_others_end() -> bool {
    let release = succeed(Command::new("uname").arg("-r"));
    let mut numbers = release.split(['.', '-']).map_while(|number| number.trim().parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

#[test]
fn a_container_that_reboots_keeps_its_network() {
    let fixture = Fixture::new(68);
    let first = reboot(&fixture, &["--supervised"]);
    assert!(first.contains("10.201.68.2/24"), "{first}");
    release_for_reboot(&fixture);
    assert_eq!(reboot(&fixture, &["--supervised"]), first, "the same interface, with the same addresses");
    release_for_reboot(&fixture);

    let other = fixture.run("web", "cat /sys/class/net/eth0/address").env("CNI_ARGS", "IgnoreUnknown=1").output();
    let other = String::from_utf8(other.expect("runs").stdout).expect("UTF-8");
    assert!(!first.contains(&other), "with other parameters it is another interface");
    fixture.assert_clean();

    reboot(&fixture, &["--supervised"]);
    succeed(fixture.cnispawn(&["release", "web"]).env("EXIT_STATUS", "0"));
    fixture.before.assert_unchanged();
    succeed(&mut fixture.cnispawn(&["release", "web"]));
}

#[test]
fn without_a_supervisor_a_reboot_keeps_the_network_where_the_kernel_tells_of_it() {
    let fixture = Fixture::new(73);
    let first = reboot(&fixture, &[]);
    if kernel_tells_how_others_end() {
        wait_for("the watcher to let go", || fixture.ls()[0]["state"] == "rebooting");
        assert_eq!(reboot(&fixture, &[]), first);
        wait_for("the watcher to let go", || fixture.ls()[0]["state"] == "rebooting");
        succeed(&mut fixture.cnispawn(&["gc"]));
    }
    fixture.assert_clean();
}

#[test]
fn what_a_reboot_left_is_undone_by_gc() {
    let fixture = Fixture::new(69);
    reboot(&fixture, &["--supervised"]);
    release_for_reboot(&fixture);
    succeed(&mut fixture.cnispawn(&["gc"]));
    fixture.before.assert_unchanged();
}

#[test]
fn a_dry_run_prints_what_would_be_run_and_changes_nothing() {
    let fixture = Fixture::new(70);
    let output =
        succeed(&mut fixture.cnispawn(&["run", "web", "--dry-run", "--", "--keep-unit", "-D", "/x y", "--boot"]));
    assert!(output.starts_with("# eth0 in network cs-70\nprintf %s '{"), "{output}");
    assert!(output.contains("CNI_COMMAND=ADD CNI_CONTAINERID=web CNI_NETNS=/run/netns/web"), "{output}");
    let nspawn =
        "'--network-namespace-path=/run/netns/web' --private-network '--machine=web' --keep-unit -D '/x y' --boot\n";
    assert!(output.ends_with(nspawn), "{output}");
    fixture.before.assert_unchanged();

    // The lines can be pasted: this one fails only for want of a namespace.
    let line = output.lines().nth(1).expect("a plugin");
    let pasted = Command::new("sh").args(["-c", line]).output().expect("runs");
    let said: Value = serde_json::from_slice(&pasted.stdout).expect("an error object");
    assert!(said["msg"].as_str().is_some_and(|message| message.contains("/run/netns/web")), "{said}");
    succeed(Command::new("ip").args(["link", "delete", "cs-70"]));
}

#[test]
fn a_published_port_has_an_address_of_its_own() {
    let fixture = two_networks(71);
    let neighbour = Neighbour::new();
    succeed(Command::new("ip").args(["address", "add", "192.0.2.9/24", "dev", "toward"]));
    let mut web = started("web", fixture.run_with("web", &["--publish", "192.0.2.9:8080:80"], &["--read-only"], HELLO));
    assert_eq!(neighbour.asks("192.0.2.9/8080"), "hello\n");
    let elsewhere: SocketAddr = "192.0.2.1:8080".parse().expect("an address");
    TcpStream::connect_timeout(&elsewhere, Duration::from_secs(5)).expect_err("not published there");
    web.kill();
    neighbour.leave();
    fixture.assert_clean();
    let error = fail(&mut fixture.run_with("web", &["--network", "other-71", "--publish", "80:80"], &[], "true"), 1);
    assert!(error.contains("which no plugin of other-71 declares"), "{error}");
}
