//! What is put in a component's place: built by nodectl, or what the cluster was made with.

use foundation::record::{Component, ComponentRecord};
use foundation::state::StateDirs;
use serde_json::{Map, Value, json};

use super::SwapError;
use crate::builder;

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
    let words = [&["component", component.name(), "--from", source], options].concat();
    builder::records(dirs, &words).map_err(|source| SwapError::NotBuilt { component, source })
}
