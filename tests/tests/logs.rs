//! See what a cluster does and what is wrong with it: logs, exports; and give it images from a registry on this host.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use nodectl::image::layer::{self, Entry, Layer};
use nodectl::image::oci::Image;
use serde_json::{Value, json};
use tests::HostState;
use tests::cluster::{Cluster, refused};
use tests::fixture::{succeed, wait_for};
use tests::server::Server;
use walkdir::WalkDir;

const NODES: [&str; 2] = ["node1", "node2"];

#[test]
fn logs_are_shown_and_exported_and_images_pulled_from_this_host() {
    let cluster = Cluster::new("logs-test");
    let host = HostState::capture(&[]);
    cluster.up(2);
    every_component_has_its_log(&cluster);
    bad_requests_are_refused(&cluster);
    a_follower_sees_a_restarted_scheduler_and_leaves_nothing(&cluster);
    nodectl_leaves_nothing_in_a_node_when_it_is_killed(&cluster);
    a_pod_runs_from_a_registry_on_this_host(&cluster);
    everything_is_exported_but_secrets(&cluster);
    without_the_api_server_the_rest_is_exported(&cluster);
    without_a_node_the_other_is_exported(&cluster);
    succeed(&mut cluster.wrapper(&["down"]));
    host.wait_unchanged();
}

fn logs(cluster: &Cluster, words: &[&str]) -> String {
    succeed(&mut cluster.clusterctl(&[&["logs"], words].concat()))
}

fn every_component_has_its_log(cluster: &Cluster) {
    for (component, says) in [
        ("kube-apiserver", "Serving securely on"),
        ("kube-controller-manager", "Successfully acquired lease"),
        ("kube-scheduler", "Successfully acquired lease"),
        ("etcd", "ready to serve client requests"),
    ] {
        let log = logs(cluster, &[component]);
        assert!(log.contains(says), "{component}: {log}");
        // Of one node, and without what the CRI puts before a line.
        let first = log.lines().next().expect("a line");
        assert!(!first.starts_with('[') && !first.contains(" stderr F "), "{first}");
    }
    for (component, says) in
        [("kubelet", "Started kubelet"), ("containerd", "containerd successfully booted"), ("kube-proxy", "Starting")]
    {
        let log = logs(cluster, &[component]);
        for node in NODES {
            let says = |line: &str| line.starts_with(&format!("[{node}] ")) && line.contains(says);
            assert!(log.lines().any(says), "{component} on {node}: {log}");
        }
        let tail = logs(cluster, &[component, "--tail", "2", "--node", "node2"]);
        let whole = logs(cluster, &[component, "--node", "node2"]);
        assert!(tail.lines().count() == 2 && !tail.starts_with('['), "{tail}");
        assert!(whole.lines().count() > 2 && whole.contains(tail.lines().next().expect("a line")), "{component}");
    }
    let pods = logs(cluster, &["coredns"]);
    assert!(pods.lines().all(|line| line.contains("] [coredns-")) && pods.contains("CoreDNS-"), "{pods}");
    let stamped = logs(cluster, &["kube-scheduler", "--timestamps", "--since", "1h"]);
    let year = |line: &str| line.len() > 20 && line.starts_with("20") && line.as_bytes()[10] == b'T';
    assert!(!stamped.is_empty() && stamped.lines().all(year), "{stamped}");
}

fn bad_requests_are_refused(cluster: &Cluster) {
    for (words, says) in [
        (&["logs", "kubeadm"][..], "kubeadm has no log of its own; Ansible runs it"),
        (&["logs", "runc"], "`clusterctl logs containerd`"),
        (&["logs", "etcd", "--node", "node2"], "etcd does not run on node node2; it does on node1"),
        (&["logs", "kubelet", "--node", "nobody"], "kubelet does not run on node nobody; it does on node1, node2"),
        (&["logs", "kubelet", "--cluster", "nowhere"], "cluster nowhere does not exist"),
        (&["logs", "kubelet", "--since", "yesterday"], "invalid value 'yesterday' for '--since <DURATION>'"),
        (&["logs", "etcd", "--previous"], "etcd has no log of an earlier container on node1"),
        (&["export-logs", "/etc"], "/etc is not empty; name a directory that is not there yet"),
        (&["export-logs", "/etc/passwd"], "/etc/passwd: Not a directory"),
        (&["export-logs", "/tmp/x", "--cluster", "nowhere"], "cluster nowhere does not exist"),
    ] {
        let said = refused(&mut cluster.clusterctl(words));
        assert!(said.contains(says), "{words:?}: {said}");
    }
}

/// The processes on a node that read logs. One that nodectl has started there becomes a zombie when nodectl is killed, until
/// the host's PID 1 reaps it, which may take its time: it does not count.
fn readers(cluster: &Cluster, node: &str) -> String {
    cluster.on_node(node, "ps -eo stat=,comm= | awk '$1 !~ /^Z/ && $2 ~ /journalctl|python3/'")
}

