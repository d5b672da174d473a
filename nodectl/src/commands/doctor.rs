//! `nodectl doctor`: what nodes need of this host, what was found, how nodes are adapted to it, and what mends it. `start`
//! makes the same checks, and refuses in the same words.

mod kernel;
mod network;
mod programs;
mod report;
mod storage;
mod system;

use std::io::Write;

use serde::Serialize;

pub(crate) use self::report::DoctorError;
use crate::host::Host;
use foundation::state::StateDirs;

/// Options of `nodectl doctor`.
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// Print an object for each check, one a line
    #[arg(long)]
    json: bool,
}

/// How a requirement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    /// As nodes need it.
    Ok,
    /// Otherwise; nodes are adapted to it.
    Adapted,
    /// Nodes do not run with it.
    Failed,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// How it stands.
    status: Status,
    /// What there is.
    found: String,
    /// If adapted: what nodectl does about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    adaptation: Option<String>,
    /// If failed: the command that mends it, or advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn ok(found: impl Into<String>) -> Self {
        Finding { status: Status::Ok, found: found.into(), adaptation: None, mend: None }
    }

    fn adapted(found: impl Into<String>, adaptation: impl Into<String>) -> Self {
        Finding { status: Status::Adapted, found: found.into(), adaptation: Some(adaptation.into()), mend: None }
    }

    fn failed(found: impl Into<String>, mend: impl Into<String>) -> Self {
        Finding { status: Status::Failed, found: found.into(), adaptation: None, mend: Some(mend.into()) }
    }
}

/// What the checks need to know.
struct Patient<'a> {
    dirs: &'a StateDirs,
    host: Host,
}

/// A requirement of nodes.
struct Check {
    name: &'static str,
    /// Whether `start` makes it too. It makes none that only `build` needs.
    start: bool,
    look: fn(&Patient<'_>) -> Finding,
}

/// In the order in which a reader understands them: those that others depend on come first.
const CHECKS: [Check; 19] = [
    Check { name: "root", start: false, look: system::root },
    Check { name: "capabilities", start: true, look: system::capabilities },
    Check { name: "oom-score", start: true, look: system::oom_score },
    Check { name: "supervisor", start: true, look: system::supervisor },
    Check { name: "machined", start: true, look: system::machined },
    Check { name: "nspawn", start: true, look: system::nspawn },
    Check { name: "cgroups", start: true, look: system::cgroups },
    Check { name: "programs", start: true, look: programs::host_programs },
    Check { name: "cnispawn", start: true, look: programs::cnispawn },
    Check { name: "cni-plugins", start: true, look: programs::plugins },
    Check { name: "image-programs", start: false, look: programs::image_programs },
    Check { name: "br-netfilter", start: true, look: kernel::br_netfilter },
    Check { name: "sysctls", start: true, look: kernel::sysctls },
    Check { name: "devices", start: true, look: kernel::devices },
    Check { name: "kernel-config", start: true, look: kernel::config },
    Check { name: "swap", start: true, look: kernel::swap },
    Check { name: "overlay", start: true, look: storage::overlay },
    Check { name: "disk-space", start: false, look: storage::space },
    Check { name: "subnet", start: false, look: network::subnet },
];

impl Patient<'_> {
    fn examine(&self, only_start: bool) -> impl Iterator<Item = (&'static str, Finding)> + '_ {
        CHECKS.iter().filter(move |check| check.start || !only_start).map(|check| (check.name, (check.look)(self)))
    }
}

/// Print what every check finds.
///
/// # Errors
/// A check has failed; it has been printed.
pub(crate) fn run(args: &DoctorArgs, dirs: &StateDirs, output: impl Write) -> Result<(), DoctorError> {
    let patient = Patient { dirs, host: Host::detect() };
    let findings: Vec<_> = patient.examine(false).collect();
    if args.json {
        report::json(&findings, output)?
    } else {
        report::text(&findings, output)?
    }
    let failed = findings.iter().filter(|(_, finding)| finding.status == Status::Failed).count();
    if failed == 0 { Ok(()) } else { Err(DoctorError::Failed { failed }) }
}

/// Make the checks of a start.
///
/// # Errors
/// All that failed.
pub(crate) fn require(dirs: &StateDirs, host: Host) -> Result<(), DoctorError> {
    let patient = Patient { dirs, host };
    let failed: Vec<_> =
        patient.examine(true).filter(|(_, finding)| finding.status == Status::Failed).map(report::line).collect();
    if failed.is_empty() { Ok(()) } else { Err(DoctorError::Unfit { failed }) }
}
