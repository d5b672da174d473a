//! What lies in the state and run directories: records that say something else than what we wrote, and links.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::ground::{Ground, try_all};
use super::words::changed;

const NODES: u32 = 60;
const CONTAINERS: u32 = 50;
pub(super) const CASES: u32 = NODES + CONTAINERS;

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, text).expect("written");
}

fn node() -> Value {
    json!({"name": "node1", "cluster": "dev", "role": "worker", "address": "10.200.0.2", "image": "default",
        "generation": "/var/lib/kubeadm-systemd/images/default/0"})
}

fn network() -> Value {
    json!({"name": "kubeadm-systemd-dev", "bridge": "ks-dev", "subnet": "10.200.0.0/24"})
}

/// A machine that does not run: its processes are of another boot.
fn machine() -> Value {
    let process = json!({"pid": 1, "startTime": 1, "bootId": "00000000-0000-0000-0000-000000000000"});
    json!({"supervisor": process, "leader": process, "state": "running",
        "cgroups": {"memory": "/kubeadm-systemd/dev/node1", "": "/kubeadm-systemd/dev/node1"}})
}

#[test]
fn records_of_nodes_and_machines_lead_nobody_outside() {
    Ground::with(|ground| {
        let all = (
            changed(node(), &["/name", "/cluster", "/role", "/address", "/image", "/generation"]),
            changed(network(), &["/name", "/bridge", "/subnet"]),
            changed(machine(), &["/cgroups/memory", "/cgroups/", "/state", "/leader", "/supervisor/startTime"]),
            prop::array::uniform3(any::<bool>()),
        );
        try_all(NODES, all, |(node, network, machine, [hostile_node, hostile_network, hostile_machine])| {
            ground.clear();
            let choose = |hostile, value: Value, good: Value| if hostile { value } else { good };
            let cluster = ground.state().join("clusters/dev");
            put(&cluster.join("nodes/node1/node.json"), &choose(hostile_node, node, self::node()).to_string());
            put(&cluster.join("network.json"), &choose(hostile_network, network, self::network()).to_string());
            let path = ground.path("run/machines/node1.dev.json");
            put(&path, &choose(hostile_machine, machine, self::machine()).to_string());
            // Another cluster, which no command names.
            let other = ground.state().join("clusters/other/nodes/node1/node.json");
            put(&other, &json!({"name": "node1", "cluster": "other"}).to_string());
            for words in [["ls", "--json", "--cluster", "dev"], ["stop", "node1", "--cluster", "dev"]] {
                ground.judge(&mut ground.program("nodectl", &words), b"");
            }
            ground.judge(&mut ground.program("nodectl", &["rm", "--all", "--cluster", "dev"]), b"");
            assert!(other.exists(), "another cluster's node was removed");
        });
    });
}

#[test]
fn a_saved_sysctl_is_one_of_ours() {
    Ground::with(|ground| {
        let outside = ground.outside().join("passwd").display().to_string();
        let saved = json!({outside: "x", "/../../outside/passwd": "x", "kernel.hostname": "hostile"});
        put(&ground.path("run/sysctls.json"), &saved.to_string());
        ground.judge(&mut ground.program("nodectl", &["rm", "--all", "--cluster", "dev"]), b"");
        assert_ne!(fs::read_to_string("/proc/sys/kernel/hostname").expect("read").trim(), "hostile");
    });
}

#[test]
fn a_link_in_a_clusters_directory_is_not_followed() {
    Ground::with(|ground| {
        for link in [".", "nodes", "nodes/node1", "nodes/node1/upper", "log", "ssh", "net.d", "ipam", "kubeconfig"] {
            ground.clear();
            let cluster = ground.state().join("clusters/dev");
            // The cluster's directory itself: without the dot, which would be looked for in it.
            let link: PathBuf = cluster.join(link).components().collect();
            fs::create_dir_all(link.parent().expect("a parent")).expect("made");
            symlink(ground.outside(), &link).expect("linked");
            for (program, words) in [
                ("nodectl", ["rm", "--all", "--cluster", "dev"].as_slice()),
                ("clusterctl", &["down", "--no-reset", "--cluster", "dev"]),
            ] {
                let taken = ground.judge(&mut ground.program(program, words), b"");
                assert_eq!(taken, None, "{program} refuses {}", link.display());
            }
        }
    });
}

#[test]
fn a_containers_record_has_nothing_removed_but_its_own() {
    Ground::with(|ground| {
        let good = json!({
            "name": "web", "process": {"pid": 1, "startTime": 1, "bootId": "none"}, "netns": "/run/netns/web",
            "cacheDir": ground.state().join("cni"), "parked": false,
            "attachments": [{
                "conf": r#"{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"x"}]}"#,
                "attachment": {"containerId": "web", "netns": "/run/netns/web", "ifName": "eth0", "args": [],
                    "capabilityArgs": {}},
                "plugins": {"dirs": [ground.path("work")], "timeout": {"secs": 1, "nanos": 0}},
                "bridgesBefore": [],
            }],
        });
        let fields = &[
            "/name",
            "/netns",
            "/netns",
            "/cacheDir",
            "/process",
            "/attachments",
            "/attachments/0/conf",
            "/attachments/0/attachment/containerId",
            "/attachments/0/attachment/ifName",
            "/attachments/0/attachment/netns",
            "/attachments/0/attachment/args",
            "/attachments/0/plugins",
        ];
        try_all(CONTAINERS, changed(good, fields), |record| {
            ground.clear();
            let text = record.to_string().replace("OUTSIDE", &ground.outside().display().to_string());
            put(&ground.state().join("containers/web.json"), &text);
            ground.judge(&mut ground.program("cnispawn", &["gc"]), b"");
            ground.judge(&mut ground.program("cnispawn", &["ls"]), b"");
        });
        // The file that a network namespace would be: truncated to make one, and then removed.
        put(&ground.state().join("containers/web.json"), &json!({
            "name": "web", "process": {"pid": 1, "startTime": 1, "bootId": "none"}, "netns": ground.outside().join("netns"),
            "cacheDir": "/", "attachments": [],
        }).to_string());
        assert_eq!(ground.judge(&mut ground.program("cnispawn", &["gc"]), b""), None);
    });
}
