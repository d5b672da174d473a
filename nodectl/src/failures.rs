//! Several errors as one: teardown goes on after an error, and lists them all.

/// The messages of what failed.
#[derive(Debug, Default, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Failures(Vec<String>);

impl Failures {
    /// Note an error.
    pub(crate) fn note<E: std::error::Error>(&mut self, result: Result<(), E>) {
        if let Err(error) = result {
            self.0.push(foundation::error_chain(&error));
        }
    }

    /// All that was noted.
    pub(crate) fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}
