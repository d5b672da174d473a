//! `make bench`: how long one node and three take from nothing to all Ready and to CoreDNS available, phase by phase,
//! beside what `kubeadm init`, one `kubeadm join` and one node's boot take alone in the same run: the floor.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use foundation::table;
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Of each figure the median is printed, with the least and the most.
const RUNS: usize = 3;

const CLUSTER: &str = "bench";

/// A plain configuration of kubeadm for the floor: its defaults, and what the host's cgroup version 1 demands.
const INIT: &str = "\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration:
  ignorePreflightErrors: [SystemVerification]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: VERSION
networking:
  podSubnet: 10.244.0.0/16
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
conntrack:
  maxPerCore: 0
";

/// Seconds of each run, by what was measured.
#[derive(Default)]
struct Figures(BTreeMap<String, Vec<f64>>);

impl Figures {
    fn add(&mut self, name: impl Into<String>, seconds: f64) {
        self.0.entry(name.into()).or_default().push(seconds);
    }

    fn median(&self, name: &str) -> f64 {
        let mut sorted = self.0.get(name).cloned().unwrap_or_default();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn row(&self, shown: &str, name: &str) -> [String; 4] {
        let all = self.0.get(name).cloned().unwrap_or_default();
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(0.0, f64::max);
        [shown.to_owned(), format!("{:.1}", self.median(name)), format!("{least:.1}"), format!("{most:.1}")]
    }
}

/// The binaries beside this one: `make bench` has built them.
fn binary(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn run(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    command.env("KUBEADM_SYSTEMD_CLUSTER", CLUSTER).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().ok_or("no pipe")?.write_all(input)?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let started = Instant::now();
    Ok((work()?, started.elapsed().as_secs_f64()))
}

fn down() -> Result<()> {
    run(Command::new(binary("nodectl")?).args(["rm", "--all"]), b"")?;
    run(Command::new(binary("clusterctl")?).args(["down", "--no-reset"]), b"")?;
    Ok(())
}

fn start(count: usize, image: &[u8]) -> Result<Vec<u8>> {
    run(Command::new(binary("nodectl")?).args(["start", "--count", &count.to_string()]), image)
}

/// What each takes alone, on an otherwise idle machine.
fn floor(figures: &mut Figures, image: &[u8]) -> Result<()> {
    let (_, boot) = timed(|| start(1, image))?;
    figures.add("boot", boot);
    run(Command::new(binary("nodectl")?).args(["start", "node2"]), image)?;
    let version: Value = serde_json::from_slice(image)?;
    let config = INIT.replace("VERSION", version["kubernetes"].as_str().ok_or("no version")?);
    let on = |node: &str, script: &str, input: &[u8]| -> Result<Vec<u8>> {
        run(Command::new(binary("nodectl")?).args(["exec", node, "--", "sh", "-c", script]), input)
    };
    on("node1", "cat > /root/init.yaml", config.as_bytes())?;
    let (_, init) = timed(|| on("node1", "kubeadm init --config /root/init.yaml", b""))?;
    figures.add("init", init);
    let join = on("node1", "kubeadm token create --print-join-command", b"")?;
    // Settled: a token is of use when the controller manager has signed cluster-info with it.
    let signed = "export KUBECONFIG=/etc/kubernetes/admin.conf; \
        until kubectl -n kube-public get configmap cluster-info -o yaml | grep -q jws-kubeconfig; do sleep 0.2; done; sleep 10";
    on("node1", signed, b"")?;
    let join = format!("{} --ignore-preflight-errors SystemVerification", String::from_utf8(join)?.trim());
    let (_, join) = timed(|| on("node2", &join, b""))?;
    figures.add("join", join);
    down()
}

/// The pipe, stage by stage; `name` prefixes its figures.
fn cluster(figures: &mut Figures, name: &str, count: usize, image: &[u8]) -> Result<()> {
    let mut at = 0.0;
    let (nodes, boot) = timed(|| start(count, image))?;
    at += boot;
    figures.add(format!("{name} boot"), boot);
    let (inventory, seconds) = timed(|| run(Command::new(binary("clusterctl")?).arg("inventory"), &nodes))?;
    at += seconds;
    let (record, seconds) = timed(|| run(Command::new(binary("clusterctl")?).arg("up"), &inventory))?;
    let record: Value = serde_json::from_slice(&record)?;
    let step = |name: &str| record["steps"][name].as_f64().unwrap_or(0.0);
    let (init, join) = (step("Run kubeadm init"), step("Run kubeadm join"));
    let dns = step("Wait until CoreDNS is available");
    figures.add(format!("{name} init"), init);
    figures.add(format!("{name} join"), join);
    figures.add(format!("{name} rest"), seconds - init - join - dns);
    figures.add(format!("{name} ready"), at + seconds - dns);
    figures.add(format!("{name} dns"), at + seconds);
    down()
}

fn report(figures: &Figures) -> String {
    let header = ["seconds", "median", "least", "most"].map(str::to_owned);
    let mut rows = vec![
        header,
        figures.row("floor: one node's boot", "boot"),
        figures.row("floor: kubeadm init", "init"),
        figures.row("floor: kubeadm join", "join"),
    ];
    for (name, shown, floor) in [
        ("one", "one node", figures.median("boot") + figures.median("init")),
        ("three", "three nodes", figures.median("boot") + figures.median("init") + figures.median("join")),
    ] {
        rows.push(figures.row(&format!("{shown}: boot"), &format!("{name} boot")));
        rows.push(figures.row(&format!("{shown}: kubeadm init"), &format!("{name} init")));
        if name == "three" {
            rows.push(figures.row(&format!("{shown}: kubeadm join"), &format!("{name} join")));
        }
        rows.push(figures.row(&format!("{shown}: all else"), &format!("{name} rest")));
        rows.push(figures.row(&format!("{shown}: all Ready"), &format!("{name} ready")));
        rows.push(figures.row(&format!("{shown}: CoreDNS available"), &format!("{name} dns")));
        let ratio = figures.median(&format!("{name} ready")) / floor;
        rows.push([format!("{shown}: all Ready / floor"), format!("{ratio:.2}"), String::new(), String::new()]);
    }
    table::render(rows.into_iter())
}

fn main() -> Result<()> {
    let image = run(Command::new(binary("nodectl")?).arg("build"), b"")?;
    down()?;
    let mut figures = Figures::default();
    for number in 1..=RUNS {
        eprintln!("bench: run {number} of {RUNS}");
        floor(&mut figures, &image)?;
        cluster(&mut figures, "one", 1, &image)?;
        cluster(&mut figures, "three", 3, &image)?;
    }
    print!("{}", report(&figures));
    Ok(())
}
