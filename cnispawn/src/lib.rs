//! Give a systemd-nspawn container a network by CNI plugins, and take it away again however the container ends.
//!
//! Each room imports from those after it alone:
//!
//! | room          | what is in it                                                                                |
//! |---------------|----------------------------------------------------------------------------------------------|
//! | [`commands`]  | a file for each verb                                                                         |
//! | [`userns`]    | containers that make their network namespace themselves                                      |
//! | [`container`] | a container's record, lock and watcher, and the undoing of its network                       |
//! | [`host`]      | the host's bridges, network namespaces and firewalls                                         |
//! | [`cli`]       | the command line's definitions                                                               |
//! | [`cni`]       | the CNI specification's protocol                                                             |

pub mod cli;
pub mod cni;
pub mod commands;
mod container;
mod dirs;
mod host;
mod userns;
