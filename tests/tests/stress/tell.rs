//! Tell what was seen.

use std::fmt;
use std::io::{self, Write};

/// Print a line, also when all is well: print! is captured by the test harness then.
pub(crate) fn tell(line: impl fmt::Display) {
    writeln!(io::stderr(), "stress: {line}").expect("printed");
}
