//! Kubernetes' own end-to-end tests, by `clusterctl e2e`: against a cluster, with images that are built here.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::HostState;
use tests::cluster::{Cluster, refused};
use tests::fixture::{succeed, wait_for};

/// Quick tests, of agnhost, of busybox, of both and of a client of DNS.
const FOCUS: [&str; 5] = [
    "ConfigMap should be consumable via environment variable",
    "should report termination message from file when pod succeeds",
    "Services should serve a basic endpoint from pods",
    "DNS should provide DNS for the cluster",
    "should be able to pull image",
];

/// It needs addresses of a family that the cluster does not have.
const FAILS: &str = "should create service with ipv6,v4 cluster ip";

/// It waits for minutes, which is long enough to be interrupted.
const LONG: &str = "should have monotonically increasing restart count";

#[test]
fn kubernetes_own_tests_are_run() {
    let cluster = Cluster::new("suite");
    let host = HostState::capture(&[]);
    cluster.up(2);
    let dir = tempfile::tempdir().expect("a directory");
    tests_pass_and_those_that_lack_an_image_are_named(&cluster);
    the_same_by_several_at_a_time(&cluster, dir.path().to_str().expect("UTF-8"));
    a_failure_is_told(&cluster);
    what_cannot_be_run_is_refused(&cluster);
    an_interrupted_test_cleans_up(&cluster);
    succeed(&mut cluster.wrapper(&["down"]));
    host.wait_unchanged();
}

fn focus<'a>(tests: &[&'a str]) -> Vec<&'a str> {
    ["e2e"].into_iter().chain(tests.iter().flat_map(|&test| ["--focus", test])).collect()
}

fn names(record: &Value, list: &str, field: &str) -> Vec<String> {
    let list = record[list].as_array().expect("a list");
    list.iter().map(|test| test[field].as_str().expect("a name").to_owned()).collect()
}

fn tests_pass_and_those_that_lack_an_image_are_named(cluster: &Cluster) {
    let output = cluster.clusterctl(&focus(&FOCUS)).stderr(Stdio::piped()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let record: Value = serde_json::from_slice(&output.stdout).expect("a record");
    assert_eq!(record["cluster"], "suite");
    assert_eq!(record["kubernetes"], nodectl::image::source::PINNED);
    let passed = names(&record, "passed", "name");
    for test in &FOCUS[..4] {
        assert!(passed.iter().any(|name| name.contains(test)), "{test}: {passed:?}");
    }
    assert!(record["failed"].as_array().is_some_and(Vec::is_empty), "{record}");
    let unavailable = names(&record, "unavailable", "test");
    assert!(unavailable.iter().all(|name| name.contains(FOCUS[4])) && !unavailable.is_empty(), "{unavailable:?}");
    assert_eq!(record["unavailable"][0]["image"], "content of agnhost's registry");
    assert!(said.contains("unavailable ") && said.contains("content of agnhost's registry"), "{said}");
    assert!(said.contains(&format!("e2e: {} passed, 0 failed, ", passed.len())), "{said}");
    let junit = fs::read_to_string(record["junit"].as_str().expect("a path")).expect("junit.xml");
    assert!(junit.contains("<testcase") && junit.contains(FOCUS[0]), "{junit}");
    for node in ["node1", "node2"] {
        let images = cluster.on_node(node, "ctr --namespace k8s.io images ls --quiet");
        assert!(images.contains("registry.k8s.io/e2e-test-images/agnhost:"), "{node}: {images}");
    }
}

fn the_same_by_several_at_a_time(cluster: &Cluster, dir: &str) {
    let words = [focus(&FOCUS[..3]), vec!["--conformance", "--parallel", "2", "--dir", dir]].concat();
    let record: Value = serde_json::from_str(&succeed(&mut cluster.clusterctl(&words))).expect("a record");
    assert!(names(&record, "passed", "name").iter().all(|name| name.contains("[Conformance]")), "{record}");
    assert_eq!(record["junit"], format!("{dir}/junit.xml"));
    let junit = fs::read_to_string(format!("{dir}/junit.xml")).expect("junit.xml");
    assert!(junit.contains("<testcase"), "{junit}");
}

fn a_failure_is_told(cluster: &Cluster) {
    let output = cluster.clusterctl(&focus(&[FAILS])).stderr(Stdio::piped()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let record: Value = serde_json::from_slice(&output.stdout).expect("a record");
    assert!(names(&record, "failed", "name")[0].contains(FAILS), "{record}");
    assert!(said.contains("FAILED") && said.contains("clusterctl: 1 of 1 tests failed; their output is in "), "{said}");
}

fn what_cannot_be_run_is_refused(cluster: &Cluster) {
    let said = refused(&mut cluster.clusterctl(&focus(&["no such test"])));
    assert!(said.contains("no test of Kubernetes v1.") && said.contains(" matches; "), "{said}");
    let said = refused(&mut cluster.clusterctl(&focus(&[FOCUS[4]])));
    assert!(said.contains("tests that match can run") && said.contains("content of agnhost's registry"), "{said}");
    let said = refused(&mut cluster.clusterctl(&focus(&["(unclosed"])));
    assert!(said.contains("the tests cannot be listed") && said.contains("missing closing )"), "{said}");
    let said = refused(&mut cluster.clusterctl(&["e2e", "--conformance", "--cluster", "nowhere"]));
    assert!(said.contains("cluster nowhere does not exist"), "{said}");
}

fn an_interrupted_test_cleans_up(cluster: &Cluster) {
    let mut child = cluster.clusterctl(&focus(&[LONG])).stderr(Stdio::piped()).spawn().expect("it runs");
    wait_for("a namespace of a test", || !namespaces(cluster).is_empty());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("it runs");
    assert_eq!(child.wait().expect("it ended").code(), Some(1));
    wait_for("it to be removed", || namespaces(cluster).is_empty());
    // Killed: the kernel signals the suite itself.
    let mut child = cluster.clusterctl(&focus(&[LONG])).stderr(Stdio::null()).spawn().expect("it runs");
    wait_for("a namespace of a test", || !namespaces(cluster).is_empty());
    child.kill().and_then(|()| child.wait()).expect("it ended");
    wait_for("it to be removed", || namespaces(cluster).is_empty());
}

fn namespaces(cluster: &Cluster) -> String {
    let all = cluster.kubectl(&["get", "namespaces", "--output=name"]);
    all.lines().filter(|name| !name.contains("/kube-") && !name.ends_with("/default")).collect()
}
