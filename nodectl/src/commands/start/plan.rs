//! Decide about every node before anything is made or started: pure planning.

mod address;
mod error;

use foundation::name::Name;
use foundation::record::{ImageRecord, Role};
use foundation::state::StateDirs;

use self::address::Addresses;
pub(crate) use self::error::PlanError;
use super::image::Image;
use crate::cluster::network::Network;
use crate::node::Node;
use crate::node::spec::NodeSpec;

/// What a plan is made from.
pub(super) struct Asked<'a> {
    /// The nodes, and what is wished of each.
    pub(super) wishes: &'a [NodeSpec],
    /// What new nodes are made from.
    pub(super) image: &'a Image,
    /// Whether an option names the image: then nodes of another image are refused.
    pub(super) is_image_named: bool,
    /// Whether running nodes are left alone, and not refused.
    pub(super) allow_running: bool,
    /// The cluster's name.
    pub(super) cluster: &'a Name,
    /// The cluster's network.
    pub(super) network: &'a Network,
    /// The cluster's nodes.
    pub(super) existing: &'a [Existing<'a>],
    /// Where nodes are.
    pub(super) dirs: &'a StateDirs,
}

/// A node of the cluster.
pub(super) struct Existing<'a> {
    pub(super) node: &'a Node,
    pub(super) is_running: bool,
}

/// What to do, and with which nodes.
#[derive(Debug)]
pub(super) struct Plan {
    /// The nodes, in the order in which they were named.
    pub(super) nodes: Vec<Planned>,
    /// What the user should know, a line each.
    pub(super) notices: Vec<String>,
}

/// A node as it will be, and what makes it so.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) node: Node,
    pub(super) action: Action,
}

/// What to do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Make its directory, and launch it.
    Make,
    /// Launch it.
    Start,
    /// It runs: nothing.
    Leave,
}

impl Plan {
    /// The nodes with this action.
    pub(super) fn with(&self, action: Action) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |planned| planned.action == action).map(|planned| &planned.node)
    }
}

/// Make the plan. Nodes that exist keep their role, addresses and image.
///
/// # Errors
/// A wish cannot be granted, or a new node has no image.
pub(super) fn plan(asked: &Asked<'_>) -> Result<Plan, PlanError> {
    let existing = |wish: &NodeSpec| asked.existing.iter().find(|existing| existing.node.name == wish.name);
    let running = asked.wishes.iter().find(|wish| existing(wish).is_some_and(|node| node.is_running));
    if let Some(NodeSpec { name, .. }) = running.filter(|_| !asked.allow_running) {
        return Err(PlanError::Running { node: name.clone(), cluster: asked.cluster.clone() });
    }
    let new: Vec<_> = asked.wishes.iter().filter(|wish| existing(wish).is_none()).collect();
    let image = if new.is_empty() { None } else { Some(image_for(&new, asked.image)?) };

    let mut addresses = Addresses::new(asked, &new)?;
    let is_control_plane = |role: Option<Role>| role == Some(Role::ControlPlane);
    let mut has_control_plane = asked.existing.iter().any(|other| is_control_plane(Some(other.node.role)))
        || new.iter().any(|wish| is_control_plane(wish.role));
    let mut nodes = Vec::new();
    for wish in asked.wishes {
        let planned = match (existing(wish), image) {
            (Some(existing), _) => kept(wish, existing, asked)?,
            (None, Some(image)) => {
                let first = if has_control_plane { Role::Worker } else { Role::ControlPlane };
                let role = wish.role.unwrap_or(first);
                has_control_plane |= is_control_plane(Some(role));
                let node = Node {
                    name: wish.name.clone(),
                    cluster: asked.cluster.clone(),
                    role,
                    addresses: addresses.of(wish)?,
                    image: image.image.clone(),
                    generation: image.path.clone(),
                    limits: wish.limits(),
                    dirs: asked.dirs.clone(),
                };
                Planned { node, action: Action::Make }
            }
            // `image` is there when a node is new.
            (None, None) => continue,
        };
        nodes.push(planned);
    }
    let notices = notices(&nodes, asked.image);
    Ok(Plan { nodes, notices })
}

/// The image that new nodes are made from.
fn image_for<'a>(new: &[&NodeSpec], image: &'a Image) -> Result<&'a ImageRecord, PlanError> {
    let nodes = || new.iter().map(|wish| wish.name.to_string()).collect::<Vec<_>>().join(", ");
    match image {
        Image::Given(image) => Ok(image),
        Image::Empty => Err(PlanError::EmptyInput { nodes: nodes(), source: Box::new(Image::empty_error()) }),
        Image::Terminal => Err(PlanError::NoImage { nodes: nodes(), why: "standard input is a terminal" }),
        Image::NotRead => Err(PlanError::NoImage { nodes: nodes(), why: "standard input carries the nodes" }),
    }
}

/// A node that exists. Its limits may change, but not while it runs.
fn kept(wish: &NodeSpec, existing: &Existing<'_>, asked: &Asked<'_>) -> Result<Planned, PlanError> {
    let Existing { node, is_running } = existing;
    let name = || node.name.clone();
    if wish.role.is_some_and(|role| role != node.role) {
        return Err(PlanError::OtherRole { node: name(), role: node.role });
    }
    if !wish.addresses.is_empty() && wish.addresses != node.addresses {
        return Err(PlanError::OtherAddresses { node: name(), address: node.address() });
    }
    if let Image::Given(image) = asked.image
        && asked.is_image_named
        && image.image != node.image
    {
        return Err(PlanError::OtherImage { node: name(), image: node.image.clone(), cluster: asked.cluster.clone() });
    }
    let limits = wish.limits().or(node.limits);
    if *is_running && limits != node.limits {
        return Err(PlanError::RunningLimits { node: name(), cluster: asked.cluster.clone() });
    }
    let action = if *is_running { Action::Leave } else { Action::Start };
    Ok(Planned { node: Node { limits, ..(*node).clone() }, action })
}

/// That nodes were not made from the image that was given.
fn notices(nodes: &[Planned], image: &Image) -> Vec<String> {
    let Image::Given(image) = image else { return Vec::new() };
    let other = nodes.iter().filter(|planned| planned.node.generation != image.path);
    let other: Vec<_> = other.map(|planned| planned.node.name.as_str()).collect();
    if other.is_empty() {
        return Vec::new();
    }
    vec![format!("{}: made from another build, and kept so; to have them made anew, remove them", other.join(", "))]
}

#[cfg(test)]
mod tests;
