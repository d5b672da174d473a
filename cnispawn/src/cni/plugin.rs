//! Find a plugin and execute it once (CNI specification, section 2).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::attachment::{Attachment, join_args};
use super::command::Command;
use super::execution::{Ended, Execution, STDOUT_LIMIT};
use super::failure::{ErrorObject, PluginError, Tail};
use super::result::{self, ResultError};
use super::version;

/// Where plugins are, and how long each may run. Containers' records hold it, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plugins {
    /// The directories that are searched, in this order.
    pub dirs: Vec<PathBuf>,
    /// Seconds after which a plugin is killed.
    pub timeout: u64,
}

impl Plugins {
    /// The path of a plugin.
    ///
    /// # Errors
    /// When none of the directories has it.
    pub fn find(&self, name: &str) -> Result<PathBuf, PluginError> {
        // A name is not a path: it may not lead elsewhere.
        // Nor is an empty part of CNI_PATH a directory.
        let dirs = || self.dirs.iter().filter(|dir| !dir.as_os_str().is_empty());
        let named = || dirs().filter(|_| !name.contains('/')).map(|dir| dir.join(name));
        let found = named().find(|path| path.is_file());
        found.ok_or_else(|| PluginError::NotFound { name: name.to_owned(), dirs: self.dirs.clone() })
    }

    /// Find a plugin, and look whether the kernel would execute it. Found out later, networks would be half-made, and
    /// this plugin's DEL could be executed no more than its ADD.
    ///
    /// # Errors
    /// When it is missing, or would not be executed.
    pub fn check(&self, name: &str) -> Result<(), PluginError> {
        let path = self.find(name)?;
        check_program(&path).map_err(|source| PluginError::Execute { path, source })
    }

    /// Execute a plugin to its end, with `conf` on its standard input. Returns what it printed.
    ///
    /// # Errors
    /// When it is missing, fails or takes too long.
    pub fn execute(
        &self,
        name: &str,
        command: Command,
        attachment: &Attachment,
        conf: &Value,
    ) -> Result<Vec<u8>, PluginError> {
        let path = self.find(name)?;
        let environment = self.environment(command, attachment);
        let replay = replay(&path, &environment, conf);
        tracing::debug!("{replay}");

        let broken = |source| PluginError::Execute { path: path.clone(), source };
        let run = Execution::start(&path, &environment, conf).map_err(broken)?;
        // A century, where more is asked for: the clock ends somewhere.
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
    ///
    /// # Errors
    /// As [`Plugins::execute`], and when it prints none.
    pub fn add(&self, name: &str, attachment: &Attachment, conf: &Value) -> Result<Value, PluginError> {
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
    ///
    /// # Errors
    /// As [`Plugins::execute`], and when it does not say.
    pub fn versions(&self, name: &str) -> Result<Vec<String>, PluginError> {
        // Plugins that are older than VERSION insist on these two; libcni gives them the same words.
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

    /// An execution as a line for a shell.
    pub fn replay(&self, name: &str, command: Command, attachment: &Attachment, conf: &Value) -> String {
        let path = self.find(name).unwrap_or_else(|_| name.into());
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

/// What execve(2) would say of a program's file.
fn check_program(path: &Path) -> io::Result<()> {
    access(path, AccessFlags::X_OK)?;
    let mut start = Vec::new();
    // The kernel reads no more of a script's first line.
    File::open(path)?.take(256).read_to_end(&mut start)?;
    if start.is_empty() {
        return Err(io::Error::other("it is empty"));
    }
    let line = start.strip_prefix(b"#!").and_then(|rest| rest.split(|&byte| byte == b'\n').next());
    let mut words = line.unwrap_or_default().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let interpreter = words.next().map(|word| Path::new(OsStr::from_bytes(word)));
    match interpreter.filter(|interpreter| !interpreter.exists()) {
        // ENOENT, which would seem to be about the plugin.
        Some(missing) => Err(io::Error::other(format!("its interpreter {} is missing", missing.display()))),
        None => Ok(()),
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

/// An execution as a line for a shell.
fn replay(path: &Path, environment: &[(&'static str, OsString)], conf: &Value) -> String {
    // Assignments before the command: quoted whole, they would be the command.
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

    #[test]
    fn what_the_kernel_would_not_execute_is_told_before_it_is_asked_to() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let plugins = Plugins { dirs: vec![dir.path().to_owned()], timeout: 1 };
        let path = dir.path().join("x");
        for (content, mode, why) in [
            ("#!/bin/sh", 0o755, None),
            ("\x7fELF", 0o755, None),
            ("#!/bin/sh", 0o644, Some("Permission denied")),
            ("", 0o755, Some("it is empty")),
            ("#! /no/sh -e\nx", 0o755, Some("its interpreter /no/sh is missing")),
        ] {
            fs::write(&path, content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            let told = plugins.check("x").err().map(|error| foundation::error_chain(&error));
            assert_eq!(told.is_some(), why.is_some(), "{told:?}");
            assert!(told.unwrap_or_default().contains(why.unwrap_or_default()), "{content:?}");
        }
        Ok(())
    }

    #[test]
    fn a_missing_plugin_is_told_with_where_it_was_looked_for() {
        let plugins = Plugins { dirs: vec!["/nowhere".into(), "/else".into()], timeout: 1 };
        let text = plugins.find("bridge").expect_err("missing").to_string();
        assert!(text.starts_with("CNI plugin \"bridge\" not found in /nowhere, /else; install"), "{text}");
        let plugins = Plugins { dirs: vec!["/".into()], timeout: 1 };
        plugins.find("../etc/passwd").expect_err("not a name");
    }
}
