//! Call services of the system's message bus, by busctl(1).

use std::io;

use crate::tool::Tool;

const BUSCTL: Tool = Tool { program: "busctl", package: "systemd" };

/// An interface of an object of a service.
pub(super) struct Interface {
    /// The service's name on the bus.
    pub(super) service: &'static str,
    /// The object.
    pub(super) object: &'static str,
    /// The interface.
    pub(super) name: &'static str,
}

const BUS: Interface =
    Interface { service: "org.freedesktop.DBus", object: "/org/freedesktop/DBus", name: "org.freedesktop.DBus" };

impl Interface {
    /// Whether the service runs. Without a bus it does not.
    pub(super) fn is_up(&self) -> bool {
        BUS.call("NameHasOwner", &["s", self.service]).is_ok_and(|answer| answer == "b true")
    }

    /// Call a method, with arguments after their signature; the answer is written the same way.
    ///
    /// # Errors
    /// When the service does not run, or refuses.
    pub(super) fn call(&self, method: &str, args: &[&str]) -> io::Result<String> {
        let call = ["--system", "--auto-start=no", "call", self.service, self.object, self.name, method];
        Ok(BUSCTL.run(&[&call, args].concat(), "")?.trim_end().to_owned())
    }
}
