//! Keep of the cache what the images there are were made from, and what was built last for a running cluster; the rest
//! would grow with every change.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Context;
use crate::files::{self, FileError};

/// The list of what a generation was made from: beside it.
const LIST: &str = "cache.json";

/// In the cache, such lists of what was made last.
const LAST: &str = "last";

/// Directories of the cache, and how deep below them the things are that go or stay.
const KINDS: [(&str, u32); 4] = [("base", 1), ("bin", 2), ("checkout", 1), ("oci", 1)];

/// Put down in `generation`, beside what was made, what of the cache it was made from.
///
/// # Errors
/// When the file system refuses.
pub fn remember(cx: &Context, generation: &Path) -> Result<(), FileError> {
    files::write_json(&generation.join(LIST), &cx.used())
}

/// Put down what of the cache was made now as `what`, which is no part of an image: it stays until the next is made.
///
/// # Errors
/// When the file system refuses.
pub fn remember_last(cx: &Context, what: &str) -> Result<(), FileError> {
    files::write_json(&cx.dirs.cache().join(LAST).join(format!("{what}.json")), &cx.used())
}

/// Remove from the cache what no image was made from.
///
/// # Errors
/// When the file system refuses.
pub fn prune(cx: &Context) -> Result<(), FileError> {
    let mut used = cx.used();
    let last = cx.dirs.cache().join(LAST);
    for what in files::entries(&last)? {
        used.extend(listed(&last.join(what)));
    }
    for image in files::entries(&cx.dirs.images())? {
        let image = cx.dirs.images().join(image);
        for generation in files::entries(&image)? {
            used.extend(listed(&image.join(generation).join(LIST)));
        }
    }
    for (kind, depth) in KINDS {
        prune_below(cx, Path::new(kind), depth, &used)?;
    }
    Ok(())
}

/// What is put down there; nothing, where that cannot be read.
fn listed(file: &Path) -> BTreeSet<PathBuf> {
    let list: Option<BTreeSet<PathBuf>> = files::read_json(file).unwrap_or(None);
    list.unwrap_or_default()
}

fn prune_below(cx: &Context, dir: &Path, depth: u32, used: &BTreeSet<PathBuf>) -> Result<(), FileError> {
    for name in files::entries(&cx.dirs.cache().join(dir))? {
        let path = dir.join(name);
        if depth > 1 {
            prune_below(cx, &path, depth - 1, used)?;
        } else if !used.iter().any(|used| used.starts_with(&path)) {
            remove(cx, &cx.dirs.cache().join(path))?;
        }
    }
    Ok(())
}

/// Moved away first: what is in the cache is whole.
fn remove(cx: &Context, path: &Path) -> Result<(), FileError> {
    let half = cx.building.join("pruned");
    fs::rename(path, &half).map_err(FileError::of("remove", path))?;
    if half.is_dir() {
        files::remove_tree(&half)
    } else {
        fs::remove_file(&half).map_err(FileError::of("remove", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_was_built_last_stays_when_an_image_is_built() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        let build = |cx: &Context, key: &str| {
            let place = cx.cached("bin", &format!("kubelet/{key}"));
            fs::create_dir_all(place).expect("made");
        };
        for key in ["first", "second"] {
            cx.forget();
            build(&cx, key);
            remember_last(&cx, "component-kubelet").expect("remembered");
        }
        cx.forget();
        build(&cx, "of-the-image");

        prune(&cx).expect("pruned");
        let left = files::entries(&cx.dirs.cache().join("bin/kubelet")).expect("listed");
        assert_eq!(left, ["of-the-image", "second"]);
    }

    #[test]
    fn what_another_image_was_made_from_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        let make = |path: &str| fs::create_dir_all(cx.dirs.cache().join(path)).expect("made");
        for path in ["bin/kubelet/old", "bin/kubelet/other/x", "bin/kubelet/now", "base/old", "oci/now.tar", "logs"] {
            make(path);
        }
        let generation = cx.dirs.images().join("other/aaa");
        fs::create_dir_all(&generation).expect("made");
        files::write_json(&generation.join(LIST), &["bin/kubelet/other/x"]).expect("written");
        cx.cached("bin", "kubelet/now/kubelet");
        cx.cached("oci", "now.tar");

        prune(&cx).expect("pruned");
        let left = |path: &str| files::entries(&cx.dirs.cache().join(path)).expect("listed");
        assert_eq!(left("bin/kubelet"), ["now", "other"]);
        assert_eq!(left("oci"), ["now.tar"]);
        assert!(left("base").is_empty());
        assert!(cx.dirs.cache().join("logs").is_dir());
    }
}
