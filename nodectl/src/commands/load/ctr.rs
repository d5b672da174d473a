//! ctr in a node: whether it has images, and importing an archive.

use std::process::Command;

use foundation::command;

use super::archive::Named;
use crate::node::namespaces;

/// ctr in the namespace of containerd's CRI plugin. With a timeout: a containerd that hangs, as at a debugger's breakpoint,
/// reads nothing and so holds up all nodes.
const CTR: [&str; 5] = ["ctr", "--timeout", "15m", "--namespace", "k8s.io"];

/// Whether the node has all of the images, unpacked: kubelet would pull a name without its snapshot.
pub(super) fn has(leader: i32, images: &[Named]) -> bool {
    let ctr = |words: &[&str]| {
        let output = command::output(&mut namespaces::command(leader, CTR.iter().chain(words))).ok()?;
        Some(output.stdout)
    };
    // A check of all images of a node takes ten times as long.
    let filters: Vec<_> = images.iter().map(Named::filter).collect();
    let words: Vec<_> = ["images", "check"].into_iter().chain(filters.iter().map(String::as_str)).collect();
    let Some(table) = ctr(&words) else { return false };
    let table = String::from_utf8_lossy(&table);
    let content = |digest| ctr(&["content", "get", digest]);
    !images.is_empty() && images.iter().all(|image| image.is_in(&table, content))
}

pub(super) fn import(leader: i32, is_plain: bool) -> Command {
    // --local: ctr itself writes the content, in 0.6 of the time that containerd takes to read the stream from ctr. But
    // only containerd decompresses.
    let local: &[&str] = if is_plain { &["--local"] } else { &[] };
    let words = CTR.iter().chain(&["images", "import"]).chain(local).chain(&["--snapshotter", "overlayfs", "-"]);
    namespaces::command(leader, words)
}
