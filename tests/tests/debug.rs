//! A component under delve: a breakpoint stops it, nothing ends it for that, and it runs on when delve is gone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::HostState;
use tests::cluster::{Cluster, refused};
use tests::delve::Delve;
use tests::fixture::succeed;

const SCHEDULER: &str = "kube-scheduler";

#[test]
fn a_component_is_debugged_and_outlives_it() {
    let cluster = Cluster::new("debug");
    let host = HostState::capture(&[]);
    cluster.up(2);
    let as_kubeadm_wrote_it = manifest(&cluster);

    bad_requests_are_refused(&cluster);
    let debugger = a_breakpoint_is_hit_and_the_pod_is_scheduled_after_it(&cluster);
    delve_detaches_when_clusterctl_is_killed(&cluster);
    delve_detaches_when_ssh_is_killed(&cluster);
    swap(&cluster, &[SCHEDULER, "--revert"]);
    assert_eq!(manifest(&cluster), as_kubeadm_wrote_it);
    probes_of_a_deployment_come_back(&cluster, &debugger);

    succeed(&mut cluster.wrapper(&["down"]));
    host.wait_unchanged();
}

/// A `clusterctl debug` that runs, and its record.
struct Debug {
    child: Child,
    record: Value,
}

impl Debug {
    fn scheduler(cluster: &Cluster) -> Self {
        let source = format!("go:{}", nodectl::image::source::PINNED);
        let mut debug = cluster.clusterctl(&["debug", SCHEDULER, "--from", &source, "--port", "0", "--timeout", "300"]);
        let mut child = debug.stdout(Stdio::piped()).spawn().expect("runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
        println!("debug: {}", line.trim());
        Debug { child, record: serde_json::from_str(&line).expect("a record") }
    }

    fn delve(&self) -> Delve {
        Delve::connect(self.record["address"].as_str().expect("an address"))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it runs");
    }
}

impl Drop for Debug {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn manifest(cluster: &Cluster) -> String {
    cluster.on_node("node1", "cat /etc/kubernetes/manifests/kube-scheduler.yaml")
}

fn swap(cluster: &Cluster, words: &[&str]) -> Value {
    serde_json::from_str(&succeed(&mut cluster.clusterctl(&[&["swap"], words].concat()))).expect("a record")
}

/// The scheduler's process: its id, when it started, and the process that traces it.
fn process(cluster: &Cluster) -> (String, String, String) {
    let script = "pid=$(pgrep -xo kube-scheduler); echo $pid $(cut -d' ' -f22 /proc/$pid/stat) \
                  $(sed -n 's/^TracerPid:\\s*//p' /proc/$pid/status)";
    let text = cluster.on_node("node1", script);
    let mut words = text.split_whitespace().map(str::to_owned);
    let mut word = || words.next().expect("three words");
    (word(), word(), word())
}

/// Where the source has the function that decides on a pod's node, on this host: its file and line.
fn schedule_pod() -> (String, usize) {
    let modules = succeed(Command::new("go").args(["env", "GOMODCACHE"]));
    let version = nodectl::image::source::PINNED;
    let file = format!("{}/k8s.io/kubernetes@{version}/pkg/scheduler/schedule_one.go", modules.trim());
    let text = fs::read_to_string(&file).expect("readable");
    let line = text.lines().position(|line| line.starts_with("func (sched *Scheduler) schedulePod("));
    (file, line.expect("the function") + 1)
}

fn run_a_pod(cluster: &Cluster, name: &str) {
    // One that stays, and that each node has.
    let image = cluster.on_node("node1", "ctr --namespace k8s.io images ls -q | grep -m1 /pause:");
    cluster.kubectl(&["run", name, "--image", image.trim()]);
}

fn it_becomes_ready(cluster: &Cluster, name: &str) {
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod", name, "--timeout=60s"]);
}

const IMAGE: &str = "jsonpath={.spec.template.spec.containers[0].image}";

fn bad_requests_are_refused(cluster: &Cluster) {
    let refused = |words: &[&str]| refused(&mut cluster.clusterctl(&[&["debug"], words].concat()));
    let said = refused(&["kubeadm", "--from", "go:v1.37.2"]);
    assert!(said.contains("kubeadm has no process that stays"), "{said}");
    let said = refused(&["kubelet", "--from", "go:v1.37.2"]);
    assert!(said.contains("kubelet runs on node1, node2; choose one with --node"), "{said}");
    let said = refused(&[SCHEDULER, "--from", "go:v1.37.2", "--node", "node2"]);
    assert!(said.contains("kube-scheduler does not run on node node2; it does on node1"), "{said}");
    let said = refused(&[SCHEDULER, "--from", "file:/bin/true", "--port", "0"]);
    assert!(said.contains("file:/bin/true is not compiled here") && said.contains("use dir:PATH or go:"), "{said}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let said = refused(&[SCHEDULER, "--from", "go:v1.37.2", "--port", &port]);
    assert!(said.contains(&format!("cannot listen on port {port} of 127.0.0.1; choose another")), "{said}");
}

fn a_breakpoint_is_hit_and_the_pod_is_scheduled_after_it(cluster: &Cluster) -> String {
    let mut debug = Debug::scheduler(cluster);
    let eased = manifest(cluster);
    assert!(!eased.contains("Probe") && eased.contains("--leader-elect=false"), "{eased}");
    let (pid, started, tracer) = process(cluster);
    assert_eq!(debug.record["pid"].to_string(), pid);
    assert_ne!(tracer, "0");

    let mut delve = debug.delve();
    delve.halt();
    let (file, line) = schedule_pod();
    let breakpoint = delve.break_at(&file, line);
    delve.go_on();
    run_a_pod(cluster, "broken-at");
    let stopped = delve.answer();
    let thread = &stopped["State"]["currentThread"];
    assert_eq!(thread["function"]["name"], "k8s.io/kubernetes/pkg/scheduler.(*Scheduler).schedulePod", "{stopped}");
    assert_eq!((&thread["breakPoint"]["id"], &thread["file"]), (&breakpoint["id"], &json!(file)));
    let name = json!({"Scope": {"GoroutineID": -1}, "Expr": "podInfo.PodInfo.Pod.ObjectMeta.Name",
        "Cfg": {"MaxStringLen": 64}});
    let name = delve.call("Eval", &name);
    assert_eq!(name["Variable"]["value"], "broken-at", "{name}");
    assert_eq!(cluster.kubectl(&["get", "pod", "broken-at", "-o", "jsonpath={.spec.nodeName}"]), "");
    delve.call("ClearBreakpoint", &json!({"Id": breakpoint["id"]}));
    delve.go_on();
    it_becomes_ready(cluster, "broken-at");

    debug.signal(Signal::SIGINT);
    assert!(debug.child.wait().expect("waited").success());
    assert_eq!(process(cluster), (pid, started, "0".to_owned()), "the same process, without a tracer");
    assert_eq!(cluster.on_node("node1", "find /run/kubeadm-systemd -type s"), "");
    run_a_pod(cluster, "after-delve");
    it_becomes_ready(cluster, "after-delve");
    debug.record["debugger"].as_str().expect("a path").to_owned()
}

/// Wait until delve has let go, and see that the process is whole: with a breakpoint left in it, it would die of it.
fn delve_lets_go_of(cluster: &Cluster, before: &(String, String, String), pod: &str) {
    let begun = Instant::now();
    while !cluster.on_node("node1", "pgrep -x dlv || true").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "delve is still there");
        thread::sleep(Duration::from_millis(100));
    }
    run_a_pod(cluster, pod);
    it_becomes_ready(cluster, pod);
    let (pid, started, tracer) = process(cluster);
    assert_eq!((&pid, &started, tracer.as_str()), (&before.0, &before.1, "0"));
}

fn delve_detaches_when_clusterctl_is_killed(cluster: &Cluster) {
    let mut debug = Debug::scheduler(cluster);
    assert_eq!(debug.record["changed"], 0, "it runs already");
    let before = process(cluster);
    let mut delve = debug.delve();
    delve.halt();
    let (file, line) = schedule_pod();
    delve.break_at(&file, line);
    debug.signal(Signal::SIGKILL);
    debug.child.wait().expect("waited");
    delve_lets_go_of(cluster, &before, "after-clusterctl");
}

fn delve_detaches_when_ssh_is_killed(cluster: &Cluster) {
    let mut debug = Debug::scheduler(cluster);
    let before = process(cluster);
    let mut delve = debug.delve();
    delve.halt();
    let (file, line) = schedule_pod();
    delve.break_at(&file, line);
    delve.go_on();
    let ssh = succeed(Command::new("pgrep").args(["-x", "-P", &debug.child.id().to_string(), "ssh"]));
    kill(Pid::from_raw(ssh.trim().parse().expect("one process")), Signal::SIGKILL).expect("it runs");
    assert!(!debug.child.wait().expect("waited").success());
    delve_lets_go_of(cluster, &before, "after-ssh");
}

/// CoreDNS as it is, said to have been built for a debugger.
fn probes_of_a_deployment_come_back(cluster: &Cluster, debugger: &str) {
    let spec = || cluster.kubectl(&["-n", "kube-system", "get", "deploy", "coredns", "-o", "jsonpath={.spec}"]);
    let before = spec();
    assert!(before.contains("livenessProbe") && before.contains("readinessProbe"), "{before}");
    let program = succeed(&mut cluster.nodectl(&["component", "coredns", "--from", &coredns(cluster)]));
    let mut record: Value = serde_json::from_str(&program).expect("a record");
    record["debugger"] = json!(debugger);
    let input = tempfile::NamedTempFile::new().expect("a file");
    fs::write(input.path(), record.to_string()).expect("written");
    succeed(cluster.clusterctl(&["swap"]).stdin(fs::File::open(input.path()).expect("there")));
    assert!(!spec().contains("Probe"), "{}", spec());
    swap(cluster, &["coredns", "--revert"]);
    assert_eq!(spec(), before);
}

/// Its source: the module's version is the image's tag.
fn coredns(cluster: &Cluster) -> String {
    let image = cluster.kubectl(&["-n", "kube-system", "get", "deploy", "coredns", "-o", IMAGE]);
    format!("go:{}", image.rsplit_once(':').expect("a tag").1)
}
