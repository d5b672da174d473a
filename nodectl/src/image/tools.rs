//! What the host must have, checked before anything is begun.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::source::Source;

/// A program and Debian's package of it.
type Tool = (&'static str, &'static str);

/// Without it mmdebstrap cannot check what it installs: hosts other than Debian have it in a package too.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What is missing on this host.
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

fn needed(source: &Source) -> Vec<Tool> {
    let mut tools = vec![("cp", "coreutils"), ("chroot", "coreutils"), ("unshare", "util-linux")];
    tools.push(("mmdebstrap", "mmdebstrap"));
    tools.push((KEYRING, "debian-archive-keyring"));
    tools.extend(compiler(source));
    tools
}

fn compiler(source: &Source) -> &'static [Tool] {
    match source {
        Source::Release(_) => &[],
        Source::Auto(_) | Source::Go(_) => &[("go", "golang-go"), ("cc", "gcc")],
        Source::Dir(_) => &[("go", "golang-go"), ("cc", "gcc"), ("git", "git")],
    }
}

/// Find all that a build from `source` runs.
///
/// # Errors
/// When something is missing: everything that is.
pub fn check(source: &Source) -> Result<(), ToolsError> {
    missing(&needed(source), is_there)
}

/// Find what compiles `source`.
///
/// # Errors
/// As [`check`].
pub fn check_compiler(source: &Source) -> Result<(), ToolsError> {
    missing(compiler(source), is_there)
}

fn is_there(tool: &str) -> bool {
    if tool == KEYRING { Path::new(tool).exists() } else { which::which(tool).is_ok() }
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

/// Make sure that the file system below `path` has `needed` MiB left.
///
/// # Errors
/// When it has less.
pub fn space(path: &Path, needed: u64) -> Result<(), ToolsError> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    // What cannot be asked is found out by writing.
    let Ok(stat) = statvfs(existing) else { return Ok(()) };
    let free = stat.blocks_available().saturating_mul(stat.fragment_size()) >> 20;
    if free < needed { Err(ToolsError::Space { path: path.to_owned(), free, needed }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let tools = needed(&"go:v1.37.2".parse().expect("a source"));
        let there = ["cp", "chroot", "unshare", KEYRING];
        let error = missing(&tools, |tool| there.contains(&tool)).expect_err("missing").to_string();
        assert_eq!(error, "nodectl build needs mmdebstrap, go, cc: install mmdebstrap golang-go gcc");
        missing(&tools, |_| true).expect("all there");
    }

    #[test]
    fn a_full_disk_is_found_before_it_is_met() {
        space(Path::new("/"), 0).expect("enough");
        let error = space(Path::new("/no/such/directory"), u64::MAX).expect_err("not enough").to_string();
        assert!(error.starts_with("/no/such/directory has "), "{error}");
    }
}
