//! What is put in a component's place: built by nodectl, or what the cluster was made with.

use std::process::{Command, Stdio};

use nodectl::command::CommandError;
use nodectl::component::{Component, ComponentRecord};
use nodectl::record;
use nodectl::state::StateDirs;
use serde_json::{Map, Value, json};

use super::SwapError;

/// What to put in place.
pub(crate) struct New {
    /// The component.
    pub(crate) component: Component,
    /// The same in the playbook's words.
    pub(super) variables: Value,
}

impl New {
    /// What the cluster was made with.
    pub(super) fn original(component: Component) -> Self {
        let variables = json!({"component": component, "kind": component.kind(), "state": "original"});
        New { component, variables }
    }

    /// What a record says.
    pub(crate) fn of(record: &ComponentRecord) -> Self {
        // Of the fields that we know nothing of, none becomes a variable of Ansible's, which would be a template.
        let record = ComponentRecord { extra: Map::new(), ..record.clone() };
        let mut variables = json!(record);
        variables["kind"] = json!(record.component.kind());
        variables["state"] = json!("new");
        New { component: record.component, variables }
    }
}

/// Have nodectl build it.
pub(super) fn built(dirs: &StateDirs, component: Component, source: &str) -> Result<Vec<New>, SwapError> {
    Ok(records(dirs, component, source, &[])?.iter().map(New::of).collect())
}

/// The same with more options, as records.
pub(crate) fn records(
    dirs: &StateDirs,
    component: Component,
    source: &str,
    options: &[&str],
) -> Result<Vec<ComponentRecord>, SwapError> {
    // Of one build with us, where that is known.
    let beside = std::env::current_exe().unwrap_or_default().with_file_name("nodectl");
    let mut nodectl = Command::new(if beside.is_file() { beside } else { "nodectl".into() });
    nodectl.arg("--state-dir").arg(&dirs.state).arg("--run-dir").arg(&dirs.run);
    nodectl.args(["component", component.name(), "--from", source]).args(options);
    nodectl.stdin(Stdio::null()).stderr(Stdio::inherit());
    let command = nodectl::command::shown(&nodectl);
    let output = nodectl.output().map_err(|source| CommandError::Spawn { command: command.clone(), source })?;
    if !output.status.success() {
        return Err(SwapError::NotBuilt { component, command });
    }
    Ok(record::read_all(output.stdout.as_slice())?)
}
