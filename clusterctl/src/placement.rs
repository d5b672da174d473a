//! Which nodes a component runs on.

use std::collections::BTreeSet;

use foundation::name::Name;
use foundation::record::{Component, Kind};

use crate::inventory::Inventory;

/// It does not run there.
#[derive(Debug, thiserror::Error)]
#[error("{} does not run on node {node}; it does on {}", component.name(), there.join(", "))]
pub(crate) struct Elsewhere {
    component: Component,
    node: Name,
    there: Vec<String>,
}

/// The nodes that run a component, or may (pods of a Deployment do on some of them): all, or those that are `named`.
pub(crate) fn nodes(component: Component, named: &[Name], inventory: &Inventory) -> Result<Vec<Name>, Elsewhere> {
    let there = match component.kind() {
        Kind::StaticPod => inventory.control_plane(),
        Kind::Workload | Kind::Program => inventory.nodes(),
    };
    if let Some(node) = named.iter().find(|node| !there.contains(node)) {
        let there = there.into_iter().map(ToString::to_string).collect();
        return Err(Elsewhere { component, node: node.clone(), there });
    }
    if named.is_empty() {
        return Ok(there.into_iter().cloned().collect());
    }
    // Each once, however often it is named: two swaps on one node would get in each other's way.
    Ok(named.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect())
}
