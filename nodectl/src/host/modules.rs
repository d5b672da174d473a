//! Kernel modules that nodes need and cannot load themselves: nodes have no /lib/modules, and the kernel does not load
//! these at their first use.

use std::path::Path;
use std::process::Command;

use foundation::command::{self, CommandError};

/// A module, and a path that exists when it is loaded or built in. Without br_netfilter, a Service's answer from a pod on
/// the client's own node has the wrong address: it crosses the bridge without conntrack.
const NEEDED: [(&str, &str); 1] = [("br_netfilter", "/proc/sys/net/bridge")];

/// Load what is not loaded.
///
/// # Errors
/// The kernel has no such module.
pub fn load() -> Result<(), CommandError> {
    for (module, _) in NEEDED.iter().filter(|(_, path)| !Path::new(path).exists()) {
        command::find("modprobe", "kmod")?;
        command::output(Command::new("modprobe").arg(module))?;
    }
    Ok(())
}
