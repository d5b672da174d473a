//! Nodes on the real kernel: started, used, stopped, killed, removed; and all the ways in which that is refused.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use foundation::record::{NodeRecord, Role, State};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nodectl::image::layer::{self, Entry, Layer};
use nodectl::image::oci::{self, Image};
use tests::fixture::succeed;
use tests::{HostState, Nodes};

/// Wait for something that another process does.
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn ssh(node: &NodeRecord, command: &str) -> String {
    let known_hosts = format!("UserKnownHostsFile={}", node.ssh.known_hosts.display());
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", &known_hosts, "-i"]);
    ssh.arg(&node.ssh.private_key).arg(format!("{}@{}", node.ssh.user, node.addresses[0])).arg(command);
    let output = ssh.stdin(Stdio::null()).output().expect("ssh runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_node_boots_keeps_its_address_and_disk_over_a_restart_and_leaves_nothing() {
    let host = HostState::capture(&[]);
    let nodes = Nodes::new();
    let started = nodes.start(&["node1"]);
    let node = &started[0];
    assert_eq!((node.role, node.state), (Role::ControlPlane, Some(State::Running)));
    assert_eq!(ssh(node, "hostname"), "node1");
    assert_eq!(nodes.ok(&["exec", "node1", "--", "systemctl", "is-system-running"]).trim(), "running");
    assert!(nodes.ok(&["exec", "node1", "--", "crictl", "info"]).contains("RuntimeReady"));
    let gateway = nodes.ok(&["exec", "node1", "--", "sh", "-c", "ip -4 route show default | cut -d' ' -f3"]);
    nodes.ok(&["exec", "node1", "--", "ping", "-c1", "-W5", gateway.trim()]);
    let status = nodes.nodectl(&["exec", "node1", "--", "sh", "-c", "exit 7"]).status().expect("nodectl runs");
    assert_eq!(status.code(), Some(7), "the command's own status");
    assert!(nodes.ok(&["logs", "node1", "--unit", "ssh"]).contains("Server listening"));
    assert!(nodes.ok(&["logs", "node1", "--console"]).contains("Queued start job for default target"));

    nodes.ok(&["exec", "node1", "--", "touch", "/etc/kept"]);
    assert_eq!(nodes.ok(&["exec", "node1", "--", "sh", "-c", "systemctl poweroff 2>&1"]), "");
    wait_for("the node to power off", || nodes.ok(&["ls"]).contains("stopped"));
    assert!(nodes.ok(&["logs", "node1", "--unit", "ssh"]).contains("Server listening"), "of a stopped node");
    let again = nodes.start(&["node1"]);
    assert_eq!(again[0].addresses, node.addresses);
    nodes.ok(&["exec", "node1", "--", "test", "-e", "/etc/kept"]);
    nodes.ok(&["stop", "node1"]);
    assert!(nodes.ok(&["ls"]).contains("stopped"));

    nodes.ok(&["rm", "node1"]);
    assert_eq!(nodes.ok(&["ls", "--json"]), "");
    host.wait_unchanged();
    assert!(!nodes.state_dir().join("clusters/default").exists());
}

#[test]
fn what_cannot_be_started_is_refused_with_one_error_and_leaves_nothing() {
    let host = HostState::capture(&[]);
    let nodes = Nodes::new();
    for (words, code, expected) in [
        (&["start", "Node_1"][..], 2, "is not a DNS label"),
        (&["start", "../x"], 2, "is not a DNS label"),
        (&["start", "a", "b", "a"], 1, "node a is named twice"),
        (&["start"], 2, "required"),
        (&["start", "a", "--count", "3"], 2, "cannot be used with"),
        (&["start", "a", "--all"], 2, "cannot be used with"),
        (&["start", "--nodes", "list", "--count", "3"], 2, "cannot be used with"),
        (&["start", "a", "--image", "nosuch"], 1, "nosuch"),
        (&["exec", "a", "--", "true"], 1, "node a of cluster default does not exist"),
        (&["stop", "a"], 1, "node a of cluster default does not exist"),
    ] {
        let message = nodes.refused(words, code);
        assert!(message.contains(expected), "{words:?}: {message}");
    }
    let empty = nodes.nodectl(&["start", "a"]).output().expect("nodectl runs");
    let message = String::from_utf8_lossy(&empty.stderr).into_owned();
    assert!(message.contains("no image record on standard input"), "{message}");
    host.assert_unchanged();
    assert!(!nodes.state_dir().join("clusters").exists());
}

#[test]
fn a_name_in_use_is_refused_and_the_running_node_is_left_alone() {
    let nodes = Nodes::new();
    let first = nodes.start(&["node1"]);
    let message = nodes.refused(&["start", "node1", "node2"], 1);
    assert!(message.contains("node node1 of cluster default is running already"), "{message}");
    let again = nodes.start(&["node1", "--allow-running"]);
    assert_eq!(again[0].pid, first[0].pid);
    assert!(!nodes.node_dir("node2").exists());
}

#[test]
fn nodes_that_exist_start_without_an_image_whatever_standard_input_is() {
    let nodes = Nodes::new();
    let first = nodes.start(&["node1", "node2"]);
    let nodectl = tests::bin("nodectl").display().to_string();
    let with_input = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command.env("KUBEADM_SYSTEMD_STATE_DIR", nodes.state_dir()).env("KUBEADM_SYSTEMD_RUN_DIR", nodes.run_dir());
        succeed(&mut command)
    };
    let starts: [(&str, &dyn Fn() -> String); 4] = [
        ("empty", &|| nodes.ok(&["start", "node1"])),
        ("closed", &|| with_input(&["sh", "-c", &format!("{nodectl} start node1 <&-")])),
        ("a terminal", &|| {
            with_input(&["script", "--quiet", "--return", "--command", &format!("{nodectl} start node1"), "/dev/null"])
        }),
        ("not read", &|| nodes.ok(&["start", "--all"])),
    ];
    for (input, start) in starts {
        nodes.ok(&["stop", "node1"]);
        let printed = start();
        let record = printed.lines().find(|line| line.contains(r#""name":"node1""#)).expect(input);
        let record: NodeRecord = serde_json::from_str(record.trim()).expect(input);
        assert_eq!((&record.addresses, record.state), (&first[0].addresses, Some(State::Running)), "{input}");
    }
    let all = |words: &[&str]| -> Vec<NodeRecord> {
        let printed = nodes.ok(&[&["start", "--all"], words].concat());
        foundation::record::read_all(printed.as_bytes()).expect("node records")
    };
    let running = all(&[]);
    assert_eq!((running.len(), running[1].pid), (2, first[1].pid), "a running node is left alone");
    nodes.ok(&["stop", "--all"]);
    assert_eq!(all(&["--memory", "8GiB"])[0].extra.get("memory"), Some(&(8_u64 << 30).into()), "limits change");

    let refused = |words: &[&str]| {
        let output = nodes.nodectl(words).output().expect("nodectl runs");
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let message = refused(&["start", "node1", "node3", "--allow-running"]);
    assert!(message.contains("no image to make node3 from: no image record on standard input; it ended"), "{message}");
    let message = refused(&["start", "node1", "--allow-running", "--cpus", "2"]);
    assert!(message.contains("node node1 runs with other limits; stop it first"), "{message}");
    let message = refused(&["start", "--all", "--cluster", "none"]);
    assert!(message.contains("cluster none has no nodes"), "{message}");
}

#[test]
fn nodes_differ_as_a_list_says_and_keep_what_they_are() {
    let nodes = Nodes::new();
    let dir = tempfile::tempdir().expect("a directory");
    let list = dir.path().join("nodes");
    let list = list.to_str().expect("UTF-8");
    let start = |text: &str, options: &[&str]| {
        fs::write(list, text).expect("written");
        nodes.run_with_image(&[&["start", "--nodes", list], options].concat())
    };
    let refused = |text: &str, options: &[&str], expected: &str| {
        let output = start(text, options);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(expected), "{message}");
    };
    refused("{\"name\": \"a\"}\n{\"name\": \"b\", \"mounts\": []}\n", &[], "line 2 of");
    refused("{\"name\": \"a\", \"addresses\": [\"192.0.2.1\"]}\n", &[], "cannot have the address 192.0.2.1");
    refused("\n", &[], "names no node");
    assert!(!nodes.state_dir().join("clusters").exists(), "what is refused leaves nothing");

    let text = "{\"name\": \"b\", \"memory\": \"2GiB\"}\n\n{\"name\": \"a\", \"role\": \"control-plane\"}\n";
    let output = start(text, &["--memory", "3GiB"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let records: Vec<NodeRecord> = foundation::record::read_all(output.stdout.as_slice()).expect("node records");
    let told: Vec<_> =
        records.iter().map(|node| (node.name.as_str(), node.role, node.extra["memory"].clone())).collect();
    let (two, three) = ((2_u64 << 30).into(), (3_u64 << 30).into());
    assert_eq!(told, [("b", Role::Worker, two), ("a", Role::ControlPlane, three)], "in the list's order");
    refused("{\"name\": \"a\", \"role\": \"worker\"}\n", &["--allow-running"], "node a is a control plane");
    let message = nodes.refused(&["start", "b", "--allow-running", "--role", "control-plane"], 1);
    assert!(message.contains("node b is a worker"), "{message}");
}

#[test]
fn a_node_of_an_earlier_version_starts_and_keeps_its_nameservers() {
    let nodes = Nodes::new();
    let first = nodes.start(&["node1"]);
    let resolv_conf = || nodes.ok(&["exec", "node1", "--", "cat", "/etc/resolv.conf"]);
    assert_eq!(resolv_conf(), nodectl::host::resolv_conf::of_host().expect("readable"));
    nodes.ok(&["exec", "node1", "--", "sh", "-c", "echo nameserver 192.0.2.1 >/etc/resolv.conf"]);
    nodes.ok(&["stop", "node1"]);
    let path = nodes.node_dir("node1").join("node.json");
    let mut node: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("a node")).expect("JSON");
    let node = node.as_object_mut().expect("an object");
    let addresses = node.remove("addresses").expect("addresses");
    node.insert("address".to_owned(), addresses[0].clone());
    fs::write(&path, serde_json::to_vec(&node).expect("JSON")).expect("written");
    nodes.ok(&["start", "--all"]);
    let again: Vec<NodeRecord> = foundation::record::read_all(nodes.ok(&["ls", "--json"]).as_bytes()).expect("records");
    assert_eq!(again[0].addresses, first[0].addresses);
    assert_eq!(resolv_conf(), "nameserver 192.0.2.1\n");
}

#[test]
fn a_launch_prepares_the_host_though_no_start_runs_it() {
    let panic = Path::new("/proc/sys/kernel/panic");
    let value = || fs::read_to_string(panic).expect("readable").trim().to_owned();
    // Another cluster of the host's may have set it already.
    let own = value();
    let nodes = Nodes::new();
    nodes.start(&["node1"]);
    nodes.ok(&["stop", "node1"]);
    fs::write(panic, "0").expect("another value than kubelet needs");
    let mut launch = nodes.nodectl(&["launch", "--cluster", "default", "node1"]);
    let mut child = launch.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nodectl runs");
    wait_for("the node to run", || nodes.ok(&["ls"]).contains("running"));
    let launched = value();
    nodes.ok(&["rm", "--all"]);
    child.wait().expect("it ends");
    fs::write(panic, own).expect("as it was");
    assert_eq!(launched, "10");
}

#[test]
fn a_node_that_does_not_come_up_is_undone_and_its_console_shown() {
    let host = HostState::capture(&[]);
    let nodes = Nodes::new();
    // A plugin directory cannot be broken from here, a boot can: no time at all.
    let message = nodes.refused(&["start", "node1", "--timeout", "0"], 1);
    assert!(message.contains("node node1 was not up within 0 s: waited for READY=1"), "{message}");
    host.wait_unchanged();
    assert!(!nodes.node_dir("node1").exists());
}

#[test]
fn a_broken_cni_configuration_is_told_in_cnispawns_words_and_the_running_node_is_left_alone() {
    let nodes = Nodes::new();
    let first = nodes.start(&["node1"]);
    let conflist = nodes.state_dir().join("clusters/default/net.d/10-nodes.conflist");
    let text = fs::read_to_string(&conflist).expect("a configuration");
    fs::write(&conflist, text.replace("\"bridge\",", "\"no-such-plugin\",")).expect("written");
    let message = nodes.refused(&["start", "node2"], 1);
    assert!(message.contains("no-such-plugin"), "{message}");
    assert!(!nodes.node_dir("node2").exists());
    fs::write(&conflist, text).expect("written");
    assert_eq!(nodes.start(&["node1", "--allow-running"])[0].pid, first[0].pid);
}

#[test]
fn on_a_file_system_with_reflinks_a_node_that_writes_into_a_file_changes_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let [disk, mounted] = ["disk", "mounted"].map(|name| dir.path().join(name));
    // The smallest XFS that mkfs.xfs makes; most of it is a hole.
    fs::File::create(&disk).and_then(|file| file.set_len(320 << 20)).expect("a disk");
    fs::create_dir(&mounted).expect("made");
    succeed(Command::new("mkfs.xfs").arg("-q").arg(&disk));
    succeed(Command::new("mount").args(["-o", "loop"]).args([&disk, &mounted]));
    let [store, clone] = ["store", "clone"].map(|name| mounted.join(name).join("plugin"));
    fs::create_dir_all(&store).expect("made");
    fs::write(store.join("blob"), vec![7; 100_000]).expect("written");
    let cloned = nodectl::clone::image_store(&mounted.join("store"), &mounted.join("clone"));
    let written = fs::write(clone.join("blob"), "written into");
    let kept = fs::read(store.join("blob"));
    succeed(Command::new("umount").arg(&mounted));
    cloned.expect("cloned");
    written.expect("written");
    assert_eq!(kept.expect("read"), vec![7; 100_000]);
}

#[test]
fn a_full_disk_is_said_so_and_nothing_is_half_made() {
    let disk = tempfile::tempdir().expect("a directory");
    let mount = |words: &[&str]| {
        let status = Command::new(words[0]).args(&words[1..]).arg(disk.path()).status().expect("it runs");
        assert!(status.success(), "{words:?}");
    };
    mount(&["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs"]);
    let image = disk.path().join("image");
    fs::create_dir_all(image.join("rootfs/usr")).expect("made");
    fs::create_dir_all(image.join("containerd")).expect("made");
    // All but 16 kB: the cluster's network fits, a node does not.
    fs::write(disk.path().join("filler"), vec![0; 240 << 10]).expect("filled");
    let record = serde_json::json!({
        "image": "tiny", "path": image, "kubernetes": "v1.37.2", "source": "go:v1.37.2", "os": "none",
    });
    let run = tempfile::tempdir().expect("a directory");
    let mut start = Command::new(tests::bin("nodectl"));
    start.args(["start", "node1"]).env("KUBEADM_SYSTEMD_STATE_DIR", disk.path());
    start.env("KUBEADM_SYSTEMD_RUN_DIR", run.path()).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start.spawn().expect("nodectl runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), record.to_string().as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let clusters = fs::read_dir(disk.path().join("clusters")).map_or(0, Iterator::count);
    mount(&["umount"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("No space left on device"), "{message}");
    assert_eq!(clusters, 0, "{message}");
}

#[test]
fn an_interrupted_start_is_undone() {
    let host = HostState::capture(&[]);
    let nodes = Nodes::new();
    let image = serde_json::to_string(&tests::node::image()).expect("a record");
    let mut start = nodes.nodectl(&["start", "--count", "2"]);
    let mut child = start.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nodectl runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), image.as_bytes()).expect("written");
    wait_for("the machine's record", || nodes.run_dir().join("machines/node2.default.json").exists());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("interrupted");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"), "{output:?}");
    host.wait_unchanged();
}

/// Kill, in the middle of a start, whatever `victim` finds; then `rm --all` must leave nothing.
fn killed_in_the_middle(victim: &str, find: impl Fn(&Nodes, i32) -> Option<i32>) {
    let host = HostState::capture(&[]);
    let nodes = Nodes::new();
    let image = serde_json::to_string(&tests::node::image()).expect("a record");
    let mut start = nodes.nodectl(&["start", "node1"]);
    let mut child =
        start.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nodectl runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), image.as_bytes()).expect("written");
    let nodectl = child.id().cast_signed();
    let mut pid = None;
    wait_for(victim, || {
        pid = find(&nodes, nodectl);
        pid.is_some()
    });
    kill(Pid::from_raw(pid.expect("found")), Signal::SIGKILL).expect("killed");
    child.wait().expect("it ends");
    nodes.ok(&["rm", "--all"]);
    host.wait_unchanged();
    assert!(!nodes.state_dir().join("clusters/default").exists());
    // The address is free again, and so is the name.
    let node = &nodes.start(&["node1"])[0];
    assert!(node.addresses[0].to_string().ends_with(".2"), "{node:?}");
}

