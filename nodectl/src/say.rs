//! Messages for people, on standard error.

use std::io::Write;

/// Print a line. A closed standard error is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
