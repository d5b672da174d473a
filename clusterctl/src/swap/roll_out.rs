//! Put another build of a component in place on its nodes, step by step, and roll back where that fails.

use std::collections::BTreeMap;
use std::time::Duration;

use foundation::name::Name;
use foundation::record::{Component, Kind};
use serde_json::{Value, json};

use super::New;
use crate::ssh::agent::{Agent, AgentError};
use crate::ssh::parallel::{Failure, Parallel, ParallelError, succeeded};

/// Where `clusterctl debug` expects delve.
const DEBUGGERS: &str = "/usr/local/lib/kubeadm-systemd";

/// Imports an image from its archive. --local: ctr writes the content itself, which takes less time than having
/// containerd read the stream.
pub(crate) const IMPORT: &str = "ctr --namespace k8s.io images import --local --snapshotter overlayfs -";

/// Put it in place on the nodes that `on` has logged in to; how many things that changed. Where one object of the cluster
/// runs the component, `first`, a node of the control plane, changes that.
pub(super) fn roll_out(on: &mut Parallel<'_>, new: &New, first: &[Name], timeout: u64) -> Result<usize, ParallelError> {
    // On each node it may be awaited, rolled back, and rolled back once more for another node's sake.
    on.limit(Duration::from_secs(timeout * 3 + 300));
    let mut arguments = new.arguments.clone();
    arguments["timeout"] = json!(timeout);
    let debugger = send_debugger(on, new)?;
    let changed = match new.component.kind() {
        Kind::Program => replace_program(on, new, &arguments)?,
        Kind::StaticPod => {
            import(on, new)?;
            count(on.all("Run it in the static pod", |agent| swap_on(agent, "swap_static_pod", &arguments))?)
        }
        Kind::Workload => {
            import(on, new)?;
            let object = if new.component == Component::Coredns { "deployment" } else { "daemonset" };
            arguments["object"] = json!(object);
            let swap = |agent: &mut Agent| swap_on(agent, "swap_workload", &arguments);
            count(succeeded(on.on(first, "Run it in the pods", swap)?)?)
        }
    };
    Ok(debugger + changed)
}

/// Have delve on the nodes, if the component was compiled for it.
fn send_debugger(on: &mut Parallel<'_>, new: &New) -> Result<usize, ParallelError> {
    let Some(debugger) = new.path("debugger") else { return Ok(0) };
    // Whole or not at all: the connection may be cut.
    let command = format!(
        "mkdir -p {DEBUGGERS} && cd {DEBUGGERS} && cat >.dlv && if cmp -s .dlv dlv; then rm .dlv; else \
         chmod 755 .dlv && ./.dlv version >/dev/null && mv .dlv dlv && echo changed; fi"
    );
    let sent = on.all("Send the debugger", |agent| Ok(agent.feed(&command, &debugger)?.contains("changed")))?;
    Ok(count(sent))
}

/// Have the new image on the nodes.
fn import(on: &mut Parallel<'_>, new: &New) -> Result<(), ParallelError> {
    if let Some(archive) = new.path("archive") {
        on.all("Import the image", |agent| agent.feed(IMPORT, &archive))?;
    }
    Ok(())
}

/// Replace a program on all nodes. When one fails, which rolls back by itself, the others are rolled back, too.
fn replace_program(on: &mut Parallel<'_>, new: &New, arguments: &Value) -> Result<usize, ParallelError> {
    if let Some(program) = new.path("program") {
        let compressed = new.path("compressed");
        on.all("Send the program", |agent| match &compressed {
            // A machine that is not nodectl's need not have zstd.
            Some(compressed) if agent.has_zstd()? => agent.feed(&receive(new.component, "zstd -dcq"), compressed),
            _ => agent.feed(&receive(new.component, "cat"), &program),
        })?;
    }
    let nodes = on.nodes();
    let outcomes = on.on(&nodes, "Run it on the node", |agent| swap_on(agent, "swap_program", arguments))?;
    let is_unknown = |outcome: &Result<bool, Failure>| outcome.as_ref().is_err_and(Failure::is_unknown);
    for (node, _) in outcomes.iter().filter(|(_, outcome)| is_unknown(outcome)) {
        let name = new.component.name();
        // It goes on by itself, and may well succeed.
        eprintln!(
            "swap: the connection to {node} was lost, so it is not known which {name} it will run; \
             `clusterctl swap {name} --node {node} --revert` puts the original back"
        );
    }
    if !new.is_original() && outcomes.values().any(Result::is_err) {
        let is_changed = |outcome: &Result<bool, Failure>| matches!(outcome, Ok(true));
        let healthy: Vec<_> =
            outcomes.iter().filter(|(_, outcome)| is_changed(outcome)).map(|(node, _)| node.clone()).collect();
        let mut arguments = arguments.clone();
        arguments["state"] = json!("previous");
        let rolled_back =
            on.on(&healthy, "Roll back the healthy node", |agent| swap_on(agent, "swap_program", &arguments))?;
        // What went wrong first is reported first.
        let failures = outcomes.into_values().chain(rolled_back.into_values()).filter_map(Result::err).collect();
        return Err(ParallelError::Failed(failures));
    }
    Ok(count(succeeded(outcomes)?))
}

/// What takes a program from standard input, and leaves it beside the one that is there: then it need not be copied
/// once more.
fn receive(component: Component, unpack: &str) -> String {
    let name = component.name();
    format!(
        "path=$(command -v {name}) || {{ echo {name} is not installed on this node >&2; exit 1; }}
         {unpack} >\"${{path%/*}}/.{name}.sent\""
    )
}

fn swap_on(agent: &mut Agent, program: &str, arguments: &Value) -> Result<bool, AgentError> {
    let mut arguments = arguments.clone();
    arguments["node"] = json!(agent.node());
    agent.swap(program, &arguments)
}

fn count(changed: BTreeMap<Name, bool>) -> usize {
    changed.into_values().filter(|is_changed| *is_changed).count()
}
