//! Prune the cache. What existing images were made from stays, and what was built last for a running cluster; without that
//! the cache would grow with every change of Kubernetes.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use foundation::files::{self, FileError};

use super::context::Context;
use super::digest::Key;

/// The list of what a generation was made from: beside it.
const LIST: &str = "cache.json";

/// In the cache: such lists of what was made last, and how many of each kind are kept.
const LAST: &str = "last";
const LASTS: usize = 3;

/// Directories of the cache, and how deep below them the entries are that are kept or removed.
const KINDS: [(&str, u32); 5] = [("base", 1), ("bin", 2), ("checkout", 1), ("oci", 1), ("zstd", 1)];

/// Record in `generation` what of the cache it was made from.
pub(crate) fn remember(cx: &Context, generation: &Path) -> Result<(), FileError> {
    files::write_json(&generation.join(LIST), &cx.used())
}

/// Record what of the cache was made now as `what`, which is no part of an image, and prune what is older. The last few
/// builds stay: they may still be on their way to a cluster, or a swap may be reverted to them.
pub(crate) fn remember_last(cx: &Context, what: &str) -> Result<(), FileError> {
    let used = cx.used();
    let key = Key::new("last").with_all("used", used.iter().map(|path| path.as_os_str().as_encoded_bytes())).finish();
    let dir = cx.dirs.cache().join(LAST).join(what);
    let path = dir.join(format!("{key}.json"));
    let is_new = !path.is_file();
    files::write_json(&path, &used)?;
    let modified = |name: &String| fs::metadata(dir.join(name)).and_then(|metadata| metadata.modified()).ok();
    let mut lists = files::names_in(&dir)?;
    lists.sort_by_key(|name| Reverse(modified(name)));
    for old in lists.iter().skip(LASTS) {
        let old = dir.join(old);
        fs::remove_file(&old).map_err(FileError::of("remove", &old))?;
    }
    // Nothing new, nothing to prune.
    if is_new { prune(cx) } else { Ok(()) }
}

/// Remove from the cache what no image was made from.
pub(crate) fn prune(cx: &Context) -> Result<(), FileError> {
    let mut used = cx.used();
    let last = cx.dirs.cache().join(LAST);
    for what in files::names_in(&last)? {
        for list in files::names_in(&last.join(&what))? {
            used.extend(listed(&last.join(&what).join(list)));
        }
    }
    for image in files::names_in(&cx.dirs.images())? {
        let image = cx.dirs.images().join(image);
        for generation in files::names_in(&image)? {
            used.extend(listed(&image.join(generation).join(LIST)));
        }
    }
    for (kind, depth) in KINDS {
        prune_below(cx, Path::new(kind), depth, &used)?;
    }
    Ok(())
}

/// What such a list names; nothing if it cannot be read.
fn listed(file: &Path) -> BTreeSet<PathBuf> {
    let list: Option<BTreeSet<PathBuf>> = files::read_json(file).unwrap_or(None);
    list.unwrap_or_default()
}

fn prune_below(cx: &Context, dir: &Path, depth: u32, used: &BTreeSet<PathBuf>) -> Result<(), FileError> {
    for name in files::names_in(&cx.dirs.cache().join(dir))? {
        let path = dir.join(name);
        if depth > 1 {
            prune_below(cx, &path, depth - 1, used)?;
        } else if !used.iter().any(|used| used.starts_with(&path)) {
            cx.discard(&cx.dirs.cache().join(path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_builds_of_a_component_stay_when_an_image_is_built() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        let build = |cx: &Context, key: &str| {
            let place = cx.cached("bin", &format!("kubelet/{key}"));
            fs::create_dir_all(place).expect("made");
        };
        for key in ["1", "2", "3", "2", "4", "5"] {
            cx.forget();
            build(&cx, key);
            remember_last(&cx, "component-kubelet").expect("remembered");
            // Files of one tick of the kernel's clock are of the same age.
            thread::sleep(Duration::from_millis(20));
        }
        cx.forget();
        build(&cx, "of-the-image");

        prune(&cx).expect("pruned");
        let left = files::names_in(&cx.dirs.cache().join("bin/kubelet")).expect("listed");
        assert_eq!(left, ["2", "4", "5", "of-the-image"]);
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
        let left = |path: &str| files::names_in(&cx.dirs.cache().join(path)).expect("listed");
        assert_eq!(left("bin/kubelet"), ["now", "other"]);
        assert_eq!(left("oci"), ["now.tar"]);
        assert!(left("base").is_empty());
        assert!(cx.dirs.cache().join("logs").is_dir());
    }
}
