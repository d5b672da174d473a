//! Plugins that go on after the cnispawn that executed them was killed, and their children, known by their environment.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::process;

/// The processes of plugins, and their children, that work on a container: all have the specification's environment.
///
/// # Errors
/// When /proc cannot be read.
pub fn plugins(container_id: &str, netns: &Path) -> io::Result<Vec<i32>> {
    let id = [b"CNI_CONTAINERID=", container_id.as_bytes()].concat();
    let netns = [b"CNI_NETNS=", netns.as_os_str().as_bytes()].concat();
    with_environment(&[&id, &netns])
}

/// The processes other than this one that have all of `wanted` in their environment, each as NAME=VALUE.
///
/// # Errors
/// When /proc cannot be read.
pub fn with_environment(wanted: &[&[u8]]) -> io::Result<Vec<i32>> {
    let own = std::process::id().cast_signed();
    let mut pids = process::all()?;
    pids.retain(|&pid| {
        // Unreadable when it has just ended, empty when it is a zombie or the kernel's own.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |variable: &&[u8]| environment.split(|&byte| byte == 0).any(|entry| entry == *variable);
        pid != own && wanted.iter().all(has)
    });
    Ok(pids)
}
