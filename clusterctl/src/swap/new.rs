//! What is put in a component's place: built by nodectl, or what the cluster was made with.

use std::path::PathBuf;

use foundation::record::{Component, ComponentRecord};
use foundation::state::StateDirs;
use serde_json::{Value, json};

use super::SwapError;
use crate::builder;

/// What to put in place.
pub(crate) struct New {
    /// The component.
    pub(crate) component: Component,
    /// What the node's program is told of it: `component`, `state`, and of a new one what its record says.
    pub(crate) arguments: Value,
}

impl New {
    /// What the cluster was made with.
    pub(crate) fn original(component: Component) -> Self {
        New { component, arguments: json!({"component": component, "state": "original"}) }
    }

    /// What a record says.
    pub(crate) fn of(record: &ComponentRecord) -> Self {
        let mut arguments = json!(record);
        arguments["state"] = json!("new");
        New { component: record.component, arguments }
    }

    /// Whether it is what the cluster was made with.
    pub(crate) fn is_original(&self) -> bool {
        self.arguments["state"] == "original"
    }

    /// A file of this host that the record names.
    pub(crate) fn path(&self, field: &str) -> Option<PathBuf> {
        self.arguments[field].as_str().map(PathBuf::from)
    }
}

/// Have nodectl build it.
pub(crate) fn built(dirs: &StateDirs, component: Component, source: &str) -> Result<Vec<New>, SwapError> {
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