/// The process that nodectl has launched for node1, while it is the program `comm`.
fn supervisor(nodes: &Nodes, comm: &str) -> Option<i32> {
    let machine = fs::read(nodes.run_dir().join("machines/node1.default.json")).ok()?;
    let machine: serde_json::Value = serde_json::from_slice(&machine).ok()?;
    let pid = machine["supervisor"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok())?;
    let now = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    (now.trim() == comm).then_some(pid)
}

#[test]
fn kill_9_of_nodectl_in_the_middle_of_a_start_leaves_nothing_after_rm() {
    killed_in_the_middle("nodectl", |nodes, nodectl| supervisor(nodes, "systemd-nspawn").map(|_| nodectl));
}

#[test]
fn kill_9_of_nodectl_while_it_makes_the_node_leaves_nothing_after_rm() {
    killed_in_the_middle("nodectl", |nodes, nodectl| nodes.node_dir("node1").join("upper").exists().then_some(nodectl));
}

#[test]
fn kill_9_of_cnispawn_in_the_middle_of_a_start_leaves_nothing_after_rm() {
    killed_in_the_middle("cnispawn", |nodes, _| supervisor(nodes, "cnispawn"));
}

#[test]
fn kill_9_of_nspawn_in_the_middle_of_a_start_leaves_nothing_after_rm() {
    killed_in_the_middle("systemd-nspawn", |nodes, _| supervisor(nodes, "systemd-nspawn"));
}

