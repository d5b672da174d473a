//! Pass on what several nodes say at the same time, line by line.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};

use foundation::command::{self, CommandError};
use foundation::name::Name;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

/// The log of a node on its way to us; its end ends SSH, and with that what runs on the node.
pub(super) struct NodeLog<'a> {
    pub(super) node: &'a Name,
    /// The command, quoted for a shell.
    pub(super) command: String,
    pub(super) child: Child,
    /// `None` at its end.
    stdout: Option<ChildStdout>,
    /// Whether its lines are told from others'.
    is_named: bool,
    /// A line of which the end is still to come.
    partial: Vec<u8>,
}

impl<'a> NodeLog<'a> {
    pub(super) fn start(
        node: &'a Name,
        mut ssh: Command,
        command: String,
        is_named: bool,
    ) -> Result<Self, CommandError> {
        let spawned =
            command::end_with_us(&mut ssh, Signal::SIGKILL).stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
        let mut child = spawned.map_err(|source| CommandError::Spawn { command: command.clone(), source })?;
        let stdout = child.stdout.take();
        Ok(NodeLog { node, command, child, stdout, is_named, partial: Vec::new() })
    }

    /// Read what is there, and write the whole lines of it.
    fn pass_on(&mut self, output: &mut impl Write) -> io::Result<()> {
        let Some(stdout) = &mut self.stdout else { return Ok(()) };
        let mut piece = vec![0; 1 << 16];
        let length = stdout.read(&mut piece)?;
        if length == 0 {
            self.stdout = None;
            // The last line, where it was cut off.
            self.partial.extend((!self.partial.is_empty()).then_some(b'\n'));
        }
        self.partial.extend_from_slice(&piece[..length]);
        let end = self.partial.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let mut text = Vec::new();
        for line in self.partial.drain(..end).as_slice().split_inclusive(|&byte| byte == b'\n') {
            if self.is_named {
                text.extend_from_slice(format!("[{}] ", self.node).as_bytes());
            }
            text.extend_from_slice(line);
        }
        output.write_all(&text)?;
        output.flush()
    }
}

impl Drop for NodeLog<'_> {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) enum Ended {
    All,
    ReaderIsGone,
}

/// Pass on what comes from any node, until all have ended or the reader of our standard output is gone: `| head` may end
/// long before the next line comes.
pub(super) fn pass_on(logs: &mut [NodeLog], mut output: impl Write) -> io::Result<Ended> {
    let ours = io::stdout();
    loop {
        let open: Vec<_> = (0..logs.len()).filter(|&index| logs[index].stdout.is_some()).collect();
        if open.is_empty() {
            return Ok(Ended::All);
        }
        let streams = open.iter().filter_map(|&index| logs[index].stdout.as_ref());
        let mut wanted = vec![PollFd::new(ours.as_fd(), PollFlags::empty())];
        wanted.extend(streams.map(|stdout| PollFd::new(stdout.as_fd(), PollFlags::POLLIN)));
        match poll(&mut wanted, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            other => other?,
        };
        let mut is_ready = wanted.iter().map(|fd| fd.any().unwrap_or(false)).collect::<Vec<_>>().into_iter();
        if is_ready.next() == Some(true) {
            return Ok(Ended::ReaderIsGone);
        }
        for (index, _) in open.into_iter().zip(is_ready).filter(|(_, is_ready)| *is_ready) {
            logs[index].pass_on(&mut output)?;
        }
    }
}
