//! A node's machine as a transient unit of the host's systemd (systemd.unit(5), systemd-run(1)).

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

use foundation::command::{self, CommandError};

use super::{Node, SuperviseError, launch_command};
use crate::node::cnispawn;

/// The version of systemd that introduced DelegateSubgroup=.
const SUBGROUPS: u32 = 254;

/// Variables of our environment that the unit's processes get.
const PASSED: [&str; 3] = ["PATH", "CNI_PATH", "CNISPAWN_LOG"];

/// The unit's name.
fn name(node: &Node) -> String {
    format!("nodectl-{}.service", node.machine_name())
}

/// The host's version of systemd; 0 when it is not told.
fn systemd_version() -> Result<u32, CommandError> {
    let output = command::output(Command::new("systemctl").arg("--version"))?;
    Ok(parse_version(&String::from_utf8_lossy(&output.stdout)))
}

/// `systemd 257 (257.9-1~deb13u1)`, and a line of features; 0 of anything else.
pub(crate) fn parse_version(text: &str) -> u32 {
    text.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The command that starts the unit and ends when the node's own systemd has started, or the unit has failed.
pub(super) fn start(node: &Node) -> Result<Command, SuperviseError> {
    let mut run = Command::new("systemd-run");
    run.args(["--quiet", "--collect", "--service-type=notify"]);
    run.arg(format!("--unit={}", name(node)));
    run.arg(format!("--description=Node {} of cluster {}", node.name, node.cluster));
    for property in properties(systemd_version()?) {
        run.args(["--property", property]);
    }
    for property in node.limits.unit_properties() {
        run.arg("--property").arg(property);
    }
    for stream in ["StandardOutput", "StandardError"] {
        let mut property = OsString::from(format!("--property={stream}=append:"));
        property.push(node.console_log());
        run.arg(property);
    }
    // systemd unquotes it itself; the colon prevents the expansion of variables (systemd.service(5)).
    let mut release = cnispawn::command(&node.dirs, "release")?;
    let release = command::shown(release.arg(node.machine_name()));
    run.arg(format!("--property=ExecStopPost=:{release}"));
    for name in PASSED {
        if std::env::var_os(name).is_some() {
            run.arg(format!("--setenv={name}"));
        }
    }
    run.arg("--").args(launch_command(node)?);
    run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(run)
}

fn properties(systemd: u32) -> impl Iterator<Item = &'static str> {
    // As in systemd-nspawn@.service, but without its limits on devices: pods use those of the host.
    let always = [
        "Slice=machine.slice",
        "Delegate=yes",
        "NotifyAccess=all",
        "KillMode=mixed",
        "TasksMax=infinity",
        "TimeoutStartSec=infinity",
        "TimeoutStopSec=90",
        // systemd-nspawn ends with 133 when its machine reboots.
        "SuccessExitStatus=133",
        "RestartForceExitStatus=133",
    ];
    // The payload makes cgroups beside it: no cgroup may have both processes and children (cgroups(7)).
    always.into_iter().chain((systemd >= SUBGROUPS).then_some("DelegateSubgroup=supervisor"))
}

/// End the unit, if there is one, and wait until its ExecStopPost= has ended.
pub(crate) fn stop(node: &Node) -> Result<(), CommandError> {
    let unit = name(node);
    let load_state = property(&unit, "LoadState")?;
    if load_state != "loaded" {
        return Ok(());
    }
    match command::output(Command::new("systemctl").args(["stop", "--", &unit])) {
        // It may have ended, and been collected, just now.
        Err(CommandError::Failed { .. }) if property(&unit, "LoadState")? != "loaded" => Ok(()),
        stopped => stopped.map(drop),
    }
}

fn property(unit: &str, property: &str) -> Result<String, CommandError> {
    let mut show = Command::new("systemctl");
    show.args(["show", "--value", "--property", property, "--"]).arg(OsStr::new(unit));
    let output = command::output(&mut show)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_an_old_systemd_does_not_know_is_left_out() {
        assert_eq!(parse_version("systemd 257 (257.9-1~deb13u1)\n+PAM +AUDIT"), 257);
        assert!(properties(257).any(|property| property.starts_with("DelegateSubgroup=")));
        assert!(!properties(252).any(|property| property.starts_with("DelegateSubgroup=")));
    }
}
