//! Run ip(8).

use std::io;

use crate::tool::Tool;

const IP: Tool = Tool { program: "ip", package: "iproute2" };

/// Run `ip` in the calling thread's network namespace, and return what it printed.
pub fn ip(args: &[&str]) -> io::Result<String> {
    IP.run(args, "")
}
