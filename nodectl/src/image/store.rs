//! Fill the image store that nodes start with: our own containerd runs on it for a moment, and imports.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};

use super::archives::Archive;
use super::child::ChildError;
use super::containerd::{Containerd, ContainerdError};
use super::progress::Stage;
use super::{Context, Programs};

/// Directories of a store that a node needs; all others are made again when containerd starts.
const KEPT: [&str; 3] =
    ["io.containerd.content.v1.content", "io.containerd.metadata.v1.bolt", "io.containerd.snapshotter.v1.overlayfs"];

/// Which image is in a store, and the key of what it was made from.
pub type Contents = BTreeMap<String, String>;

/// Where an image comes from.
#[derive(Clone, Debug)]
pub enum Supply {
    /// An archive of ours.
    Archive(Archive),
    /// A registry.
    Registry {
        /// Its name and tag.
        reference: String,
        /// Directory with a hosts.toml for each registry that has a mirror, as containerd wants it.
        hosts: Option<PathBuf>,
        /// Digest of the above.
        key: String,
    },
}

impl Supply {
    /// The image's name and tag.
    pub fn reference(&self) -> &str {
        match self {
            Supply::Archive(archive) => &archive.reference,
            Supply::Registry { reference, .. } => reference,
        }
    }

    /// The digest of what it is made from.
    pub fn key(&self) -> &str {
        match self {
            Supply::Archive(archive) => &archive.key,
            Supply::Registry { key, .. } => key,
        }
    }
}

/// Why the store could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// containerd did not start.
    #[error(transparent)]
    Containerd(#[from] ContainerdError),
    /// ctr failed.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Make `store` hold `supplies` and nothing else. It holds `contents` now.
///
/// # Errors
/// When an image cannot be imported or pulled.
pub fn fill(
    cx: &Context,
    programs: &Programs,
    store: &Path,
    contents: &Contents,
    supplies: &[Supply],
) -> Result<(), StoreError> {
    let new: Vec<_> =
        supplies.iter().filter(|s| contents.get(s.reference()).map(String::as_str) != Some(s.key())).collect();
    let kept = |reference: &str| {
        supplies.iter().any(|s| s.reference() == reference) && !new.iter().any(|s| s.reference() == reference)
    };
    let old: Vec<_> = contents.keys().filter(|reference| !kept(reference)).collect();
    if new.is_empty() && old.is_empty() {
        return Ok(());
    }
    let containerd = Containerd::start(cx, programs, store)?;
    for reference in old {
        // Synchronously: what nothing refers to any more is gone when it returns.
        cx.progress.stage(&format!("remove {reference}"), |stage| {
            containerd.ctr(stage, ["images", "remove", "--sync"], [reference])
        })?;
    }
    for supply in new {
        cx.progress
            .stage(&format!("{} {}", supply.verb(), supply.reference()), |stage| add(&containerd, stage, supply))?;
    }
    containerd.stop();
    for name in files::names_in(store)?.iter().filter(|name| !KEPT.contains(&name.as_str())) {
        let path = store.join(name);
        if path.is_dir() {
            files::remove_tree(&path)?
        } else {
            fs::remove_file(&path).map_err(FileError::of("remove", &path))?
        };
    }
    Ok(())
}

impl Supply {
    fn verb(&self) -> &'static str {
        if matches!(self, Supply::Archive(_)) { "import" } else { "pull" }
    }
}

/// Import or pull an image, with the labels that the CRI plugin looks for.
fn add(containerd: &Containerd, stage: &Stage, supply: &Supply) -> Result<(), ChildError> {
    match supply {
        Supply::Archive(archive) => {
            containerd.ctr(stage, ["images", "import", "--snapshotter", "overlayfs"], [&archive.path])?;
        }
        Supply::Registry { reference, hosts, .. } => {
            let hosts = hosts.iter().map(|dir| format!("--hosts-dir={}", dir.display()));
            containerd.ctr(
                stage,
                ["images", "pull", "--snapshotter", "overlayfs"],
                hosts.chain([reference.clone()]),
            )?;
        }
    }
    // What the CRI plugin sets on images that it pulls itself; the pause image must survive kubelet's clean-up.
    let reference = supply.reference();
    let mut labels = vec![reference.to_owned(), "io.cri-containerd.image=managed".to_owned()];
    if reference.contains("/pause:") {
        labels.push("io.cri-containerd.pinned=pinned".to_owned());
    }
    containerd.ctr(stage, ["images", "label"], labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_started_when_the_store_holds_all_that_is_wanted() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        let archive = Archive { reference: "a/b:1".to_owned(), path: "/none".into(), key: "k".to_owned() };
        let contents = [("a/b:1".to_owned(), "k".to_owned())].into();
        // There is no containerd among no programs.
        fill(&cx, &Programs::new(), dir.path(), &contents, &[Supply::Archive(archive)]).expect("nothing to do");
    }
}
