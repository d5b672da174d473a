//! clusterctl as a program: what it refuses, and with which words; what real Ansible makes of its inventory; and that
//! no Ansible is left behind. That a cluster comes up is shown in e2e.rs.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::bin;

/// The playbooks of this checkout.
const ANSIBLE_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ansible");

/// Directories that no other cluster uses, and the files that node records name.
struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        let fixture = Fixture(tempfile::tempdir().expect("a directory"));
        for file in ["key", "known_hosts"] {
            fs::write(fixture.path(file), "").expect("written");
            fs::set_permissions(fixture.path(file), fs::Permissions::from_mode(0o600)).expect("changed");
        }
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where clusterctl keeps what it knows of cluster `dev`.
    fn cluster_dir(&self) -> PathBuf {
        self.path("state/clusters/dev")
    }

    fn clusterctl(&self, words: &[&str]) -> Command {
        let mut clusterctl = Command::new(bin("clusterctl"));
        clusterctl.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        clusterctl
            .env_remove("KUBEADM_SYSTEMD_CLUSTER")
            .env("KUBEADM_SYSTEMD_ANSIBLE_PLAYBOOK", tests::ansible::program("ansible-playbook"))
            .env("KUBEADM_SYSTEMD_STATE_DIR", self.path("state"))
            .env("KUBEADM_SYSTEMD_RUN_DIR", self.path("run"))
            .env("KUBEADM_SYSTEMD_ANSIBLE_DIR", ANSIBLE_DIR);
        clusterctl
    }

    /// Run clusterctl with `input` on its standard input.
    fn run(&self, words: &[&str], input: &str) -> Output {
        finish(&mut self.clusterctl(words), input)
    }

    /// Run a clusterctl that must succeed; what it printed.
    fn ok(&self, words: &[&str], input: &str) -> String {
        let output = self.run(words, input);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Run a clusterctl that must fail with status 1; its message.
    fn refused(&self, words: &[&str], input: &str) -> String {
        refusal(self.run(words, input))
    }

    /// A node record.
    fn node(&self, name: &str, cluster: &str, role: &str, address: &str) -> Value {
        let ssh = json!({"user": "root", "port": 2222, "private_key": self.path("key"), "known_hosts": self.path("known_hosts")});
        json!({"name": name, "cluster": cluster, "role": role, "addresses": [address], "ssh": ssh})
    }

    /// An inventory of one node that does not exist.
    fn inventory(&self, port: u16) -> String {
        let mut node = self.node("node1", "dev", "control-plane", "127.0.0.1");
        node["ssh"]["port"] = json!(port);
        self.ok(&["inventory"], &node.to_string())
    }

    /// An ansible-playbook that tells `version`, and else runs `script`.
    fn playbook_program(&self, version: &str, script: &str) -> String {
        let path = self.path("ansible-playbook");
        let text = format!("#!/bin/sh\n[ \"$1\" != --version ] || {{ echo '{version}'; exit; }}\n{script}\n");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("changed");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// A playbook run that would take forever: its program, and where a child of it writes its process id.
    fn endless(&self) -> (String, PathBuf) {
        let pid = self.path("pid");
        // Written whole: we wait for it to appear.
        let script = format!("sleep 1000 & echo $! >{0}.new; mv {0}.new {0}; wait", pid.display());
        (self.playbook_program("ansible-playbook [core 2.19.14]", &script), pid)
    }
}

/// Run to the end. The child may refuse before it has read its input.
fn finish(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it runs");
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn refusal(output: Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "it failed and printed data: {message}");
    // What Ansible told on the way comes before.
    assert!(message.lines().any(|line| line.starts_with("clusterctl: ")), "{message}");
    message
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Wait until no process of this id runs; a zombie counts as ended.
fn wait_gone(pid_file: &Path) {
    let pid = fs::read_to_string(pid_file).expect("a process id");
    let stat = format!("/proc/{}/stat", pid.trim());
    wait_for("the end of Ansible's child", || {
        fs::read_to_string(&stat).is_ok_and(|s| s.contains(") Z ")) || !Path::new(&stat).exists()
    });
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn ansible_reads_the_inventory() {
    let fixture = Fixture::new();
    let nodes = [
        fixture.node("node2", "dev", "worker", "10.0.0.3"),
        fixture.node("node1", "dev", "control-plane", "10.0.0.2"),
        fixture.node("node3", "dev", "worker", "10.0.0.4"),
    ];
    let file = fixture.path("inventory.yml");
    fs::write(&file, fixture.ok(&["inventory"], &lines(&nodes))).expect("written");

    let mut program = Command::new(tests::ansible::program("ansible-inventory"));
    // Without our ansible.cfg: the inventory has to do as it is.
    program.arg("-i").arg(&file).arg("--list").current_dir(fixture.0.path());
    let output = program.output().expect("ansible-inventory runs; `make setup` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(list["kube_control_plane"]["hosts"], json!(["node1"]));
    assert_eq!(list["kube_node"]["hosts"], json!(["node2", "node3"]));
    assert_eq!(list["etcd"]["children"], json!(["kube_control_plane"]));
    assert_eq!(list["k8s_cluster"]["children"], json!(["kube_control_plane", "kube_node"]));

    let node3 = &list["_meta"]["hostvars"]["node3"];
    assert_eq!(node3["ansible_host"], "10.0.0.4");
    assert_eq!((&node3["ansible_user"], &node3["ansible_port"]), (&json!("root"), &json!(2222)));
    assert_eq!(node3["ansible_ssh_private_key_file"], json!(fixture.path("key")));
    assert_eq!(node3["ansible_python_interpreter"], "/usr/bin/python3");
    assert_eq!(node3["kubeadm_systemd_cluster"], "dev");
    let options = node3["ansible_ssh_common_args"].as_str().expect("options");
    assert!(options.contains("-o StrictHostKeyChecking=yes"), "{options}");
    assert!(options.contains(&format!("-o UserKnownHostsFile={}", fixture.path("known_hosts").display())), "{options}");
}

#[test]
fn variables_of_the_inventorys_groups_win_over_ours() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("group_vars")).expect("made");
    let node = "{cgroup: cgroup2fs, kubeadm: v1.37.2, swap: false, disk: 1, done: false}";
    let variables =
        format!("kubeadm_dir: /elsewhere\nkubeadm_node: {node}\nkubeadm_config: {{JoinConfiguration: {{a: 1}}}}\n");
    fs::write(fixture.path("group_vars/kube_control_plane.yml"), variables).expect("written");
    fs::write(fixture.path("inventory.yml"), fixture.inventory(22)).expect("written");
    let playbook = "- hosts: kube_control_plane\n  gather_facts: false\n  connection: local\n  roles: [kubeadm]\n  tasks:\n    \
                    - ansible.builtin.debug: {var: kubeadm_documents.JoinConfiguration}\n";
    fs::write(fixture.path("playbook.yml"), playbook).expect("written");
    let mut program = Command::new(tests::ansible::program("ansible-playbook"));
    program.arg("-i").arg(fixture.path("inventory.yml")).arg(fixture.path("playbook.yml"));
    let output = program.env("ANSIBLE_ROLES_PATH", format!("{ANSIBLE_DIR}/roles")).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("\"kubeConfigPath\": \"/elsewhere/discovery.conf\"") && text.contains("\"a\": 1"), "{text}");
}

#[test]
fn records_from_which_no_cluster_can_be_made_are_refused() {
    let fixture = Fixture::new();
    let node1 = fixture.node("node1", "dev", "control-plane", "10.0.0.2");
    let refused = |records: &[Value]| fixture.refused(&["inventory"], &lines(records));

    let message = fixture.refused(&["inventory"], "");
    assert!(message.contains("no node record") && message.contains("command before the pipe"), "{message}");
    let message = fixture.refused(&["inventory"], &format!("{node1}\nboot failed\n"));
    assert!(message.contains("line 2 of standard input is not a valid node record: boot failed"), "{message}");
    let mut nameless = node1.clone();
    nameless["name"] = json!("../node1");
    assert!(refused(&[nameless]).contains("\"../node1\" is not a DNS label"));

    let message = refused(&[node1.clone(), fixture.node("node2", "prod", "worker", "10.0.0.3")]);
    assert!(message.contains("several clusters: dev, prod"), "{message}");
    assert!(refused(&[node1.clone(), node1.clone()]).contains("node node1 comes twice"));
    let other = fixture.node("node2", "dev", "control-plane", "10.0.0.3");
    assert!(refused(&[node1.clone(), other]).contains("2 nodes have the role control-plane"));
    assert!(refused(&[fixture.node("node2", "dev", "worker", "10.0.0.3")]).contains("0 nodes have the role"));

    let mut unreachable = node1.clone();
    unreachable["addresses"] = json!([]);
    assert!(refused(&[unreachable]).contains("node node1 has no address"));
    let mut keyless = node1;
    keyless["ssh"]["private_key"] = json!("/nonexistent/key");
    assert!(refused(&[keyless]).contains("node node1: there is no private key at /nonexistent/key"));
}

#[test]
fn up_refuses_what_is_no_inventory_and_keeps_nothing_of_it() {
    let fixture = Fixture::new();
    let message = fixture.refused(&["up"], "");
    assert!(
        message.contains("no inventory on standard input") && message.contains("command before the pipe"),
        "{message}"
    );
    assert!(fixture.refused(&["up"], "all: 3\n").contains("not an inventory as `clusterctl inventory` writes it"));
    // Records where the inventory belongs: a stage of the pipe was left out.
    let record = fixture.node("node1", "dev", "control-plane", "10.0.0.2").to_string();
    assert!(fixture.refused(&["up"], &record).contains("not an inventory"));
    assert!(fixture.refused(&["up", "-i", "/nonexistent"], "").contains("cannot open /nonexistent: No such file"));
    assert!(!fixture.path("state").exists(), "nothing was kept");
}

#[test]
fn a_missing_or_old_ansible_is_told_with_what_to_do() {
    let fixture = Fixture::new();
    let inventory = fixture.inventory(22);

    let playbooks = fixture.path("playbooks");
    fs::create_dir(&playbooks).expect("made");
    let mut nothing = fixture.clusterctl(&["up"]);
    let message = refusal(finish(nothing.env("KUBEADM_SYSTEMD_ANSIBLE_DIR", &playbooks), &inventory));
    assert!(message.contains("no playbooks at") && message.contains("--ansible-dir"), "{message}");

    fs::write(playbooks.join("up.yml"), "").expect("written");
    let mut missing = fixture.clusterctl(&["up"]);
    missing.env("PATH", "/nonexistent").env_remove("KUBEADM_SYSTEMD_ANSIBLE_PLAYBOOK");
    let message = refusal(finish(&mut missing, &inventory));
    assert!(message.contains("ansible-playbook not found; run `kubeadm-systemd setup`"), "{message}");

    let old = fixture.playbook_program("ansible-playbook [core 2.14.18]", "exit 9");
    let message = fixture.refused(&["up", "--ansible-playbook", &old], &inventory);
    assert!(message.contains("is ansible-core 2.14.18; 2.17 or later is needed"), "{message}");
    let message = fixture.refused(&["up", "--ansible-playbook", "/nonexistent"], &inventory);
    assert!(message.contains("cannot run `/nonexistent --version`: No such file"), "{message}");
}

#[test]
fn a_new_enough_ansible_of_the_host_is_taken_where_there_is_no_pinned_one() {
    let fixture = Fixture::new();
    let own = fixture.playbook_program("ansible-playbook [core 2.17.0]", "exit 9");
    let which = |words: &[&str]| {
        let mut which = fixture.clusterctl(&[&["which"], words].concat());
        which.env("PATH", format!("{}:/usr/bin:/bin", fixture.0.path().display()));
        finish(which.env_remove("KUBEADM_SYSTEMD_ANSIBLE_PLAYBOOK"), "")
    };
    assert_eq!(String::from_utf8_lossy(&which(&[]).stdout), format!("{own}\n"));
    let message = refusal(which(&["ansible-galaxy"]));
    assert!(message.contains(&format!("there is no {}", fixture.path("ansible-galaxy").display())), "{message}");

    // What `kubeadm-systemd setup` makes.
    let pinned = fixture.path("state/cache/ansible");
    fs::create_dir_all(pinned.join("bin")).expect("made");
    fs::write(pinned.join("bin/ansible-playbook"), "").expect("written");
    assert_eq!(String::from_utf8_lossy(&which(&[]).stdout), format!("{own}\n"), "it is half made");
    fs::copy(Path::new(ANSIBLE_DIR).join("requirements.txt"), pinned.join("requirements.txt")).expect("copied");
    let expected = format!("{}\n", pinned.join("bin/ansible-playbook").display());
    assert_eq!(String::from_utf8_lossy(&which(&[]).stdout), expected);
}

#[test]
fn an_unreachable_host_is_named_with_the_log_and_a_command_to_replay() {
    let fixture = Fixture::new();
    // The listener is closed again.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let message = fixture.refused(&["up", "--timeout", "60"], &fixture.inventory(port));
    assert!(message.contains("node1") && message.contains("UNREACHABLE"), "{message}");
    assert!(message.contains("Connection refused"), "{message}");
    let log = fixture.cluster_dir().join("log/up.log");
    assert!(message.contains(&format!("Ansible's output: {}", log.display())), "{message}");
    assert!(fs::read_to_string(&log).expect("a log").contains("Connection refused"));

    let command = message.lines().find_map(|line| line.trim_start().strip_prefix("replay: ")).expect("a command");
    let replayed = Command::new("sh").args(["-c", command]).output().expect("sh runs");
    assert!(String::from_utf8_lossy(&replayed.stdout).contains("Connection refused"), "{command}");
    assert_eq!(mode(&fixture.cluster_dir().join("inventory.yml")), 0o600);
    assert!(fixture.refused(&["kubeconfig", "--cluster", "dev"], "").contains("has no kubeconfig"));
}

#[test]
fn a_failed_playbook_is_shown_with_the_end_of_its_log() {
    let fixture = Fixture::new();
    let broken =
        fixture.playbook_program("ansible-playbook [core 2.19.14]", "echo 'ERROR! the role is not there' >&2; exit 4");
    let message = fixture.refused(&["up", "--ansible-playbook", &broken], &fixture.inventory(22));
    assert!(message.contains("ERROR! the role is not there"), "{message}");
    assert!(message.contains("replay: ") && message.contains("ansible-playbook --inventory"), "{message}");
}

#[test]
fn past_the_deadline_ansible_and_its_children_are_ended() {
    let fixture = Fixture::new();
    let (endless, pid) = fixture.endless();
    let started = Instant::now();
    let words = ["up", "--timeout", "1", "--ansible-playbook", &endless];
    let message = fixture.refused(&words, &fixture.inventory(22));
    assert!(message.contains("not done within 1 s"), "{message}");
    assert!(started.elapsed() < Duration::from_secs(30), "it took {:?}", started.elapsed());
    wait_gone(&pid);
}

#[test]
fn an_interrupted_up_ends_ansible_and_its_children() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let fixture = Fixture::new();
        let (endless, pid) = fixture.endless();
        let inventory = fixture.path("inventory.yml");
        fs::write(&inventory, fixture.inventory(22)).expect("written");
        let mut up = fixture.clusterctl(&["up", "--ansible-playbook", &endless, "-i"]);
        let up: Child = up.arg(&inventory).spawn().expect("it runs");
        wait_for("the playbook", || pid.exists());
        kill(Pid::from_raw(up.id().cast_signed()), signal).expect("it runs");
        let message = refusal(up.wait_with_output().expect("it ends"));
        assert!(message.contains("interrupted"), "{signal}: {message}");
        wait_gone(&pid);
    }
}

