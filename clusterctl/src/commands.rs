//! The verbs, one file each.

pub(crate) mod debug;
pub(crate) mod down;
pub(crate) mod e2e;
pub(crate) mod export_logs;
pub(crate) mod inventory;
pub(crate) mod kubeconfig;
pub(crate) mod logs;
pub(crate) mod swap;
pub(crate) mod up;
pub(crate) mod upgrade;
pub(crate) mod which;
