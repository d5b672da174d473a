//! A node's machine as a transient unit of the host's systemd (systemd.unit(5), systemd-run(1)).

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use foundation::state::StateDirs;

use crate::commands::launch;
use crate::node::Node;

/// DelegateSubgroup= came with this version of systemd.
const SUBGROUPS: u32 = 254;

/// What else of our environment the unit's processes want.
const PASSED: [&str; 3] = ["PATH", "CNI_PATH", "CNISPAWN_LOG"];

/// Why a node's unit could not be planned or ended.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// systemctl failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// We do not know who we are.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The unit's name.
pub fn name(node: &Node) -> String {
    format!("nodectl-{}.service", node.machine_name())
}

/// The host's version of systemd; 0 when it does not say.
///
/// # Errors
/// When systemctl is missing or fails.
pub fn systemd_version() -> Result<u32, CommandError> {
    let output = command::output(Command::new("systemctl").arg("--version"))?;
    Ok(parse_version(&String::from_utf8_lossy(&output.stdout)))
}

/// `systemd 257 (257.9-1~deb13u1)`, and a line of features; 0 of anything else.
pub fn parse_version(text: &str) -> u32 {
    text.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The command that starts the unit and ends when the node's own systemd has started, or the unit has failed.
///
/// # Errors
/// When systemctl or cnispawn is missing.
pub fn start(dirs: &StateDirs, node: &Node) -> Result<Command, UnitError> {
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
        property.push(node.console_log(dirs));
        run.arg(property);
    }
    // In systemd's words: its own unquoting, and the colon for no expansion of variables (systemd.service(5)).
    let mut release = launch::cnispawn_command(dirs, "release")?;
    let release = command::shown(release.arg(node.machine_name()));
    run.arg(format!("--property=ExecStopPost=:{release}"));
    for name in PASSED {
        if std::env::var_os(name).is_some() {
            run.arg(format!("--setenv={name}"));
        }
    }
    run.arg("--").args(launch::command(dirs, node)?);
    run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(run)
}

fn properties(systemd: u32) -> impl Iterator<Item = &'static str> {
    // As systemd-nspawn@.service has it, but for devices: pods want those of the host.
    let always = [
        "Slice=machine.slice",
        "Delegate=yes",
        "NotifyAccess=all",
        "KillMode=mixed",
        "TasksMax=infinity",
        "TimeoutStartSec=infinity",
        "TimeoutStopSec=90",
        // systemd-nspawn ends with it when the node reboots.
        "SuccessExitStatus=133",
        "RestartForceExitStatus=133",
    ];
    // The payload makes cgroups of its own beside it: then none has both processes and children (cgroups(7)).
    always.into_iter().chain((systemd >= SUBGROUPS).then_some("DelegateSubgroup=supervisor"))
}

/// End the unit, if there is one, and wait until what it does after its end is done.
///
/// # Errors
/// When systemctl fails.
pub fn stop(node: &Node) -> Result<(), UnitError> {
    let unit = name(node);
    let load_state = property(&unit, "LoadState")?;
    if load_state != "loaded" {
        return Ok(());
    }
    match command::output(Command::new("systemctl").args(["stop", "--", &unit])) {
        // It may have ended, and been collected, just now.
        Err(CommandError::Failed { .. }) if property(&unit, "LoadState")? != "loaded" => Ok(()),
        stopped => Ok(stopped.map(drop)?),
    }
}

fn property(unit: &str, property: &str) -> Result<String, UnitError> {
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
