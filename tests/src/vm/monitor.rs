//! QEMU's own view of a machine: its monitor, in JSON Lines (QMP).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A connection to the monitor.
pub(super) struct Monitor {
    replies: BufReader<UnixStream>,
}

impl Monitor {
    /// Connect.
    ///
    /// # Panics
    /// When QEMU does not answer.
    pub(super) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("QEMU listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
        let mut monitor = Monitor { replies: BufReader::new(stream) };
        monitor.execute("qmp_capabilities").expect("QEMU answers");
        monitor
    }

    /// Have it execute a command without arguments, and return its result; none, when QEMU has ended.
    ///
    /// # Panics
    /// When QEMU does not answer.
    pub(super) fn execute(&mut self, command: &str) -> Option<Value> {
        writeln!(self.replies.get_mut(), "{}", json!({"execute": command})).ok()?;
        loop {
            let mut line = String::new();
            if self.replies.read_line(&mut line).expect("QEMU answers") == 0 {
                return None;
            }
            let mut reply: Value = serde_json::from_str(&line).expect("JSON");
            // Its greeting and its events come between.
            if reply.get("return").is_some() || reply.get("error").is_some() {
                return Some(reply["return"].take());
            }
        }
    }

    /// Wait until the machine is in this state; false when it is not in time, or QEMU ends.
    ///
    /// # Panics
    /// When QEMU does not answer.
    pub(super) fn wait_for_status(&mut self, status: &str, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while let Some(now) = self.execute("query-status") {
            if now["status"] == status {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(500));
        }
        false
    }
}
