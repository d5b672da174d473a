//! The processes of plugins, and their children, identified by their environment: they may outlive the cnispawn that
//! has started them.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use foundation::process;

/// How long an execve(2) may take after it has closed the caller's files.
const EXECUTED: Duration = Duration::from_secs(2);

/// The processes of plugins, and their children, that work on a container: all have the specification's environment.
/// With `if_name`, only those that work on that interface.
pub(crate) fn of_attachment(container_id: &str, netns: &Path, if_name: Option<&str>) -> io::Result<Vec<i32>> {
    let own = std::process::id().cast_signed();
    let mut wanted = vec![
        [b"CNI_CONTAINERID=", container_id.as_bytes()].concat(),
        [b"CNI_NETNS=", netns.as_os_str().as_bytes()].concat(),
    ];
    wanted.extend(if_name.map(|if_name| [b"CNI_IFNAME=", if_name.as_bytes()].concat()));
    let mut pids = process::all()?;
    pids.retain(|&pid| {
        let environment = environment(pid);
        let has = |variable: &Vec<u8>| environment.split(|&byte| byte == 0).any(|entry| entry == variable);
        pid != own && wanted.iter().all(has)
    });
    Ok(pids)
}

/// A process's environment; empty if it has ended, is a zombie or a kernel thread.
///
/// It is empty in the middle of execve(2), too. By then the close-on-exec files are closed, the lock of the cnispawn
/// that started the plugin among them, so that a process that waited for the lock looks at this very moment: wait.
fn environment(pid: i32) -> Vec<u8> {
    let deadline = Instant::now() + EXECUTED;
    let read = || fs::read(format!("/proc/{pid}/environ"));
    let mut text = read();
    while text.as_ref().is_ok_and(Vec::is_empty) && Instant::now() < deadline {
        let is_in_execve = process::is_in_execve(pid);
        // The execve(2) may have ended between the two reads.
        text = read();
        if !is_in_execve {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_plugin_is_found_from_the_moment_of_its_execve() -> io::Result<()> {
        let own = fs::read("/proc/self/environ")?;
        for _ in 0..300 {
            // The parent of a vfork(2) continues in the middle of the child's execve(2), or a moment earlier, while the
            // child still shows the parent's memory.
            let mut child = Command::new("sleep").arg("60").env("CNI_CONTAINERID", "x").stdin(Stdio::null()).spawn()?;
            let pid = child.id().cast_signed();
            while fs::read(format!("/proc/{pid}/environ"))? == own {}
            let environment = environment(pid);
            child.kill()?;
            child.wait()?;
            assert!(environment.split(|&byte| byte == 0).any(|entry| entry == b"CNI_CONTAINERID=x"));
        }
        Ok(())
    }
}