#[test]
fn no_free_address_is_said_so() {
    let nodes = Nodes::new();
    nodes.start(&["node1"]);
    // The subnet shrunk under the running node: its two addresses are the host's and node1's.
    let path = nodes.state_dir().join("clusters/default/network.json");
    let network = fs::read_to_string(&path).expect("a network");
    fs::write(&path, network.replace(".0/24", ".0/30")).expect("written");
    let message = nodes.refused(&["start", "node2"], 1);
    assert!(message.contains("no free address in 10.200."), "{message}");
    fs::write(&path, network).expect("written");
}

/// The image of an archive of ours in Docker's own format, as `podman save` writes it: without a manifest.
fn docker_archive(oci: &Path, reference: &str, path: &Path) {
    let dir = tempfile::tempdir().expect("a directory");
    succeed(Command::new("tar").args(["--extract", "--file"]).arg(oci).arg("--directory").arg(dir.path()));
    let blob = |digest: &serde_json::Value| digest.as_str().expect("a digest").replace(':', "/");
    let document = |file: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(dir.path().join(file)).expect("readable")).expect("JSON")
    };
    let index = document("index.json");
    let manifest = document(&format!("blobs/{}", blob(&index["manifests"][0]["digest"])));
    let config = blob(&manifest["config"]["digest"]).replace("sha256/", "");
    let layer = blob(&manifest["layers"][0]["digest"]);
    let files = dir.path().join("docker");
    fs::create_dir(&files).expect("created");
    fs::copy(dir.path().join("blobs/sha256").join(&config), files.join(format!("{config}.json"))).expect("copied");
    fs::copy(dir.path().join("blobs").join(&layer), files.join("layer.tar")).expect("copied");
    let list =
        serde_json::json!([{"Config": format!("{config}.json"), "RepoTags": [reference], "Layers": ["layer.tar"]}]);
    fs::write(files.join("manifest.json"), list.to_string()).expect("written");
    succeed(Command::new("tar").args(["--create", "--file"]).arg(path).arg("--directory").arg(&files).arg("."));
}

