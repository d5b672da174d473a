//! Which nodes to start, and what is wished of each.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use foundation::files::FileError;
use foundation::name::Name;
use foundation::record::untrusted;

use super::{StartArgs, StartError};
use crate::cluster::state::{ClusterState, StateError};
use crate::node::spec::NodeSpec;

/// The wishes for the nodes that the command line names; `None` when it asks for all that exist.
///
/// # Errors
/// A line of the list is malformed, or a name is given twice.
pub(super) fn named(args: &StartArgs, input: impl BufRead) -> Result<Option<Vec<NodeSpec>>, StartError> {
    let named = |names: Vec<Name>| names.into_iter().map(NodeSpec::named).collect();
    let wishes = match (&args.nodes, args.count) {
        _ if args.all => return Ok(None),
        (Some(path), _) if path == Path::new("-") => read(path, input)?,
        (Some(path), _) => read(path, BufReader::new(File::open(path).map_err(FileError::of("open", path))?))?,
        (None, Some(count)) => named((1..=count).filter_map(|number| format!("node{number}").parse().ok()).collect()),
        (None, None) => named(args.names.clone()),
    };
    for (index, wish) in wishes.iter().enumerate() {
        if wishes[..index].iter().any(|other| other.name == wish.name) {
            return Err(StartError::Twice { node: wish.name.clone() });
        }
    }
    Ok(Some(wishes.into_iter().map(|wish| wish.or(args.role, args.limits)).collect()))
}

/// The wishes for all nodes that exist.
///
/// # Errors
/// The cluster has no nodes.
pub(super) fn all(args: &StartArgs, state: &ClusterState) -> Result<Vec<NodeSpec>, StateError> {
    if state.members.is_empty() {
        return Err(StateError::NoNodes { cluster: state.name.clone() });
    }
    let names = state.members.iter().map(|member| member.node.name.clone());
    Ok(names.map(|name| NodeSpec::named(name).or(None, args.limits)).collect())
}

/// Read a JSON object for each node; blank lines are skipped.
fn read(path: &Path, input: impl BufRead) -> Result<Vec<NodeSpec>, StartError> {
    let mut text = String::new();
    let mut input = input.take(untrusted::MOST);
    input.read_to_string(&mut text).map_err(FileError::of("read", path))?;
    if input.limit() == 0 {
        let size = format!("it has more than {} MiB", untrusted::MOST >> 20);
        return Err(FileError::of("read", path)(io::Error::other(size)).into());
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(index, line)| {
        let malformed = |source| StartError::Malformed { path: path.to_owned(), line: index + 1, source };
        serde_json::from_str(line).map_err(malformed)
    });
    let wishes = read.collect::<Result<Vec<_>, _>>()?;
    if wishes.is_empty() { Err(StartError::NoWishes { path: path.to_owned() }) } else { Ok(wishes) }
}
