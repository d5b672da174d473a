//! The verbs of the command line, a file each.

pub(crate) mod build;
pub(crate) mod component;
pub(crate) mod e2e;
pub(crate) mod images;
pub(crate) mod rmi;
pub(crate) mod supplies;
