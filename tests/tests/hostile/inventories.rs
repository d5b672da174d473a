//! Inventories for `clusterctl up`, with an Ansible that does nothing: what Ansible would make of an inventory is up to
//! whoever gives it one (docs/security.md).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use proptest::prelude::*;
use proptest::sample::select;

use super::ground::{Ground, tell, try_all};
use super::words::word;

pub(super) const CASES: u32 = 100;

const GOOD: &str = "all:
  vars:
    kubeadm_systemd_cluster: CLUSTER
    ansible_python_interpreter: /usr/bin/python3
  children:
    kube_control_plane:
      hosts:
        NODE:
          ansible_host: \"ADDRESS\"
          ansible_port: 22
          ansible_user: USER
          ansible_ssh_private_key_file: KEY
          ansible_ssh_common_args: -o StrictHostKeyChecking=yes
    etcd:
      children:
        kube_control_plane: {}
    k8s_cluster:
      children:
        kube_control_plane: {}
";

/// The words of a good one.
const PLACES: [(&str, &str); 5] =
    [("CLUSTER", "dev"), ("NODE", "node1"), ("ADDRESS", "10.0.0.2"), ("USER", "root"), ("KEY", "/key")];

fn good() -> String {
    PLACES.iter().fold(GOOD.to_owned(), |text, (place, word)| text.replace(place, word))
}

fn up(ground: &Ground, playbooks: &str) -> Command {
    let mut up = ground.program("clusterctl", &["up", "--timeout", "20"]);
    up.env("KUBEADM_SYSTEMD_ANSIBLE_DIR", ground.path(playbooks));
    up.env("KUBEADM_SYSTEMD_ANSIBLE_PLAYBOOK", ground.path(playbooks).join("ansible-playbook"));
    up
}

/// Playbooks, and an ansible-playbook that succeeds.
fn write_playbooks(ground: &Ground) -> &'static str {
    fs::create_dir_all(ground.path("work")).expect("made");
    fs::write(ground.path("work/up.yml"), "").expect("written");
    let program = ground.path("work/ansible-playbook");
    fs::write(&program, "#!/bin/sh\necho 'ansible-playbook [core 2.19.0]'\n").expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
    "work"
}

#[test]
fn an_inventory_names_no_other_directory() {
    Ground::with(|ground| {
        let playbooks = write_playbooks(ground);
        let judge = |text: &str| {
            ground.clear();
            let taken = ground.judge(&mut up(ground, playbooks), text.as_bytes());
            let clusters = fs::read_dir(ground.state().join("clusters")).map_or(0, |clusters| clusters.count());
            assert_eq!(clusters, usize::from(taken.is_some()), "one cluster, or nothing: {text}");
            taken
        };
        assert!(judge(&good()).is_some_and(|record| record.contains("\"cluster\":\"dev\"")));
        let words = prop::collection::vec((select(&PLACES[..]), word(), any::<bool>()), 1..3);
        let mut taken = 0;
        try_all(CASES, words, |changes| {
            let text = changes.iter().fold(GOOD.to_owned(), |text, ((place, _), word, quoted)| {
                let word = word.replace("OUTSIDE", &ground.outside().display().to_string());
                text.replace(place, &if *quoted { format!("{word:?}") } else { word })
            });
            let text = PLACES.iter().fold(text, |text, (place, word)| text.replace(place, word));
            taken += u32::from(judge(&text).is_some());
        });
        tell(&format!("hostile: {CASES} inventories, {taken} of them harmless"));
    });
}

#[test]
fn an_inventory_that_grows_while_it_is_read_is_refused() {
    Ground::with(|ground| {
        let playbooks = write_playbooks(ground);
        // Each level ten times the one before: 10^12 of them.
        let mut laughs = "a0: &a0 [ha, ha]\n".to_owned();
        for level in 1..12 {
            let references = vec![format!("*a{}", level - 1); 10].join(", ");
            laughs += &format!("a{level}: &a{level} [{references}]\n");
        }
        let inputs = [
            laughs,
            format!("{}all: 3\n", "- ".repeat(100_000)),
            format!("all: {}{}\n", "{a: ".repeat(10_000), "}".repeat(10_000)),
            "a".repeat(17 << 20),
            "all: &all\n  vars: *all\n".to_owned(),
            format!("{}\n---\n{}", good(), good().replace("dev", "other")),
            good().replacen("    kubeadm", "    kubeadm_systemd_cluster: other\n    kubeadm", 1),
        ];
        for text in inputs {
            assert_eq!(ground.judge(&mut up(ground, playbooks), text.as_bytes()), None);
            assert!(!ground.state().exists(), "nothing is kept");
        }
    });
}
