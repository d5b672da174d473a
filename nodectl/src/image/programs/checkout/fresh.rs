//! Whether programs are younger than the source that they were made from.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use walkdir::WalkDir;

use super::{MODULE_FILES, SOURCES};

/// Whether `dir` holds all of these programs, each younger than the source of the tree.
pub(super) fn is_up_to_date(dir: &Path, tree: &Path, names: &[&str]) -> bool {
    let modified = |name: &&str| fs::metadata(dir.join(name)).and_then(|metadata| metadata.modified());
    let programs: Result<Vec<_>, _> = names.iter().map(modified).collect();
    // The tree, which has many thousands of files, is read only when all programs exist.
    programs.is_ok_and(|programs| programs.into_iter().min() >= Some(newest_source(tree)))
}

/// When the source was last changed: files of any kind, for some are embedded, and directories, for files are removed
/// from them. The time of the inode's last change counts too: a file that was copied may claim to be older.
fn newest_source(path: &Path) -> SystemTime {
    let trees = SOURCES.iter().flat_map(|dir| WalkDir::new(path.join(dir)));
    let modules = MODULE_FILES.iter().flat_map(|file| WalkDir::new(path.join(file)));
    // A file that is gone was not changed: its directory was.
    let changed = trees.chain(modules).flatten().filter_map(|entry| changed(&entry.metadata().ok()?));
    changed.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn changed(metadata: &Metadata) -> Option<SystemTime> {
    let (seconds, nanoseconds) = (metadata.ctime().try_into().ok()?, metadata.ctime_nsec().try_into().ok()?);
    let inode = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    Some(metadata.modified().ok()?.max(inode))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::image::programs::catalog::KUBERNETES;

    #[test]
    fn build_output_counts_only_when_it_is_complete_and_younger_than_the_source() {
        let programs = KUBERNETES.names();
        let dir = tempfile::tempdir().expect("a directory");
        let source = dir.path().join("cmd/kubeadm/kubeadm.go");
        fs::create_dir_all(source.parent().expect("a parent")).expect("made");
        fs::write(&source, "package main").expect("written");
        for name in &programs {
            assert!(!is_up_to_date(dir.path(), dir.path(), &programs), "{name} is missing");
            fs::write(dir.path().join(name), "").expect("written");
        }
        assert!(is_up_to_date(dir.path(), dir.path(), &programs));
        // The programs are older than what happens to the source from now on.
        let age = |time| {
            for name in &programs {
                let file = fs::File::options().append(true).open(dir.path().join(name));
                file.and_then(|file| file.set_modified(time)).expect("set");
            }
        };
        let edit: fn(&Path) = |source| {
            let file = fs::File::options().append(true).open(source).expect("there");
            file.set_modified(SystemTime::UNIX_EPOCH).expect("set");
        };
        let remove: fn(&Path) = |source| fs::remove_file(source).expect("removed");
        let require: fn(&Path) = |source| {
            fs::write(source.ancestors().nth(3).expect("the tree").join("go.mod"), "").expect("written");
        };
        for (what, change) in [
            ("an edit that says that it is old", edit),
            ("a file that is removed", remove),
            ("another version of a module", require),
        ] {
            age(SystemTime::now() + Duration::from_secs(60));
            assert!(is_up_to_date(dir.path(), dir.path(), &programs));
            age(SystemTime::now());
            thread::sleep(Duration::from_millis(20));
            change(&source);
            assert!(!is_up_to_date(dir.path(), dir.path(), &programs), "{what}");
        }
    }
}
