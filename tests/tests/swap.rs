//! The loop of a developer of Kubernetes: change its source, have a running cluster run it, and put the original back.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::HostState;
use tests::cluster::{Cluster, refused};
use tests::fixture::{succeed, wait_for};

const NODES: [&str; 2] = ["node1", "node2"];

#[test]
fn components_are_swapped_and_put_back() {
    let cluster = Cluster::new("swap");
    let host = HostState::capture(&[]);
    settings_of_a_file_reach_the_components(&cluster);
    let tree = tempfile::tempdir().expect("a directory");
    let server = vendored_tree(tree.path());
    let source = format!("dir:{}", tree.path().display());

    bad_requests_are_refused(&cluster);
    a_changed_scheduler_leads(&cluster, &source, &server);
    one_that_crashes_is_rolled_back_and_has_said_why(&cluster, &source, &server);
    every_save_is_swapped(&cluster, &source, &server);
    a_changed_kubelet_runs_on_every_node(&cluster, &source);
    one_that_ends_at_once_is_rolled_back_on_every_node(&cluster);
    the_others_come_back_as_well(&cluster);
    everything_is_put_back(&cluster);

    succeed(&mut cluster.wrapper(&["down"]));
    host.wait_unchanged();
}

const SETTINGS: &str = "\
featureGates: {ContextualLogging: true}
kubeProxyMode: iptables
extraArgs: {kube-scheduler: {v: 3}, kubelet: {v: 2}}
nodeLabels: {node2: {disk: ssd}}
kubeadmConfig: kubeadm.yaml
patches: patches
";

const KUBEADM: &str = "\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer: {extraArgs: [{name: max-requests-inflight, value: '401'}]}
";

const PATCH: &str = "\
spec: {containers: [{name: kube-controller-manager, resources: {requests: {cpu: 201m}}}]}
";

fn settings_of_a_file_reach_the_components(cluster: &Cluster) {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("patches")).expect("made");
    for (name, text) in [
        ("cluster.yaml", SETTINGS),
        ("kubeadm.yaml", KUBEADM),
        ("patches/kube-controller-manager+strategic.yaml", PATCH),
    ] {
        fs::write(dir.path().join(name), text).expect("written");
    }
    let path = dir.path().join("cluster.yaml");
    let options = ["--config", path.to_str().expect("UTF-8")];
    cluster.up_with(2, &options);

    let arguments = |name: &str| cluster.on_node("node1", &format!("tr '\\0' ' ' </proc/$(pgrep -xo {name})/cmdline"));
    for name in ["kube-apiserver", "kube-controller", "kube-scheduler"] {
        assert!(arguments(name).contains("--feature-gates=ContextualLogging=true"), "{name}: {}", arguments(name));
    }
    assert!(arguments("kube-scheduler").contains("--v=3") && arguments("kubelet").contains("--v=2"));
    assert!(arguments("kube-apiserver").contains("--max-requests-inflight=401"));
    for node in NODES {
        let kubelet = cluster.on_node(node, "grep -A1 ^featureGates: /var/lib/kubelet/config.yaml");
        assert!(kubelet.contains("ContextualLogging: true"), "{node}: {kubelet}");
    }
    let manifest = cluster.on_node("node1", "cat /etc/kubernetes/manifests/kube-controller-manager.yaml");
    assert!(manifest.contains("cpu: 201m"), "{manifest}");
    let proxy = cluster.kubectl(&["-n", "kube-system", "get", "configmap", "kube-proxy", "-o", "yaml"]);
    assert!(proxy.contains("mode: iptables"), "{proxy}");
    assert_eq!(cluster.kubectl(&["get", "nodes", "-l", "disk=ssd", "-o", "name"]).trim(), "node/node2");
    assert_eq!(cluster.up_with(2, &options)["changed"], 0);
}

