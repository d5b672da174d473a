//! A user's own machine: NetworkManager, and firewalls that drop what is forwarded. Containers reach each other and the
//! outside all the same, and are reached from outside by published ports only.

use std::fs;
use std::process::Command;

use serde_json::json;
use tests::fixture::{Container, Fixture, bridge, started, succeed, wait_for};
use tests::neighbour::{self, HELLO, Neighbour, asks, is_refused};
use tests::service::Service;

/// A host that takes spoofed addresses and bridged packets seriously, with a network of both families and two containers,
/// the first of which publishes a port.
struct Desktop {
    fixture: Fixture,
    neighbour: Neighbour,
    containers: [Container; 2],
    n: u8,
}

impl Desktop {
    fn new(n: u8) -> Self {
        Self::with(n, Fixture::without_network(n))
    }

    fn with(n: u8, fixture: Fixture) -> Self {
        nodectl::host::modules::load().expect("br_netfilter");
        for (name, value) in [
            ("ipv4/conf/all/rp_filter", "1"),
            ("bridge/bridge-nf-call-iptables", "1"),
            ("bridge/bridge-nf-call-ip6tables", "1"),
        ] {
            fs::write(format!("/proc/sys/net/{name}"), value).expect("a sysctl");
        }
        let mut plugin = bridge(n, 24, fixture.path("ipam"));
        plugin["hairpinMode"] = json!(true);
        let v6 = json!([{"subnet": format!("fd00:201:{n}::/64")}]);
        plugin["ipam"]["ranges"].as_array_mut().expect("an array").push(v6);
        plugin["ipam"]["routes"].as_array_mut().expect("an array").push(json!({"dst": "::/0"}));
        fixture.write_conf(&json!([plugin, {"type": "portmap", "capabilities": {"portMappings": true}}]));
        let neighbour = Neighbour::new();
        let containers = [("web", &["--publish", "8080:80"][..]), ("peer", &[])]
            .map(|(name, options)| started(name, fixture.run_with(name, options, &["--read-only"], HELLO)));
        Desktop { fixture, neighbour, containers, n }
    }

    /// An address of `web` in the network.
    fn web(&self) -> [String; 2] {
        [format!("10.201.{}.2/80", self.n), format!("fd00:201:{}::2/80", self.n)]
    }

    /// Containers reach each other, and are not reached from outside.
    fn assert_apart(&self) {
        for address in self.web() {
            assert_eq!(succeed(&mut asks("peer", &address)), "hello\n", "from a container: {address}");
            assert!(is_refused(neighbour::NETNS, &address), "from outside: {address}");
        }
        assert_eq!(
            succeed(&mut asks("peer", "10.244.1.1/80")),
            "hello\n",
            "a pod, whose address the host does not know"
        );
    }

    /// Containers reach the outside, and the outside a published port.
    fn assert_connected(&self) {
        let mut server = self.neighbour.serves();
        for address in ["192.0.2.2/80", "2001:db8:2::2/80", "192.0.2.1/8080"] {
            assert_eq!(succeed(&mut asks("peer", address)), "hello\n", "from a container: {address}");
        }
        server.kill();
        for address in ["192.0.2.1/8080", "2001:db8:2::1/8080"] {
            assert_eq!(self.neighbour.asks(address), "hello\n", "from outside: {address}");
        }
    }

    /// Give each container an address that only the other one has a route to, as nodes have pods.
    fn add_pods(&self) {
        let n = self.n;
        for words in [
            "-n web address add 10.244.1.1/32 dev lo".to_owned(),
            "-n peer address add 10.244.2.1/32 dev lo".to_owned(),
            format!("-n web route add 10.244.2.0/24 via 10.201.{n}.3 src 10.244.1.1"),
            format!("-n peer route add 10.244.1.0/24 via 10.201.{n}.2 src 10.244.2.1"),
        ] {
            succeed(Command::new("ip").args(words.split(' ')));
        }
    }

    /// The host without its containers and its neighbour.
    fn end(self) -> Fixture {
        self.containers.into_iter().for_each(|mut container| container.kill());
        wait_for("the watchers", || self.fixture.ls().is_empty());
        self.neighbour.leave();
        self.fixture
    }
}

/// What Docker and ufw do to a host, by the iptables that are the host's.
fn drop_forwarded(iptables: &[&str]) {
    for iptables in iptables {
        succeed(Command::new(iptables).args(["--policy", "FORWARD", "DROP"]));
    }
}

fn rules(program: &str) -> String {
    succeed(&mut Command::new(program))
}

#[test]
fn a_host_whose_forward_chain_drops_lets_containers_through_and_nobody_in() {
    let fixture = Fixture::without_network(80);
    drop_forwarded(&["iptables", "ip6tables"]);
    let desktop = Desktop::with(80, fixture);
    desktop.add_pods();
    desktop.assert_apart();
    desktop.assert_connected();
    desktop.end().assert_clean();
}

#[test]
fn the_older_iptables_has_tables_of_its_own() {
    let fixture = Fixture::without_network(81);
    drop_forwarded(&["iptables-legacy", "ip6tables-legacy"]);
    let desktop = Desktop::with(81, fixture);
    desktop.add_pods();
    desktop.assert_apart();
    desktop.assert_connected();
    desktop.end().assert_clean();
    for program in ["iptables-legacy-save", "ip6tables-legacy-save"] {
        assert!(!rules(program).contains("CNISPAWN"), "{program}");
    }
}

