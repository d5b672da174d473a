//! kubeadm's patches: files named TARGET[SUFFIX][+TYPE].EXTENSION (`kubeadm init --help`, --patches).

use std::fs;
use std::path::Path;

use foundation::files::{self, FileError};
use serde_json::{Value, json};

/// `[{name, content}, ...]` of a directory.
pub(super) fn read(dir: &Path) -> Result<Value, FileError> {
    // An empty list for a directory that is not there would be a surprise.
    fs::read_dir(dir).map_err(FileError::of("read", dir))?;
    let read = |name: String| {
        let path = dir.join(&name);
        let content = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
        Ok(json!({"name": name, "content": content}))
    };
    files::names_in(dir)?.into_iter().map(read).collect()
}