/// A module that vendors Kubernetes, as the go command lays it out; returns the scheduler's source file in it.
fn vendored_tree(tree: &Path) -> std::path::PathBuf {
    let version = nodectl::image::source::PINNED;
    let kubernetes = "k8s.io/kubernetes";
    let mut download = Command::new("go");
    download.args(["mod", "download", "-json", &format!("{kubernetes}@{version}")]).current_dir(tree);
    let download: Value = serde_json::from_str(&succeed(&mut download)).expect("JSON");
    let upstream = fs::read_to_string(download["GoMod"].as_str().expect("a path")).expect("readable");
    let go = upstream.lines().find(|line| line.starts_with("go ")).expect("a version of Go");
    let mut text = format!("module example.org/mine\n\n{go}\n\nrequire {kubernetes} {version}\n");
    // Its staging modules: published as v0.MINOR.PATCH.
    let staging = upstream.lines().filter_map(|line| line.trim().strip_suffix(" v0.0.0"));
    for module in staging.filter(|module| module.starts_with("k8s.io/")) {
        text += &format!("require {module} {}\n", version.replacen("v1", "v0", 1));
    }
    for program in ["kube-scheduler", "kubelet"] {
        text += &format!("tool {kubernetes}/cmd/{program}\n");
    }
    fs::write(tree.join("go.mod"), text).expect("written");
    let mut list = Command::new("go");
    list.args(["list", "-mod=mod", "-deps", "tool"]).current_dir(tree);
    succeed(&mut list);
    // -e: of packages for other systems, some modules are not in go.sum.
    succeed(Command::new("go").args(["mod", "vendor", "-e"]).current_dir(tree));
    tree.join("vendor/k8s.io/kubernetes/cmd/kube-scheduler/app/server.go")
}

/// Put a line at the beginning of the scheduler's run, in place of the one that the last edit has put there.
fn edit(server: &Path, line: &str) {
    let text = fs::read_to_string(server).expect("readable");
    let start = text.find("func Run(ctx context.Context").expect("the scheduler's run");
    let body = start + text[start..].find("{\n").expect("its body") + 2;
    let mark = " // of the test\n";
    let rest = text[body..].split_once(mark).map_or(&text[body..], |(_, rest)| rest);
    fs::write(server, format!("{}\t{line}{mark}{rest}", &text[..body])).expect("written");
}

fn swap(cluster: &Cluster, words: &[&str]) -> Value {
    let record = succeed(&mut cluster.clusterctl(&[&["swap"], words].concat()));
    println!("swap: {}", record.trim());
    serde_json::from_str(&record).expect("a record")
}

/// SHA-256 of the program that the processes of this name run.
fn running(cluster: &Cluster, node: &str, name: &str) -> String {
    let script = format!("sha256sum /proc/$(pgrep -xo {})/exe", &name[..name.len().min(15)]);
    cluster.on_node(node, &script).split_whitespace().next().expect("a digest").to_owned()
}

fn all_are_ready(cluster: &Cluster) {
    cluster.kubectl(&["wait", "--for=condition=Ready", "node", "--all", "--timeout=60s"]);
    // `kubectl wait` fails when one of those that it waits for ends: CoreDNS' old ones do after a swap.
    wait_for("old pods to be gone", || {
        let pods = cluster.kubectl_json(&["-n", "kube-system", "get", "pods"]);
        pods["items"].as_array().expect("a list").iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_null())
    });
    cluster.wait_for_system_pods(60);
}

fn a_pod_is_scheduled(cluster: &Cluster, name: &str) {
    let image = cluster.kubectl(&["-n", "kube-system", "get", "ds", "kube-proxy", "-o", IMAGE]);
    let words = ["run", name, "--image", &image, "--command", "--", "/usr/local/bin/kube-proxy", "--version"];
    cluster.kubectl(&words);
    cluster.kubectl(&["wait", "--for=condition=PodScheduled", "pod", name, "--timeout=30s"]);
}

const IMAGE: &str = "jsonpath={.spec.template.spec.containers[0].image}";