fn a_follower_sees_a_restarted_scheduler_and_leaves_nothing(cluster: &Cluster) {
    let mut follow = cluster.clusterctl(&["logs", "kube-scheduler", "--follow", "--tail", "1"]);
    let mut child = follow.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.next().is_some(), "what was there");
    cluster.on_node("node1", "pkill -9 -x kube-scheduler");
    assert!(lines.any(|line| line.contains("Starting Kubernetes Scheduler")), "it goes on with the new container");
    assert!(logs(cluster, &["kube-scheduler", "--previous"]).contains("Successfully acquired lease"));
    child.kill().expect("killed");
    child.wait().expect("reaped");
    // A reader that has enough ends them all, although nothing more comes.
    let mut follow = cluster.clusterctl(&["logs", "kubelet", "--follow"]);
    let mut child = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("read");
    assert!(line.starts_with("[node"), "{line}");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "quietly: {output:?}");
    for node in NODES {
        wait_for("the end of what reads logs on the nodes", || readers(cluster, node).is_empty());
    }
}

fn nodectl_leaves_nothing_in_a_node_when_it_is_killed(cluster: &Cluster) {
    let mut follow = cluster.nodectl(&["logs", "node2", "--follow"]);
    let mut child = follow.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("read");
    assert!(!line.is_empty() && !readers(cluster, "node2").is_empty(), "{line}");
    child.kill().expect("killed");
    child.wait().expect("reaped");
    wait_for("the end of journalctl", || readers(cluster, "node2").is_empty());
}

fn a_pod_runs_from_a_registry_on_this_host(cluster: &Cluster) {
    let network: Value =
        serde_json::from_slice(&fs::read(cluster.dir().join("network.json")).expect("read")).expect("JSON");
    let subnet = network["subnet"].as_str().expect("a subnet");
    let gateway = format!("{}.1", subnet.rsplit_once('.').expect("IPv4").0);

    let on_loopback = Server::at("127.0.0.1:0");
    let name = format!("localhost:{}", on_loopback.address.port());
    let said = refused(&mut cluster.nodectl(&["load", "--local-registry", &name]));
    assert!(
        said.contains(&format!("on loopback alone, which nodes do not reach: have it listen on {gateway}")),
        "{said}"
    );
    let said = refused(&mut cluster.nodectl(&["load", "--local-registry", "localhost:1"]));
    assert!(said.contains("nothing listens there: start one"), "{said}");
    let said = refused(&mut cluster.nodectl(&["load", "--local-registry", "localhost"]));
    assert!(said.contains("it is not HOST:PORT"), "{said}");
    assert_eq!(
        cluster.on_node("node1", "ls /etc/containerd/certs.d 2>/dev/null || [ $? = 2 ]"),
        "",
        "nothing was changed"
    );

    let registry = Server::at(&format!("{gateway}:0"));
    let name = format!("localhost:{}", registry.address.port());
    let reference = format!("{name}/mine/etcdctl:v1");
    let mut layer = Layer::new();
    let etcdctl = succeed(&mut cluster.nodectl(&["which", "etcdctl"]));
    layer::add(&mut layer, "etcdctl", Entry::File(etcdctl.trim().into()));
    registry.push(&Image {
        reference: reference.clone(),
        entrypoint: "/etcdctl".to_owned(),
        layer,
        ..Image::default()
    });
    for changed in [true, false] {
        let records = succeed(&mut cluster.nodectl(&["load", "--local-registry", &name]));
        let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let record = |node| {
            let server = format!("http://{}", registry.address);
            json!({"cluster": "logs-test", "node": node, "registry": name, "server": server, "changed": changed})
        };
        assert_eq!(records, NODES.map(record));
    }
    let words =
        ["run", "pulled", "--image", &reference, "--image-pull-policy=Always", "--restart=Never", "--", "version"];
    cluster.kubectl(&words);
    cluster.kubectl(&["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/pulled", "--timeout=120s"]);
    assert!(cluster.kubectl(&["logs", "pulled"]).contains("etcdctl version"));
}

