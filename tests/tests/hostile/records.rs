//! Records on standard input.

use proptest::prelude::*;
use serde_json::{Value, json};

use clusterctl::inventory::Inventory;

use super::ground::{Ground, tell, try_all};
use super::words::{NASTY, changed};

const NODES: u32 = 150;
const IMAGES: u32 = 100;
pub(super) const CASES: u32 = NODES + IMAGES;

/// A node record that is right; key and known_hosts are any file.
fn node(ground: &Ground) -> Value {
    let file = ground.outside().join("passwd");
    json!({
        "name": "node1", "cluster": "dev", "role": "control-plane", "addresses": ["10.0.0.2"],
        "ssh": {"user": "root", "port": 22, "private_key": file, "known_hosts": file},
        "image": "default", "state": "running", "pid": 1, "rack": "r7",
    })
}

/// A line on which a record was put down.
fn line(ground: &Ground, record: &Value) -> String {
    format!("{record}\n").replace("OUTSIDE", &ground.outside().display().to_string())
}

/// An inventory of records may hold nothing that Ansible or SSH do not take as it is.
fn assert_harmless(yaml: &str) {
    let harmful = ["{{", "{%", "{#", "\"!", "ProxyCommand", "${", "~/", "%", "\0", "\u{1b}"];
    assert!(!harmful.iter().any(|word| yaml.contains(word)), "{yaml}");
    let (inventory, _) = Inventory::read(yaml.as_bytes()).expect("what we write we read");
    assert_eq!(inventory.to_yaml().expect("YAML"), yaml);
    assert_eq!(yaml.matches("ansible_host:").count(), inventory.nodes().len(), "no host is smuggled in: {yaml}");
}

#[test]
fn a_node_record_becomes_no_option_template_or_path_of_its_choice() {
    Ground::with(|ground| {
        let fields = &[
            "/name",
            "/cluster",
            "/role",
            "/addresses",
            "/addresses/0",
            "/ssh",
            "/ssh/user",
            "/ssh/port",
            "/ssh/private_key",
            "/ssh/known_hosts",
            "/image",
            "/state",
            "/pid",
            "/rack",
        ];
        let good = node(ground);
        let judge = |input: &[u8]| ground.judge(&mut ground.program("clusterctl", &["inventory"]), input);
        assert_harmless(&judge(line(ground, &good).as_bytes()).expect("a good one is taken"));
        let mut taken = 0;
        try_all(NODES, changed(good.clone(), fields), |record| {
            if let Some(yaml) = judge(line(ground, &record).as_bytes()) {
                assert_harmless(&yaml);
                taken += 1;
            }
        });
        tell(&format!("hostile: {NODES} node records, {taken} of them harmless"));
        // Each word in each field that becomes a word of SSH's or a template's.
        for word in NASTY {
            for field in ["/name", "/cluster", "/ssh/user", "/ssh/private_key", "/ssh/known_hosts"] {
                let mut record = good.clone();
                *record.pointer_mut(field).expect("there") = json!(word);
                if let Some(yaml) = judge(line(ground, &record).as_bytes()) {
                    assert_harmless(&yaml);
                }
            }
        }
    });
}

#[test]
fn what_is_no_text_or_does_not_end_is_refused() {
    Ground::with(|ground| {
        let deep = format!("{}{}\n", "[".repeat(100_000), "]".repeat(100_000));
        let endless = "a".repeat(17 << 20);
        let twice = line(ground, &node(ground)).replacen('{', "{\"name\":\"../x\",", 1);
        let inputs: [&[u8]; 6] = [
            b"\xff\xfe\n",
            b"\0\0\0",
            b"{\"name\":\"\xc3\x28\"}\n",
            deep.as_bytes(),
            endless.as_bytes(),
            twice.as_bytes(),
        ];
        for input in inputs {
            for (program, words) in [("clusterctl", ["inventory"].as_slice()), ("nodectl", &["start", "node1"])] {
                assert_eq!(ground.judge(&mut ground.program(program, words), input), None);
            }
        }
    });
}

#[test]
fn an_image_record_starts_nothing_outside_of_an_image() {
    Ground::with(|ground| {
        let good = json!({
            "image": "default", "path": ground.state().join("images/default/0"), "kubernetes": "v1.37.2",
            "source": "go:v1.37.2", "os": "Debian", "rack": "r7",
        });
        let fields = &["/image", "/path", "/path", "/path", "/kubernetes", "/source", "/os", "/rack"];
        try_all(IMAGES, (changed(good, fields), any::<bool>()), |(record, twice)| {
            let text = line(ground, &record).repeat(1 + usize::from(twice));
            // None of these images is there: whatever the record says, there is nothing to start.
            assert_eq!(ground.judge(&mut ground.program("nodectl", &["start", "node1"]), text.as_bytes()), None);
            assert!(!ground.state().join("clusters").exists(), "{record}");
        });
    });
}