fn bad_requests_are_refused(cluster: &Cluster) {
    let refused = |words: &[&str]| refused(&mut cluster.clusterctl(&[&["swap"], words].concat()));
    let said = refused(&["kube-proxy", "--from", "go:v1.37.2", "--node", "node1"]);
    assert!(
        said.contains("--node does not go with kube-proxy: one object of the cluster runs it on all nodes"),
        "{said}"
    );
    let said = refused(&["kubelet", "--from", "dir:/nowhere"]);
    assert!(said.contains("there is no new kubelet to put in place") && said.contains("/nowhere"), "{said}");
    let said = refused(&["runc", "--from", "go:v1.3.0"]);
    assert!(said.contains("runc cannot be had from go:v1.3.0; use file:PATH"), "{said}");
    let said = refused(&["kubelet", "--from", "go:v1.37.2", "--watch"]);
    assert!(said.contains("go:v1.37.2 does not change, so there is nothing to watch"), "{said}");
    let said = refused(&["kubelet"]);
    assert!(said.contains("--from") && said.contains("--revert"), "{said}");
    let said = refused(&["kubelet", "--revert", "--cluster", "nowhere"]);
    assert!(said.contains("cluster nowhere does not exist"), "{said}");
    let said = refused(&["kubelet", "--revert", "--node", "nobody"]);
    assert!(said.contains("kubelet does not run on node nobody; it does on node1, node2"), "{said}");
    let said = refused(&["etcd", "--revert", "--node", "node2"]);
    assert!(said.contains("etcd does not run on node node2; it does on node1"), "{said}");
}

