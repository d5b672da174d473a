//! What the host must have, checked before anything is begun.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

/// A program, or a file by its absolute path, and Debian's package of it.
pub(crate) type Tool = (&'static str, &'static str);

/// The host lacks something.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    /// Programs.
    #[error("nodectl build needs {programs}: install {packages}")]
    Programs {
        /// All that are missing.
        programs: String,
        /// The packages that have them.
        packages: String,
    },
    /// Disk space.
    #[error(
        "{} has {free} MiB free, and this step needs about {needed}; free some, or move the state with --state-dir",
        path.display()
    )]
    Space {
        /// A directory on the file system.
        path: PathBuf,
        /// What is free, in MiB.
        free: u64,
        /// What is needed, in MiB.
        needed: u64,
    },
}

/// Find all of these.
///
/// # Errors
/// Some are missing: the error names all of them, with the packages to install.
pub(crate) fn check(tools: &[&[Tool]]) -> Result<(), ToolsError> {
    missing(
        &tools.concat(),
        |tool| if tool.starts_with('/') { Path::new(tool).exists() } else { which::which(tool).is_ok() },
    )
}

fn missing(tools: &[Tool], is_there: impl Fn(&str) -> bool) -> Result<(), ToolsError> {
    let missing: Vec<_> = tools.iter().filter(|(program, _)| !is_there(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    Err(ToolsError::Programs { programs: programs.join(", "), packages: packages.join(" ") })
}

/// Make sure that the file system that `path` is on has `needed` MiB left.
pub(crate) fn space(path: &Path, needed: u64) -> Result<(), ToolsError> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    // A file system that does not tell is found to be full when it is written to.
    let Ok(stat) = statvfs(existing) else { return Ok(()) };
    let free = stat.blocks_available().saturating_mul(stat.fragment_size()) >> 20;
    if free < needed { Err(ToolsError::Space { path: path.to_owned(), free, needed }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let tools = [("cp", "coreutils"), ("/keyring", "keyring"), ("go", "golang-go"), ("cc", "gcc")];
        let error = missing(&tools, |tool| tool == "cp").expect_err("missing").to_string();
        assert_eq!(error, "nodectl build needs /keyring, go, cc: install keyring golang-go gcc");
        missing(&tools, |_| true).expect("all there");
    }

    #[test]
    fn a_full_disk_is_found_before_it_is_met() {
        space(Path::new("/"), 0).expect("enough");
        let error = space(Path::new("/no/such/directory"), u64::MAX).expect_err("not enough").to_string();
        assert!(error.starts_with("/no/such/directory has "), "{error}");
    }
}
