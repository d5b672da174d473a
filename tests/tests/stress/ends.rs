//! Many containers at once, which end at once: as many DELs in parallel, which remove iptables chains.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use tests::Fixture;
use tests::fixture::{bridge, wait_for};

use super::tell::tell;

const CONTAINERS: usize = 50;
/// Networks of the second test; each of its containers is in two of them.
const NETWORKS: usize = 5;

/// Tell the addresses, and end with the standard input.
const SCRIPT: &str = "ip -brief -4 address show scope global; read line; exit 0";

#[test]
fn fifty_containers_have_fifty_addresses_and_end_at_once_without_a_chain_left() {
    let fixture = Fixture::new(61);
    let runs = (0..CONTAINERS).map(|i| fixture.run(&format!("c{i}"), SCRIPT)).collect();
    let addresses = start_and_end(&fixture, runs, 1);
    tell(format!("{CONTAINERS} containers at once on one network: {addresses} addresses, 0 failures, nothing left"));
}

#[test]
fn several_networks_lose_all_their_containers_at_once_without_a_bridge_or_chain_left() {
    let fixture = Fixture::without_network(62);
    for network in 0..NETWORKS {
        let mut plugin = bridge(u8::try_from(100 + network).expect("small"), 24, fixture.path("ipam"));
        // Two default routes would not do.
        plugin["ipam"].as_object_mut().expect("an object").remove("routes");
        let list = json!({"cniVersion": "1.0.0", "name": format!("net{network}"), "plugins": [plugin]});
        fs::write(fixture.path(&format!("net.d/{network}.conflist")), list.to_string()).expect("written");
    }
    let runs = (0..CONTAINERS).map(|i| {
        let [one, other] = [i, i + 1].map(|i| format!("net{}", i % NETWORKS));
        fixture.run_with(&format!("c{i}"), &["--network", &one, "--network", &other], &["--read-only"], SCRIPT)
    });
    let addresses = start_and_end(&fixture, runs.collect(), 2);
    tell(format!(
        "{CONTAINERS} containers at once, each on 2 of {NETWORKS} networks: {addresses} addresses, 0 failures, nothing left"
    ));
}

/// Run all, end all at the same moment, and see that nothing is left. Returns how many addresses they had.
fn start_and_end(fixture: &Fixture, runs: Vec<Command>, addresses_each: usize) -> usize {
    let count = runs.len();
    let children: Vec<Child> = runs
        .into_iter()
        .map(|mut run| {
            let piped = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            piped.spawn().expect("cnispawn runs")
        })
        .collect();
    let attached = |row: &Value| row["addresses"].as_array().is_some_and(|all| all.len() == addresses_each);
    wait_for("all containers", || fixture.ls().into_iter().filter(attached).count() == count);

    // wait_with_output closes their standard inputs first.
    let waits: Vec<_> = children.into_iter().map(|child| thread::spawn(move || child.wait_with_output())).collect();
    let mut addresses = BTreeSet::new();
    for wait in waits {
        let output = wait.join().expect("no panic").expect("waited");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).expect("text");
        addresses.extend(lines.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned));
    }
    assert_eq!(addresses.len(), count * addresses_each, "{addresses:?}");
    fixture.assert_clean();
    addresses.len()
}
