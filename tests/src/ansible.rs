//! The Ansible that the playbooks pin, which `make setup` has installed.

use std::path::PathBuf;

/// Path of one of its programs.
pub fn program(name: &str) -> PathBuf {
    PathBuf::from("/var/lib/kubeadm-systemd/cache/ansible/bin").join(name)
}
