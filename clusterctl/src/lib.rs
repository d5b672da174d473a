//! Make a Kubernetes cluster of machines that SSH reaches: write the Ansible inventory, run the kubeadm playbooks, and
//! change components of the running cluster over SSH.
//!
//! Of nodectl only the node record is known here: the machines may as well be others.

mod ansible;
mod builder;
pub mod cli;
mod cluster;
mod commands;
pub mod inventory;
mod placement;
pub mod run;
mod seconds;
mod settings;
mod ssh;
mod swap;