fn a_changed_scheduler_leads(cluster: &Cluster, source: &str, server: &Path) {
    let lease = || cluster.kubectl(&["-n", "kube-system", "get", "lease", "kube-scheduler", "-o", HOLDER]);
    let before = lease();
    edit(server, r#"klog.FromContext(ctx).Info("A change that was made by a test")"#);
    let record = swap(cluster, &["kube-scheduler", "--from", source]);
    assert_eq!(record["version"], format!("{}-dirty", nodectl::image::source::PINNED));
    assert_eq!(record["sha256"], running(cluster, "node1", "kube-scheduler"));
    assert_ne!(lease(), before, "the new one leads");
    cluster.kubectl(&["-n", "kube-system", "wait", "--for=create", "pod/kube-scheduler-node1", "--timeout=60s"]);
    let log = cluster.kubectl(&["-n", "kube-system", "logs", "kube-scheduler-node1"]);
    assert!(log.contains("A change that was made by a test"), "{log}");
    a_pod_is_scheduled(cluster, "scheduled-by-a-changed-one");
    assert_eq!(swap(cluster, &["kube-scheduler", "--from", source])["changed"], 0);
}

const HOLDER: &str = "jsonpath={.spec.holderIdentity}";

fn one_that_crashes_is_rolled_back_and_has_said_why(cluster: &Cluster, source: &str, server: &Path) {
    let before = running(cluster, "node1", "kube-scheduler");
    edit(server, r#"panic("a crash that was made by a test")"#);
    let said = refused(&mut cluster.clusterctl(&["swap", "kube-scheduler", "--from", source]));
    assert!(said.contains("kube-scheduler has ended right after its start; its log:"), "{said}");
    assert!(said.contains("panic: a crash that was made by a test"), "{said}");
    assert!(said.contains("kube-scheduler is back at registry.k8s.io/kube-scheduler:"), "{said}");
    assert_eq!(running(cluster, "node1", "kube-scheduler"), before);
    all_are_ready(cluster);
    a_pod_is_scheduled(cluster, "scheduled-after-a-crash");
}

/// From one that crashes: `--watch` goes on after a rollback, and after a change that does not compile.
fn every_save_is_swapped(cluster: &Cluster, source: &str, server: &Path) {
    let said = tempfile::NamedTempFile::new().expect("a file");
    let mut watch = cluster.clusterctl(&["swap", "kube-scheduler", "--from", source, "--watch"]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(said.reopen().expect("open")).spawn().expect("runs");
    let mut records = BufReader::new(watch.stdout.take().expect("piped"));
    let waits_after = |what: &str| {
        let is_said = || {
            let text = fs::read_to_string(said.path()).expect("readable");
            text.rfind(what).is_some_and(|at| text[at..].contains("swap: waiting for a change of dir:"))
        };
        let begun = Instant::now();
        while !is_said() {
            assert!(begun.elapsed() < Duration::from_secs(300), "{}", fs::read_to_string(said.path()).expect("read"));
            thread::sleep(Duration::from_millis(50));
        }
    };
    waits_after("panic: a crash that was made by a test");
    edit(server, "this does not compile");
    waits_after("there is no new kube-scheduler to put in place");
    edit(server, r#"klog.FromContext(ctx).Info("A change that was saved")"#);
    let mut record = String::new();
    records.read_line(&mut record).expect("readable");
    let record: Value = serde_json::from_str(&record).expect("a record");
    assert_eq!(record["sha256"], running(cluster, "node1", "kube-scheduler"));
    waits_after("Run it in the static pod");
    kill(Pid::from_raw(watch.id().cast_signed()), Signal::SIGINT).expect("it runs");
    assert!(watch.wait().expect("waited").success());
}

fn a_changed_kubelet_runs_on_every_node(cluster: &Cluster, source: &str) {
    let record = swap(cluster, &["kubelet", "--from", source]);
    for node in NODES {
        assert_eq!(record["sha256"], running(cluster, node, "kubelet"), "{node}");
    }
    let versions = cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}"]);
    let dirty = format!("{}-dirty", nodectl::image::source::PINNED);
    assert_eq!(versions, format!("{dirty} {dirty}"));
}

fn one_that_ends_at_once_is_rolled_back_on_every_node(cluster: &Cluster) {
    let before: Vec<_> = NODES.iter().map(|node| running(cluster, node, "kubelet")).collect();
    let said = refused(&mut cluster.clusterctl(&["swap", "kubelet", "--from", "file:/bin/false"]));
    assert!(said.contains("kubelet has ended right after its start"), "{said}");
    let after: Vec<_> = NODES.iter().map(|node| running(cluster, node, "kubelet")).collect();
    assert_eq!(before, after);
    // One that cannot be run at all is not even put in place.
    let program = |node| cluster.on_node(node, "sha256sum $(command -v runc)");
    let before = NODES.map(program);
    let said = refused(&mut cluster.clusterctl(&["swap", "runc", "--from", "file:/etc/hostname"]));
    assert!(said.contains("cannot run ") && said.contains("Exec format error"), "{said}");
    assert_eq!(NODES.map(program), before);
    // As a program on one node alone, and of another kind.
    let said = refused(&mut cluster.clusterctl(&["swap", "kube-scheduler", "--from", "file:/bin/false"]));
    assert!(said.contains("kube-scheduler has ended right after its start"), "{said}");
    let said = refused(&mut cluster.clusterctl(&["swap", "kube-proxy", "--from", "file:/bin/false"]));
    assert!(said.contains("has ended right after its start") && said.contains("kube-proxy is back at"), "{said}");
    all_are_ready(cluster);
}

/// Those that are not compiled for this: the same version under another name.
fn the_others_come_back_as_well(cluster: &Cluster) {
    let version = nodectl::image::source::PINNED;
    for name in ["kube-apiserver", "kube-controller-manager", "kube-proxy"] {
        let record = swap(cluster, &[name, "--from", &format!("go:{version}")]);
        assert_eq!(record["sha256"], running(cluster, "node1", name), "{name}");
        all_are_ready(cluster);
    }
    let manifest = cluster.on_node("node1", "cat /etc/kubernetes/manifests/etcd.yaml");
    let (_, tag) = manifest.split_once("registry.k8s.io/etcd:").expect("its image");
    let etcd = tag.split(['-', '\n']).next().expect("a version");
    let record = swap(cluster, &["etcd", "--from", &format!("go:v{etcd}")]);
    assert_eq!(record["sha256"], running(cluster, "node1", "etcd"));
    all_are_ready(cluster);
    // CoreDNS' new containers are started by the new runc.
    programs_that_others_start(cluster);
    let coredns = cluster.kubectl(&["-n", "kube-system", "get", "deploy", "coredns", "-o", IMAGE]);
    let (_, tag) = coredns.rsplit_once(':').expect("a tag");
    swap(cluster, &["coredns", "--from", &format!("go:{tag}")]);
    assert_ne!(cluster.kubectl(&["-n", "kube-system", "get", "deploy", "coredns", "-o", IMAGE]), coredns);
    records_of_a_pipe_are_swapped_when_they_have_come(cluster);
    all_are_ready(cluster);
}

/// On one node alone. Until the records have come, others swap.
fn records_of_a_pipe_are_swapped_when_they_have_come(cluster: &Cluster) {
    let containerd = succeed(&mut cluster.nodectl(&["which", "containerd"]));
    let source = format!("file:{}", containerd.trim());
    let mut piped = cluster.clusterctl(&["swap", "--node", "node2"]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
    let waits_in = format!("/proc/{}/wchan", piped.id());
    wait_for("records to be read", || fs::read_to_string(&waits_in).expect("it runs").contains("pipe_read"));
    swap(cluster, &["containerd", "--from", &source, "--node", "node1"]);
    let record = succeed(&mut cluster.nodectl(&["component", "containerd", "--from", &source]));
    piped.stdin.take().expect("piped").write_all(record.as_bytes()).expect("written");
    let output = piped.wait_with_output().expect("waited");
    assert!(output.status.success());
    let swapped: Value = serde_json::from_slice(&output.stdout).expect("a record");
    assert_eq!(swapped["component"], "containerd");
}

/// Another build of each: the node's own, with a byte more. To a node without zstd, it is sent as it is.
fn programs_that_others_start(cluster: &Cluster) {
    cluster.on_node("node2", "rm $(command -v zstd)");
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["runc", "kubeadm"] {
        let original = succeed(&mut cluster.nodectl(&["which", name]));
        let mut program = fs::read(original.trim()).expect("readable");
        program.push(0);
        let path = dir.path().join(name);
        fs::write(&path, program).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("set");
        let record = swap(cluster, &[name, "--from", &format!("file:{}", path.display())]);
        for node in NODES {
            let there = cluster.on_node(node, &format!("sha256sum $(command -v {name})"));
            assert_eq!(there.split_whitespace().next().expect("a digest"), record["sha256"], "{name} on {node}");
        }
    }
}

fn everything_is_put_back(cluster: &Cluster) {
    let components = [
        "kube-scheduler",
        "kubelet",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "coredns",
        "etcd",
        "runc",
        "kubeadm",
    ];
    for component in components {
        swap(cluster, &[component, "--revert"]);
    }
    all_are_ready(cluster);
    let manifests = cluster.on_node("node1", "cat /etc/kubernetes/manifests/*");
    assert!(!manifests.contains("uid"), "as kubeadm's: {manifests}");
    let images = cluster.on_node("node1", "grep -h image: /etc/kubernetes/manifests/*");
    assert!(!images.contains("dirty"), "{images}");
    let kubelet = succeed(&mut cluster.nodectl(&["which", "kubelet"]));
    let original = succeed(Command::new("sha256sum").arg(kubelet.trim()));
    for node in NODES {
        assert_eq!(original.split_whitespace().next().expect("a digest"), running(cluster, node, "kubelet"), "{node}");
    }
    for component in components {
        assert_eq!(swap(cluster, &[component, "--revert"])["changed"], 0, "{component}");
    }
}
