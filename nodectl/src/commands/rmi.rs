//! `nodectl rmi`: remove images that no node uses, and what only they have use for in the cache.

use std::collections::BTreeSet;

use foundation::files::FileError;
use foundation::name::Name;
use foundation::state::StateDirs;

use crate::image::context::Context;
use crate::image::images::{self, ImageError};
use crate::image::{cache, generation};
use crate::say::say;

/// What `nodectl rmi` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct RemoveArgs {
    /// The images
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<Name>,
}

/// An image was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// No image has that name.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It is in use.
    #[error(
        "image {0} is in use: a node was made from it, or is being started; remove its nodes first (nodectl ls --json)"
    )]
    Used(Name),
    /// A file could not be removed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Remove the images that `args` names: all of them, or none when one is in use.
pub(crate) fn run(args: &RemoveArgs, dirs: &StateDirs) -> Result<(), RemoveError> {
    remove(&Context::begin(dirs)?, &args.images)
}

fn remove(cx: &Context, images: &[Name]) -> Result<(), RemoveError> {
    // An image that is named twice is locked once.
    let images: BTreeSet<&Name> = images.iter().collect();
    let mut held = Vec::new();
    for image in &images {
        images::load(&cx.dirs, image)?;
        let generations = generation::all(cx, image)?;
        let count = generations.len();
        let unused = generation::unused(cx, generations)?;
        if unused.len() < count {
            return Err(RemoveError::Used((*image).clone()));
        }
        held.push(unused);
    }
    for image in images {
        cx.discard(&cx.dirs.image(image))?;
        say(&format!("removed image {image}"));
    }
    Ok(cache::prune(cx)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use foundation::files;

    #[test]
    fn an_image_goes_unless_it_or_one_beside_it_is_in_use() {
        let dir = tempfile::tempdir().expect("a directory");
        let cx = Context::for_tests(dir.path());
        let name = |name: &str| name.parse::<Name>().expect("a label");
        for image in ["used", "unused"] {
            let place = cx.dirs.image(&name(image)).join("aaa");
            fs::create_dir_all(&place).expect("made");
            let record = json!({
                "image": image, "path": place, "kubernetes": "v1.37.2", "source": "go:v1.37.2", "os": "Debian",
            });
            files::write_json(&images::record_path(&cx.dirs, &name(image)), &record).expect("written");
        }
        let node = cx.dirs.clusters().join("c/nodes/n/node.json");
        files::write_json(&node, &json!({ "generation": cx.dirs.image(&name("used")).join("aaa") })).expect("written");

        let refused = |images: &[Name]| remove(&cx, images).expect_err("refused").to_string();
        assert!(refused(&[name("unused"), name("used")]).contains("image used is in use"));
        assert!(refused(&[name("unused"), name("none")]).contains("\"none\" not found"));
        assert_eq!(files::names_in(&cx.dirs.images()).expect("listed"), ["unused", "used"]);
        remove(&cx, &[name("unused"), name("unused")]).expect("removed");
        assert_eq!(files::names_in(&cx.dirs.images()).expect("listed"), ["used"]);
    }
}
