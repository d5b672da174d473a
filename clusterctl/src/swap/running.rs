//! The running cluster whose components are swapped: its nodes, its lock, and the record of a swap.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use foundation::lock::Lock;
use foundation::name::Name;
use foundation::record::{Component, Kind};
use foundation::state::StateDirs;
use serde_json::{Value, json};

use super::{New, SwapError, roll_out};
use crate::cluster::ClusterFiles;
use crate::inventory::Inventory;
use crate::placement;
use crate::seconds::rounded;
use crate::ssh::parallel::Parallel;

/// A running cluster.
pub(crate) struct Running<'a> {
    name: &'a Name,
    dirs: &'a StateDirs,
    files: ClusterFiles,
    inventory: Inventory,
    interrupted: &'a AtomicBool,
}

impl<'a> Running<'a> {
    /// The cluster `name`.
    pub(crate) fn open(dirs: &'a StateDirs, name: &'a Name, interrupted: &'a AtomicBool) -> Result<Self, SwapError> {
        let files = ClusterFiles::new(dirs, name);
        let inventory = files.open()?;
        Ok(Running { name, dirs, files, inventory, interrupted })
    }

    /// Where things are kept.
    pub(crate) fn dirs(&self) -> &StateDirs {
        self.dirs
    }

    /// Take the lock that every command takes which changes the cluster.
    pub(crate) fn lock(&self) -> Result<Lock, SwapError> {
        Ok(self.files.lock(self.dirs)?)
    }

    /// Its inventory.
    pub(crate) fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The nodes on which a component is replaced: all that run it, or those that are `named`.
    pub(crate) fn nodes(&self, component: Component, named: &[Name]) -> Result<Vec<Name>, SwapError> {
        if component.kind() == Kind::Workload && !named.is_empty() {
            return Err(SwapError::Everywhere(component));
        }
        self.that_run(component, named)
    }

    /// The nodes that run it, or those of them that are `named`.
    pub(crate) fn that_run(&self, component: Component, named: &[Name]) -> Result<Vec<Name>, SwapError> {
        Ok(placement::nodes(component, named, &self.inventory)?)
    }

    /// Log in to the nodes on which a new one will be put in place: while it is built.
    pub(crate) fn log_in(&self, nodes: &[Name]) -> Result<Parallel<'a>, SwapError> {
        Ok(Parallel::start(&self.inventory, nodes, self.interrupted)?)
    }

    /// Put a new one in place, and return its record. The caller holds the lock.
    pub(crate) fn roll_out(
        &self,
        new: &New,
        mut on: Parallel<'_>,
        timeout: u64,
        build: Duration,
    ) -> Result<Value, SwapError> {
        let started = Instant::now();
        let first: Vec<_> = self.inventory.control_plane().into_iter().take(1).cloned().collect();
        let changed = roll_out::roll_out(&mut on, new, &first, timeout)?;
        Ok(json!({
            "cluster": self.name,
            "component": new.component,
            "version": new.arguments["version"],
            "sha256": new.arguments["sha256"],
            "changed": changed,
            "build": rounded(build),
            "seconds": rounded(started.elapsed()),
            "steps": on.steps(),
        }))
    }
}
