//! One build of an image: `images/NAME/DIGEST`, which never changes once it exists, because nodes run on it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};
use foundation::name::Name;
use foundation::record::ImageRecord;
use serde_json::Map;

use super::cache;
use super::context::Context;
use super::digest::Key;
use super::images;
use super::programs::program::Programs;
use super::root::base::Base;
use super::root::rootfs::{self, RootfsError};
use super::store::{self, Contents, StoreError, Supply};
use super::tools::{self, ToolsError};
use crate::clone::{self, CloneError};

/// MiB that a generation needs.
const SPACE: u64 = 3072;

/// A generation could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// Its root file system could not be put together.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// Its image store could not be filled.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The previous image store could not be cloned.
    #[error("cannot clone the previous image store")]
    Clone(#[from] CloneError),
    /// The disk is full.
    #[error(transparent)]
    Space(#[from] ToolsError),
    /// A file of it could not be written, or a former generation not be removed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// All that goes into a generation.
pub(crate) struct Inputs<'a> {
    /// The image's name.
    pub(crate) image: &'a Name,
    /// Version of Kubernetes.
    pub(crate) kubernetes: String,
    /// Version of the kubelet, if that is another one.
    pub(crate) kubelet: Option<String>,
    /// Where Kubernetes came from.
    pub(crate) source: String,
    /// The operating system.
    pub(crate) base: &'a Base,
    /// Programs for the node.
    pub(crate) programs: &'a Programs,
    /// Container images.
    pub(crate) supplies: &'a [Supply],
    /// The pause image's name and tag.
    pub(crate) pause: &'a str,
}

impl Inputs<'_> {
    /// Name of the generation.
    fn key(&self) -> String {
        Key::new("generation 1")
            .with("base", &self.base.key)
            .with("rootfs", rootfs::key())
            .with_all("program", self.programs.iter().flat_map(|(name, program)| [name, program.key.as_str()]))
            .with_all("image", self.supplies.iter().flat_map(|supply| [supply.reference(), supply.key()]))
            .with("pause", self.pause)
            .finish()
    }
}

/// The image's record, with the generation that it names made unless it exists.
///
/// # Errors
/// The generation cannot be made: then the image is as it was before.
pub(crate) fn build(cx: &Context, inputs: &Inputs<'_>) -> Result<ImageRecord, GenerationError> {
    let place = cx.dirs.image(inputs.image).join(inputs.key());
    let current = images::load(&cx.dirs, inputs.image).ok();
    if !place.is_dir() {
        tools::space(cx.dirs.root(), SPACE)?;
        let previous = current.as_ref().map(|record| record.path.as_path());
        let half = cx.building.join("generation");
        fs::create_dir_all(&half).map_err(FileError::of("create", &half))?;
        cx.progress.stage("assemble the node's root", |_| {
            rootfs::build(&half.join("rootfs"), inputs.base, inputs.programs, inputs.pause)
        })?;
        let contents = start_store(&half, previous)?;
        store::fill(cx, inputs.programs, &half.join("containerd"), &contents, inputs.supplies)?;
        let contents: Contents =
            inputs.supplies.iter().map(|s| (s.reference().to_owned(), s.key().to_owned())).collect();
        files::write_json(&half.join(CONTENTS), &contents)?;
        if !inputs.programs.contains_key("etcdctl") {
            rootfs::link_etcdctl(&half.join("rootfs"), &half.join("containerd"))?;
        }
        cache::remember(cx, &half)?;
        files::write_durably(&half.join(SOURCE), &inputs.source, 0o600)?;
        cx.keep(&half, &place)?;
    }
    let record = ImageRecord {
        image: inputs.image.clone(),
        os: rootfs::os_name(&place.join("rootfs"))?,
        path: place,
        kubernetes: inputs.kubernetes.clone(),
        kubelet: inputs.kubelet.clone(),
        source: inputs.source.clone(),
        extra: Map::new(),
    };
    let is_new = current.as_ref() != Some(&record);
    if is_new {
        files::write_json(&images::record_path(&cx.dirs, inputs.image), &record)?;
    }
    prune(cx, &record)?;
    // After the generations: those that stay keep what they were made from.
    if is_new {
        cache::prune(cx)?;
    }
    Ok(record)
}

/// Where Kubernetes came from. It lies in the generation, because the image's record may be of a later one when it is read.
pub(crate) const SOURCE: &str = "source";

/// What the image store of a generation holds.
const CONTENTS: &str = "containerd.json";

