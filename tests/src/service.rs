//! Services of a desktop's, for the test's own host ([`crate::isolate`]): a message bus, NetworkManager, firewalld.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixture::{Fixture, wait_for};

/// A running service; it ends with this.
pub struct Service {
    child: Child,
    name: &'static str,
}

/// A bus without activation and without polkit: everything is allowed.
const BUS: &str = r#"<busconfig>
    <type>system</type>
    <listen>unix:path=/run/dbus/system_bus_socket</listen>
    <policy context="default">
        <allow user="*"/> <allow own="*"/> <allow send_type="method_call"/> <allow send_type="signal"/>
        <allow send_requested_reply="true"/> <allow receive_sender="*"/>
    </policy>
</busconfig>"#;

/// What a desktop's NetworkManager has by its defaults and udev rules, which exempt veths; and nothing by which it would
/// reach what is not the test's own.
const NETWORK_MANAGER: &str = "[main]\nplugins=keyfile\ndns=none\nrc-manager=unmanaged\nsystemd-resolved=false\n\
    hostname-mode=none\nauth-polkit=false\n[keyfile]\nunmanaged-devices=driver:veth\n";

impl Service {
    /// The system's message bus.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn bus(fixture: &Fixture) -> Self {
        let config = fixture.path("bus.conf");
        fs::write(&config, BUS).expect("written");
        let mut bus = Command::new("dbus-daemon");
        bus.arg("--config-file").arg(config).args(["--nofork", "--nopidfile"]);
        start(bus, "org.freedesktop.DBus")
    }

    /// NetworkManager.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn network_manager(fixture: &Fixture) -> Self {
        for dir in ["/etc/NetworkManager", "/var/lib/NetworkManager"] {
            hide(dir);
        }
        fs::write("/etc/NetworkManager/NetworkManager.conf", NETWORK_MANAGER).expect("written");
        // With a read-only /sys it does not wait for udev to announce links; there is no udev here.
        let script = "mount -o remount,bind,ro /sys && exec NetworkManager --no-daemon";
        let mut manager = Command::new("unshare");
        manager.args(["--mount", "sh", "-c", script]).current_dir(fixture.dir.path());
        start(manager, "org.freedesktop.NetworkManager")
    }

    /// firewalld, as its package configures it.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn firewalld(fixture: &Fixture) -> Self {
        let mut firewalld = Command::new("firewalld");
        firewalld.args(["--nofork", "--nopid", "--log-file"]).arg(fixture.path("firewalld.log"));
        start(firewalld, "org.fedoraproject.FirewallD1")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let ended = self.child.wait();
        eprintln!("{} ended: {ended:?}", self.name);
    }
}

/// A directory of the test's own in place of the machine's.
fn hide(dir: &str) {
    assert!(Path::new(dir).is_dir(), "{dir} is missing; the tests need network-manager, firewalld and dbus");
    mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("a tmpfs");
}

fn start(mut command: Command, name: &'static str) -> Service {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap_or_else(|error| {
        panic!("cannot run {command:?}: {error}; the tests need network-manager, firewalld and dbus")
    });
    let service = Service { child, name };
    wait_for(name, || {
        let call = ["call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner"];
        let output = Command::new("busctl").args(call).args(["s", name]).output().expect("busctl runs");
        output.stdout == b"b true\n"
    });
    service
}