#[test]
fn what_a_firewall_forgot_when_it_was_restarted_gc_tells_it_again() {
    let fixture = Fixture::without_network(82);
    drop_forwarded(&["iptables", "ip6tables"]);
    let desktop = Desktop::with(82, fixture);
    desktop.add_pods();
    let (before, table) = (rules("iptables-save"), ["list", "table", "inet", "cnispawn-cs-82"]);
    succeed(Command::new("iptables").args(["--flush"]));
    succeed(Command::new("iptables").args(["--delete-chain"]));
    succeed(Command::new("nft").args(["delete", "table", "inet", "cnispawn-cs-82"]));
    succeed(&mut desktop.fixture.cnispawn(&["gc"]));
    assert!(before.contains("CNISPAWN-cs-82") && rules("iptables-save").contains("-A FORWARD -j CNISPAWN-cs-82"));
    succeed(Command::new("nft").args(table));
    desktop.assert_apart();
    desktop.assert_connected();
    desktop.end().assert_clean();
}

#[test]
fn a_network_that_is_routed_on_purpose_is_reached_from_outside() {
    let fixture = Fixture::without_network(83);
    let mut routed = bridge(83, 24, fixture.path("ipam"));
    routed["ipMasq"] = json!(false);
    fixture.write_conf(&json!([routed]));
    let neighbour = Neighbour::new();
    let mut web = started("web", fixture.run("web", HELLO));
    assert_eq!(neighbour.asks("10.201.83.2/80"), "hello\n");
    web.kill();
    neighbour.leave();
    fixture.assert_clean();
}

#[test]
fn one_network_of_ours_is_not_reached_from_another() {
    let desktop = Desktop::new(84);
    let other = bridge(184, 24, desktop.fixture.path("ipam"));
    let list = json!({"cniVersion": "1.0.0", "name": "other-84", "plugins": [other]});
    fs::write(desktop.fixture.path("net.d/60-other.conflist"), list.to_string()).expect("written");
    let run = desktop.fixture.run_with("other", &["--network", "other-84"], &["--read-only"], HELLO);
    let mut other = started("other", run);
    for [from, to] in [["other", "10.201.84.2/80"], ["web", "10.201.184.2/80"]] {
        assert!(is_refused(from, to), "{to}");
    }
    assert_eq!(succeed(&mut asks("other", "192.0.2.1/8080")), "hello\n", "a published port");
    other.kill();
    desktop.end().assert_clean();
}

#[test]
fn firewalld_lets_containers_through_and_nobody_in() {
    let fixture = Fixture::without_network(85);
    let bus = Service::bus(&fixture);
    let firewalld = Service::firewalld(&fixture);
    let desktop = Desktop::with(85, fixture);
    desktop.add_pods();
    let bound = || succeed(Command::new("firewall-cmd").args(["--zone=trusted", "--list-interfaces"]));
    assert_eq!(bound(), "cs-85\n");
    desktop.assert_apart();
    desktop.assert_connected();

    succeed(Command::new("firewall-cmd").arg("--reload"));
    succeed(&mut desktop.fixture.cnispawn(&["gc"]));
    assert_eq!(bound(), "cs-85\n");
    // Not more: firewalld flushes what the plugins have told iptables, too.
    desktop.assert_apart();

    let fixture = desktop.end();
    assert_eq!(bound(), "\n");
    drop((firewalld, bus));
    fixture.assert_clean();
}

#[test]
fn networkmanager_leaves_the_bridge_alone_through_off_and_on_and_a_restart() {
    let fixture = Fixture::new(86);
    let bus = Service::bus(&fixture);
    let manager = Service::network_manager(&fixture);
    let mut web = fixture.start("web");
    succeed(Command::new("ip").args(["link", "add", "other", "type", "bridge"]));
    succeed(Command::new("ip").args(["address", "add", "192.0.2.1/24", "dev", "other"]));
    succeed(Command::new("ip").args(["link", "set", "other", "up"]));
    wait_for("NetworkManager to have seen both", || {
        state("other").starts_with("connected") && !state("cs-86").is_empty()
    });
    assert_eq!(state("cs-86"), "unmanaged");

    let address = |link| succeed(Command::new("ip").args(["-brief", "-4", "address", "show", "dev", link]));
    succeed(Command::new("nmcli").args(["networking", "off"]));
    wait_for("NetworkManager to take what is its own", || !address("other").contains("192.0.2.1"));
    succeed(Command::new("nmcli").args(["networking", "on"]));
    assert!(address("cs-86").contains("10.201.86.1/24"), "{}", address("cs-86"));

    drop(manager);
    let manager = Service::network_manager(&fixture);
    wait_for("NetworkManager to have seen it", || !state("cs-86").is_empty());
    assert_eq!(state("cs-86"), "unmanaged");

    web.kill();
    wait_for("the watcher", || fixture.ls().is_empty());
    assert_eq!(fs::read_dir("/run/NetworkManager/conf.d").expect("a directory").count(), 0);
    succeed(Command::new("ip").args(["link", "delete", "other"]));
    drop((manager, bus));
}

/// What NetworkManager thinks of a link; nothing yet when it has not seen it.
fn state(link: &str) -> String {
    let devices = succeed(Command::new("nmcli").args(["-t", "-f", "DEVICE,STATE", "device"]));
    let found = devices.lines().find_map(|line| line.strip_prefix(&format!("{link}:")));
    found.unwrap_or_default().to_owned()
}
