//! Nodes, of which nodectl is killed while it starts, stops or removes them.

use std::fs;
use std::io::{Seek, Write};
use std::process::{Command, Stdio};

use tests::crash::kill_at;
use tests::{HostState, Nodes};

use super::steps::each_step;

/// Nodes, one of which runs all the time and has to go on; another one suffers.
struct Cluster {
    nodes: Nodes,
    bystander: Option<i32>,
    before: HostState,
}

impl Cluster {
    fn new() -> Self {
        let nodes = Nodes::new();
        let bystander = nodes.start(&["bystander"])[0].pid;
        let before = HostState::capture(&[&nodes.state_dir().join("cni"), &nodes.state_dir().join("cnispawn")]);
        Cluster { nodes, bystander, before }
    }

    /// A command whose standard input is the image's record.
    fn nodectl(&self, words: &[&str]) -> Command {
        let mut record = tempfile::tempfile().expect("a file");
        writeln!(record, "{}", serde_json::to_string(&tests::node::image()).expect("JSON")).expect("written");
        record.rewind().expect("a file");
        let mut nodectl = self.nodes.nodectl(words);
        nodectl.stdin(record).stdout(Stdio::null()).stderr(Stdio::null());
        nodectl
    }

    fn is_as_before(&self, how: &str) {
        assert_eq!(self.nodes.start(&["bystander", "--allow-running"])[0].pid, self.bystander, "{how}");
        let difference = self.before.difference(&self.before.recapture());
        if !difference.is_empty() {
            eprintln!("{how}: {difference}");
        }
        self.before.wait_unchanged();
        let left = fs::read_dir(self.nodes.state_dir().join("clusters/default/nodes")).expect("readable");
        let left: Vec<_> = left.map(|entry| entry.expect("readable").file_name()).collect();
        assert_eq!(left, ["bystander"], "{how}");
    }

    fn remove(&self, how: &str) {
        // It may not have come to be.
        let _ = self.nodes.nodectl(&["rm", "victim"]).output().expect("nodectl runs");
        self.is_as_before(how);
    }
}

#[test]
fn start_is_killed_at_every_step_and_its_node_removed() {
    let cluster = Cluster::new();
    let attempt = |nth| kill_at(&mut cluster.nodectl(&["start", "victim"]), nth);
    each_step("nodectl start", 97, attempt, |how| cluster.remove(how));
}

#[test]
fn start_is_killed_at_every_step_and_repeated() {
    let cluster = Cluster::new();
    let attempt = |nth| kill_at(&mut cluster.nodectl(&["start", "victim"]), nth);
    let heal = |how: &str| {
        let output = cluster.nodes.run_with_image(&["start", "victim", "--allow-running"]);
        assert!(output.status.success(), "{how}: {}", String::from_utf8_lossy(&output.stderr));
        cluster.nodes.ok(&["exec", "victim", "--", "systemctl", "is-active", "ssh"]);
        cluster.remove(how);
    };
    each_step("nodectl start, repeated", 97, attempt, heal);
}

#[test]
fn stop_is_killed_at_every_step_and_the_node_keeps_its_disk() {
    let cluster = Cluster::new();
    let attempt = |nth| {
        cluster.nodes.start(&["victim"]);
        cluster.nodes.ok(&["exec", "victim", "--", "sh", "-c", "echo kept >/etc/kept; sync"]);
        kill_at(&mut cluster.nodectl(&["stop", "victim"]), nth)
    };
    let heal = |how: &str| {
        cluster.nodes.ok(&["stop", "victim"]);
        cluster.nodes.start(&["victim"]);
        assert_eq!(cluster.nodes.ok(&["exec", "victim", "--", "cat", "/etc/kept"]), "kept\n", "{how}");
        cluster.remove(how);
    };
    each_step("nodectl stop", 29, attempt, heal);
}

#[test]
fn rm_is_killed_at_every_step() {
    let cluster = Cluster::new();
    let attempt = |nth| {
        cluster.nodes.start(&["victim"]);
        kill_at(&mut cluster.nodectl(&["rm", "victim"]), nth)
    };
    each_step("nodectl rm", 97, attempt, |how| cluster.remove(how));
}
