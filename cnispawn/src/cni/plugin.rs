//! Execute a plugin once (CNI specification, section 2).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::attachment::{Attachment, join_args};
use super::command::Command;
use super::execution::{Ended, Execution, STDOUT_LIMIT};
use super::failure::{ErrorObject, PluginError, Tail};
use super::program;
use super::result::{self, ResultError};
use super::version;

/// Where plugins are, and how long each may run. Recorded for each attachment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plugins {
    /// The directories that are searched, in this order.
    pub dirs: Vec<PathBuf>,
    /// Seconds after which a plugin is killed.
    pub timeout: u64,
}

impl Plugins {
    /// Execute a plugin to its end, with `conf` on its standard input. Returns what it printed.
    pub(super) fn execute(
        &self,
        name: &str,
        command: Command,
        attachment: &Attachment,
        conf: &Value,
    ) -> Result<Vec<u8>, PluginError> {
        let path = program::find(&self.dirs, name)?;
        let environment = self.environment(command, attachment);
        let replay = replay(&path, &environment, conf);
        tracing::debug!("{replay}");

        let broken = |source| PluginError::Execute { path: path.clone(), source };
        let run = Execution::start(&path, &environment, conf).map_err(broken)?;
        // At most a century: `Instant` overflows beyond.
        let timeout = Duration::from_secs(self.timeout.min(u32::MAX.into()));
        let Ended { status, stdout, stderr } = run.wait(timeout, attachment).map_err(broken)?;
        tracing::debug!("{name} {command}: {}", String::from_utf8_lossy(&stdout));

        let name = name.to_owned();
        let tail = Box::new(Tail { stderr: String::from_utf8_lossy(&stderr).trim_end().to_owned(), replay });
        let Some(status) = status else {
            return Err(PluginError::Timeout { name, command, seconds: self.timeout, tail });
        };
        if status.success() {
            return Ok(stdout);
        }
        match serde_json::from_slice::<ErrorObject>(&stdout) {
            Ok(error) => Err(PluginError::Reported { name, command, error: Box::new(error), tail }),
            Err(_) => Err(PluginError::Failed { name, command, status, tail }),
        }
    }

    /// ADD: execute a plugin that prints a result. Returns it in the version of `conf`.
    pub(super) fn add(&self, name: &str, attachment: &Attachment, conf: &Value) -> Result<Value, PluginError> {
        let stdout = self.execute(name, Command::Add, attachment, conf)?;
        let version = conf["cniVersion"].as_str().unwrap_or_default();
        let printed = serde_json::from_slice(&stdout).map_err(|_| match stdout.len() {
            STDOUT_LIMIT => ResultError::TooLong,
            _ => ResultError::NoObject,
        });
        printed.and_then(|printed| result::accept(printed, version)).map_err(|source| {
            let replay = self.replay(name, Command::Add, attachment, conf);
            let stderr = format!("its standard output: {:?}", shown_start(&stdout));
            PluginError::NoResult {
                name: name.to_owned(),
                why: Box::new(source),
                tail: Box::new(Tail { stderr, replay }),
            }
        })
    }

    /// VERSION: the versions that a plugin speaks (CNI specification, section 5, Version).
    pub(super) fn versions(&self, name: &str) -> Result<Vec<String>, PluginError> {
        // Plugins that are older than VERSION require these two; libcni gives them the same words.
        let attachment = Attachment { netns: "dummy".into(), if_name: "dummy".into(), ..Attachment::default() };
        let conf = json!({ "cniVersion": version::NEWEST.to_string() });
        let stdout = match self.execute(name, Command::Version, &attachment, &conf) {
            Err(error) if error.is_unknown_command() => return Ok(vec![version::OLDEST.to_string()]),
            stdout => stdout?,
        };
        let said: Value = serde_json::from_slice(&stdout).unwrap_or_default();
        let versions = said["supportedVersions"].as_array().into_iter().flatten();
        let versions: Vec<_> = versions.filter_map(|version| version.as_str().map(str::to_owned)).collect();
        match said["cniVersion"].as_str() {
            Some(_) if !versions.is_empty() => Ok(versions),
            // Before 0.3.0 there was no list.
            Some("0.2.0") => Ok(vec!["0.1.0".to_owned(), "0.2.0".to_owned()]),
            _ => Err(PluginError::NoVersions { name: name.to_owned(), stdout: shown_start(&stdout) }),
        }
    }

    /// An execution as a line to paste into a shell.
    pub(crate) fn replay(&self, name: &str, command: Command, attachment: &Attachment, conf: &Value) -> String {
        let path = program::find(&self.dirs, name).unwrap_or_else(|_| name.into());
        replay(&path, &self.environment(command, attachment), conf)
    }

    /// CNI specification, section 2, Parameters.
    fn environment(&self, command: Command, attachment: &Attachment) -> Vec<(&'static str, OsString)> {
        let path = std::env::join_paths(&self.dirs).unwrap_or_default();
        vec![
            ("CNI_COMMAND", command.to_string().into()),
            ("CNI_CONTAINERID", attachment.container_id.clone().into()),
            ("CNI_NETNS", attachment.netns.clone().into()),
            ("CNI_IFNAME", attachment.if_name.clone().into()),
            ("CNI_ARGS", join_args(&attachment.args).into()),
            ("CNI_PATH", path),
        ]
    }
}

