//! A running cluster, of which components are replaced.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use foundation::lock::Lock;
use foundation::name::Name;
use foundation::record::{Component, Kind};
use foundation::state::StateDirs;
use serde_json::{Map, Value, json};

use super::{New, SwapError};
use crate::ansible::{Ansible, AnsibleArgs, Begun, Play};
use crate::cluster::ClusterFiles;
use crate::inventory::Inventory;
use crate::placement;
use crate::up::rounded;

/// A cluster that is there, and what changes it.
pub(crate) struct Running<'a> {
    name: &'a Name,
    dirs: &'a StateDirs,
    files: ClusterFiles,
    inventory: Inventory,
    ansible: Ansible,
    interrupted: &'a Arc<AtomicBool>,
}

impl<'a> Running<'a> {
    /// The cluster `name`.
    pub(crate) fn open(
        dirs: &'a StateDirs,
        ansible: &AnsibleArgs,
        name: &'a Name,
        interrupted: &'a Arc<AtomicBool>,
    ) -> Result<Self, SwapError> {
        let files = ClusterFiles::new(dirs, name);
        let inventory = files.open()?;
        Ok(Running { name, dirs, files, inventory, ansible: Ansible::find(ansible, dirs)?, interrupted })
    }

    /// Where things are kept.
    pub(crate) fn dirs(&self) -> &StateDirs {
        self.dirs
    }

    /// Hold the right to change it.
    pub(crate) fn lock(&self) -> Result<Lock, SwapError> {
        Ok(self.files.lock(self.dirs)?)
    }

    /// Its inventory.
    pub(crate) fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The nodes that a component is to be replaced on: all that it runs on, or those that are `named`.
    pub(crate) fn nodes(&self, component: Component, named: &[Name]) -> Result<Vec<Name>, SwapError> {
        if component.kind() == Kind::Workload && !named.is_empty() {
            return Err(SwapError::Everywhere(component));
        }
        self.that_run(component, named)
    }

    /// The nodes that it runs on, or those of them that are `named`.
    pub(crate) fn that_run(&self, component: Component, named: &[Name]) -> Result<Vec<Name>, SwapError> {
        Ok(placement::nodes(component, named, &self.inventory)?)
    }

    /// Start what will put a new one in place on these nodes: while it is built.
    pub(crate) fn begin(&self, nodes: &[Name]) -> Result<Begun, SwapError> {
        Ok(self.ansible.begin(&Play { nodes, ..Play::new("swap") }, self.dirs, &self.files)?)
    }

    /// Put a new one in place, and return its record. The caller holds the lock.
    pub(crate) fn put(&self, new: &New, begun: Begun, timeout: u64, build: Duration) -> Result<Value, SwapError> {
        let started = Instant::now();
        let mut variables = new.variables.clone();
        variables["timeout"] = json!(timeout);
        // On each node it may be awaited, taken back, and taken back again for another node's sake.
        let deadline = Duration::from_secs(timeout * 3 + 300);
        let input = Map::from_iter([("swap".to_owned(), variables)]);
        let summary = begun.run(Some(&input), deadline, self.interrupted)?;
        Ok(json!({
            "cluster": self.name,
            "component": new.component,
            "version": new.variables["version"],
            "sha256": new.variables["sha256"],
            "changed": summary.changed,
            "build": rounded(build.as_secs_f64()),
            "seconds": rounded(started.elapsed().as_secs_f64()),
            "steps": summary.steps,
        }))
    }
}
