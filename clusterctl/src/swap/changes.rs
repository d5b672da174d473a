//! Wait until a source has changed: `clusterctl swap --watch`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use nodectl::build::checkout::{Checkout, CheckoutError, MODULE_FILES};
use nodectl::files::FileError;
use notify::event::{EventKind, ModifyKind};
use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};

/// Changes that follow one another sooner are one: an editor's save, a checkout of git's, a linker's writing.
const QUIET: Duration = Duration::from_millis(300);

/// How often to look whether we are interrupted.
const LOOK: Duration = Duration::from_millis(100);

/// Why a source cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// It is always the same.
    #[error("{0} does not change, so there is nothing to watch; --watch goes with --from dir:PATH and file:PATH")]
    Fixed(String),
    /// It is no checkout.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// There is no such file.
    #[error(transparent)]
    File(#[from] FileError),
    /// inotify(7) has a limit for each user.
    #[error(
        "cannot watch {}: all inotify watches of this user are taken; raise the limit, e.g. by \
         `sysctl fs.inotify.max_user_watches=1048576`",
        .0.display()
    )]
    Watches(PathBuf),
    /// The kernel refused.
    #[error(
        "cannot watch {}; if too many files are open, more inotify instances are needed \
         (sysctl fs.inotify.max_user_instances)",
        path.display()
    )]
    Notify {
        /// What was to be watched.
        path: PathBuf,
        /// Why.
        source: notify::Error,
    },
}

/// The changes of a source, from the moment on that this was made.
pub(super) struct Changes {
    path: PathBuf,
    seen: Receiver<notify::Result<()>>,
    /// Ends with us.
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Begin to watch.
    pub(super) fn of(source: &str) -> Result<Self, WatchError> {
        let (watched, dirs) = match source.split_once(':') {
            Some(("dir", path)) => {
                let checkout = Checkout::open(Path::new(path))?;
                let root = checkout.path().to_owned();
                // Not the whole tree: git's files and what was built are below it, too.
                let mut dirs = vec![(root.clone(), RecursiveMode::NonRecursive)];
                dirs.extend(checkout.sources().map(|dir| (dir, RecursiveMode::Recursive)));
                (Watched::Checkout(root), dirs)
            }
            Some(("file", path)) => {
                let file = Path::new(path).canonicalize().map_err(FileError::of("find", Path::new(path)))?;
                // A linker makes a new file in the old one's place.
                let dir = file.parent().unwrap_or(Path::new("/")).to_owned();
                (Watched::File(file), vec![(dir, RecursiveMode::NonRecursive)])
            }
            _ => return Err(WatchError::Fixed(source.to_owned())),
        };
        let (send, seen) = mpsc::channel();
        let handler = move |event: notify::Result<Event>| {
            let event = event.map(|event| is_change(&event) && event.paths.iter().any(|path| watched.has(path)));
            if !matches!(event, Ok(false)) {
                // Nobody listens any more: we end.
                let _ = send.send(event.map(|_| ()));
            }
        };
        let path = dirs[0].0.clone();
        let mut watcher = notify::recommended_watcher(handler).map_err(refused(&path))?;
        for (dir, mode) in dirs {
            watcher.watch(&dir, mode).map_err(refused(&dir))?;
        }
        Ok(Changes { path, seen, _watcher: watcher })
    }

    /// Wait for the next one, and until it is whole. False when we are interrupted.
    pub(super) fn wait(&self, interrupted: &AtomicBool) -> Result<bool, WatchError> {
        let mut has_changed = false;
        loop {
            match self.seen.recv_timeout(if has_changed { QUIET } else { LOOK }) {
                _ if interrupted.load(Ordering::Relaxed) => return Ok(false),
                Ok(seen) => seen.map_err(refused(&self.path))?,
                Err(RecvTimeoutError::Timeout) if has_changed => return Ok(true),
                Err(_) => continue,
            }
            has_changed = true;
        }
    }
}

fn refused(path: &Path) -> impl FnOnce(notify::Error) -> WatchError {
    let path = path.to_owned();
    |source| match source.kind {
        ErrorKind::MaxFilesWatch => WatchError::Watches(path),
        _ => WatchError::Notify { path, source },
    }
}

/// Whether something was written, made, moved or removed. A build reads all of it.
fn is_change(event: &Event) -> bool {
    let only_attributes = matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_)));
    // The kernel's queue has run over: whatever it was, it may have been a change.
    event.need_rescan() || !(event.kind.is_access() || only_attributes)
}

/// What is watched.
enum Watched {
    /// A tree, by its top.
    Checkout(PathBuf),
    /// A program.
    File(PathBuf),
}

impl Watched {
    /// Whether a file is part of it. Of a tree, at the top only the files of modules are, and below not what editors put
    /// down beside what they edit (vim, Emacs, JetBrains).
    fn has(&self, path: &Path) -> bool {
        let root = match self {
            Watched::Checkout(root) => root,
            Watched::File(file) => return path == file,
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.parent() == Some(root) {
            return MODULE_FILES.contains(&&*name);
        }
        !(name.starts_with(['.', '#']) || name.ends_with('~') || name.ends_with("___") || name == "4913")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_editors_and_builds_put_down_is_no_change() {
        let tree = Watched::Checkout("/k".into());
        for path in ["/k/go.mod", "/k/pkg/scheduler/scheduler.go", "/k/vendor/modules.txt", "/k/pkg/x/embedded.yaml"] {
            assert!(tree.has(Path::new(path)), "{path}");
        }
        for path in ["/k/_output", "/k/README.md", "/k/pkg/.x.go.swp", "/k/pkg/#x.go#", "/k/pkg/x.go~", "/k/pkg/4913"] {
            assert!(!tree.has(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_file_is_awaited_and_what_is_beside_it_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("kubelet");
        fs::write(&file, "1").expect("written");
        let changes = Changes::of(&format!("file:{}", file.display())).expect("watched");
        let interrupted = AtomicBool::new(false);
        fs::write(dir.path().join("other"), "1").expect("written");
        assert!(matches!(changes.seen.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout)));
        fs::write(dir.path().join("new"), "2").expect("written");
        fs::rename(dir.path().join("new"), &file).expect("replaced");
        assert!(changes.wait(&interrupted).expect("watched"));
        fs::read(&file).expect("readable");
        interrupted.store(true, Ordering::Relaxed);
        assert!(!changes.wait(&interrupted).expect("watched"));
    }

    #[test]
    fn a_source_that_is_always_the_same_is_refused() {
        let error = Changes::of("go:v1.37.2").err().expect("refused").to_string();
        assert!(error.contains("go:v1.37.2 does not change"), "{error}");
    }
}
