//! A second host beside the test's own: a network namespace with a link to it.

use std::fs;
use std::process::Command;

use crate::fixture::{Container, started, succeed, wait_for};

/// The script of a server that answers every connection to port 80 with one line; perl is part of every Debian.
pub const HELLO: &str = r#"exec perl -MIO::Socket::IP -e '
    my $s = IO::Socket::IP->new(LocalHost => "::", LocalPort => 80, V6Only => 0, Listen => 5, ReuseAddr => 1) or die "$@";
    $| = 1; print "up\n"; while (my $c = $s->accept) { print $c "hello\n"; close $c }'"#;

/// The other host, which sends everything that is not its own to the test's: `192.0.2.2` and `2001:db8:2::2`, where the
/// test's has `192.0.2.1` and `2001:db8:2::1`.
pub struct Neighbour(());

/// Its network namespace.
pub const NETNS: &str = "neighbour";

impl Neighbour {
    /// Make it.
    ///
    /// # Panics
    /// When that fails.
    #[expect(clippy::new_without_default, reason = "it makes links")]
    pub fn new() -> Self {
        for words in [
            "netns add neighbour",
            "link add toward type veth peer name back netns neighbour",
            "address add 192.0.2.1/24 dev toward",
            "address add 2001:db8:2::1/64 dev toward nodad",
            "link set toward up",
            "-n neighbour address add 192.0.2.2/24 dev back",
            "-n neighbour address add 2001:db8:2::2/64 dev back nodad",
            "-n neighbour link set lo up",
            "-n neighbour link set back up",
            "-n neighbour route add default via 192.0.2.1",
            "-n neighbour -6 route add default via 2001:db8:2::1",
        ] {
            succeed(Command::new("ip").args(words.split(' ')));
        }
        Neighbour(())
    }

    /// What it gets from an address, written as `ADDRESS/PORT`.
    ///
    /// # Panics
    /// When it cannot connect.
    pub fn asks(&self, address: &str) -> String {
        succeed(&mut asks(NETNS, address))
    }

    /// A server that runs there.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn serves(&self) -> Container {
        let mut server = Command::new("ip");
        server.args(["netns", "exec", "neighbour", "sh", "-c", HELLO]);
        started("neighbour", server)
    }

    /// Remove it.
    ///
    /// # Panics
    /// When that fails.
    pub fn leave(self) {
        succeed(Command::new("ip").args(["netns", "delete", "neighbour"]));
        wait_for("its link to go with it", || !fs::exists("/sys/class/net/toward").expect("sysfs"));
    }
}

/// Connect from a network namespace, and print what comes.
pub fn asks(netns: &str, address: &str) -> Command {
    let script = format!("exec 3<>/dev/tcp/{address}; cat <&3");
    let mut asks = Command::new("timeout");
    asks.args(["30", "ip", "netns", "exec", netns, "bash", "-c", &script]);
    asks
}

/// Whether a connection from a network namespace is refused, and not just unanswered.
///
/// # Panics
/// When it cannot be tried.
pub fn is_refused(netns: &str, address: &str) -> bool {
    let output = asks(netns, address).output().expect("runs");
    // ICMP "communication administratively prohibited", as connect(2) has it: EHOSTUNREACH, and EACCES for IPv6.
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    !output.status.success() && (stderr.contains("No route to host") || stderr.contains("Permission denied"))
}
