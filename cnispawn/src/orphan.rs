//! Plugins that go on after the cnispawn that executed them was killed, and their children, known by their environment.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::process;

/// The processes of plugins, and their children, that work on a container: all have the specification's environment.
/// With `if_name`, only those that work on this interface of it.
///
/// # Errors
/// When /proc cannot be read.
pub fn plugins(container_id: &str, netns: &Path, if_name: Option<&str>) -> io::Result<Vec<i32>> {
    let own = std::process::id().cast_signed();
    let mut wanted = vec![
        [b"CNI_CONTAINERID=", container_id.as_bytes()].concat(),
        [b"CNI_NETNS=", netns.as_os_str().as_bytes()].concat(),
    ];
    wanted.extend(if_name.map(|if_name| [b"CNI_IFNAME=", if_name.as_bytes()].concat()));
    let mut pids = process::all()?;
    pids.retain(|&pid| {
        // Unreadable when it has just ended, empty when it is a zombie or the kernel's own.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |variable: &Vec<u8>| environment.split(|&byte| byte == 0).any(|entry| entry == variable);
        pid != own && wanted.iter().all(has)
    });
    Ok(pids)
}
