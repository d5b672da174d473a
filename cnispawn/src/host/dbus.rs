//! Call services on the system bus, by busctl(1).

use std::env;
use std::io;
use std::path::Path;

use foundation::tool::Tool;

const BUSCTL: Tool = Tool { program: "busctl", package: "systemd" };

/// The variable that moves the bus (D-Bus specification, "Well-known Message Bus Instances"), and its default socket.
const ADDRESS: &str = "DBUS_SYSTEM_BUS_ADDRESS";
const SOCKET: &str = "/run/dbus/system_bus_socket";

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
    /// Whether the service runs. Without a bus it does not; busctl is not started then.
    pub(super) fn is_up(&self) -> bool {
        let bus = env::var_os(ADDRESS).is_some() || Path::new(SOCKET).exists();
        bus && BUS.call("NameHasOwner", &["s", self.service]).is_ok_and(|answer| answer == "b true")
    }

    /// Call a method, with arguments after their signature; the answer is written the same way.
    pub(super) fn call(&self, method: &str, args: &[&str]) -> io::Result<String> {
        let call = ["--system", "--auto-start=no", "call", self.service, self.object, self.name, method];
        Ok(BUSCTL.run(&[&call, args].concat(), "")?.trim_end().to_owned())
    }
}
