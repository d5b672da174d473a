//! Wait until a source has changed: `clusterctl swap --watch`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use foundation::record::{Component, SourcesRecord};
use foundation::state::StateDirs;
use notify::event::{EventKind, ModifyKind};
use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::builder::{self, BuilderError};

/// Changes that follow one another sooner are one: an editor's save, a checkout of git's, a linker's writing.
const QUIET: Duration = Duration::from_millis(300);

/// How often to look whether we are interrupted.
const LOOK: Duration = Duration::from_millis(100);

/// Why a source cannot be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// It is always the same.
    #[error("{0} does not change, so there is nothing to watch; --watch goes with --from dir:PATH and file:PATH")]
    Fixed(String),
    /// nodectl does not know what it reads.
    #[error("cannot tell which files of {source_name} to watch")]
    Sources {
        /// The source.
        source_name: String,
        /// Why.
        source: BuilderError,
    },
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
pub(crate) struct Changes {
    path: PathBuf,
    seen: Receiver<notify::Result<()>>,
    /// Ends with us.
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Begin to watch what a build of the component from `source` reads.
    pub(crate) fn of(dirs: &StateDirs, component: Component, source: &str) -> Result<Self, WatchError> {
        let words = ["component", component.name(), "--from", source, "--sources"];
        let mut records: Vec<SourcesRecord> = builder::records(dirs, &words)
            .map_err(|error| WatchError::Sources { source_name: source.to_owned(), source: error })?;
        // Reading none at all is an error.
        Self::watch(records.swap_remove(0), source)
    }

    fn watch(sources: SourcesRecord, source: &str) -> Result<Self, WatchError> {
        // The directories of files, not the files: a linker or an editor puts a new file in the old one's place.
        let around: BTreeSet<_> = sources.files.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect();
        let around = around.into_iter().map(|dir| (dir, RecursiveMode::NonRecursive));
        let below = sources.directories.iter().map(|dir| (dir.clone(), RecursiveMode::Recursive));
        let watched: Vec<_> = around.chain(below).collect();
        let Some((path, _)) = watched.first().cloned() else { return Err(WatchError::Fixed(source.to_owned())) };
        let (send, seen) = mpsc::channel();
        let handler = move |event: notify::Result<Event>| {
            let event = event.map(|event| is_change(&event) && event.paths.iter().any(|path| is_read(&sources, path)));
            if !matches!(event, Ok(false)) {
                // The receiver is gone: we are ending.
                let _ = send.send(event.map(|_| ()));
            }
        };
        let mut watcher = notify::recommended_watcher(handler).map_err(refused(&path))?;
        for (dir, mode) in watched {
            watcher.watch(&dir, mode).map_err(refused(&dir))?;
        }
        Ok(Changes { path, seen, _watcher: watcher })
    }

    /// Wait for the next one, and until it is whole. False when we are interrupted.
    pub(crate) fn wait(&self, interrupted: &AtomicBool) -> Result<bool, WatchError> {
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

/// Whether a build reads this file. Below directories, editors put files down beside what they edit (vim, Emacs,
/// JetBrains), which it does not.
fn is_read(sources: &SourcesRecord, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_editors = name.starts_with(['.', '#']) || name.ends_with('~') || name.ends_with("___") || name == "4913";
    let is_below = sources.directories.iter().any(|dir| path.starts_with(dir));
    sources.files.iter().any(|file| path == file) || (is_below && !is_editors)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Map;

    use super::*;

    fn sources(files: Vec<PathBuf>) -> SourcesRecord {
        SourcesRecord { files, directories: vec![], extra: Map::new() }
    }

    #[test]
    fn what_editors_and_builds_put_down_is_no_change() {
        let [files, directories] =
            [["/k/go.mod", "/k/go.sum"], ["/k/pkg", "/k/vendor"]].map(|paths| paths.map(Into::into).into());
        let tree = SourcesRecord { files, directories, extra: Map::new() };
        for path in ["/k/go.mod", "/k/pkg/scheduler/scheduler.go", "/k/vendor/modules.txt", "/k/pkg/x/embedded.yaml"] {
            assert!(is_read(&tree, Path::new(path)), "{path}");
        }
        for path in ["/k/_output", "/k/README.md", "/k/pkg/.x.go.swp", "/k/pkg/#x.go#", "/k/pkg/x.go~", "/k/pkg/4913"] {
            assert!(!is_read(&tree, Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_file_is_awaited_and_what_is_beside_it_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("kubelet");
        fs::write(&file, "1").expect("written");
        let changes = Changes::watch(sources(vec![file.clone()]), "file:kubelet").expect("watched");
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
        let error = Changes::watch(sources(vec![]), "go:v1.37.2").err().expect("refused").to_string();
        assert!(error.contains("go:v1.37.2 does not change"), "{error}");
    }
}
