//! Python on a node that does what it is asked, over one SSH connection of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use foundation::command::{self, CommandError};
use foundation::files::FileError;
use foundation::name::Name;
use foundation::process::Process;
use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};

use super::SshError;
use crate::inventory::Inventory;

/// What the node's Python is sent first, and imports: each after those that it needs itself.
const MODULES: [(&str, &str); 6] = [
    ("swap_common", include_str!("../../assets/node/swap_common.py")),
    ("endpoint", include_str!("../../assets/node/endpoint.py")),
    ("swap_program", include_str!("../../assets/node/swap_program.py")),
    ("swap_static_pod", include_str!("../../assets/node/swap_static_pod.py")),
    ("swap_workload", include_str!("../../assets/node/swap_workload.py")),
    ("agent", include_str!("../../assets/node/agent.py")),
];

/// What it is started with. Nothing is left on the node's disk.
const START: &str = "\
import json, sys, types
for name, source in json.loads(sys.stdin.buffer.readline()).items():
    sys.modules[name] = types.ModuleType(name)
    exec(compile(source, f'{name}.py', 'exec'), vars(sys.modules[name]))
sys.modules['agent'].main()
";

/// Why SSH was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentStartError {
    /// The inventory does not say how to log in.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// It could not be run.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// SSH ended, as the node is not reached or Python failed there; or a command failed on the node.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The new component is not healthy there, and the old one is back.
    #[error("{problem}\n`{command}` logs in there")]
    Problem {
        /// What went wrong.
        problem: String,
        /// The command that logs in, quoted for a shell.
        command: String,
    },
    /// A file of this host cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// An agent. It ends with its input: when this is dropped, or when we are killed.
pub(crate) struct Agent {
    node: Name,
    ssh: Child,
    login: String,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Whether the node has zstd, once it has answered.
    has_zstd: Option<bool>,
}

impl Agent {
    /// Log in to a node, without waiting for it: that a node cannot be reached is an error of the first request.
    pub(crate) fn start(inventory: &Inventory, node: &Name) -> Result<Self, AgentStartError> {
        let mut ssh = super::command(inventory, node)?;
        let login = command::shown(&ssh);
        ssh.arg(shell_words::join([inventory.python(), "-c", START]));
        Ok(Self::spawn(node, ssh, login)?)
    }

    /// An agent on this host instead of a node.
    #[cfg(test)]
    pub(crate) fn local(node: &str) -> Self {
        let mut python = Command::new("python3");
        python.args(["-c", START]);
        Self::spawn(&node.parse().expect("a name"), python, format!("ssh {node}")).expect("it runs")
    }

    fn spawn(node: &Name, mut ssh: Command, login: String) -> Result<Self, CommandError> {
        // Ctrl-C reaches us alone, and we end what we have begun.
        command::end_with_us(&mut ssh, Signal::SIGTERM).process_group(0);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ssh.spawn().map_err(command::not_started(&ssh))?;
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let answers = answers.ok_or_else(|| command::not_started(&ssh)(io::ErrorKind::BrokenPipe.into()))?;
        let answers = BufReader::new(answers);
        let mut agent = Agent { node: node.clone(), ssh: child, login, requests, answers, has_zstd: None };
        let modules: Map<String, Value> =
            MODULES.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
        // Less than the 64 KiB that a pipe takes at once. If ssh has ended already, the first request finds out why.
        let _ = agent.send(&Value::Object(modules));
        Ok(agent)
    }

    /// The node.
    pub(crate) fn node(&self) -> &Name {
        &self.node
    }

    /// The process of ssh: when it is ended, nothing waits for an answer any longer.
    pub(crate) fn process(&self) -> io::Result<Process> {
        Process::of(self.ssh.id().cast_signed())
    }

    /// Whether the node has zstd.
    pub(crate) fn has_zstd(&mut self) -> Result<bool, AgentError> {
        if let Some(known) = self.has_zstd {
            return Ok(known);
        }
        let has_zstd = self.answer()?["zstd"] == true;
        self.has_zstd = Some(has_zstd);
        Ok(has_zstd)
    }

    /// Run a shell command; its output.
    pub(crate) fn shell(&mut self, command: &str) -> Result<String, AgentError> {
        self.run(command, None)
    }

    /// Run a shell command with a file of this host as its standard input; its output.
    pub(crate) fn feed(&mut self, command: &str, file: &Path) -> Result<String, AgentError> {
        self.run(command, Some(file))
    }

    /// Swap a component: `program` is one of MODULES. Whether something was changed.
    pub(crate) fn swap(&mut self, program: &str, arguments: &Value) -> Result<bool, AgentError> {
        self.has_zstd()?;
        let sent = self.send(&json!({"do": program, "arguments": arguments}));
        let answer = self.answered(sent)?;
        match answer["msg"].as_str() {
            Some(problem) => Err(AgentError::Problem { problem: problem.to_owned(), command: self.login.clone() }),
            None => Ok(answer["changed"] == true),
        }
    }

