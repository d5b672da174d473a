//! Give a systemd-nspawn container a network by CNI plugins, and undo it however the container ends.
//!
//! Each room imports only from those below it:
//!
//! | room        | contents                                                                        |
//! |-------------|---------------------------------------------------------------------------------|
//! | `commands`  | the verbs, one file each                                                        |
//! | `userns`    | containers in user namespaces, which make their network namespace themselves    |
//! | `container` | a container's plan, record, locks and watcher, and how its network is undone    |
//! | `host`      | links, bridges, network namespaces, firewalls                                   |
//! | `cli`       | the command line's definitions                                                  |
//! | `cni`       | the CNI specification's protocol                                                |

pub mod cli;
pub mod cni;
pub mod commands;
mod container;
mod dirs;
mod host;
mod userns;