/// An archive of one image with a file of `megabytes` that does not compress.
fn archive(path: &Path, reference: &str, megabytes: usize) {
    let content = path.with_extension("content");
    let mut random = fs::File::open("/dev/urandom").expect("open");
    let mut file = fs::File::create(&content).expect("created");
    std::io::copy(&mut std::io::Read::take(&mut random, (megabytes as u64) << 20), &mut file).expect("copied");
    let mut layer = Layer::new();
    layer::add(&mut layer, "content", Entry::File(content));
    let image = Image { reference: reference.to_owned(), entrypoint: "/content".to_owned(), layer, ..Image::default() };
    oci::write(&image, path).expect("written");
}

#[test]
fn an_archive_is_loaded_into_all_nodes_by_file_and_pipe_and_not_again_where_it_is() {
    let nodes = Nodes::new();
    nodes.start(&["node1", "node2"]);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("image.tar");
    archive(&path, "example.org/test/app:1", 20);
    let file = path.to_str().expect("UTF-8");
    let loaded = |output: &str| {
        let records = output.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a record"));
        let pair = |record: serde_json::Value| {
            assert_eq!(record["images"][0]["name"], "example.org/test/app:1");
            (record["node"].as_str().expect("a name").to_owned(), record["loaded"].as_bool().expect("told"))
        };
        records.map(pair).collect::<Vec<_>>()
    };
    let expect = |first: bool, second: bool| vec![("node1".to_owned(), first), ("node2".to_owned(), second)];

    assert_eq!(loaded(&nodes.ok(&["load", "--node", "node2", file])), expect(true, true)[1..]);
    assert_eq!(loaded(&nodes.ok(&["load", file])), expect(true, false));
    assert_eq!(loaded(&nodes.ok(&["load", file])), expect(false, false));

    archive(&path, "example.org/test/app:1", 20);
    let mut zip = Command::new("gzip").arg("--stdout").arg(&path).stdout(Stdio::piped()).spawn().expect("gzip runs");
    let mut load = nodes.nodectl(&["load", "-"]);
    let output = load.stdin(zip.stdout.take().expect("piped")).output().expect("nodectl runs");
    zip.wait().expect("gzip ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(loaded(&String::from_utf8_lossy(&output.stdout)), expect(true, true));
    assert_eq!(loaded(&nodes.ok(&["load", file])), expect(false, false), "by another way");

    let docker = dir.path().join("docker.tar");
    archive(&path, "example.org/test/app:1", 20);
    docker_archive(&path, "example.org/test/app:1", &docker);
    let docker = docker.to_str().expect("UTF-8");
    assert_eq!(loaded(&nodes.ok(&["load", docker])), expect(true, true));
    assert_eq!(loaded(&nodes.ok(&["load", docker])), expect(false, false));

    let nothing = dir.path().join("nothing.tar");
    fs::write(&nothing, "nothing").expect("written");
    let message = nodes.refused(&["load", nothing.to_str().expect("UTF-8")], 1);
    assert!(message.contains("nothing.tar: it is no tar file, or damaged"), "{message}");
    let message = nodes.refused(&["load", "--node", "node3", file], 1);
    assert!(message.contains("node node3 of cluster default does not exist"), "{message}");
    nodes.ok(&["stop", "node2"]);
    let message = nodes.refused(&["load", file], 1);
    assert!(message.contains("node node2 is not running"), "{message}");
}