    fn run(&mut self, command: &str, file: Option<&Path>) -> Result<String, AgentError> {
        // Its first line is a greeting, which says whether the node has zstd.
        self.has_zstd()?;
        let opened = file.map(|path| -> Result<(File, u64, &Path), FileError> {
            let file = File::open(path).map_err(FileError::of("open", path))?;
            let length = file.metadata().map_err(FileError::of("read", path))?.len();
            Ok((file, length, path))
        });
        let opened = opened.transpose()?;
        let length = opened.as_ref().map_or(0, |(_, length, _)| *length);
        let mut sent = self.send(&json!({"do": "shell", "command": command, "length": length}));
        if let (Ok(()), Some((file, length, path))) = (&sent, &opened) {
            sent = match self.requests.as_mut().map(|to| io::copy(&mut file.take(*length), to)) {
                // Fewer than were announced: the node would wait for the rest.
                Some(Ok(copied)) if copied < *length => {
                    return Err(FileError::of("read", path)(io::Error::from(io::ErrorKind::UnexpectedEof)).into());
                }
                copied => copied.transpose().map(drop),
            };
        }
        let answer = self.answered(sent)?;
        let output = answer["output"].as_str().unwrap_or_default().to_owned();
        let status = answer["status"].as_i64().and_then(|status| i32::try_from(status).ok()).unwrap_or(1);
        if status == 0 {
            return Ok(output);
        }
        let input = file.map(|path| format!(" <{}", shell_words::quote(&path.to_string_lossy())));
        let command = format!("{} {}{}", self.login, shell_words::quote(command), input.unwrap_or_default());
        // As wait(2) has it.
        let status = ExitStatus::from_raw((status & 0xff) << 8);
        Err(CommandError::Failed { command, status, stderr: output }.into())
    }

    fn send(&mut self, request: &Value) -> io::Result<()> {
        let requests = self.requests.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        requests.write_all(format!("{request}\n").as_bytes())
    }

    /// The answer, unless the request could not be sent: ssh has ended then.
    fn answered(&mut self, sent: io::Result<()>) -> Result<Value, AgentError> {
        if sent.is_err() { Err(self.ended()) } else { self.answer() }
    }

    fn answer(&mut self) -> Result<Value, AgentError> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        match serde_json::from_str(&line) {
            Ok(answer) if read.is_ok() => Ok(answer),
            _ => Err(self.ended()),
        }
    }

    fn ended(&mut self) -> AgentError {
        drop(self.requests.take());
        let mut said = Vec::new();
        if let Some(stderr) = &mut self.ssh.stderr {
            let _ = stderr.read_to_end(&mut said);
        }
        let (command, stderr) = (self.login.clone(), String::from_utf8_lossy(&said).into_owned());
        let ended = match self.ssh.wait() {
            Ok(status) => CommandError::Failed { command, status, stderr },
            Err(source) => CommandError::Spawn { command, source },
        };
        ended.into()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.requests.take());
        // If it is busy, what it does on the node goes on without its connection.
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn agent() -> Agent {
        Agent::local("node1")
    }

    #[test]
    fn a_command_that_does_not_read_its_input_fails_alone() {
        let mut agent = agent();
        let file = tempfile::NamedTempFile::new().expect("a file");
        // More than a pipe holds.
        fs::write(file.path(), vec![b'x'; 3 << 20]).expect("written");
        let error = agent.feed("echo 'no room' >&2; exit 3", file.path()).expect_err("it fails").to_string();
        let shown = format!("`ssh node1 'echo '\\''no room'\\'' >&2; exit 3' <{}`", file.path().display());
        assert!(error.starts_with(&shown) && error.ends_with("exit status: 3:\n  no room"), "{error}");
        assert_eq!(agent.feed("wc -c", file.path()).expect("it runs").trim(), (3 << 20).to_string());
        assert_eq!(agent.shell("echo after").expect("it runs"), "after\n");
    }

    #[test]
    fn an_agent_that_has_ended_is_shown_with_its_last_words() {
        let mut agent = agent();
        agent.shell("true").expect("it runs");
        let error = agent.swap("no_such_program", &json!({})).expect_err("it has ended").to_string();
        assert!(error.starts_with("`ssh node1` failed with exit status: 1:\n  Traceback"), "{error}");
        assert!(matches!(agent.shell("true"), Err(AgentError::Command(_))), "and stays ended");
    }

    #[test]
    fn what_is_sent_at_first_fits_into_a_pipe() {
        assert!(MODULES.iter().map(|(_, text)| json!(text).to_string().len()).sum::<usize>() < 60 << 10);
    }
}