/// The beginning of what a plugin printed, for an error.
fn shown_start(stdout: &[u8]) -> String {
    const SHOWN: usize = 400;
    match stdout.get(..SHOWN) {
        Some(start) => format!("{}... ({} bytes)", String::from_utf8_lossy(start), stdout.len()),
        None => String::from_utf8_lossy(stdout).into_owned(),
    }
}

/// An execution as a line to paste into a shell.
fn replay(path: &Path, environment: &[(&'static str, OsString)], conf: &Value) -> String {
    // Assignments are not quoted whole: the shell would take one for the command.
    let assignments: String = environment
        .iter()
        .map(|(name, value)| format!("{name}={} ", shell_words::quote(&value.to_string_lossy())))
        .collect();
    let (conf, path) = (conf.to_string(), path.to_string_lossy());
    format!("printf %s {} | {assignments}{}", shell_words::quote(&conf), shell_words::quote(&path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A shell script as the plugin `x`, executed with ADD.
    fn add(script: &str, timeout: u64) -> Result<Value, PluginError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        let plugins = Plugins { dirs: vec![dir.path().to_owned()], timeout };
        let attachment = Attachment {
            container_id: "web".into(),
            // One of its own: a test that ends the processes of its attachment must not end another's.
            netns: dir.path().join("netns"),
            if_name: "eth0".into(),
            args: vec![("A".into(), "1".into()), ("B".into(), "2".into())],
            capability_args: serde_json::Map::new(),
        };
        plugins.add("x", &attachment, &json!({"cniVersion": "1.0.0", "name": "net", "it's": "quoted"}))
    }

    #[test]
    fn a_plugin_reads_its_configuration_and_environment() {
        let script = r#"printf '{"env": "%s", "stdin": %s}' "$CNI_COMMAND $CNI_CONTAINERID ${CNI_NETNS##*/} $CNI_IFNAME $CNI_ARGS" "$(cat)""#;
        let result = add(script, 10).expect("a result");
        assert_eq!(
            result,
            json!({"env": "ADD web netns eth0 A=1;B=2", "cniVersion": "1.0.0",
                "stdin": {"cniVersion": "1.0.0", "name": "net", "it's": "quoted"}})
        );
    }

    #[test]
    fn an_error_object_is_told_with_a_command_to_replay() {
        let error = add(r#"echo '{"code": 11, "msg": "try", "details": "later"}'; exit 1"#, 10).expect_err("fails");
        let text = error.to_string();
        assert!(
            text.starts_with("CNI plugin \"x\" failed to ADD: try: later (code 11)\n  to replay: printf %s "),
            "{text}"
        );
        assert!(text.contains("| CNI_COMMAND=ADD CNI_CONTAINERID=web"), "{text}");
    }

    #[test]
    fn without_an_error_object_status_and_last_lines_are_told() {
        let text = add("echo no such thing >&2; exit 3", 10).expect_err("fails").to_string();
        assert!(text.contains("with exit status: 3 and no error object\n  no such thing\n"), "{text}");
        let text = add("kill -9 $$", 10).expect_err("fails").to_string();
        assert!(text.contains("signal: 9"), "{text}");
        let text = add("echo done", 10).expect_err("no result").to_string();
        assert!(text.contains("printed no result of ADD: it is not a JSON object") && text.contains("done"), "{text}");
        let text = add(r#"echo '{"cniVersion": "3.0.0"}'"#, 10).expect_err("no result").to_string();
        assert!(text.contains("there is no version 3.0.0"), "{text}");
    }

    #[test]
    fn a_plugin_that_hangs_is_killed_with_its_children() {
        let text = add("sleep 1000 & wait", 0).expect_err("killed").to_string();
        assert!(text.contains("was killed: ADD took longer than 0 s"), "{text}");
    }

    #[test]
    fn a_child_that_has_left_the_group_of_a_hanging_plugin_does_not_survive() -> Result<(), Box<dyn std::error::Error>>
    {
        let file = tempfile::NamedTempFile::new()?;
        // In the background it leads no group, so that setsid needs no fork: $! is the child that stays.
        let script = format!("setsid sleep 1000 & echo $! > {}; wait", file.path().display());
        let text = add(&script, 2).expect_err("killed").to_string();
        assert!(text.contains("was killed"), "{text}");
        let child = fs::read_to_string(file.path())?.trim().parse::<i32>()?;
        let environment = fs::read(format!("/proc/{child}/environ")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environment).contains("CNI_COMMAND=ADD"), "{child} runs");
        Ok(())
    }

    #[test]
    fn output_that_is_not_read_does_not_block_and_too_much_of_it_is_not_kept() {
        let text = add("head -c 3000000 /dev/zero", 60).expect_err("no result").to_string();
        assert!(text.contains("it is longer than a mebibyte") && text.len() < 4000, "{} bytes", text.len());
        let text = add("seq 300000 >&2; exit 3", 60).expect_err("fails").to_string();
        assert!(text.contains("\n  299999\n  300000\n  to replay"), "{text}");
        let text = add(r#"printf '{"code": 7, "msg": "%0100000d"}' 0; exit 1"#, 60).expect_err("fails").to_string();
        assert!(text.contains("00 (code 7)") && text.len() < 5000, "{} bytes", text.len());
    }

    #[test]
    fn a_child_that_keeps_the_output_open_is_not_waited_for() {
        add("sleep 20 & echo {}", 10).expect("a result");
    }

    #[test]
    fn the_longest_timeout_is_a_number_like_any_other() {
        add("echo {}", u64::MAX).expect("a result");
    }
}
