//! Have several nodes do the same at the same time, and tell how long each took.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use foundation::name::Name;
use nix::sys::signal::Signal;

use super::agent::{Agent, AgentError, AgentStartError};
use crate::inventory::Inventory;
use crate::seconds::rounded;

/// How often to look whether we are interrupted.
const LOOK: Duration = Duration::from_millis(50);

/// Why not all nodes did what they were asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParallelError {
    /// Some failed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Failed(Vec<Failure>),
    /// It took too long.
    #[error("{step}: not done within {seconds} s")]
    Deadline {
        /// What was being done.
        step: &'static str,
        /// How long we waited.
        seconds: u64,
    },
    /// A signal asked us to stop.
    #[error("interrupted; what a node has begun to swap, it ends or rolls back by itself")]
    Interrupted,
}

/// A step that failed on a node.
#[derive(Debug, thiserror::Error)]
#[error("{node}: {step}: failed\n  {}", foundation::error_chain(error).replace('\n', "\n  "))]
pub(crate) struct Failure {
    node: Name,
    step: &'static str,
    error: AgentError,
}

impl Failure {
    /// Whether the node's connection ended before it answered, so that the outcome there is not known.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.error, AgentError::Command(_))
    }
}

/// What became of a step on each node.
pub(crate) type Outcomes<T> = BTreeMap<Name, Result<T, Failure>>;

/// Agents on several nodes, and what they have done.
pub(crate) struct Parallel<'a> {
    agents: Vec<Agent>,
    interrupted: &'a AtomicBool,
    deadline: Option<(Instant, u64)>,
    /// Seconds of each step, by its name: of the node that took longest.
    steps: BTreeMap<&'static str, f64>,
}

impl<'a> Parallel<'a> {
    /// Log in to the nodes. None of them is waited for.
    pub(crate) fn start(
        inventory: &Inventory,
        nodes: &[Name],
        interrupted: &'a AtomicBool,
    ) -> Result<Self, AgentStartError> {
        let agents = nodes.iter().map(|node| Agent::start(inventory, node)).collect::<Result<_, _>>()?;
        Ok(Parallel { agents, interrupted, deadline: None, steps: BTreeMap::new() })
    }

    /// From now on, all steps together may take this long.
    pub(crate) fn limit(&mut self, limit: Duration) {
        self.deadline = Some((Instant::now() + limit, limit.as_secs()));
    }

    /// Seconds of each step so far.
    pub(crate) fn steps(&self) -> &BTreeMap<&'static str, f64> {
        &self.steps
    }

    /// The nodes.
    pub(crate) fn nodes(&self) -> Vec<Name> {
        self.agents.iter().map(|agent| agent.node().clone()).collect()
    }

    /// Do a step on all nodes at the same time. When all have ended, failures are errors.
    pub(crate) fn all<T: Send>(
        &mut self,
        step: &'static str,
        work: impl Fn(&mut Agent) -> Result<T, AgentError> + Sync,
    ) -> Result<BTreeMap<Name, T>, ParallelError> {
        succeeded(self.on(&self.nodes(), step, work)?)
    }

    /// Do a step on these nodes at the same time, and wait until all have ended.
    pub(crate) fn on<T: Send>(
        &mut self,
        nodes: &[Name],
        step: &'static str,
        work: impl Fn(&mut Agent) -> Result<T, AgentError> + Sync,
    ) -> Result<Outcomes<T>, ParallelError> {
        let processes: Vec<_> = self.agents.iter().filter_map(|agent| agent.process().ok()).collect();
        let (send, done) = mpsc::channel();
        let mut outcomes = Outcomes::new();
        let stopped = thread::scope(|scope| {
            for agent in self.agents.iter_mut().filter(|agent| nodes.contains(agent.node())) {
                let (send, work) = (send.clone(), &work);
                scope.spawn(move || {
                    let begun = Instant::now();
                    let outcome = work(agent);
                    let node = agent.node().clone();
                    let outcome = outcome.map_err(|error| Failure { node: node.clone(), step, error });
                    // Once we are stopped, nothing receives it.
                    let _ = send.send((node, begun.elapsed(), outcome));
                });
            }
            drop(send);
            loop {
                match done.recv_timeout(LOOK) {
                    Ok((node, took, outcome)) => {
                        tell(&mut self.steps, step, &node, took, outcome.is_err());
                        outcomes.insert(node, outcome);
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                let stopped = if self.interrupted.load(Ordering::Relaxed) {
                    ParallelError::Interrupted
                } else if let Some((_, seconds)) = self.deadline.filter(|(until, _)| Instant::now() > *until) {
                    ParallelError::Deadline { step, seconds }
                } else {
                    continue;
                };
                processes.iter().for_each(|ssh| ssh.signal(Signal::SIGTERM));
                return Some(stopped);
            }
        });
        stopped.map_or(Ok(outcomes), Err)
    }
}

/// What each node's step has returned, if none failed.
pub(crate) fn succeeded<T>(outcomes: Outcomes<T>) -> Result<BTreeMap<Name, T>, ParallelError> {
    let (mut done, mut failed) = (BTreeMap::new(), Vec::new());
    for (node, outcome) in outcomes {
        match outcome {
            Ok(result) => drop(done.insert(node, result)),
            Err(failure) => failed.push(failure),
        }
    }
    if failed.is_empty() { Ok(done) } else { Err(ParallelError::Failed(failed)) }
}

/// Note how long a step took on a node, and tell the user.
fn tell(steps: &mut BTreeMap<&'static str, f64>, step: &'static str, node: &Name, took: Duration, is_failed: bool) {
    let longest = steps.entry(step).or_default();
    *longest = longest.max(rounded(took));
    let word = if is_failed { " FAILED" } else { "" };
    let _ = writeln!(io::stderr(), "{:7.1}s {node:12} {step}{word}", took.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parallel(interrupted: &AtomicBool) -> Parallel<'_> {
        let agents = ["node1", "node2"].map(Agent::local).into();
        Parallel { agents, interrupted, deadline: None, steps: BTreeMap::new() }
    }

    #[test]
    fn each_node_has_its_own_outcome_and_a_failure_names_its_node_and_step() {
        let interrupted = AtomicBool::new(false);
        let mut on = parallel(&interrupted);
        let work =
            |agent: &mut Agent| agent.shell(if agent.node().as_str() == "node2" { "exit 4" } else { "echo well" });
        let outcomes = on.on(&on.nodes(), "Try", work).expect("both have ended");
        assert_eq!(
            outcomes.iter().map(|(node, outcome)| (node.as_str(), outcome.is_ok())).collect::<Vec<_>>(),
            [("node1", true), ("node2", false)]
        );
        let error = on.all("Try again", work).expect_err("one fails").to_string();
        assert_eq!(error, "node2: Try again: failed\n  `ssh node2 'exit 4'` failed with exit status: 4");
        assert!(on.steps().contains_key("Try") && on.steps().contains_key("Try again"));
    }

    #[test]
    fn an_interrupt_and_the_deadline_end_what_is_waited_for() {
        let interrupted = AtomicBool::new(true);
        let sleep = |agent: &mut Agent| agent.shell("exec sleep 3");
        assert!(matches!(parallel(&interrupted).all("Sleep", sleep), Err(ParallelError::Interrupted)));
        let interrupted = AtomicBool::new(false);
        let mut on = parallel(&interrupted);
        on.limit(Duration::from_millis(300));
        let error = on.all("Sleep", sleep).expect_err("it takes too long").to_string();
        assert_eq!(error, "Sleep: not done within 0 s");
    }
}
