//! What becomes of wishes: pure planning, without a host.

use serde_json::json;

use super::*;
use crate::node::limits::Limits;

/// A cluster's nodes, and what is asked of them.
struct Case {
    existing: Vec<(Node, bool)>,
    image: Image,
    is_image_named: bool,
    allow_running: bool,
}

fn name(name: &str) -> Name {
    name.parse().expect("a label")
}

fn dirs() -> StateDirs {
    StateDirs { state: "/state".into(), run: "/run/x".into() }
}

fn node(node: &str, role: Role, last: u8) -> Node {
    Node {
        name: name(node),
        cluster: name("dev"),
        role,
        addresses: vec![[10, 200, 0, last].into()],
        image: name("default"),
        generation: "/images/old".into(),
        limits: Limits::default(),
        dirs: dirs(),
    }
}

fn image(image: &str) -> Image {
    let record = json!({"image": image, "path": "/images/new", "kubernetes": "v1", "source": "go:v1", "os": "Debian"});
    Image::Given(Box::new(serde_json::from_value(record).expect("a record")))
}

impl Case {
    /// A stopped control plane and a running worker, and no image.
    fn new() -> Self {
        let existing = vec![(node("node1", Role::ControlPlane, 2), false), (node("node2", Role::Worker, 3), true)];
        Case { existing, image: Image::Terminal, is_image_named: false, allow_running: true }
    }

    fn plan(&self, wishes: &[&str]) -> Result<Plan, String> {
        let wishes: Vec<_> = wishes.iter().map(|wish| serde_json::from_str(wish).expect("a wish")).collect();
        let existing: Vec<_> =
            self.existing.iter().map(|(node, is_running)| Existing { node, is_running: *is_running }).collect();
        let asked = Asked {
            wishes: &wishes,
            image: &self.image,
            is_image_named: self.is_image_named,
            allow_running: self.allow_running,
            cluster: &name("dev"),
            network: &Network::plan(&name("dev"), &[]).expect("planned"),
            existing: &existing,
            dirs: &dirs(),
        };
        plan(&asked).map_err(|error| foundation::error_chain(&error))
    }

    fn refused(&self, wishes: &[&str], expected: &str) {
        let error = self.plan(wishes).map(drop).expect_err("refused");
        assert!(error.contains(expected), "{wishes:?}: {error}");
    }
}

const NODE1: &str = r#"{"name": "node1"}"#;
const NODE2: &str = r#"{"name": "node2"}"#;
const NODE3: &str = r#"{"name": "node3"}"#;

#[test]
fn nodes_that_exist_need_no_image_and_new_ones_do() {
    let mut case = Case::new();
    let plan = case.plan(&[NODE2, NODE1]).expect("planned");
    let actions: Vec<_> = plan.nodes.iter().map(|planned| (planned.node.name.as_str(), planned.action)).collect();
    assert_eq!(actions, [("node2", Action::Leave), ("node1", Action::Start)]);
    case.refused(&[NODE1, NODE3], "no image to make node3 from: standard input is a terminal");
    case.image = Image::Empty;
    case.refused(&[NODE3], "no image to make node3 from: no image record on standard input; it ended empty");
    case.image = Image::NotRead;
    case.refused(&[NODE3], "standard input carries the nodes");
}

#[test]
fn a_running_node_is_refused_or_left_as_it_is() {
    let mut case = Case::new();
    case.refused(&[r#"{"name": "node2", "cpus": 2}"#], "node node2 runs with other limits; stop it first");
    case.allow_running = false;
    case.refused(&[NODE1, NODE2], "node node2 of cluster dev is running already");
}

#[test]
fn a_node_that_exists_takes_new_limits_and_no_other_role_address_or_image() {
    let mut case = Case::new();
    let plan = case.plan(&[r#"{"name": "node1", "role": "control-plane", "cpus": 2}"#]).expect("planned");
    assert_eq!(plan.nodes[0].node.limits.cpus, Some(2.0));
    case.refused(&[r#"{"name": "node1", "role": "worker"}"#], "node node1 is a control plane, and stays one");
    case.refused(&[r#"{"name": "node1", "addresses": ["10.200.0.9"]}"#], "node node1 has the address 10.200.0.2");
    case.image = image("other");
    let plan = case.plan(&[NODE1]).expect("by a record on the pipe");
    assert_eq!(plan.notices, ["node1: made from another build, and kept so; to have them made anew, remove them"]);
    case.is_image_named = true;
    case.refused(&[NODE1, NODE3], "node node1 was made from image default, and keeps it; leave out --image");
}

#[test]
fn new_nodes_get_the_role_and_address_that_they_wish_for_and_else_the_next() {
    let mut case = Case::new();
    case.image = image("default");
    let wished = r#"{"name": "node4", "role": "control-plane", "addresses": ["10.200.0.4"]}"#;
    let plan = case.plan(&[NODE3, wished]).expect("planned");
    let made: Vec<_> = plan.with(Action::Make).map(|node| (node.role, node.address().to_string())).collect();
    assert_eq!(
        made,
        [(Role::Worker, "10.200.0.5".to_owned()), (Role::ControlPlane, "10.200.0.4".to_owned())],
        "the wished address is not given to another"
    );
    case.existing.clear();
    let plan = case.plan(&[NODE1, NODE2]).expect("planned");
    assert_eq!(plan.nodes.iter().map(|p| p.node.role).collect::<Vec<_>>(), [Role::ControlPlane, Role::Worker]);
    let plan = case.plan(&[NODE3, wished]).expect("planned");
    assert_eq!(plan.nodes[0].node.role, Role::Worker, "another is wished to be the control plane");
}

#[test]
fn an_address_that_cannot_be_given_is_refused() {
    let mut case = Case::new();
    case.image = image("default");
    for (addresses, expected) in [
        (r#""10.200.0.3""#, "node node3 cannot have the address 10.200.0.3: it is node node2's"),
        (r#""10.200.0.1""#, "node node3 cannot have the address 10.200.0.1: the nodes' are those of 10.200.0.0/24"),
        (r#""192.0.2.1""#, "the nodes' are those of 10.200.0.0/24"),
        (r#""fd00::2""#, "IPv6 addresses, are not supported yet"),
        (r#""10.200.0.8", "10.200.0.9""#, "more than one address"),
    ] {
        case.refused(&[&format!(r#"{{"name": "node3", "addresses": [{addresses}]}}"#)], expected);
    }
    let same = |name: &str| format!(r#"{{"name": "{name}", "addresses": ["10.200.0.9"]}}"#);
    case.refused(&[&same("node3"), &same("node4")], "10.200.0.9: it is node node3's");
}
