//! The main job, from end to end: three nodes, a cluster of them, its use, and nothing left of it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tests::HostState;
use tests::cluster::{Cluster, refused};
use tests::fixture::succeed;

/// A server on each node, and a Service in front.
const WORKLOAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/workload.yaml");

/// A request over HTTP in plain bash: neither nodes nor pods need more.
fn get(host: &str) -> String {
    format!("exec 3<>/dev/tcp/{host}/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3")
}

#[test]
fn the_main_job() {
    let cluster = Cluster::new("e2e");
    let host = HostState::capture(&[]);
    let record = cluster.up(3);
    assert_eq!(record["cluster"], "e2e");
    every_node_is_ready_and_every_system_pod_runs(&cluster, &record);
    the_token_is_in_no_log(&cluster);
    secrets_are_roots_alone(&cluster);
    cluster.kubectl(&["create", "-f", WORKLOAD]);
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s"]);
    pods_reach_pods_on_other_nodes(&cluster);
    a_service_is_reached_from_a_node_and_from_a_pod_and_names_resolve(&cluster);
    logs_and_exec_work(&cluster);
    ansible_pings_all_nodes(&cluster);
    assert_eq!(cluster.up(3)["changed"], 0, "a second up changes nothing");
    assert_eq!(would_change(&cluster.dir().join("inventory.yml")), [0, 0, 0], "and --check knows");
    a_restarted_node_comes_back_with_its_routes(&cluster);
    the_cluster_is_taken_apart_and_made_again_of_the_same_nodes(&cluster);
    succeed(&mut cluster.wrapper(&["down"]));
    host.wait_unchanged();
}

/// Ansible makes nothing, not an empty text, of a template that says nothing.
#[test]
fn a_cluster_of_one_node_has_no_routes_and_runs_the_workloads() {
    let cluster = Cluster::new("one");
    let host = HostState::capture(&[]);
    cluster.up(1);
    // CoreDNS' among them, which no control plane beside workers runs.
    cluster.wait_for_system_pods(120);
    assert_eq!(cluster.on_node("node1", "cat /etc/kubeadm-systemd/pod-routes").trim(), "");
    succeed(&mut cluster.wrapper(&["down"]));
    host.wait_unchanged();
}

fn every_node_is_ready_and_every_system_pod_runs(cluster: &Cluster, record: &serde_json::Value) {
    let nodes = cluster.kubectl_json(&["get", "nodes"]);
    let nodes = nodes["items"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 3);
    for node in nodes {
        assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], record["kubernetes"], "{}", node["metadata"]["name"]);
        let conditions = node["status"]["conditions"].as_array().expect("conditions");
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").expect("Ready");
        assert_eq!(ready["status"], "True", "{}", node["metadata"]["name"]);
    }
    // CoreDNS runs twice; `up` waits until it is available, which one of the two is enough for.
    cluster.wait_for_system_pods(120);
    let pods = cluster.kubectl_json(&["-n", "kube-system", "get", "pods"]);
    let pods = pods["items"].as_array().expect("pods");
    // etcd, three of the control plane, two of CoreDNS, a kube-proxy on each node.
    assert_eq!(pods.len(), 4 + 2 + 3);
    for pod in pods {
        assert_eq!(pod["status"]["phase"], "Running", "{}", pod["metadata"]["name"]);
    }
}

/// Neither on this host nor in the nodes' journals, where Ansible's modules log what they are called with.
fn the_token_is_in_no_log(cluster: &Cluster) {
    let dir = cluster.dir();
    let token = std::fs::read_to_string(dir.join("bootstrap-token")).expect("a token");
    // The latter part is the secret (bootstrap-tokens: 6 and 16 characters).
    let secret = &token.trim()[6..22];
    let log = std::fs::read_to_string(dir.join("log/up.log")).expect("a log");
    assert!(log.contains("Run kubeadm init") && !log.contains(secret), "up.log");
    let told = ["node1: [certs] Generating", "node1: [wait-control-plane] ", "node2: [kubelet-start] "];
    assert!(told.iter().all(|line| log.contains(line)), "what kubeadm has printed: {log}");
    for node in ["node1", "node2", "node3"] {
        let journal = cluster.on_node(node, "journalctl --output cat");
        assert!(journal.contains("kubelet") && !journal.contains(secret), "the journal of {node}");
    }
}

