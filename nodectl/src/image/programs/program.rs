//! A program of the cache.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A program, and the digest that names its content.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The file.
    pub(crate) path: PathBuf,
    /// Digest of the content, or of all that it was made from.
    pub(crate) key: String,
}

/// Programs by their names.
pub(crate) type Programs = BTreeMap<&'static str, Program>;

/// The programs `names` of a directory that `key` names.
pub(super) fn in_dir(names: &[&'static str], dir: &Path, key: &str) -> Programs {
    names.iter().map(|name| (*name, Program { path: dir.join(name), key: key.to_owned() })).collect()
}
