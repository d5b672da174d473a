//! A machine's second disk: the state directory with the node image of this host, and the tests' own programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use foundation::record::ImageRecord;
use tempfile::{NamedTempFile, TempDir};

use super::system::make_file_system;
use crate::fixture::succeed;

/// Where machines have it, and the image's record its path.
pub const STATE_DIR: &str = "/var/lib/kubeadm-systemd";

/// The file system of the state directory, from which machines are copied.
pub struct StateDisk {
    file: NamedTempFile,
}

impl StateDisk {
    /// Make one in the directory `cache`, with the image, and with `programs` in its directory `tests`.
    ///
    /// # Panics
    /// When that fails.
    pub fn new(image: &ImageRecord, programs: &[impl AsRef<Path>], cache: &Path) -> Self {
        fs::create_dir_all(cache).expect("created");
        // STATE/images/NAME/GENERATION
        let host_dir = image.path.ancestors().nth(3).expect("an image lies in a state directory");
        assert_eq!(host_dir, Path::new(STATE_DIR), "the image's path must be the same there");
        // Beside the image, for hard links.
        let tree = TempDir::with_prefix_in("hosts-", host_dir).expect("a directory");
        let images = tree.path().join("images");
        fs::create_dir(&images).expect("created");
        succeed(Command::new("cp").arg("-al").arg(host_dir.join("images").join(&image.image)).arg(&images));
        let tests = tree.path().join("tests");
        fs::create_dir(&tests).expect("created");
        for program in programs {
            succeed(Command::new("cp").arg(program.as_ref()).arg(&tests));
        }
        let file = NamedTempFile::new_in(cache).expect("a file");
        make_file_system(tree.path(), file.path(), 24);
        StateDisk { file }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }
}
