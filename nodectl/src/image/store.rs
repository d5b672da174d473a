//! Fill the image store that nodes start with: a containerd of our own runs on it and imports.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};

use self::containerd::{Containerd, ContainerdError};
use super::child::ChildError;
use super::containers::assemble::Archive;
use super::context::Context;
use super::digest::Key;
use super::programs::mirrors::Mirrors;
use super::programs::program::Programs;
use super::programs::wanted::Reference;
use super::progress::Stage;

mod containerd;

/// The registry in the names of the images that kubeadm wants.
const REGISTRY: &str = "registry.k8s.io";

/// Directories of a store that a node needs; all others are made again when containerd starts.
const KEPT: [&str; 3] =
    ["io.containerd.content.v1.content", "io.containerd.metadata.v1.bolt", "io.containerd.snapshotter.v1.overlayfs"];

/// Which image is in a store, and the key of what it was made from.
pub(crate) type Contents = BTreeMap<String, String>;

/// Where an image comes from.
#[derive(Clone, Debug)]
pub(crate) enum Supply {
    /// An archive of ours.
    Archive(Archive),
    /// A registry.
    Registry {
        /// Its name and tag.
        reference: String,
        /// Directory with a hosts.toml for each registry that has a mirror (containerd's docs/hosts.md).
        hosts: Option<PathBuf>,
        /// Digest of the above.
        key: String,
    },
}

impl Supply {
    /// The image's name and tag.
    pub(crate) fn reference(&self) -> &str {
        match self {
            Supply::Archive(archive) => &archive.reference,
            Supply::Registry { reference, .. } => reference,
        }
    }

    /// The digest of what it is made from.
    pub(crate) fn key(&self) -> &str {
        match self {
            Supply::Archive(archive) => &archive.key,
            Supply::Registry { key, .. } => key,
        }
    }
}

/// The store could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// containerd did not start.
    #[error(transparent)]
    Containerd(#[from] ContainerdError),
    /// ctr failed.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// A file of the store could not be written or removed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The images `wanted`, to be pulled from the registry or its mirror.
pub(crate) fn pulled(cx: &Context, mirrors: &Mirrors, wanted: &[Reference]) -> Result<Vec<Supply>, FileError> {
    let hosts = mirrors.registry.as_deref().map(|registry| hosts_dir(cx, registry)).transpose()?;
    let supply = |reference: &Reference| {
        let key = Key::new("registry 1").with("reference", &reference.full);
        let key = key.with("mirror", mirrors.registry.as_deref().unwrap_or_default()).finish();
        Supply::Registry { reference: reference.full.clone(), hosts: hosts.clone(), key }
    };
    Ok(wanted.iter().map(supply).collect())
}

/// A directory as containerd's `--hosts-dir` wants it.
fn hosts_dir(cx: &Context, registry: &str) -> Result<PathBuf, FileError> {
    let dir = cx.building.join("hosts");
    files::write_durably(&dir.join(REGISTRY).join("hosts.toml"), hosts_toml(registry), 0o644)?;
    Ok(dir)
}

/// Only the mirror: an image that it lacks is an error, not a reason to ask another registry.
fn hosts_toml(registry: &str) -> String {
    let url = if registry.contains("://") { registry.to_owned() } else { format!("https://{registry}") };
    format!("server = {url:?}\n\n[host.{url:?}]\n  capabilities = [\"pull\", \"resolve\"]\n")
}

/// Make `store`, which holds `contents`, hold `supplies` and nothing else.
pub(crate) fn fill(
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
        // Synchronously: when it returns, containerd has collected the content that nothing refers to.
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
    // As the CRI plugin labels images that it pulls; the pause image must survive kubelet's garbage collection.
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
    fn a_mirror_without_a_scheme_is_asked_over_tls() {
        assert!(hosts_toml("mirror.example").starts_with("server = \"https://mirror.example\"\n"));
        assert!(hosts_toml("http://127.0.0.1:5000").contains("[host.\"http://127.0.0.1:5000\"]"));
    }

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
