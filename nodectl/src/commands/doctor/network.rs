//! Whether a subnet is free for a cluster's network.

use super::{Finding, Patient};
use crate::cluster;
use crate::cluster::network;

pub(super) fn subnet(patient: &Patient<'_>) -> Finding {
    let taken = match cluster::taken_subnets(patient.dirs) {
        Ok(taken) => taken,
        Err(error) => return Finding::failed(foundation::error_chain(&error), "look at what the message names"),
    };
    match network::free_subnet(&taken) {
        Ok(subnet) => Finding::ok(format!("{subnet} is free for the next cluster")),
        Err(error) => Finding::failed(error.to_string(), "nodectl rm --all, of a cluster that is not needed"),
    }
}
