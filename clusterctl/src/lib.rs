//! Make a Kubernetes cluster of machines that SSH reaches: write the Ansible inventory, run the kubeadm playbooks.
//!
//! Of nodectl only the node record is known here: the machines may as well be others.

pub mod ansible;
pub mod builder;
pub mod cli;
pub mod cluster;
pub mod debug;
pub mod down;
pub mod e2e;
pub mod events;
pub mod export_logs;
pub mod inventory;
pub mod kubeconfig;
pub mod logs;
pub mod placement;
pub mod run;
pub mod settings;
pub mod ssh;
pub mod swap;
pub mod up;
pub mod upgrade;
pub mod which;
