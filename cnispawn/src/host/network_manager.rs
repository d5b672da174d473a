//! Have NetworkManager leave a network's bridge alone: `nmcli networking off` and suspend remove the bridge's address,
//! and nothing restores it. Its ports are safe: NetworkManager's own udev rules exempt veths.
//!
//! By a section for each bridge. An entry in the list `unmanaged-devices` would not last: a list in /etc is read after
//! /run and replaces it (NetworkManager.conf(5)).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use foundation::files;

use super::dbus::Interface;
use crate::host::bridge::Bridge;
use crate::host::link;

/// For "per-boot configuration" by scripts (NetworkManager.conf(5)).
const CONF_DIR: &str = "/run/NetworkManager/conf.d";

const MANAGER: Interface = Interface {
    service: "org.freedesktop.NetworkManager",
    object: "/org/freedesktop/NetworkManager",
    name: "org.freedesktop.NetworkManager",
};

/// Write the sections, before the bridges exist: NetworkManager applies them when a link appears, or when it starts.
pub(super) fn leave_alone(bridges: &[Bridge]) -> io::Result<()> {
    // If it is installed, it may be started later.
    if which::which("nmcli").is_err() {
        return Ok(());
    }
    // Readable by all: if /run/NetworkManager is made here, other programs put their files there.
    fs::create_dir_all(CONF_DIR)?;
    let mut changed = false;
    for Bridge { name, .. } in bridges {
        let (path, text) = (conf(name), section(name));
        // A cnispawn that was killed may have written the file without a reload; then there is no bridge yet.
        changed |= !link::is_bridge(name);
        if fs::read_to_string(&path).is_ok_and(|is| is == text) {
            continue;
        }
        files::write_whole(&path, text.as_bytes()).map_err(io::Error::other)?;
        changed = true;
    }
    if changed { reload() } else { Ok(()) }
}

/// Remove the sections.
pub(super) fn forget(bridges: &[Bridge]) -> io::Result<()> {
    let told: Vec<_> = bridges.iter().map(|bridge| conf(&bridge.name)).filter(|path| path.exists()).collect();
    told.iter().try_for_each(|path| files::remove_written(path)).map_err(io::Error::other)?;
    if told.is_empty() { Ok(()) } else { reload() }
}

fn reload() -> io::Result<()> {
    // 1: the configuration alone, as `nmcli general reload conf` has it.
    if MANAGER.is_up() { MANAGER.call("Reload", &["u", "1"]).map(drop) } else { Ok(()) }
}

fn conf(bridge: &str) -> PathBuf {
    Path::new(CONF_DIR).join(format!("90-cnispawn-{bridge}.conf"))
}

fn section(bridge: &str) -> String {
    format!(
        "# By cnispawn, until the bridge goes.\n[device-cnispawn-{bridge}]\nmatch-device=interface-name:{bridge}\nmanaged=0\n"
    )
}