/// Other users can neither enter the directories nor read a secret in a command line.
fn secrets_are_roots_alone(cluster: &Cluster) {
    let state = Path::new("/var/lib/kubeadm-systemd");
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    for dir in ["cache", "clusters", "images", "cnispawn", "cni"] {
        assert_eq!(mode(&state.join(dir)), 0o700, "{dir}");
    }
    let dir = cluster.dir();
    for file in ["bootstrap-token", "kubeconfig", "inventory.yml", "log/up.log", "ssh/id_ed25519"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    let pki = dir.join("nodes/node1/upper/etc/kubernetes");
    for file in ["admin.conf", "super-admin.conf", "pki/ca.key", "pki/sa.key", "kubeadm-systemd/init.yaml"] {
        assert_eq!(mode(&pki.join(file)), 0o600, "{file}");
    }
    let token = std::fs::read_to_string(dir.join("bootstrap-token")).expect("a token");
    assert_eq!(tests::fixture::processes(&[&token.trim()[6..22]]), Vec::<i32>::new(), "in a command line");
}

fn pods_reach_pods_on_other_nodes(cluster: &Cluster) {
    let pods = cluster.kubectl_json(&["get", "pods", "-l", "app=web"]);
    let pods: Vec<_> = pods["items"].as_array().expect("pods").iter().collect();
    assert_eq!(pods.len(), 3);
    for from in &pods {
        for to in &pods {
            let address = to["status"]["podIP"].as_str().expect("an address");
            let answer = cluster.in_pod(from["metadata"]["name"].as_str().expect("a name"), &get(address));
            let name = to["metadata"]["name"].as_str().expect("a name");
            assert!(answer.contains(name), "{name} at {address} answered {answer:?}");
        }
    }
    let on: std::collections::BTreeSet<_> = pods.iter().map(|pod| pod["spec"]["nodeName"].to_string()).collect();
    assert_eq!(on.len(), 3, "one on each node");
}

fn a_service_is_reached_from_a_node_and_from_a_pod_and_names_resolve(cluster: &Cluster) {
    let service = cluster.kubectl_json(&["get", "service", "web"]);
    let address = service["spec"]["clusterIP"].as_str().expect("an address");
    assert!(cluster.on_node("node2", &get(address)).contains("200 OK"), "from a node");
    assert!(cluster.in_pod("web-1", &get(address)).contains("200 OK"), "from a pod");
    assert!(cluster.in_pod("web-1", &get("web.default.svc.cluster.local")).contains("200 OK"), "by its name");
    let kubernetes = cluster.in_pod("web-2", "getent hosts kubernetes.default.svc.cluster.local");
    assert!(kubernetes.starts_with("10.96.0.1"), "{kubernetes}");
}

fn logs_and_exec_work(cluster: &Cluster) {
    assert!(cluster.kubectl(&["logs", "web-1"]).contains("served"));
    assert_eq!(cluster.kubectl(&["exec", "web-3", "--", "cat", "/etc/hostname"]).trim(), "web-3");
}

fn ansible_pings_all_nodes(cluster: &Cluster) {
    let mut ping = Command::new(tests::ansible::program("ansible"));
    ping.arg("-i")
        .arg(cluster.dir().join("inventory.yml"))
        .args(["all", "-m", "ansible.builtin.ping"])
        .stdin(Stdio::null());
    assert_eq!(succeed(&mut ping).matches("SUCCESS").count(), 3);
}

/// How many tasks `--check` says that `up.yml` would change, on each node by name.
fn would_change(inventory: &Path) -> Vec<u32> {
    let playbooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ansible");
    let mut check = Command::new(tests::ansible::program("ansible-playbook"));
    check.env("ANSIBLE_CONFIG", playbooks.join("ansible.cfg")).stdin(Stdio::null());
    let recap = succeed(check.arg("-i").arg(inventory).arg("--check").arg(playbooks.join("up.yml")));
    let counts = recap.lines().filter_map(|line| line.split_once(" changed=")?.1.split(' ').next()?.parse().ok());
    counts.collect()
}

fn the_cluster_is_taken_apart_and_made_again_of_the_same_nodes(cluster: &Cluster) {
    let inventory = tempfile::tempdir().expect("a directory");
    let kept = inventory.path().join("inventory.yml");
    std::fs::copy(cluster.dir().join("inventory.yml"), &kept).expect("copied");
    succeed(&mut cluster.clusterctl(&["down"]));
    assert_eq!(
        cluster.on_node("node1", "ls -A /etc/kubernetes/manifests /var/lib/etcd | grep -c yaml || true").trim(),
        "0"
    );
    let tables = cluster.on_node("node1", "nft list tables");
    assert!(!tables.contains("kube-proxy") && !tables.contains("pod-network"), "{tables}");
    let said = refused(&mut cluster.wrapper(&["kubectl", "get", "nodes"]));
    assert!(said.contains("has no kubeconfig"), "{said}");
    // Pod network and its restart, kubeadm's configuration, kubeadm, routes; and on the control plane the kubeconfig.
    let changes = would_change(&kept);
    assert!(changes.len() == 3 && changes.iter().all(|&count| count >= 4), "{changes:?}");
    assert!(!cluster.on_node("node1", "ls /etc/kubernetes").contains("admin.conf"), "--check makes nothing");
    assert_eq!(std::fs::read_dir(inventory.path()).expect("listed").count(), 1, "nor anything on this host");
    assert_eq!(cluster.up(3)["nodes"].as_array().map(Vec::len), Some(3));
}

#[test]
fn an_interrupted_up_leaves_nothing() {
    let cluster = Cluster::new("interrupted");
    let host = HostState::capture(&[]);
    let mut up = cluster.wrapper(&["up", "--nodes", "2"]);
    up.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = up.spawn().expect("it runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    // Both nodes are up, and kubeadm is at work.
    assert!(lines.any(|line| line.contains("Write the pod network's configuration")), "it came as far as kubeadm");
    killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("interrupted");
    let rest: Vec<_> = lines.collect();
    let status = child.wait().expect("it ends");
    assert!(!status.success(), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("interrupted")), "{rest:?}");
    host.wait_unchanged();
    assert!(!cluster.dir().exists());
}

fn a_restarted_node_comes_back_with_its_routes(cluster: &Cluster) {
    succeed(&mut cluster.nodectl(&["stop", "node3"]));
    succeed(&mut cluster.nodectl(&["start", "--image", "default", "node3"]));
    cluster.kubectl(&["wait", "--for=condition=Ready", "node", "--all", "--timeout=120s"]);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let pod = cluster.kubectl_json(&["get", "pod", "web-3"]);
        let address = pod["status"]["podIP"].as_str().unwrap_or("192.0.2.1").to_owned();
        let script = format!("timeout 5 bash -euc {}", shell_words::quote(&get(&address)));
        let words = ["kubectl", "exec", "web-1", "--", "bash", "-euc", &script];
        let output = cluster.wrapper(&words).output().expect("kubectl runs");
        if String::from_utf8_lossy(&output.stdout).contains("web-3") {
            return;
        }
        assert!(Instant::now() < deadline, "web-3 at {address} is not reached: {output:?}");
        thread::sleep(Duration::from_millis(500));
    }
}
