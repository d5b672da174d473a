//! Decide everything before anything is made.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal};

use foundation::name::Name;
use foundation::record::{self, ImageRecord, Role};
use foundation::state::StateDirs;

use super::{StartArgs, StartError};
use crate::cluster::Cluster;
use crate::images;
use crate::node::Node;

/// The names of the nodes.
pub(super) fn names(args: &StartArgs) -> Result<Vec<Name>, StartError> {
    let names = match args.count {
        None => args.names.clone(),
        Some(count) => (1..=count).filter_map(|number| format!("node{number}").parse().ok()).collect(),
    };
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(StartError::Twice { node: name.clone() });
        }
    }
    Ok(names)
}

/// The image to start from: named, or on standard input. Builds leave it alone as long as the lock is there.
pub(super) fn image(
    args: &StartArgs,
    dirs: &StateDirs,
    input: impl BufRead,
) -> Result<(ImageRecord, Option<File>), StartError> {
    let image = match &args.image {
        Some(name) => images::load(dirs, name)?,
        None if io::stdin().is_terminal() => return Err(StartError::NoImage),
        None => {
            let mut records: Vec<ImageRecord> = record::read_all(input)?;
            if records.len() > 1 {
                return Err(StartError::ManyImages { count: records.len() });
            }
            records.remove(0)
        }
    };
    let path = image.path.join("rootfs");
    let held = images::hold(&image)?;
    if path.join("usr").is_dir() { Ok((image, held)) } else { Err(StartError::NoRootfs { image: image.image, path }) }
}

/// Decide role and address of every node; those that exist keep theirs.
pub(super) fn nodes(
    args: &StartArgs,
    cluster: &Cluster,
    image: &ImageRecord,
    names: &[Name],
    existing: &[Node],
) -> Result<Vec<Node>, StartError> {
    let mut known = existing.to_vec();
    let mut planned = Vec::new();
    for name in names {
        if let Some(node) = existing.iter().find(|node| node.name == *name) {
            planned.push(Node { limits: args.limits.or(node.limits), ..node.clone() });
            continue;
        }
        let has_control_plane = known.iter().any(|node| node.role == Role::ControlPlane);
        let node = Node {
            name: name.clone(),
            cluster: args.cluster.clone(),
            role: args.role.unwrap_or(if has_control_plane { Role::Worker } else { Role::ControlPlane }),
            address: cluster.free_address(&known)?,
            image: image.image.clone(),
            generation: image.path.clone(),
            limits: args.limits,
        };
        known.push(node.clone());
        planned.push(node);
    }
    Ok(planned)
}
