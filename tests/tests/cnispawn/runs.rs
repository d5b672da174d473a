//! `run`: the container has its network, keeps its process, and leaves nothing.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use tests::fixture::{Fixture, bridge, fail, succeed, wait_for};

#[test]
fn a_container_reaches_its_gateway_and_leaves_nothing() {
    let fixture = Fixture::new(10);
    let gateway = TcpListener::bind("0.0.0.0:0").expect("a port on every address of this host");
    let port = gateway.local_addr().expect("bound").port();
    let script = format!("exec 3<>/dev/tcp/10.201.10.1/{port} && echo reached && ip -brief -4 address show dev eth0");
    let output = succeed(&mut fixture.run("web", &script));
    let (reached, address) = output.split_once('\n').expect("two lines");
    assert_eq!(reached, "reached");
    assert!(address.contains("10.201.10.2/24"), "{address}");
    fixture.assert_clean();
}

#[test]
fn loopback_is_up_and_sysfs_shows_the_containers_own_links() {
    let fixture = Fixture::new(11);
    let output = succeed(&mut fixture.run("web.dev", "ls /sys/class/net; ip -brief address show dev lo"));
    assert!(output.starts_with("eth0\nlo\nlo "), "{output}");
    assert!(output.contains("127.0.0.1/8"), "{output}");
    fixture.assert_clean();
}

#[test]
fn the_process_that_was_started_becomes_systemd_nspawn() {
    let fixture = Fixture::new(12);
    let mut web = fixture.start("web");
    let comm = fs::read_to_string(format!("/proc/{}/comm", web.pid())).expect("it runs");
    assert_eq!(comm.trim(), "systemd-nspawn");

    let expected = json!({"name": "web", "networks": ["cs-12"], "addresses": ["10.201.12.2"], "netns": "/run/netns/web",
        "pid": web.pid(), "state": "running"});
    assert_eq!(fixture.ls(), [expected]);
    let table = succeed(&mut fixture.cnispawn(&["ls"]));
    assert!(table.starts_with("NAME  NETWORKS  ADDRESSES    NETNS           PID"), "{table}");

    succeed(&mut fixture.cnispawn(&["gc"]));
    assert_eq!(fixture.ls().len(), 1, "gc leaves what runs");
    web.kill();
    fixture.assert_clean();
}

#[test]
fn the_status_of_the_container_is_the_status_of_run() {
    let fixture = Fixture::new(13);
    let status = fixture.run("web", "exit 42").status().expect("runs");
    assert_eq!(status.code(), Some(42));
    fixture.assert_clean();
}

#[test]
fn exec_gets_nspawns_arguments_and_environment_and_no_descriptor_of_ours() {
    let fixture = Fixture::new(14);
    let script =
        "echo \"$NOTIFY_SOCKET\"; echo \"$@\"; readlink /proc/$$/fd/* | grep -v -e pipe: -e /dev/null -e /exec";
    fixture.write_plugin("exec", &format!("{script}; true"));
    let mut run = fixture.cnispawn(&["run", "web", "--exec"]);
    run.arg(fixture.path("bin/exec"))
        .args(["--", "--keep-unit", "-D", "/x y", "--boot"])
        .env("NOTIFY_SOCKET", "/run/notify");
    let output = succeed(&mut run);
    let expected = "--network-namespace-path=/run/netns/web --private-network --machine=web --keep-unit -D /x y --boot";
    assert_eq!(output, format!("/run/notify\n{expected}\n"));
    fixture.assert_clean();
}

#[test]
fn concurrent_runs_get_distinct_addresses() {
    let fixture = Fixture::new(15);
    tests::bin("cnispawn");
    let children: Vec<_> = (0..10)
        .map(|i| {
            let mut run = fixture.run(&format!("c{i}"), "ip -brief -4 address show dev eth0; read line; exit 0");
            run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("cnispawn runs")
        })
        .collect();
    let attached = |row: &Value| row["addresses"].as_array().is_some_and(|addresses| addresses.len() == 1);
    wait_for("ten containers", || fixture.ls().into_iter().filter(attached).count() == 10);
    // All end at the same time: ten watchers delete at once.
    let waits: Vec<_> = children.into_iter().map(|child| thread::spawn(move || child.wait_with_output())).collect();
    let mut addresses = BTreeSet::new();
    for wait in waits {
        let output = wait.join().expect("no panic").expect("waited");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        addresses.insert(output.stdout);
    }
    assert_eq!(addresses.len(), 10, "{addresses:?}");
    fixture.assert_clean();
}

#[test]
fn a_bridge_that_was_there_before_stays() {
    let fixture = Fixture::new(16);
    succeed(Command::new("ip").args(["link", "add", "cs-16", "type", "bridge"]));
    succeed(&mut fixture.run("web", "true"));
    wait_for("the watcher", || fixture.ls().is_empty());
    succeed(Command::new("ip").args(["link", "show", "cs-16"]));
    succeed(Command::new("ip").args(["link", "delete", "cs-16"]));
    fixture.assert_clean();
}

#[test]
fn cni_args_reach_the_plugins() {
    let fixture = Fixture::without_network(17);
    fixture.write_conf(&json!([bridge(17, 24, fixture.path("ipam"))]));
    let mut run = fixture.run("web", "ip -brief -4 address show dev eth0");
    let output = succeed(run.env("CNI_ARGS", "IgnoreUnknown=1;IP=10.201.17.77"));
    assert!(output.contains("10.201.17.77/24"), "{output}");
    fixture.assert_clean();

    let error = fail(fixture.run("web", "true").env("CNI_ARGS", "IP"), 2);
    assert!(error.contains("no KEY=VALUE in \"IP\""), "{error}");
    fixture.assert_clean();
}
