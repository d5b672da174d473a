//! Have NetworkManager leave a network's bridge alone: `nmcli networking off`, and sleep, take its address, and nothing
//! gives it back. Its ports need no word: NetworkManager's own udev rules exempt veths.
//!
//! By a section for each bridge. An entry in the list `unmanaged-devices` would be gone where the user has a list in
//! /etc, which is read after /run and replaces it (NetworkManager.conf(5)).

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

/// Write the sections. NetworkManager heeds them when a link appears, or when it starts itself: they must be there
/// before the bridge.
///
/// # Errors
/// When the file system or NetworkManager refuses.
pub(super) fn leave_alone(bridges: &[Bridge]) -> io::Result<()> {
    // One that is installed may come later, at boot.
    if which::which("nmcli").is_err() {
        return Ok(());
    }
    // Not for the owner alone: where we are first, others will want their files in /run/NetworkManager read.
    fs::create_dir_all(CONF_DIR)?;
    let mut news = false;
    for Bridge { name, .. } in bridges {
        let (path, text) = (conf(name), section(name));
        // One that was killed may have written it, and said nothing; then there is no bridge yet.
        news |= !link::is_bridge(name);
        if fs::read_to_string(&path).is_ok_and(|is| is == text) {
            continue;
        }
        files::write_whole(&path, text.as_bytes()).map_err(io::Error::other)?;
        news = true;
    }
    if news { reload() } else { Ok(()) }
}

/// Remove the sections.
///
/// # Errors
/// When the file system or NetworkManager refuses.
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
