//! Where a build works: unfinished results in one directory, finished ones moved to the cache in one step.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use foundation::files::{self, FileError, create_private_dir};
use foundation::lock::Lock;
use foundation::state::StateDirs;

use super::progress::Progress;

/// How long the processes of a killed build may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// What every step of a build needs.
pub(crate) struct Context {
    /// Where finished results are kept.
    pub(crate) dirs: StateDirs,
    /// Where results are made. Anything in it when a build begins was left by one that was killed.
    pub(crate) building: PathBuf,
    /// Sockets and state of programs that run during a build.
    pub(crate) run: PathBuf,
    /// Where progress is shown.
    pub(crate) progress: Progress,
    /// What of the cache this build uses.
    used: RefCell<BTreeSet<PathBuf>>,
    /// Held until unfinished results are removed.
    _lock: Lock,
}

impl Context {
    /// Wait for another build to end, and remove what a killed one left. From then on a signal ends the current stage, and
    /// not this process.
    pub(crate) fn begin(dirs: &StateDirs) -> Result<Self, FileError> {
        // One at a time: they share the cache.
        let lock = Lock::take_patiently(&dirs.lock("build"))?;
        dirs.make_private()?;
        let cx = Context {
            building: dirs.root().join("building"),
            run: dirs.run.join("build"),
            dirs: dirs.clone(),
            progress: Progress::to_stderr(),
            used: RefCell::default(),
            _lock: lock,
        };
        cx.clear()?;
        create_private_dir(&cx.building)?;
        cx.progress.catch_signals();
        Ok(cx)
    }

    fn clear(&self) -> Result<(), FileError> {
        // The programs of a build that was killed end with it, but not in the same instant.
        let begun = Instant::now();
        loop {
            match files::remove_tree(&self.building).and_then(|()| files::remove_tree(&self.run)) {
                Err(_) if begun.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(50)),
                result => return result,
            }
        }
    }

    /// A place in the cache, recorded as used by this build.
    pub(crate) fn cached(&self, kind: &str, name: &str) -> PathBuf {
        let path = Path::new(kind).join(name);
        let place = self.dirs.cache().join(&path);
        self.used.borrow_mut().insert(path);
        place
    }

    /// All that this build has used of the cache.
    pub(crate) fn used(&self) -> BTreeSet<PathBuf> {
        self.used.borrow().clone()
    }

    /// The log of a step.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.dirs.cache().join("logs").join(format!("{name}.log"))
    }

    /// Move a finished result from `half`, below [`Context::building`], to its place, after it was synced to the disk: a
    /// result that exists is whole, after a power cut too.
    pub(crate) fn keep(&self, half: &Path, place: &Path) -> Result<(), FileError> {
        let parent = place.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(FileError::of("create", parent))?;
        sync(half)?;
        fs::rename(half, place).map_err(FileError::of("create", place))
    }

    /// As if another build began.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.used.borrow_mut().clear();
    }

    /// Remove a finished result. It is moved away first: what exists in its place is whole.
    pub(crate) fn discard(&self, place: &Path) -> Result<(), FileError> {
        let half = self.building.join("discarded");
        fs::rename(place, &half).map_err(FileError::of("remove", place))?;
        if half.is_dir() {
            files::remove_tree(&half)
        } else {
            fs::remove_file(&half).map_err(FileError::of("remove", place))
        }
    }

    #[cfg(test)]
    pub(crate) fn for_tests(dir: &Path) -> Self {
        Self::begin(&StateDirs { state: dir.join("state"), run: dir.join("run") }).expect("a context")
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            eprintln!("build: {}", foundation::error_chain(&error));
        }
    }
}

fn sync(half: &Path) -> Result<(), FileError> {
    let file = File::open(half).map_err(FileError::of("open", half))?;
    // A tree by syncing its whole file system, which is faster than file by file.
    let synced = if half.is_dir() { nix::unistd::syncfs(&file).map_err(Into::into) } else { file.sync_all() };
    synced.map_err(FileError::of("sync", half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_build_left_is_gone_when_the_next_begins() {
        let dir = tempfile::tempdir().expect("a directory");
        let half = dir.path().join("state/building/half");
        fs::create_dir_all(&half).expect("made");
        let cx = Context::for_tests(dir.path());
        assert!(!half.exists());
        fs::create_dir(&half).expect("made");
        let place = cx.cached("base", "key");
        cx.keep(&half, &place).expect("kept");
        let building = cx.building.clone();
        drop(cx);
        assert!(place.is_dir() && !building.exists());
    }
}
