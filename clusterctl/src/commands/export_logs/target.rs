//! The directory that an export goes to: whole, or marked as unfinished.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};

use super::ExportLogsError;

/// Where it is until it is whole: below the directory, which may be the root of a file system.
const UNFINISHED: &str = ".unfinished";

pub(super) struct Target {
    dir: PathBuf,
}

impl Target {
    /// A directory that is not there yet or empty, but for what is left of an export that was killed.
    pub(super) fn check(dir: &Path) -> Result<Self, ExportLogsError> {
        if files::names_in(dir)?.iter().any(|name| name != UNFINISHED) {
            return Err(ExportLogsError::NotEmpty(dir.to_owned()));
        }
        Ok(Target { dir: dir.to_owned() })
    }

    /// Where to put things, for root alone: logs may hold anything.
    pub(super) fn begin(&self) -> Result<PathBuf, FileError> {
        let unfinished = self.dir.join(UNFINISHED);
        files::remove_tree(&unfinished)?;
        let make = |dir: &Path| DirBuilder::new().mode(0o700).recursive(true).create(dir);
        make(&unfinished).map_err(FileError::of("create", &unfinished))?;
        Ok(unfinished)
    }

    /// All is there.
    pub(super) fn finish(&self) -> Result<(), FileError> {
        let unfinished = self.dir.join(UNFINISHED);
        for name in files::names_in(&unfinished)? {
            let to = self.dir.join(&name);
            fs::rename(unfinished.join(name), &to).map_err(FileError::of("create", &to))?;
        }
        files::remove_tree(&unfinished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unfinished_export_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b");
        let target = Target::check(&path).expect("not there yet");
        let unfinished = target.begin().expect("begun");
        fs::create_dir(unfinished.join("half")).expect("made");

        let target = Target::check(&path).expect("unfinished");
        let unfinished = target.begin().expect("begun anew");
        fs::create_dir(unfinished.join("node1")).expect("made");
        target.finish().expect("finished");
        assert_eq!(files::names_in(&path).expect("listed"), ["node1"]);
        assert!(matches!(Target::check(&path), Err(ExportLogsError::NotEmpty(_))));

        fs::write(dir.path().join("file"), "").expect("written");
        assert!(matches!(Target::check(&dir.path().join("file")), Err(ExportLogsError::File(_))));
    }
}
