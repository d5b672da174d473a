//! Find a network in a directory of configuration files.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};

use super::conf::ConfError;
use super::network::NetworkList;

/// Where network configurations are by default, for libcni and every runtime.
pub(crate) const DEFAULT_CONF_DIR: &str = "/etc/cni/net.d";

/// Why no network was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiscoveryError {
    #[error("no CNI configuration directory {}; make it and write a conflist there, or name another with --conf-dir", dir.display())]
    NoDir { dir: PathBuf },
    #[error(transparent)]
    Dir(#[from] FileError),
    #[error(
        "no CNI network in {}: no valid *.conflist, *.conf or *.json{faults}; write one there or name another directory with --conf-dir",
        dir.display()
    )]
    Empty { dir: PathBuf, faults: Faults },
    #[error("no CNI network {name:?} in {}, which has {}{faults}", dir.display(), found.join(", "))]
    NotFound { dir: PathBuf, name: String, found: Vec<String>, faults: Faults },
}

impl DiscoveryError {
    /// Whether the directory has neither a network nor a malformed file.
    pub(crate) fn is_nothing_there(&self) -> bool {
        matches!(self, DiscoveryError::Empty { faults, .. } if faults.0.is_empty())
    }
}

/// Files that hold no valid configuration, and why.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(PathBuf, String)>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(path, why)| write!(f, "; {} is malformed: {why}", path.display()))
    }
}

/// The network `name` of the directory `dir`; without a name the first, in the order of the files' names, as container
/// runtimes choose theirs.
///
/// With a name, lists are searched before single plugins, as in libcni. A malformed file is warned of, and does not
/// hide the others.
pub(crate) fn find(dir: &Path, name: Option<&str>) -> Result<NetworkList, DiscoveryError> {
    if !dir.exists() {
        return Err(DiscoveryError::NoDir { dir: dir.to_owned() });
    }
    let mut files = files::with_extensions(dir, &["conflist", "conf", "json"])?;
    if name.is_some() {
        files.sort_by_key(|file| !is_list(file));
    }
    let (mut found, mut faults) = (Vec::new(), Faults::default());
    for file in files {
        match read(&file) {
            Ok(list) if name.is_none_or(|name| name == list.name) => return Ok(list),
            Ok(list) => found.push(list.name),
            Err(error) => {
                let why = foundation::error_chain(&error);
                tracing::warn!("{} is not a CNI network configuration: {why}", file.display());
                faults.0.push((file, why));
            }
        }
    }
    let dir = dir.to_owned();
    match name {
        Some(name) if !found.is_empty() => Err(DiscoveryError::NotFound { dir, name: name.to_owned(), found, faults }),
        _ => Err(DiscoveryError::Empty { dir, faults }),
    }
}

fn is_list(file: &Path) -> bool {
    files::extension(file).is_some_and(|extension| extension == "conflist")
}

fn read(file: &Path) -> Result<NetworkList, ConfError> {
    if is_list(file) {
        return NetworkList::read(file);
    }
    NetworkList::parse_single(&fs::read_to_string(file).map_err(FileError::of("read", file))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            fs::write(dir.path().join(name), text).expect("written");
        }
        dir
    }

    fn list(name: &str) -> String {
        format!(r#"{{"name": "{name}", "plugins": [{{"type": "x"}}]}}"#)
    }

    fn single(name: &str) -> String {
        format!(r#"{{"name": "{name}", "type": "y"}}"#)
    }

    #[test]
    fn the_first_file_is_the_default_and_a_malformed_one_hides_nothing() -> Result<(), DiscoveryError> {
        let (b, c, d) = (list("b"), single("c"), list("d"));
        let dir = dir_with(&[("10-bad.conflist", "{"), ("20.json", &c), ("15.conf.bak", &d), ("30.conflist", &b)]);
        assert_eq!(find(dir.path(), None)?.name, "c");
        assert_eq!(find(dir.path(), Some("b"))?.name, "b");
        Ok(())
    }

    #[test]
    fn lists_go_before_single_plugins_of_the_same_name() -> Result<(), DiscoveryError> {
        let dir = dir_with(&[("10.conf", &single("a")), ("20.conflist", &list("a"))]);
        assert_eq!(find(dir.path(), Some("a"))?.plugins[0]["type"], "x");
        Ok(())
    }

    #[test]
    fn what_is_not_found_is_told_with_what_is() {
        let dir = dir_with(&[("10.conflist", &list("a")), ("20.conflist", "[")]);
        let error = find(dir.path(), Some("z")).expect_err("not there").to_string();
        assert!(error.contains("no CNI network \"z\"") && error.contains("which has a; "), "{error}");
        assert!(error.contains("20.conflist is malformed: not a JSON object"), "{error}");
        let empty = dir_with(&[]);
        assert!(matches!(find(empty.path(), None), Err(DiscoveryError::Empty { .. })));
        assert!(matches!(find(&empty.path().join("x"), None), Err(DiscoveryError::NoDir { .. })));
    }
}
