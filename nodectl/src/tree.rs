//! Files in trees that were filled by others, such as a node's root or an image's layers: links do not lead out of them.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use foundation::files::FileError;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// Open a file of `tree` for reading, as if `tree` were the root directory (openat2(2)): an absolute link, and one with
/// `..`, stays inside, even when a running node exchanges it meanwhile.
pub fn open(tree: &Path, path: &Path) -> Result<File, FileError> {
    let root = File::open(tree).map_err(FileError::of("open", tree))?;
    // Opening a FIFO would wait for its other end.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(root, path, how).map(File::from).map_err(FileError::of("open", &tree.join(path)))
}

/// The path of a file of `tree`, on this host and without links: to the library of full version, to what
/// update-alternatives chose.
pub fn resolve(tree: &Path, path: &Path) -> Result<PathBuf, FileError> {
    let file = open(tree, path)?;
    let link = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    fs::read_link(&link).map_err(FileError::of("read", &link))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_inside_the_tree() {
        let dir = tempfile::tempdir().expect("a directory");
        let tree = dir.path().join("tree");
        let lib = tree.join("usr/lib");
        fs::create_dir_all(&lib).expect("made");
        fs::write(lib.join("liba.so.1.2"), "inside").expect("written");
        fs::write(dir.path().join("liba.so.1.2"), "outside").expect("written");
        symlink("liba.so.1.2", lib.join("liba.so.1")).expect("linked");
        symlink("/usr/lib/liba.so.1", lib.join("liba.so")).expect("linked");
        symlink("../../../../../../../usr/lib/liba.so", lib.join("up.so")).expect("linked");
        symlink("/usr/lib", tree.join("lib")).expect("linked");
        for path in ["usr/lib/liba.so", "usr/lib/up.so", "lib/liba.so", "/lib/up.so"] {
            let real = resolve(&tree, Path::new(path)).expect(path);
            assert_eq!(real, lib.canonicalize().expect("there").join("liba.so.1.2"));
        }
        symlink(dir.path().join("liba.so.1.2"), lib.join("out.so")).expect("linked");
        assert!(resolve(&tree, Path::new("usr/lib/out.so")).is_err_and(|error| error.is_not_found()));
    }
}
