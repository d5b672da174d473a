//! Kernel modules that nodes need and cannot load themselves: they have no /lib/modules, and the kernel does not load
//! these when they are first used.

use std::path::Path;
use std::process::Command;

use foundation::command::{self, CommandError};

/// A module, and a path that is there when it is loaded or built in. Without br_netfilter a pod that asks a Service
/// gets the answer of a pod on its own node from the wrong address: the bridge hands it over unseen by conntrack.
const NEEDED: [(&str, &str); 1] = [("br_netfilter", "/proc/sys/net/bridge")];

/// Load what is not there.
///
/// # Errors
/// When the host has no such module.
pub fn load() -> Result<(), CommandError> {
    for (module, _) in NEEDED.iter().filter(|(_, path)| !Path::new(path).exists()) {
        command::find("modprobe", "kmod")?;
        command::output(Command::new("modprobe").arg(module))?;
    }
    Ok(())
}