#[test]
fn kubeconfig_prints_the_path_of_the_one_there_is() {
    let fixture = Fixture::new();
    let message = fixture.refused(&["kubeconfig", "--cluster", "nope"], "");
    assert!(message.contains("cluster nope has no kubeconfig") && message.contains("clusterctl up"), "{message}");
    fs::create_dir_all(fixture.cluster_dir()).expect("made");
    let kubeconfig = fixture.cluster_dir().join("kubeconfig");
    fs::write(&kubeconfig, "").expect("written");
    assert_eq!(fixture.ok(&["kubeconfig", "--cluster", "dev"], ""), format!("{}\n", kubeconfig.display()));
    let by_variable =
        fixture.clusterctl(&["kubeconfig"]).env("KUBEADM_SYSTEMD_CLUSTER", "dev").output().expect("it runs");
    assert!(by_variable.status.success(), "{}", String::from_utf8_lossy(&by_variable.stderr));
}

#[test]
fn a_bad_name_is_a_usage_error() {
    let output = Fixture::new().run(&["kubeconfig", "--cluster", "../dev"], "");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("is not a DNS label"), "{message}");
}

#[test]
fn down_without_reset_forgets_the_cluster_and_leaves_what_is_nodectls() {
    let fixture = Fixture::new();
    let message = fixture.refused(&["down", "--cluster", "dev"], "");
    assert!(message.contains("cluster dev does not exist"), "{message}");

    let dir = fixture.cluster_dir();
    for part in ["log", "nodes/node1"] {
        fs::create_dir_all(dir.join(part)).expect("made");
    }
    for file in ["inventory.yml", "kubeconfig", "log/up.log", "nodes/node1/node.json"] {
        fs::write(dir.join(file), "").expect("written");
    }
    fixture.ok(&["down", "--cluster", "dev", "--no-reset"], "");
    let left: Vec<_> = fs::read_dir(&dir).expect("it is there").map(|entry| entry.expect("read").file_name()).collect();
    assert_eq!(left, ["nodes"]);

    fs::remove_dir_all(dir.join("nodes")).expect("removed");
    fixture.ok(&["down", "--cluster", "dev", "--no-reset"], "");
    assert!(!dir.exists(), "empty, it goes too; and there is nothing wrong with forgetting twice");
    fixture.ok(&["down", "--cluster", "dev", "--no-reset"], "");
}