/// Begin with the images that the previous generation had: only those that changed are imported again.
fn start_store(half: &Path, previous: Option<&Path>) -> Result<Contents, GenerationError> {
    let store = half.join("containerd");
    if let Some(previous) = previous
        && let Some(contents) = files::read_json(&previous.join(CONTENTS))?
    {
        clone::image_store(&previous.join("containerd"), &store)?;
        return Ok(contents);
    }
    fs::create_dir_all(&store).map_err(FileError::of("create", &store))?;
    Ok(Contents::new())
}

/// Remove the image's other generations, unless a node runs on them.
fn prune(cx: &Context, record: &ImageRecord) -> Result<(), FileError> {
    let mut others = all(cx, &record.image)?;
    others.retain(|path| *path != record.path);
    for (other, _lock) in unused(cx, others)? {
        cx.discard(&other)?;
    }
    Ok(())
}

/// All generations of an image.
pub(crate) fn all(cx: &Context, image: &Name) -> Result<Vec<PathBuf>, FileError> {
    let dir = cx.dirs.image(image);
    Ok(files::names_in(&dir)?.into_iter().map(|name| dir.join(name)).filter(|path| path.is_dir()).collect())
}

/// Of these generations, those that no node uses, each with a lock that keeps nodes from being started on it.
pub(crate) fn unused(cx: &Context, generations: Vec<PathBuf>) -> Result<Vec<(PathBuf, File)>, FileError> {
    // Lock, then look: `nodectl start` holds a lock of its own until its nodes have records.
    let mut held = Vec::new();
    for generation in generations {
        held.extend(images::remove_lock(&generation)?.map(|lock| (generation, lock)));
    }
    if held.is_empty() {
        return Ok(held);
    }
    let mut users = node_records(cx)?;
    users.extend(mounts());
    held.retain(|(generation, _)| !is_used(generation, &users));
    Ok(held)
}

fn is_used(generation: &Path, users: &[String]) -> bool {
    users.iter().any(|user| user.contains(&*generation.to_string_lossy()))
}

/// The mounts that every process sees: a node of another state directory may run on a generation too.
fn mounts() -> Vec<String> {
    let processes = files::names_in(Path::new("/proc")).unwrap_or_default();
    let ids = processes.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    // A process that has just ended has no mounts any more.
    let mut mounts: Vec<_> = ids.filter_map(|id| fs::read_to_string(format!("/proc/{id}/mountinfo")).ok()).collect();
    mounts.sort();
    mounts.dedup();
    mounts
}

/// The text of every node's record: a node uses the generation that its record names.
fn node_records(cx: &Context) -> Result<Vec<String>, FileError> {
    let mut records = Vec::new();
    for cluster in files::names_in(&cx.dirs.clusters())? {
        let nodes = cx.dirs.clusters().join(cluster).join("nodes");
        for node in files::names_in(&nodes)? {
            let path: PathBuf = nodes.join(node).join("node.json");
            match fs::read_to_string(&path) {
                Ok(record) => records.push(record),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(FileError::of("read", &path)(error)),
            }
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_generations_go_unless_a_node_runs_on_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        let image: Name = "default".parse().expect("a label");
        let generation = |name: &str| cx.dirs.image(&image).join(name);
        for name in ["aaa", "bbb", "ccc"] {
            fs::create_dir_all(generation(name)).expect("made");
        }
        let node = cx.dirs.clusters().join("c/nodes/n/node.json");
        files::write_json(&node, &serde_json::json!({ "generation": generation("bbb") })).expect("written");
        prune(&cx, &record(&image, generation("ccc"))).expect("pruned");
        assert_eq!(files::names_in(&cx.dirs.image(&image)).expect("listed"), ["bbb", "ccc"]);
    }

    #[test]
    fn a_generation_that_nodes_are_being_started_on_stays_before_they_have_records() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        let image: Name = "default".parse().expect("a label");
        let generation = |name: &str| cx.dirs.image(&image).join(name);
        for name in ["old", "new"] {
            fs::create_dir_all(generation(name)).expect("made");
        }
        let left = || {
            prune(&cx, &record(&image, generation("new"))).expect("pruned");
            files::names_in(&cx.dirs.image(&image)).expect("listed")
        };
        let held = images::hold(&record(&image, generation("old"))).expect("locked");
        assert_eq!(left(), ["new", "old"]);
        drop(held);
        assert_eq!(left(), ["new"]);
        assert!(images::hold(&record(&image, generation("old"))).expect("looked").is_none());
    }

    fn record(image: &Name, path: PathBuf) -> ImageRecord {
        ImageRecord {
            image: image.clone(),
            path,
            kubernetes: "v1.37.2".to_owned(),
            kubelet: None,
            source: "go:v1.37.2".to_owned(),
            os: "Debian".to_owned(),
            extra: Map::new(),
        }
    }
}
