//! Remove nodes, with the last one what they shared, and with the last one of all clusters the changes to the host.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use foundation::files::{self, FileError};
use foundation::name::Name;
use foundation::state::StateDirs;

use super::names;
use super::state::ClusterState;
use crate::failures::Failures;
use crate::host::etc_hosts::{self, EtcHostsError};
use crate::host::sysctl;
use crate::node::Node;
use crate::node::end::{self, How};

/// Why what the nodes shared was not removed.
#[derive(Debug, thiserror::Error)]
enum SharedError {
    #[error(transparent)]
    EtcHosts(#[from] EtcHostsError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Remove `nodes` of a cluster: nodes of its state, and ones that were made since. `report` gets a line for each.
///
/// # Errors
/// What is left, and why.
pub(crate) fn nodes(state: &mut ClusterState, nodes: &[Node], mut report: impl FnMut(String)) -> Result<(), Failures> {
    let mut failures = Failures::default();
    let mut ended: Vec<&Node> = Vec::new();
    for node in nodes {
        let marked = Node::lock(&node.dirs, &node.cluster, &node.name).and_then(|_lock| node.mark_removed());
        ended.extend(marked.is_ok().then_some(node));
        failures.note(marked);
    }
    failures.note(end::all(&state.dirs, &ended, How::Kill));
    // A machine whose file is left may still run, so it keeps its directory. The reason has just been noted.
    ended.retain(|node| matches!(node.machine(), Ok(None)));
    let mut gone: Vec<&Name> = Vec::new();
    thread::scope(|scope| {
        let (sender, removed) = mpsc::channel();
        for node in ended {
            let sender = sender.clone();
            scope.spawn(move || sender.send((node, files::remove_tree(&node.dir()))));
        }
        drop(sender);
        for (node, result) in removed {
            if result.is_ok() {
                report(format!("removed {}", node.name));
                gone.push(&node.name);
            }
            failures.note(result);
        }
    });
    state.members.retain(|member| !gone.contains(&&member.node.name));
    let left = nodes.iter().filter(|node| !gone.contains(&&node.name) && state.member(&node.name).is_none()).count();
    failures.note(after(state, left, &mut report));
    failures.into_result()
}

/// What follows a removal that leaves the nodes of the state, and `others`.
fn after(state: &ClusterState, others: usize, report: &mut impl FnMut(String)) -> Result<(), SharedError> {
    let entries: Vec<_> = state.members.iter().map(|member| member.node.hosts_entry()).collect();
    etc_hosts::update(&state.dirs, &state.name, &entries)?;
    if others > 0 || !entries.is_empty() {
        return Ok(());
    }
    let dir = state.dirs.cluster(&state.name);
    // First: without it the cluster does not exist, whatever else is left.
    files::remove_if_exists(&dir.join("network.json"))?;
    shared_parts(&dir)?;
    if !has_nodes(&state.dirs)? {
        sysctl::restore(&state.dirs, report)?;
    }
    Ok(())
}

fn has_nodes(dirs: &StateDirs) -> Result<bool, FileError> {
    for cluster in names(dirs)? {
        if !Node::all(dirs, &cluster)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Remove what nodes share, and nodes that were not made to the end. Files of other tools stay.
pub(super) fn shared_parts(dir: &Path) -> Result<(), FileError> {
    for part in ["net.d", "ipam", "ssh", "nodes"] {
        files::remove_tree(&dir.join(part))?;
    }
    // Fails while another tool's files are in it, which should stay.
    let _ = fs::remove_dir(dir);
    Ok(())
}

/// Finish removals that were interrupted.
pub(crate) fn finish(state: &mut ClusterState, report: impl FnMut(String)) -> Result<(), Failures> {
    let removed = state.members.iter().map(|member| &member.node).filter(|node| node.is_removed());
    let removed: Vec<_> = removed.cloned().collect();
    if removed.is_empty() { Ok(()) } else { nodes(state, &removed, report) }
}
