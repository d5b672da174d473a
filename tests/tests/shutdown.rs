//! A node is shut down as a server is: kubelet hears of it from logind, and ends the pods first.

use std::fs;

use tests::HostState;
use tests::cluster::Cluster;
use tests::fixture::{succeed, wait_for};

const KUBELET: &str = "\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
shutdownGracePeriod: 20s
shutdownGracePeriodCriticalPods: 5s
";

#[test]
fn pods_end_before_their_node_powers_off() {
    let cluster = Cluster::new("shutdown");
    let host = HostState::capture(&[]);
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("kubeadm.yaml"), KUBELET).expect("written");
    let config = dir.path().join("cluster.yaml");
    fs::write(&config, "kubeadmConfig: kubeadm.yaml\n").expect("written");
    let options = ["--config", config.to_str().expect("UTF-8")];
    cluster.up_with(2, &options);

    let delays = cluster.on_node("node2", "systemd-inhibit --list --no-pager --no-legend --mode=delay");
    assert!(delays.lines().any(|line| line.starts_with("kubelet") && line.contains("shutdown")), "{delays}");
    let image = cluster.on_node("node2", "ctr --namespace k8s.io images ls --quiet | grep -m1 /pause:");
    cluster.kubectl(&["run", "paused", "--image", image.trim()]);
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/paused", "--timeout=60s"]);

    assert_eq!(cluster.on_node("node2", "systemctl poweroff 2>&1"), "");
    let nodes = || succeed(&mut cluster.nodectl(&["ls"]));
    wait_for("node2 to stop", || nodes().lines().any(|line| line.contains("node2") && line.contains("stopped")));
    // As kubelet has told it in time: a node that is gone tells nothing.
    let pod = cluster.kubectl_json(&["get", "pod", "paused"]);
    let conditions = pod["status"]["conditions"].as_array().expect("conditions");
    let disrupted = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").expect("disrupted");
    assert_eq!(disrupted["message"], "Pod was terminated in response to imminent node shutdown.");
    assert_eq!(pod["status"]["phase"], "Succeeded", "{pod}");

    cluster.up_with(2, &options);
    cluster.kubectl(&["wait", "--for=condition=Ready", "node", "--all", "--timeout=60s"]);
    succeed(&mut cluster.wrapper(&["down"]));
    host.wait_unchanged();
}