fn export(cluster: &Cluster, dir: &Path, code: i32) -> (Value, String) {
    let output = cluster.clusterctl(&["export-logs", dir.to_str().expect("UTF-8")]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    (serde_json::from_slice(&output.stdout).expect("a record"), said)
}

fn everything_is_exported_but_secrets(cluster: &Cluster) {
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("export");
    // Left by one that was killed, there and here.
    fs::create_dir_all(dir.join(".unfinished/node1")).expect("made");
    cluster.on_node("node2", "mkdir /var/lib/kubelet/.export-logs; echo old >/var/lib/kubelet/.export-logs/old");
    let (record, _) = export(cluster, &dir, 0);
    assert_eq!(record, json!({"cluster": "logs-test", "dir": dir, "nodes": NODES, "missing": []}));
    let read = |path: &str| fs::read_to_string(dir.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    for node in NODES {
        assert!(read(&format!("{node}/kubelet.log")).contains(&format!(" {node} kubelet[")));
        assert!(read(&format!("{node}/containerd.log")).contains("containerd successfully booted"));
        assert!(read(&format!("{node}/journal.log")).contains("Reached target"));
        assert!(read(&format!("{node}/images.txt")).contains("registry.k8s.io/pause"));
        assert!(read(&format!("{node}/containers.txt")).contains("registry.k8s.io/kube-proxy"));
        assert!(read(&format!("{node}/ip-address.txt")).contains("lo:"));
        assert!(read(&format!("{node}/ip-route.txt")).contains("default via"));
        assert!(read(&format!("{node}/nftables.txt")).contains("table ip kube-proxy"));
        assert!(read(&format!("{node}/failed-units.txt")).contains("loaded units"));
        assert!(read(&format!("{node}/kubelet/config.yaml")).contains("kind: KubeletConfiguration"));
        assert!(!dir.join(node).join("old").exists());
        assert_eq!(cluster.on_node(node, "find /var/lib/kubelet -maxdepth 1 -name '.export*'"), "");
    }
    assert!(read("node1/manifests/etcd.yaml").contains("kind: Pod"));
    let exported: Vec<_> = WalkDir::new(&dir).min_depth(1).into_iter().map(|entry| entry.expect("an entry")).collect();
    let ends = |end: &str| exported.iter().any(|entry| entry.path().to_string_lossy().ends_with(end));
    assert!(ends("/kube-scheduler/0.log") && ends("/kube-proxy/0.log") && ends("/coredns/0.log"), "{exported:?}");
    assert!(read("cluster/nodes.txt").contains("node2") && read("cluster/nodes.yaml").contains("kind: Node"));
    assert!(read("cluster/pods.txt").contains("pulled") && read("cluster/pods.yaml").contains("name: pulled"));
    assert!(read("cluster/events.txt").contains("Successfully pulled image"));
    assert!(read("cluster/kubeadm-config.yaml").contains("kind: ClusterConfiguration"));
    assert!(read("cluster/etcd-status.txt").contains("127.0.0.1:2379"));
    assert!(read("cluster/etcd-health.txt").contains("true") && read("cluster/etcd-members.txt").contains("node1"));

    let token = fs::read_to_string(cluster.dir().join("bootstrap-token")).expect("a token");
    let secret = &token.trim()[6..22];
    for entry in &exported {
        let mode = entry.metadata().expect("there").permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{} is ours alone", entry.path().display());
        if entry.file_type().is_file() {
            let text = String::from_utf8_lossy(&fs::read(entry.path()).expect("read")).into_owned();
            let has = ["PRIVATE KEY", "client-key-data", secret].into_iter().find(|secret| text.contains(secret));
            assert_eq!(has, None, "{}", entry.path().display());
        }
    }
    let said = refused(&mut cluster.clusterctl(&["export-logs", dir.to_str().expect("UTF-8")]));
    assert!(said.contains("is not empty"), "{said}");
}

fn without_the_api_server_the_rest_is_exported(cluster: &Cluster) {
    let dir = tempfile::tempdir().expect("a directory");
    let manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    cluster.on_node("node1", &format!("mv {manifest} /root; while pgrep -x kube-apiserver; do sleep 0.2; done"));
    assert_eq!(logs(cluster, &["etcd", "--tail", "5"]).lines().count(), 5, "logs need none");
    let (record, said) = export(cluster, dir.path(), 1);
    cluster.on_node("node1", &format!("mv /root/kube-apiserver.yaml {manifest}"));
    assert_eq!(record["nodes"], json!(NODES));
    assert!(record["missing"].as_array().expect("a list").contains(&json!("cluster/pods.yaml")), "{record}");
    assert!(said.contains("cluster/events.txt: ") && said.contains("was refused"), "{said}");
    let read = |path: &str| fs::read_to_string(dir.path().join(path)).expect("read");
    assert!(read("cluster/etcd-members.txt").contains("node1") && read("cluster/missing.txt").contains("pods.yaml: "));
    assert!(read("node1/kubelet.log").contains(" node1 kubelet["));
    let is_ready =
        || cluster.wrapper(&["kubectl", "get", "--raw", "/readyz"]).output().is_ok_and(|it| it.status.success());
    wait_for("the API server", is_ready);
}

fn without_a_node_the_other_is_exported(cluster: &Cluster) {
    succeed(&mut cluster.nodectl(&["stop", "node2"]));
    let dir = tempfile::tempdir().expect("a directory");
    let (record, said) = export(cluster, dir.path(), 1);
    assert_eq!((&record["nodes"], &record["missing"]), (&json!(["node1"]), &json!(["node2"])));
    assert!(said.contains("is not complete:") && said.contains("node2: Make room for the export: "), "{said}");
    assert!(dir.path().join("node1/kubelet.log").is_file() && !dir.path().join("node2").exists());
    let said = refused(&mut cluster.clusterctl(&["logs", "kubelet", "--node", "node2"]));
    assert!(said.contains("clusterctl: node node2: `ssh ") && said.contains("failed with exit status: 255"), "{said}");
}
