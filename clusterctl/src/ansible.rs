//! Run a playbook, tell what happens, and end every SSH connection that it has left open.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use foundation::command::CommandError;
use foundation::files::FileError;
use foundation::state::StateDirs;
use serde_json::{Map, Value};

use crate::cluster::ClusterFiles;

mod connections;
mod events;
mod find;
mod progress;
mod run;

use events::Summary;
pub(crate) use find::{AnsibleArgs, FindError};
use run::Run;

/// Why a playbook did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnsibleError {
    /// There is no Ansible, or no playbook.
    #[error(transparent)]
    Find(#[from] FindError),
    /// It could not be run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A task failed.
    #[error("{}\nAnsible's output: {}\nreplay: {command}", listed(.failures, log), log.display())]
    Failed {
        /// Host, task and message of each failure.
        failures: Vec<(String, String, String)>,
        /// Where its output is.
        log: PathBuf,
        /// The command.
        command: String,
    },
    /// It took too long.
    #[error("not done within {seconds} s; Ansible's output: {}\nreplay: {command}", log.display())]
    Deadline {
        /// How long we waited.
        seconds: u64,
        /// Where its output is.
        log: PathBuf,
        /// The command.
        command: String,
    },
    /// A signal asked us to stop.
    #[error("interrupted; Ansible's output: {}", log.display())]
    Interrupted {
        /// Where its output is.
        log: PathBuf,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

fn listed(failures: &[(String, String, String)], log: &Path) -> String {
    if failures.is_empty() {
        // Not a task: the inventory, a template, Ansible itself.
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        return format!("Ansible failed:\n  {}", lines[lines.len().saturating_sub(12)..].join("\n  "));
    }
    let shown = failures.iter().map(|(host, task, message)| {
        let lines: Vec<_> = message.lines().collect();
        let last = lines[lines.len().saturating_sub(25)..].join("\n  ");
        format!("{host}: {task}: failed\n  {last}")
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// A playbook, and what it is run with.
#[derive(Clone, Debug)]
pub(crate) struct Play<'a> {
    /// Its name, without `.yml`.
    pub(crate) playbook: &'a str,
    /// Variables beside those of the inventory, and before them.
    pub(crate) variables: Map<String, Value>,
}

impl<'a> Play<'a> {
    /// A playbook for all nodes, without variables of its own.
    pub(crate) fn new(playbook: &'a str) -> Self {
        Play { playbook, variables: Map::new() }
    }
}

/// An Ansible with our playbooks.
pub(crate) struct Ansible {
    dir: PathBuf,
    program: PathBuf,
}

impl Ansible {
    /// Find both.
    pub(crate) fn find(args: &AnsibleArgs, dirs: &StateDirs) -> Result<Self, AnsibleError> {
        let dir = find::playbooks(args)?;
        let program = find::program(args, dirs, &dir)?;
        Ok(Ansible { dir, program })
    }

    /// One of Ansible's programs.
    pub(crate) fn program(&self, name: &Path) -> PathBuf {
        self.program.with_file_name(name)
    }

    /// Run a playbook on the cluster's inventory.
    pub(crate) fn run(
        &self,
        play: &Play<'_>,
        deadline: Duration,
        dirs: &StateDirs,
        cluster: &ClusterFiles,
        interrupted: &AtomicBool,
    ) -> Result<Summary, AnsibleError> {
        Run::new(self, play, dirs, cluster)?.run(deadline, interrupted)
    }
}
