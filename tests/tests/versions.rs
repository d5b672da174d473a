//! Nodes of other versions: an upgrade by kubeadm while a Deployment is served, and workers that are behind.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nodectl::image::source::PINNED;
use serde_json::Value;
use tests::HostState;
use tests::cluster::{Cluster, refused};
use tests::fixture::{succeed, succeed_with_input, wait_for};

const SERVED: &str = include_str!("versions/served.yaml");
const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// What is upgraded from; `make test-versions` says another one, which takes a quarter of an hour to compile.
const FROM: &str = "KUBEADM_SYSTEMD_TEST_FROM";

/// As far behind as Kubernetes supports (kubernetes.io, Version Skew Policy: kubelet).
const OLD_KUBELET: &str = "v1.34.4";

#[test]
fn a_cluster_is_upgraded_while_a_deployment_is_served() {
    let from = std::env::var(FROM).unwrap_or_else(|_| PINNED.to_owned());
    let cluster = Cluster::of_image("upgrade", if from == PINNED { "default" } else { "upgrade" });
    let host = HostState::capture(&[]);
    let record = cluster.up_with(3, &["--kubernetes", &format!("go:{from}")]);
    assert_eq!(record["kubernetes"], from);
    let image = format!("registry.k8s.io/kube-proxy:{from}");
    succeed_with_input(&mut cluster.wrapper(&["kubectl", "create", "-f", "-"]), &SERVED.replace("IMAGE", &image));
    cluster.kubectl(&["rollout", "status", "deployment/served", "--timeout=120s"]);
    let said = refused(&mut cluster.clusterctl(&["upgrade", "--to", "go:v1.x"]));
    assert!(said.contains("is not a version of Kubernetes"), "{said}");

    // kube-proxy of each node has to know.
    let addresses = addresses(&cluster);
    wait_for("all nodes to answer", || addresses.iter().all(|address| get(*address).is_ok()));
    let client = Client::of(addresses);
    // A node that was cordoned before stays so.
    cluster.kubectl(&["cordon", "node3"]);
    let record = upgrade(&cluster);
    let (requests, lost) = client.end();
    println!("upgrade: {requests} requests, {} lost {lost:?}", lost.len());
    assert!(requests > 100 && lost.is_empty(), "of {requests} requests, lost: {lost:?}");
    assert_eq!(record["kubernetes"], PINNED);
    for node in NODES {
        assert_eq!(
            (&record["before"][node], &record["after"][node]),
            (&from.as_str().into(), &PINNED.into()),
            "{node}"
        );
    }
    for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        let manifest = cluster.on_node("node1", &format!("cat /etc/kubernetes/manifests/{name}.yaml"));
        assert!(manifest.contains(&format!("{name}:{PINNED}")), "{manifest}");
    }
    let cordoned = ["get", "nodes", "--field-selector=spec.unschedulable=true", "-o", "name"];
    assert_eq!(cluster.kubectl(&cordoned).trim(), "node/node3");
    cluster.wait_for_system_pods(120);
    assert_eq!(upgrade(&cluster)["changed"], 0, "a second upgrade changes nothing");
    assert_eq!(cluster.up_with(3, &["--kubernetes", &format!("go:{from}")])["changed"], 0);

    succeed(&mut cluster.wrapper(&["down"]));
    host.wait_unchanged();
}

fn upgrade(cluster: &Cluster) -> Value {
    let record = succeed(&mut cluster.clusterctl(&["upgrade", "--to", &format!("go:{PINNED}")]));
    println!("upgrade: {}", record.trim());
    serde_json::from_str(&record).expect("a record")
}

/// Asks all nodes for the Service, one after the other, all the time.
struct Client {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u32, Vec<String>)>,
}

impl Client {
    fn of(addresses: Vec<SocketAddr>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let (mut requests, mut lost) = (0, Vec::new());
            for address in addresses.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                requests += 1;
                lost.extend(get(*address).err().map(|error| format!("request {requests} to {address}: {error}")));
                thread::sleep(Duration::from_millis(50));
            }
            (requests, lost)
        });
        Client { stop, thread }
    }

    /// How many requests were made, and what became of those that were lost.
    fn end(self) -> (u32, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client")
    }
}

/// Where each node has the Service.
fn addresses(cluster: &Cluster) -> Vec<SocketAddr> {
    let nodes = cluster.kubectl_json(&["get", "nodes"]);
    let address = |node: &Value| {
        let address = node["status"]["addresses"][0]["address"].as_str().expect("an address");
        SocketAddr::new(address.parse::<IpAddr>().expect("an address"), 30080)
    };
    nodes["items"].as_array().expect("nodes").iter().map(address).collect()
}

fn get(address: SocketAddr) -> std::io::Result<()> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.contains("200 OK") { Ok(()) } else { Err(std::io::Error::other(format!("answered {answer:?}"))) }
}

#[test]
fn workers_with_an_older_kubelet_join_and_run_pods() {
    let cluster = Cluster::new("skew");
    let host = HostState::capture(&[]);
    let kubelet = format!("go:{OLD_KUBELET}");
    let source = format!("go:{PINNED}");
    let image = cluster.nodectl(&["build", "--image", "skew", "--kubernetes", &source, "--kubelet", &kubelet]).output();
    let image: Value = serde_json::from_slice(&image.expect("it runs").stdout).expect("an image record");
    assert_eq!((&image["kubernetes"], &image["kubelet"]), (&PINNED.into(), &OLD_KUBELET.into()));
    // By hand, as a pipe: node records of two starts.
    let start = |words: &[&str]| succeed(&mut cluster.nodectl(&[&["start", "--image"], words].concat()));
    let nodes = start(&["default", "node1"]) + &start(&["skew", "node2", "node3"]);
    let inventory = succeed_with_input(&mut cluster.clusterctl(&["inventory"]), &nodes);
    succeed_with_input(&mut cluster.clusterctl(&["up"]), &inventory);

    let versions = cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}"]);
    assert_eq!(versions, format!("{PINNED} {OLD_KUBELET} {OLD_KUBELET}"));
    let proxy = format!("registry.k8s.io/kube-proxy:{PINNED}");
    succeed_with_input(&mut cluster.wrapper(&["kubectl", "create", "-f", "-"]), &SERVED.replace("IMAGE", &proxy));
    cluster.kubectl(&["rollout", "status", "deployment/served", "--timeout=120s"]);
    let on = cluster.kubectl(&["get", "pods", "-l", "app=served", "-o", "jsonpath={.items[*].spec.nodeName}"]);
    assert!(on.contains("node2") && on.contains("node3"), "{on}");
    let pod = cluster.kubectl(&["get", "pods", "-l", "app=served", "-o", "jsonpath={.items[0].metadata.name}"]);
    let script = "exec 3<>/dev/tcp/served/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    assert!(cluster.in_pod(&pod, script).contains("200 OK"), "by its Service's name");

    succeed(&mut cluster.wrapper(&["down"]));
    host.wait_unchanged();
}
