//! The checks of one host: each a row of a table, printed when it is done.

use std::time::Instant;

use tests::vm::Failure;

/// Rows of one host. A failed check does not stop the others.
pub(crate) struct Report {
    host: String,
    failures: Vec<String>,
}

impl Report {
    /// Rows that begin with these cells.
    pub(crate) fn new(cells: &[&str]) -> Self {
        Report { host: cells.join(" | "), failures: Vec::new() }
    }

    /// Make a check and print its row; whether it has passed.
    pub(crate) fn check(&mut self, what: &str, check: impl FnOnce() -> Result<String, Failure>) -> bool {
        let started = Instant::now();
        let result = check();
        let verdict = if result.is_ok() { "passed" } else { "FAILED" };
        println!("| {} | {what} | {verdict} | {} |", self.host, started.elapsed().as_secs());
        let passed = result.is_ok();
        if let Err(failure) = result {
            eprintln!("{failure}");
            self.failures.push(what.to_owned());
        }
        passed
    }

    /// Assert that all have passed.
    pub(crate) fn finish(self) {
        assert!(self.failures.is_empty(), "{}: failed: {:?}", self.host, self.failures);
    }
}
